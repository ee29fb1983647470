"""How fast result files land, compared with curl and boto3."""

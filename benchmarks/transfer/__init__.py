"""How fast result files land, beside curl and boto3."""

"""What waiting for a thousand runs costs, compared with peers."""

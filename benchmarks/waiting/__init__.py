"""What waiting for a thousand runs costs, beside peers."""

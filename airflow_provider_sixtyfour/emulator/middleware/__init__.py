"""What every request passes: access, faults, the log of requests."""

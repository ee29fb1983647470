"""What this provider costs, measured: each module here that has a `main` prints one table."""

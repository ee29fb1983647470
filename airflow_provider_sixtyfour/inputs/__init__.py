"""What a run is started with: rows, or a file."""

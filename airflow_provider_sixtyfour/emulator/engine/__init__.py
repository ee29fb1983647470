"""What runs do: graphs, blocks, rows, prices."""

"""From the result files of a run to files at a destination."""

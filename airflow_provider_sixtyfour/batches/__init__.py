"""Inputs as batches that a run can take. Knows nothing of Airflow or of a network: it reads and fills streams."""

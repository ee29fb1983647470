"""The Dags that the benchmark of batches runs on a real Airflow, one after the other."""

"""Waiting for runs, free of Airflow."""

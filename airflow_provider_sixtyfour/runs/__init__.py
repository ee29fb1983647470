"""Runs: status, outcome, idempotency, cancellation, deadline; free of Airflow."""

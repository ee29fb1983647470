"""Waiting for runs: one poller for all that wait in a process, free of Airflow."""

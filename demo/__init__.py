"""A demonstration on one machine, and the local Airflow that the end-to-end tests run on too."""

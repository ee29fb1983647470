"""A million rows split, uploaded, and enriched in 200 batches on a real Airflow."""

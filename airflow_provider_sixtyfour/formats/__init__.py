"""File formats, read and written as streams: CSV, NDJSON, JSON, Parquet. Free of Airflow and of a network."""

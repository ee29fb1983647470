"""Objects on their way to a store, each whole or not at all: free of Airflow and of the Sixtyfour API."""

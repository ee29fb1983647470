"""Apache Airflow provider for Sixtyfour workflows. Importing it imports nothing else."""

__version__ = "0.1.0"

"""The command line: ``airflow sixtyfour``, ``python -m airflow_provider_sixtyfour`` and ``sixtyfour``."""

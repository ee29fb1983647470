"""
A local Sixtyfour workflow API, to develop and test Dags against without spending credits.

``python -m airflow_provider_sixtyfour.emulator --help`` says how to start it. It needs FastAPI and uvicorn, which
come with Airflow 3 or with the extra ``emulator``, and it never imports Airflow. Importing this package
imports nothing else.
"""

"""The page in Airflow's UI: a tab that shows the Sixtyfour runs of a Dag run."""

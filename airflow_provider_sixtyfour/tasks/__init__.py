"""What operators, sensors and triggers share: knows Airflow's task context, defines no operator."""

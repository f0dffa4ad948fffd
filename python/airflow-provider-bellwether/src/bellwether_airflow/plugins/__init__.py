"""The plugin of Airflow."""

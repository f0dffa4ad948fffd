"""Tests with Airflow's own scheduler, triggerer, dag-processor and api-server."""

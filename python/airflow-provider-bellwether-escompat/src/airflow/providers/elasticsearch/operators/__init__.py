"""The module of article 000 that Airflow's own provider does not have."""

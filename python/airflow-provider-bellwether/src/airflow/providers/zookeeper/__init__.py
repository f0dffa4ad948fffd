"""ZooKeeper for Airflow, by the names that articles use; the code is in `bellwether_airflow`."""

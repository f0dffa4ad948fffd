"""Waiting for components of Airflow."""

from airflow.sdk import DAG
from bellwether_airflow.sensors.component import AirflowComponentSensor

for name, deferrable in (("components_deferred", True), ("components_asked", False)):
    with DAG(name):
        AirflowComponentSensor(
            task_id="wait",
            component="triggerer",
            min_count=2,
            deployment="{{ dag_run.conf['deployment'] }}",
            deferrable=deferrable,
            poke_interval=0.1,
            timeout=60,
        )

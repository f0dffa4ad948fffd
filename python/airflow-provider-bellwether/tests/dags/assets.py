"""A DAG that changes of a node start."""

from airflow.sdk import DAG

from bellwether_airflow.assets import watched_asset
from bellwether_airflow.operators.zookeeper import ZookeeperGetOperator

with DAG("asset_scheduled", schedule=[watched_asset("colour", path="/assets/colour")]):
    ZookeeperGetOperator(task_id="get", path="/", push_value=True)

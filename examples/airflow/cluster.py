"""A task that names a cluster: article 002's calls, with a name that says what it does."""

import os
from typing import Any

from airflow.sdk import DAG, BaseOperator

from airflow.providers.zookeeper.operators.zookeeper import ZookeeperCreateOperator

_HOSTS = os.environ.get("BELLWETHER_HOSTS", "localhost:2181")


class NameCluster(BaseOperator):
    """Creates a persistent node, or sets it if it is there."""

    def __init__(self, *, hosts: str, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hosts = hosts
        self.path = path

    def execute(self, context: Any) -> Any:
        """Gives the node's version."""
        create = ZookeeperCreateOperator(
            task_id="create",
            zookeeper_hosts=self.hosts,
            path=self.path,
            value="airflow-cluster",
            mode="persistent",
            dag=self.dag,
        )
        return create.execute(context)["version"]


with DAG("example_cluster"):
    NameCluster(task_id="cluster", hosts=_HOSTS, path="/examples/airflow/cluster")

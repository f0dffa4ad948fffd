"""A task that reads the configuration of a program.

The calls are article 002's, in a class whose name says what it does. The article's
operator forgets what the inner one gives back; this one hands it on.
"""

import os
from typing import Any

from airflow.sdk import DAG, BaseOperator

from airflow.providers.zookeeper.operators.zookeeper import (
    ZookeeperCreateOperator,
    ZookeeperDumpOperator,
)

_HOSTS = os.environ.get("BELLWETHER_HOSTS", "localhost:2181")


class ReadConfiguration(BaseOperator):
    """Dumps a node and all below it."""

    def __init__(self, *, hosts: str, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hosts = hosts
        self.path = path

    def execute(self, context: Any) -> Any:
        """Gives the manifest of the dump."""
        dump = ZookeeperDumpOperator(
            task_id="dump", zookeeper_hosts=self.hosts, path=self.path, dag=self.dag
        )
        return dump.execute(context)


with DAG("example_configuration"):
    (
        ZookeeperCreateOperator(
            task_id="create",
            zookeeper_hosts=_HOSTS,
            path="/examples/airflow/configuration",
            value={"colour": "red"},
        )
        >> ReadConfiguration(
            task_id="configuration", hosts=_HOSTS, path="/examples/airflow/configuration"
        )
    )

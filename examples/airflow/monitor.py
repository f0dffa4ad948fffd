"""A task that waits for a change: article 002's calls, with a name that says what it does.

An operator inside another waits in the task's process. `ZookeeperWatchOperator` as a task of its
own waits in the triggerer, and is what a DAG should have.
"""

import os
from typing import Any

from airflow.sdk import DAG, BaseOperator

from airflow.providers.zookeeper.operators.zookeeper import ZookeeperWatchOperator

_HOSTS = os.environ.get("BELLWETHER_HOSTS", "localhost:2181")


class WaitForChange(BaseOperator):
    """Waits until a node is another one."""

    def __init__(self, *, hosts: str, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hosts = hosts
        self.path = path

    def execute(self, context: Any) -> Any:
        """Gives what the node is then."""
        watch = ZookeeperWatchOperator(
            task_id="watch",
            zookeeper_hosts=self.hosts,
            path=self.path,
            timeout=600,
            dag=self.dag,
        )
        return watch.execute(context)


with DAG("example_monitor"):
    WaitForChange(task_id="monitor", hosts=_HOSTS, path="/examples/airflow/monitor")

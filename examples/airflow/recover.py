"""A task that restores a node: article 002's calls, with a name that does not hide the import.

The article's class has the name of the operator that it imports, and would build itself.
"""

import os
from typing import Any

from airflow.sdk import DAG, BaseOperator

from airflow.providers.zookeeper.operators.zookeeper import (
    ZookeeperCreateOperator,
    ZookeeperDeleteOperator,
    ZookeeperDumpOperator,
    ZookeeperRecoverOperator,
)

_HOSTS = os.environ.get("BELLWETHER_HOSTS", "localhost:2181")
_PATH = "/examples/airflow/recover"


class RestoreFromDump(BaseOperator):
    """Restores a node from the dump of another task."""

    def __init__(self, *, hosts: str, path: str, dump: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hosts = hosts
        self.path = path
        self.dump = dump

    def execute(self, context: Any) -> Any:
        """Gives what was restored."""
        recover = ZookeeperRecoverOperator(
            task_id="recover",
            zookeeper_hosts=self.hosts,
            path=self.path,
            source=context["ti"].xcom_pull(self.dump),
            dag=self.dag,
        )
        return recover.execute(context)


with DAG("example_recover", default_args={"zookeeper_hosts": _HOSTS}):
    (
        ZookeeperCreateOperator(task_id="create", path=_PATH, value="kept")
        >> ZookeeperDumpOperator(task_id="dump", path=_PATH)
        >> ZookeeperDeleteOperator(task_id="lose", path=_PATH)
        >> RestoreFromDump(task_id="restore", hosts=_HOSTS, path=_PATH, dump="dump")
    )

"""DAGs that hold locks; the run's configuration, or the environment, says which."""

import logging
import os
import time
from typing import Any

from airflow.sdk import DAG, task
from bellwether_airflow.hooks.zookeeper import ZooKeeperHook
from bellwether_airflow.locks import Lease, LeaseLost, ZooKeeperLock

LOG = logging.getLogger("airflow.task")
PATH = "{{ dag_run.conf['path'] }}"

with DAG("locks_decorated"):

    @task.zookeeper_locked(path=PATH, lock_timeout=5.0)
    def alone(name: str, lease: Lease | None = None) -> dict[str, Any]:
        """What it sees of its own lock."""
        assert lease is not None and name == "a name"
        with ZooKeeperHook().client() as client:
            stat = client.exists(lease.node)
            assert stat is not None
            nodes = len(client.children(lease.path))
        return {"fence": lease.check(), "czxid": stat.czxid, "nodes": nodes}

    @task.zookeeper_locked(path=PATH, lock_timeout=60.0)
    def after(before: dict[str, Any], lease: Lease | None = None) -> dict[str, Any]:
        """Another holder."""
        assert lease is not None
        return {"fence": lease.check(), "before": before["fence"]}

    before: Any = alone("a name")
    after(before)

with DAG("locks_supervised"):

    @task
    def linger() -> None:
        """Waits under the lock, and cleans up."""
        with ZooKeeperLock(os.environ["BELLWETHER_LOCK"]):
            try:
                LOG.warning("inside")
                time.sleep(600)
                LOG.warning("went on")
            finally:
                LOG.warning("cleaned up")

    @task
    def deaf() -> None:
        """Goes on without the lock."""
        with ZooKeeperLock(os.environ["BELLWETHER_LOCK"]):
            LOG.warning("inside")
            while True:
                try:
                    time.sleep(600)
                except LeaseLost:
                    LOG.warning("deaf")

    linger()
    deaf()

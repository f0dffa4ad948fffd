"""A maintenance window that several deployments respect: whoever holds it works, the others wait.

The window is a lease in a persistent node: it outlives the process of each task in it, and is over
by itself if the whole deployment dies.
"""

from typing import Any

from airflow.sdk import DAG, task
from bellwether_airflow.leases import renew_lease
from bellwether_airflow.notifications.zookeeper import ZooKeeperNotifier
from bellwether_airflow.operators.locks import (
    ZookeeperAcquireLockOperator,
    ZookeeperReleaseLockOperator,
)

WINDOW = "/examples/airflow/window"

with DAG("example_leases"):
    open_window = ZookeeperAcquireLockOperator(
        task_id="open_window", lock=WINDOW, ttl=1800, timeout=3600, retries=2
    )
    close_window = ZookeeperReleaseLockOperator(
        task_id="close_window",
        lease=open_window.output,
        on_success_callback=ZooKeeperNotifier(WINDOW + "-last"),
    )

    @task
    def vacuum(lease: dict[str, Any]) -> int:
        """A long step; it begins the time of the window anew."""
        return renew_lease(lease)

    @task
    def check(fence: int, lease: dict[str, Any]) -> bool:
        """The window is the same."""
        return renew_lease(lease) == fence

    lease: Any = open_window.output
    fence: Any = vacuum(lease)
    check(fence, lease) >> close_window.as_teardown(setups=open_window)

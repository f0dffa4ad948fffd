"""Two deployments share a warehouse: only one at a time loads it, and readers see no half load.

A writer gives its fencing token to the warehouse, which refuses the writes of whoever has a lower
one.
"""

from typing import Any

from airflow.sdk import DAG, BaseOperator, task
from bellwether_airflow.hooks.zookeeper import ZooKeeperHook
from bellwether_airflow.locks import Lease, LeaseLost, ZooKeeperLock

LOCK = "/examples/airflow/warehouse"
STORE = "/examples/airflow/warehouse-store"


class Warehouse:
    """Stands for a store that keeps the highest fencing token that it has seen, in a node."""

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, rows: str, fence: int) -> None:
        """Takes rows, unless a later holder has written."""
        with ZooKeeperHook().client() as client:
            client.ensure_path(self.path)
            data, stat = client.get(self.path)
            if fence < int(data.partition(b" ")[0] or 0):
                raise PermissionError(f"fence {fence} is of an earlier holder")
            client.set(self.path, f"{fence} {rows}".encode(), stat.version)

    def read(self) -> str:
        """The rows."""
        with ZooKeeperHook().client() as client:
            return client.get(self.path)[0].partition(b" ")[2].decode()


class LoadOperator(BaseOperator):
    """Loads in steps, and stops before the next one when the lock is another's."""

    template_fields = ("lock",)

    def __init__(self, *, lock: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lock = lock

    def execute(self, context: Any) -> int:
        """Holds the lock for writing."""
        store = Warehouse(STORE)
        with ZooKeeperLock(self.lock, timeout=60.0, mode="write") as lease:
            for step in ("first", "second"):
                store.write(step, lease.check())
            return lease.fence


with DAG("example_locks"):

    @task.zookeeper_locked(path=LOCK, mode="read", lock_timeout=60.0)
    def look(lease: Lease | None = None) -> str:
        """Sees a whole load."""
        assert lease is not None and lease.is_held
        return Warehouse(STORE).read()

    @task
    def too_late(fence: int) -> str:
        """What a writer comes to whose lock was lost long ago."""
        with ZooKeeperLock(LOCK, timeout=60.0, mode="write") as lease:
            Warehouse(STORE).write("third", lease.fence)
        try:
            lease.check()
        except LeaseLost as loss:
            reason = loss.reason
        try:
            Warehouse(STORE).write("late", fence)
        except PermissionError as refused:
            return f"{reason}; {refused}"
        return "was not refused"

    load = LoadOperator(task_id="load", lock=LOCK, retries=1)
    seen: Any = look()
    fence: Any = load.output
    load >> seen >> too_late(fence)

"""The DAGs that the daemons run; a run's configuration says at which server, and at which node."""

import time
from datetime import datetime
from typing import Any

from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
from airflow.sdk import DAG, Asset, AssetWatcher, BaseHook, Variable, get_current_context, task

from bellwether_airflow.assets import watched_asset
from bellwether_airflow.locks import Lease, ZooKeeperLock
from bellwether_airflow.operators.zookeeper import ZookeeperGetOperator, ZookeeperWatchOperator
from bellwether_airflow.sensors.component import AirflowComponentSensor

CONN = "{{ dag_run.conf['conn'] }}"
PATH = "{{ dag_run.conf['path'] }}"

# What goes wrong ends in a test that fails, not in one that hangs.
LIMIT_S = 180
WAITS: dict[str, Any] = {
    "task_id": "watch",
    "zookeeper_conn_id": CONN,
    "path": PATH,
    "timeout": LIMIT_S,
    "push_value": True,
}

with DAG("waits_in_trigger"):
    ZookeeperWatchOperator(**WAITS)

with DAG("waits_and_resumes"):
    # With a retry, for Airflow may take the end of the first process for a failure.
    ZookeeperWatchOperator(
        **WAITS, condition="value", expected="new", end_in_trigger=False, retries=1, retry_delay=1.0
    )

with DAG("waits_in_process"):
    ZookeeperWatchOperator(**WAITS, deferrable=False)

with DAG("waits_for_a_component"):
    AirflowComponentSensor(
        task_id="wait",
        zookeeper_conn_id=CONN,
        component="{{ dag_run.conf['component'] }}",
        timeout=LIMIT_S,
    )

with DAG("holds_a_lock"):

    @task
    def hold() -> None:
        """Holds it until it is killed."""
        conf = get_current_context()["dag_run"].conf or {}
        with ZooKeeperLock(conf["path"], conf["conn"], LIMIT_S):
            time.sleep(LIMIT_S)

    hold()

with DAG("reads_secrets"):

    @task
    def read() -> dict[str, str]:
        """What it is told: by the agent, and by the api-server, which asks the other server."""
        seen = {name: Variable.get(f"secret_{name}") for name in ("bellwether", "apache")}
        return {**seen, "host": str(BaseHook.get_connection("secret_warehouse").host)}

    read()

for _server in ("bellwether", "apache"):
    _conn = f"zk_{_server}"

    # One night, long ago: the scheduler makes its run as soon as it knows the DAG.
    with DAG(
        f"nightly_{_server}",
        schedule="0 3 * * *",
        start_date=datetime(2026, 1, 1),
        end_date=datetime(2026, 1, 1, 12),
        catchup=True,
    ):

        @task.zookeeper_locked(path="/daemons/nightly", zookeeper_conn_id=_conn)
        def report(lease: Lease | None = None) -> dict[str, Any]:
            """What it knows of its lock."""
            assert lease is not None
            return {"fence": lease.check(), "node": lease.node}

        report()

    with DAG(
        f"colour_{_server}",
        schedule=[
            watched_asset(f"colour-{_server}", path="/daemons/colour", zookeeper_conn_id=_conn)
        ],
    ):
        ZookeeperGetOperator(
            task_id="get", path="/daemons/colour", zookeeper_conn_id=_conn, push_value=True
        )

    _orders = Asset(
        name=f"orders-{_server}",
        watchers=[
            AssetWatcher(
                name="messages",
                trigger=MessageQueueTrigger(queue=f"zk-queue://{_conn}/daemons/orders"),
            )
        ],
    )

    with DAG(f"orders_{_server}", schedule=[_orders]):

        @task
        def ship(triggering_asset_events: Any = None) -> list[str]:
            """The messages that its run is for."""
            events = [event for found in triggering_asset_events.values() for event in found]
            return [event.extra["payload"]["value"] for event in events]

        ship()

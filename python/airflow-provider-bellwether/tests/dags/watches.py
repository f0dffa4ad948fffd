"""DAGs that wait; the run's configuration says where and for what."""

from typing import Any

from airflow.sdk import DAG, Asset, BaseOperator

from bellwether_airflow.operators.zookeeper import ZookeeperGetOperator, ZookeeperWatchOperator
from bellwether_airflow.sensors.zookeeper import (
    ZNodeSensor,
    ZookeeperBarrierSensor,
    ZookeeperHealthSensor,
)

PATH = "{{ dag_run.conf['path'] }}"

# What goes wrong ends in a test that fails, not in one that hangs.
LIMIT = {"timeout": 60}

with DAG("watch_changed", default_args=LIMIT):
    ZookeeperWatchOperator(task_id="watch", path=PATH, retries=1)

with DAG("watch_in_process", default_args=LIMIT):
    ZookeeperWatchOperator(task_id="watch", path=PATH, deferrable=False, push_value=True)

with DAG("watch_resumed", default_args=LIMIT):
    ZookeeperWatchOperator(
        task_id="watch",
        path=PATH,
        condition="value",
        expected="go",
        outlets=[Asset("watched", uri="x-watched://watched")],
    )

with DAG("watch_since", default_args=LIMIT):
    (
        ZookeeperGetOperator(task_id="get", path=PATH)
        >> ZookeeperWatchOperator(task_id="watch", path=PATH, baseline="{{ ti.xcom_pull('get') }}")
    )

with DAG("watch_met", default_args=LIMIT):
    ZookeeperWatchOperator(task_id="exists", path=PATH, condition="exists")
    ZookeeperWatchOperator(task_id="deleted", path=PATH + "/none", condition="deleted")
    ZookeeperWatchOperator(task_id="regex", path=PATH, condition="regex", expected='^."is"')
    ZookeeperWatchOperator(
        task_id="json", path=PATH, condition="json", expected={"/is/0": "ready"}, soft_fail=True
    )
    ZookeeperWatchOperator(task_id="none", path=PATH, condition="children", expected="== 0")
    ZookeeperWatchOperator(
        task_id="older",
        path=PATH,
        baseline={"czxid": 1, "mzxid": 2**62},
    )

with DAG("watch_times_out"):
    ZookeeperWatchOperator(task_id="fails", path=PATH, timeout=0.2)
    ZookeeperWatchOperator(task_id="skips", path=PATH, timeout=0.2, soft_fail=True)
    ZookeeperWatchOperator(
        task_id="fails_resumed", path=PATH, timeout=0.2, end_in_trigger=False, retries=2
    )
    ZookeeperWatchOperator(
        task_id="skips_in_process", path=PATH, timeout=0.2, soft_fail=True, deferrable=False
    )

with DAG("watch_refused", default_args=LIMIT):
    _ARGUMENTS: list[dict[str, Any]] = [
        {"condition": "perhaps"},
        {"condition": "value"},
        {"condition": "regex", "expected": "("},
        {"condition": "json", "expected": "ready"},
        {"condition": "children", "expected": "many"},
        {"baseline": "nothing"},
    ]
    for _number, _wrong in enumerate(_ARGUMENTS):
        ZookeeperWatchOperator(task_id=f"t{_number}", path=PATH, retries=2, **_wrong)

with DAG("sensor_children", default_args=LIMIT):
    ZNodeSensor(task_id="sense", path=PATH, condition="children", expected=2)

with DAG("sensor_pokes", default_args=LIMIT):
    ZNodeSensor(task_id="sense", path=PATH, deferrable=False, poke_interval=0.1)

with DAG("sensor_health", default_args=LIMIT):
    ZookeeperHealthSensor(task_id="well", min_servers=1)
    ZookeeperHealthSensor(
        task_id="dead", zookeeper_hosts="127.0.0.1:1", timeout=0.3, poke_interval=0.1
    )

with DAG("barrier", default_args=LIMIT):
    (
        ZookeeperBarrierSensor(task_id="enter", path=PATH, size=2)
        >> ZookeeperBarrierSensor(task_id="leave", path=PATH, size=2, phase="leave")
    )


class Inside(BaseOperator):
    """Executes a watch inside itself, and gives back what it gave."""

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path

    template_fields = ("path",)

    def execute(self, context: Any) -> Any:
        """Waits for the value `go`."""
        watch = ZookeeperWatchOperator(
            task_id="inner",
            path=self.path,
            condition="value",
            expected="go",
            timeout=60,
            dag=self.dag,
        )
        return watch.execute(context)


with DAG("watch_nested", default_args=LIMIT):
    Inside(task_id="first", path=PATH) >> Inside(task_id="second", path=PATH)

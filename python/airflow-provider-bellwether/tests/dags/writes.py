"""DAGs that write once; the run's configuration says where."""

from collections.abc import Callable
from typing import Any

from airflow.sdk import DAG, BaseOperator

from bellwether_airflow.operators.zookeeper import (
    ZookeeperCounterOperator,
    ZookeeperCreateOperator,
    ZookeeperMultiOperator,
    ZookeeperOnceOperator,
    ZookeeperQuotaOperator,
    ZookeeperReconfigOperator,
)

PATH = "{{ dag_run.conf['path'] }}"


class Twice(BaseOperator):
    """Executes operators inside itself, each twice, as a try does after one whose end was lost."""

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path

    template_fields = ("path",)

    def execute(self, context: Any) -> Any:
        """Gives what both tries of each said."""
        common: dict[str, Any] = {"marker": self.path + "/marks", "dag": self.dag}
        makers: dict[str, Callable[[], Any]] = {
            "counter": lambda: ZookeeperCounterOperator(
                task_id="counter", path=self.path + "/count", delta=5, **common
            ),
            "multi": lambda: ZookeeperMultiOperator(
                task_id="multi",
                ops=[
                    {"op": "create", "path": self.path + "/made", "value": {"a": 1}},
                    {"op": "check", "path": self.path, "version": 0},
                ],
                **common,
            ),
            "create": lambda: ZookeeperCreateOperator(
                task_id="create", path=self.path + "/mine", if_exists="fail", **common
            ),
            "sequential": lambda: ZookeeperCreateOperator(
                task_id="sequential", path=self.path + "/n-", mode="sequential", dag=self.dag
            ),
        }
        return {name: [make().execute(context) for _ in range(2)] for name, make in makers.items()}


with DAG("write_twice"):
    Twice(task_id="twice", path=PATH)

with DAG("write_count"):
    ZookeeperCounterOperator(task_id="one", path=PATH + "/count")
    ZookeeperCounterOperator(task_id="two", path=PATH + "/count", delta="-3")

with DAG("write_refused"):
    _ops: list[dict[str, Any]] = [
        {"op": "rename", "path": "/a"},
        {"op": "set", "path": "/a", "ttl": 3},
        {"op": "create", "path": "a"},
        {"op": "create", "path": "/a", "mode": "ephemeral"},
    ]
    for _number, _op in enumerate(_ops):
        ZookeeperMultiOperator(task_id=f"t{_number}", ops=[_op], retries=2)
    ZookeeperMultiOperator(task_id="none", ops=[], retries=2)
    ZookeeperCounterOperator(task_id="number", path=PATH, delta="much", retries=2)

with DAG("write_all_or_nothing"):
    ZookeeperMultiOperator(
        task_id="multi",
        ops=[
            {"op": "create", "path": PATH + "/made"},
            {"op": "set", "path": PATH + "/none", "value": ""},
        ],
    )

for _policy in ("skip", "wait", "fail"):
    with DAG(f"once_{_policy}"):
        (
            ZookeeperOnceOperator(
                task_id="claim", key="{{ dag_run.conf['key'] }}", path=PATH, on_claimed=_policy
            )
            >> ZookeeperOnceOperator(
                task_id="done", key="{{ dag_run.conf['key'] }}", path=PATH, mark="done"
            )
        )

with DAG("once_claim"):
    ZookeeperOnceOperator(task_id="claim", key="{{ dag_run.conf['key'] }}", path=PATH)

with DAG("quota"):
    (
        ZookeeperQuotaOperator(task_id="soft", path=PATH, count=7)
        >> ZookeeperQuotaOperator(task_id="hard", path=PATH, bytes=99, hard=True)
        >> ZookeeperQuotaOperator(task_id="below", path=PATH + "/below", count=1)
    )

with DAG("reconfig_alone"):
    ZookeeperReconfigOperator(task_id="reconfig", leaving="9", retries=2)

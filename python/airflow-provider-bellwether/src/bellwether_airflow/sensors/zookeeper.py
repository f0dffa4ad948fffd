"""Sensors: a state of a node, a barrier of tasks, the health of the service.

Keeps true: deferrable ones wait in the triggerer; the others ask every `poke_interval`, in the way
of Airflow's sensors, and fail as these do.
"""

from collections.abc import Sequence
from typing import Any

from ..errors import told
from ..health import HealthGoal
from ..operators.waits import DEFAULT_TIMEOUT_S, Seconds, Waits
from ..operators.watch import WatchesNode
from ..owner import member_of
from ..rounds import BarrierGoal
from ..triggers.health import HealthTrigger
from ..triggers.znode import GoalTrigger, ZNodeBarrierTrigger
from ..version_compat import BaseSensorOperator, Context
from ..waiting import Goal


class _Sensor(Waits, BaseSensorOperator):
    """The part of the sensors that is Airflow's: asking, and the arguments for it."""

    ui_color = "#cfe2f3"

    def __init__(
        self,
        *,
        timeout: Seconds = DEFAULT_TIMEOUT_S,
        poke_interval: Seconds = 5.0,
        deferrable: bool = True,
        end_in_trigger: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, poke_interval=poke_interval, **kwargs)
        self.deferrable = deferrable
        self.end_in_trigger = end_in_trigger

    def execute(self, context: Context) -> Any:
        """Waits in the triggerer, or asks again and again."""
        if self.deferrable or self.is_nested(context):
            return self.wait(context)
        return BaseSensorOperator.execute(self, context)

    def poke(self, context: Context) -> Any:
        """Asks once."""
        from airflow.sdk.bases.sensor import PokeReturnValue

        with told(f"task {self.task_id!r}"):
            look = self.look(self.goal(), context)
        return PokeReturnValue(is_done=look.met, xcom_value=look.result)


class ZNodeSensor(WatchesNode, _Sensor):
    """Waits for a state of a node; for the arguments see `ZookeeperWatchOperator`.

    Without `deferrable` the condition `changed` needs a `baseline`.
    """

    template_fields: Sequence[str] = (
        "path",
        "expected",
        "baseline",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self,
        *,
        path: str,
        condition: str = "exists",
        expected: Any = None,
        baseline: Any = None,
        push_value: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.condition = condition
        self.expected = expected
        self.baseline = baseline
        self.push_value = push_value
        if condition == "changed" and baseline is None and not self.deferrable:
            raise ValueError(
                f"task {self.task_id!r}: the condition changed, asked again and again, needs a "
                "baseline: the result of a task that has read the node"
            )


class ZookeeperBarrierSensor(_Sensor):
    """Waits for other tasks, of this or of other deployments, at a node.

    :param path: the barrier; one for each round of work, such as with `{{ run_id }}` in it
    :param size: how many members there are
    :param name: of this member; by default one for all tasks of the run with the same map index
    :param phase: enter waits until all are there, leave until all have left
    """

    template_fields: Sequence[str] = ("path", "name", "zookeeper_conn_id", "zookeeper_hosts")

    def __init__(
        self, *, path: str, size: int, name: str | None = None, phase: str = "enter", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.size = size
        self.name = name
        self.phase = phase

    _owner = ""

    def execute(self, context: Context) -> Any:
        """Enters or leaves."""
        self._owner = member_of(context)
        return super().execute(context)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """After the trigger."""
        self._owner = member_of(context)
        return super().execute_complete(context, event)

    def _ends_in_trigger(self) -> bool:
        return not self.outlets if self.end_in_trigger is None else self.end_in_trigger

    def goal(self) -> BarrierGoal:
        """The state of the barrier."""
        goal = BarrierGoal(self.path, self.name or self._owner, self.size, self.phase)
        goal.check()
        return goal

    def trigger(self, goal: Goal, **common: Any) -> GoalTrigger:
        """The trigger that waits for it."""
        assert isinstance(goal, BarrierGoal)
        return ZNodeBarrierTrigger(
            path=goal.path, name=goal.name, size=goal.size, phase=goal.phase, **common
        )


class ZookeeperHealthSensor(_Sensor):
    """Waits until the service is well, by the four-letter word `srvr`.

    :param min_servers: how many servers of the connection have to serve; by default all
    :param require_leader: one of them has to lead, or to stand alone
    """

    template_fields: Sequence[str] = ("zookeeper_conn_id", "zookeeper_hosts")

    def __init__(
        self, *, min_servers: int | None = None, require_leader: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.path = "/"
        self.min_servers = min_servers
        self.require_leader = require_leader

    def goal(self) -> HealthGoal:
        """The state of the servers."""
        servers = self.target().resolve().servers()
        goal = HealthGoal(tuple(servers), self.min_servers or len(servers), self.require_leader)
        goal.check()
        return goal

    def trigger(self, goal: Goal, **common: Any) -> GoalTrigger:
        """The trigger that waits for it."""
        return HealthTrigger(
            min_servers=self.min_servers, require_leader=self.require_leader, **common
        )


__all__ = ["ZNodeSensor", "ZookeeperBarrierSensor", "ZookeeperHealthSensor"]

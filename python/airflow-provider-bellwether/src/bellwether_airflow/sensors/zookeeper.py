"""Sensors: a state of a node, a barrier of tasks, the health of the service.

Keeps true: deferrable ones wait in the triggerer; the others ask every `poke_interval`, in the way
of Airflow's sensors, and fail as these do.
"""

from collections.abc import Sequence
from typing import Any

from ..health import HealthGoal
from ..operators.waits import Sensor
from ..operators.watch import WatchesNode
from ..owner import member_of
from ..rounds import BarrierGoal
from ..triggers.health import HealthTrigger
from ..triggers.znode import GoalTrigger, ZNodeBarrierTrigger
from ..version_compat import Context
from ..waiting import Goal


class ZNodeSensor(WatchesNode, Sensor):
    """Waits for a state of a node; for the arguments see `ZookeeperWatchOperator`.

    Without `deferrable` the condition `changed` needs a `baseline`.
    """

    def __init__(self, *, path: str, condition: str = "exists", **kwargs: Any) -> None:
        super().__init__(path=path, condition=condition, **kwargs)
        if condition == "changed" and self.baseline is None and not self.deferrable:
            raise ValueError(
                f"task {self.task_id!r}: the condition changed, asked again and again, needs a "
                "baseline: the result of a task that has read the node"
            )


class ZookeeperBarrierSensor(Sensor):
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

    def goal(self) -> BarrierGoal:
        """The state of the barrier."""
        return BarrierGoal(self.path, self.name or self._owner, self.size, self.phase)

    def trigger(self, goal: Goal, **common: Any) -> GoalTrigger:
        """The trigger that waits for it."""
        assert isinstance(goal, BarrierGoal)
        return ZNodeBarrierTrigger(
            path=goal.path, name=goal.name, size=goal.size, phase=goal.phase, **common
        )


class ZookeeperHealthSensor(Sensor):
    """Waits until the service is well, by the four-letter word `srvr`.

    :param min_servers: how many servers of the connection have to serve; by default all
    :param require_leader: one of them has to lead, or to stand alone
    :param min_synced_followers: how many followers the leader has to count as in sync, at its admin
        server (`admin_url` of the connection) or by the word `mntr`
    :param max_latency_ms: servers whose average latency is higher do not count
    """

    template_fields: Sequence[str] = ("zookeeper_conn_id", "zookeeper_hosts")

    def __init__(
        self,
        *,
        min_servers: int | None = None,
        require_leader: bool = True,
        min_synced_followers: int = 0,
        max_latency_ms: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = "/"
        self.min_servers = min_servers
        self.require_leader = require_leader
        self.min_synced_followers = min_synced_followers
        self.max_latency_ms = max_latency_ms

    def _wanted(self) -> dict[str, Any]:
        return {
            "min_servers": self.min_servers,
            "require_leader": self.require_leader,
            "min_synced_followers": self.min_synced_followers,
            "max_latency_ms": self.max_latency_ms,
        }

    def goal(self) -> HealthGoal:
        """The state of the servers."""
        return HealthGoal.of(self.target().resolve(), **self._wanted())

    def trigger(self, goal: Goal, **common: Any) -> GoalTrigger:
        """The trigger that waits for it."""
        return HealthTrigger(**self._wanted(), **common)


__all__ = ["ZNodeSensor", "ZookeeperBarrierSensor", "ZookeeperHealthSensor"]

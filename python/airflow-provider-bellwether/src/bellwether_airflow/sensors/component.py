"""A sensor for components of Airflow: those that the launcher or the agent has registered."""

from collections.abc import Sequence
from typing import Any

from ..components import ComponentGoal, path_of
from ..operators.waits import Sensor
from ..owner import deployment as own_deployment
from ..triggers.component import ComponentTrigger
from ..triggers.znode import GoalTrigger
from ..waiting import Goal


class AirflowComponentSensor(Sensor):
    """Waits until enough instances of a component are registered and up.

    :param component: such as scheduler, triggerer, dag-processor, api-server
    :param min_count: how many
    :param deployment: whose; by default this one
    """

    template_fields: Sequence[str] = (
        "component",
        "deployment",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self, *, component: str, min_count: int = 1, deployment: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.component = component
        self.min_count = min_count
        self.deployment = deployment

    def goal(self) -> ComponentGoal:
        """The state of the registry."""
        path = path_of(self.deployment or own_deployment(), self.component)
        return ComponentGoal(path, self.min_count)

    def trigger(self, goal: Goal, **common: Any) -> GoalTrigger:
        """The trigger that waits for it."""
        assert isinstance(goal, ComponentGoal)
        return ComponentTrigger(path=goal.path, min_count=goal.min_count, **common)


__all__ = ["AirflowComponentSensor"]

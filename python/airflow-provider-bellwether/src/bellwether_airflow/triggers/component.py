"""The trigger that waits until enough instances of a component are up."""

from typing import Any

from ..components import ComponentGoal
from .znode import GoalTrigger


class ComponentTrigger(GoalTrigger):
    """Watches a component's instances; the arguments are the sensor's, as a path."""

    _ARGUMENTS = (*GoalTrigger._ARGUMENTS, "path", "min_count")

    def __init__(self, *, path: str, min_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.min_count = min_count

    def goal(self) -> ComponentGoal:
        """The state of the registry."""
        return ComponentGoal(self.path, self.min_count)


__all__ = ["ComponentTrigger"]

"""Triggers that wait for states of nodes.

Keeps true: they connect again inside and never raise what may pass; a session is shared by all
triggers of a triggerer that have the same connection; it is given back however a trigger ends.
"""

import abc
from typing import Any

import bellwether

from .. import sessions
from ..errors import Refused
from ..goals import NodeGoal
from ..rounds import BarrierGoal
from ..settings import Target
from ..version_compat import AirflowNotFoundException
from ..waiting import Goal, Outcome, reach
from .ending import EndingTrigger


class GoalTrigger(EndingTrigger):
    """Waits for a goal; `pause` is doubled up to half a minute."""

    @abc.abstractmethod
    def goal(self) -> Goal:
        """What is waited for."""

    async def wait(self) -> Outcome:
        """Waits until the goal is met or waiting is over."""
        return await reach(
            self.goal(),
            Target.deserialize(self.target),
            deadline=self.deadline,
            pause=self.pause,
            log=self.log,
        )


class ZNodeTrigger(GoalTrigger):
    """Waits for a state of a node; the arguments are those of `ZookeeperWatchOperator`."""

    _ARGUMENTS = (
        *GoalTrigger._ARGUMENTS,
        "path",
        "condition",
        "expected",
        "baseline",
        "with_value",
    )

    def __init__(
        self,
        *,
        path: str,
        condition: str = "changed",
        expected: Any = None,
        baseline: dict[str, int] | None = None,
        with_value: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.condition = condition
        self.expected = expected
        self.baseline = baseline
        self.with_value = with_value

    def goal(self) -> NodeGoal:
        """The state of the node."""
        return NodeGoal(self.path, self.condition, self.expected, self.baseline, self.with_value)


class ZNodeBarrierTrigger(GoalTrigger):
    """Enters or leaves a barrier; the arguments are those of `ZookeeperBarrierSensor`."""

    _ARGUMENTS = (*GoalTrigger._ARGUMENTS, "path", "name", "size", "phase")

    def __init__(self, *, path: str, name: str, size: int, phase: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.name = name
        self.size = size
        self.phase = phase

    def goal(self) -> BarrierGoal:
        """The state of the barrier."""
        return BarrierGoal(self.path, self.name, self.size, self.phase)

    async def on_kill(self) -> None:
        """Takes back the entry of a task that a user has ended while it waited."""
        if self.phase != "enter":
            return
        try:
            settings = await Target.deserialize(self.target).aresolve()
            async with sessions.aleased(settings) as client:
                await self.goal().withdraw(client)
        except (bellwether.ZooKeeperError, Refused, AirflowNotFoundException) as error:
            self.log.warning("%s: the entry stays: %s", self.goal(), error)

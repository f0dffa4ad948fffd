"""Triggers that wait for states of nodes.

Keeps true: they connect again inside and never raise what may pass; a session is shared by all
triggers of a triggerer that have the same connection; it is given back however a trigger ends.
"""

import abc
from collections.abc import AsyncIterator
from typing import Any

import bellwether

from .. import sessions
from ..errors import Refused
from ..goals import NodeGoal
from ..rounds import BarrierGoal
from ..settings import Target
from ..version_compat import (
    AirflowNotFoundException,
    BaseTrigger,
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)
from ..waiting import Goal, Outcome, reach


class GoalTrigger(BaseTrigger):
    """Waits for a goal; ends the task itself, or has it resume.

    :param target: the connection, as `Target.serialize` gives it
    :param deadline: seconds since 1970, or nothing to wait for good
    :param pause: seconds before another attempt to reach the service, doubled up to half a minute
    :param soft_fail: skip the task when the deadline passes, in place of failing it
    :param end: end the task in the trigger, without a worker
    """

    _ARGUMENTS: tuple[str, ...] = ("target", "deadline", "pause", "soft_fail", "end")

    def __init__(
        self,
        *,
        target: dict[str, Any],
        deadline: float | None = None,
        pause: float = 5.0,
        soft_fail: bool = False,
        end: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.target = target
        self.deadline = deadline
        self.pause = pause
        self.soft_fail = soft_fail
        self.end = end

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments by which another triggerer makes it again."""
        arguments = {name: getattr(self, name) for name in self._ARGUMENTS}
        return f"{type(self).__module__}.{type(self).__name__}", arguments

    @abc.abstractmethod
    def goal(self) -> Goal:
        """What is waited for."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Waits, and says how it ended."""
        outcome = await self.wait()
        if outcome.status != "met":
            self.log.error("%s", outcome.message)
        yield self.event_of(outcome)

    async def wait(self) -> Outcome:
        """Waits until the goal is met or waiting is over."""
        return await reach(
            self.goal(),
            Target.deserialize(self.target),
            deadline=self.deadline,
            pause=self.pause,
            log=self.log,
        )

    def event_of(self, outcome: Outcome) -> TriggerEvent:
        """The event that ends the task, or that resumes it."""
        if not self.end:
            said = {"status": outcome.status, "result": outcome.result, "message": outcome.message}
            return TriggerEvent(said)  # type: ignore[no-untyped-call]
        if outcome.status == "met":
            return TaskSuccessEvent(xcoms={"return_value": outcome.result})
        if outcome.status == "timeout" and self.soft_fail:
            return TaskSkippedEvent()
        return TaskFailedEvent()


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

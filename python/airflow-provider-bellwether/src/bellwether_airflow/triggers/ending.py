"""The base of the triggers that a task waits in.

Keeps true: a task is ended without a worker, or resumed, in the same way whatever it waits for.
"""

import abc
from collections.abc import AsyncIterator
from typing import Any

from ..version_compat import (
    BaseTrigger,
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)
from ..waiting import Outcome


class EndingTrigger(BaseTrigger):
    """Waits; ends the task itself, or has it resume.

    :param target: the connection, as the `serialize` of its target gives it
    :param deadline: seconds since 1970, or nothing to wait for good
    :param pause: seconds before the next attempt
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
    async def wait(self) -> Outcome:
        """Waits until it is over. What may pass is not raised."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Waits, and says how it ended."""
        outcome = await self.wait()
        if outcome.status != "met":
            self.log.error("%s", outcome.message)
        yield self.event_of(outcome)

    def event_of(self, outcome: Outcome) -> TriggerEvent:
        """The event that ends the task, or that resumes it: what is lost is begun again."""
        if not self.end or outcome.status == "lost":
            return TriggerEvent(outcome.told())  # type: ignore[no-untyped-call]
        if outcome.status == "met":
            return TaskSuccessEvent(xcoms={"return_value": outcome.result})
        if outcome.status == "timeout" and self.soft_fail:
            return TaskSkippedEvent()
        return TaskFailedEvent()

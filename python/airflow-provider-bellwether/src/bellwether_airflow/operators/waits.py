"""What operators and sensors that wait share: look first, then wait in a trigger or in the process.

Keeps true: nothing is deferred that is so already; what changes between the look and the trigger's
first look is seen by the trigger, which is told what the first one saw. An operator inside another
waits in the process: only the outer one could be resumed.
"""

import abc
import asyncio
import datetime
import time
from collections.abc import Callable
from typing import Any

from .. import waiting
from ..errors import told
from ..settings import Target
from ..triggers.znode import GoalTrigger
from ..version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    Context,
)
from ..waiting import Goal, Look, Outcome
from .base import ZookeeperOperator

Seconds = float | int | datetime.timedelta

DEFAULT_TIMEOUT_S = 7 * 24 * 3600.0


class Waits(ZookeeperOperator):
    """The part of an operator that waits for a goal. Its class has the attributes below."""

    timeout: Any
    poke_interval: Any
    soft_fail: bool
    deferrable: bool
    end_in_trigger: bool | None

    @abc.abstractmethod
    def goal(self) -> Goal:
        """What is waited for; arguments that are not possible are refused."""

    @abc.abstractmethod
    def trigger(self, goal: Goal, **common: Any) -> GoalTrigger:
        """The trigger that waits for it."""

    def remembered(self, goal: Goal, look: Look, context: Context) -> Goal:
        """The goal with what the first look saw, for goals that depend on it."""
        return goal

    def look(self, goal: Goal, context: Context) -> Look:
        """Looks once, in a session of its own event loop."""
        settings = self.settings()
        with self.killable(context):
            return waiting.run_to_end(lambda: waiting.look_once(goal, settings), self._stoppable)

    def wait(self, context: Context) -> Any:
        """Looks, and waits unless it is so already; the result of the task."""
        try:
            return self._wait(context)
        except asyncio.CancelledError:
            raise AirflowException(f"task {self.task_id!r} was told to end") from None

    def _wait(self, context: Context) -> Any:
        began = time.time()
        with told(f"task {self.task_id!r}"):
            goal = self.goal()
            look = self.look(goal, context)
            if look.met:
                return look.result
            goal = self.remembered(goal, look, context)
        limit = seconds(self.timeout)
        deadline = None if limit is None else began + limit
        if self.is_nested(context) or not self.deferrable:
            return self._result_of(self._in_process(goal, deadline, context))
        trigger = self.trigger(
            goal,
            target=self.target().serialize(),
            deadline=deadline,
            pause=seconds(self.poke_interval) or 1.0,
            soft_fail=self.soft_fail,
            end=self._ends_in_trigger(),
        )
        self.log.info("%s: goes on in the triggerer", goal)
        self.defer(trigger=trigger, method_name="execute_complete")

    def _in_process(self, goal: Goal, deadline: float | None, context: Context) -> Outcome:
        target: Target = self.target()
        pause = seconds(self.poke_interval) or 1.0
        given = Target(given=target.resolve())
        with self.killable(context):
            return waiting.run_to_end(
                lambda: waiting.reach(goal, given, deadline=deadline, pause=pause, log=self.log),
                self._stoppable,
            )

    def _stoppable(self, stop: Callable[[], None] | None) -> None:
        self._stop = stop
        if stop is not None and self._killed:
            stop()

    def _ends_in_trigger(self) -> bool:
        """Asset events and a subclass's `execute_complete` need the task to resume."""
        if self.end_in_trigger is not None:
            return self.end_in_trigger
        ours = type(self).execute_complete is Waits.execute_complete
        return ours and not self.outlets

    def _result_of(self, outcome: Outcome) -> Any:
        if outcome.status == "met":
            return outcome.result
        message = f"task {self.task_id!r}: {outcome.message}"
        if outcome.status == "fatal":
            raise AirflowFailException(message)
        if self.soft_fail:
            raise AirflowSkipException(message)
        raise AirflowSensorTimeout(message)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """After the trigger: the result, or the failure.

        `dag.test` does not end tasks in triggers: it resumes them with the state as text.
        """
        if isinstance(event, dict):
            outcome = Outcome.of(event)
            return self._result_of(outcome)
        if event == "success":
            with told(f"task {self.task_id!r}"):
                return self.look(self.goal(), context).result
        if event == "skipped":
            raise AirflowSkipException(f"task {self.task_id!r}: not within the time given")
        raise AirflowException(f"task {self.task_id!r}: the trigger ended as {event}; see its log")


def seconds(time_given: Seconds | None) -> float | None:
    """A time as Airflow's arguments have it, in seconds."""
    if isinstance(time_given, datetime.timedelta):
        return time_given.total_seconds()
    return None if time_given is None else float(time_given)

"""What operators share that go on in the triggerer: their arguments, and how they end.

Keeps true: a task that resumes after its trigger ends as the trigger would have ended it.
"""

import datetime
from typing import Any

from ..version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
)
from ..waiting import Outcome
from .base import ZookeeperOperator

Seconds = float | int | datetime.timedelta

DEFAULT_TIMEOUT_S = 7 * 24 * 3600.0


class Defers(ZookeeperOperator):
    """The part of an operator that may go on in the triggerer.

    :param timeout: seconds until the task fails, by default seven days
    :param poke_interval: seconds between two looks at the most, or before another attempt
    :param deferrable: wait in the triggerer; if not, in the task's process
    :param end_in_trigger: end the task there too; by default unless it has outlets or a subclass
        has an `execute_complete` of its own
    """

    timeout: Any
    poke_interval: Any
    soft_fail: bool = False

    def __init__(
        self,
        *,
        timeout: Seconds = DEFAULT_TIMEOUT_S,
        poke_interval: Seconds = 5.0,
        deferrable: bool = True,
        end_in_trigger: bool | None = None,
        **kwargs: Any,
    ) -> None:
        is_sensor = isinstance(self, BaseSensorOperator)
        if is_sensor:
            # Airflow's sensors check them, and keep them.
            kwargs |= {"timeout": timeout, "poke_interval": poke_interval}
        super().__init__(**kwargs)
        if not is_sensor:
            self.timeout = timeout
            self.poke_interval = poke_interval
        self.deferrable = deferrable
        self.end_in_trigger = end_in_trigger

    def deadline(self, began: float) -> float | None:
        """Until when it may take; both in seconds since 1970."""
        limit = seconds(self.timeout)
        return None if limit is None else began + limit

    def pause(self) -> float:
        """`poke_interval` in seconds."""
        return seconds(self.poke_interval) or 1.0

    def ends_in_trigger(self) -> bool:
        """Asset events and a subclass's `execute_complete` need the task to resume."""
        if self.end_in_trigger is not None:
            return self.end_in_trigger
        ours = type(self).execute_complete.__module__.startswith("bellwether_airflow.")
        return ours and not self.outlets

    def result_of(self, outcome: Outcome) -> Any:
        """The result of the task, or its failure."""
        if outcome.status == "met":
            return outcome.result
        message = f"task {self.task_id!r}: {outcome.message}"
        if outcome.status == "fatal":
            raise AirflowFailException(message)
        if outcome.status == "timeout":
            raise self.too_late(message)
        raise AirflowException(message)

    def too_late(self, message: str) -> AirflowException:
        """How the task ends when its time is over."""
        return AirflowSkipException(message) if self.soft_fail else AirflowSensorTimeout(message)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """After the trigger: the result, or the failure.

        `dag.test` does not end tasks in triggers: it resumes them with the state as text.
        """
        if isinstance(event, dict):
            return self.result_of(Outcome.of(event))
        if event == "success":
            return self.seen_again(context)
        if event == "skipped":
            raise AirflowSkipException(f"task {self.task_id!r}: not within the time given")
        raise AirflowException(f"task {self.task_id!r}: the trigger ended as {event}; see its log")

    def seen_again(self, context: Context) -> Any:
        """The result of a task whose trigger has ended it well, and has not said how."""
        raise NotImplementedError


def seconds(time_given: Seconds | None) -> float | None:
    """A time as Airflow's arguments have it, in seconds."""
    if isinstance(time_given, datetime.timedelta):
        return time_given.total_seconds()
    return None if time_given is None else float(time_given)

"""What operators and sensors that wait share: look first, then wait in a trigger or in the process.

Keeps true: nothing is deferred that is so already; what changes between the look and the trigger's
first look is seen by the trigger, which is told what the first one saw. An operator inside another
waits in the process: only the outer one could be resumed.
"""

import abc
import time
from typing import Any

from .. import waiting
from ..errors import told
from ..settings import Target
from ..triggers.ending import EndingTrigger
from ..version_compat import BaseSensorOperator, Context
from ..waiting import Outcome
from .deferring import Defers


class Waits(Defers):
    """An operator that waits for a goal; as it stands for one of ZooKeeper's."""

    @abc.abstractmethod
    def goal(self) -> Any:
        """What is waited for.

        Raises:
            Refused: an argument is not possible.
        """

    @abc.abstractmethod
    def trigger(self, goal: Any, **common: Any) -> EndingTrigger:
        """The trigger that waits for it."""

    def serialized_target(self) -> dict[str, Any]:
        """The service, as an argument of the trigger."""
        return self.target().serialize()

    def remembered(self, goal: Any, look: Any, context: Context) -> Any:
        """The goal with what the first look saw, for goals that depend on it."""
        return goal

    def checked_goal(self) -> Any:
        """The goal, which is possible.

        Raises:
            AirflowFailException: it is not.
        """
        with told(f"task {self.task_id!r}"):
            goal = self.goal()
            goal.check()
            return goal

    def look(self, goal: Any, context: Context) -> Any:
        """Looks once, in a session of its own event loop: `met` and `result`."""
        with told(f"task {self.task_id!r}"):
            settings = self.settings()
            return self.to_end(context, lambda: waiting.look_once(goal, settings))

    def in_process(self, goal: Any, deadline: float | None, context: Context) -> Outcome:
        """Waits in the process of the task."""
        given = Target(given=self.target().resolve())
        return self.to_end(
            context,
            lambda: waiting.reach(
                goal, given, deadline=deadline, pause=self.pause(), log=self.log
            ),
        )

    def wait(self, context: Context) -> Any:
        """Looks, and waits unless it is so already; the result of the task."""
        began = time.time()
        goal = self.checked_goal()
        look = self.look(goal, context)
        if look.met:
            return look.result
        goal = self.remembered(goal, look, context)
        deadline = self.deadline(began)
        if self.is_nested(context) or not self.deferrable:
            return self.result_of(self.in_process(goal, deadline, context))
        trigger = self.trigger(
            goal,
            target=self.serialized_target(),
            deadline=deadline,
            pause=self.pause(),
            soft_fail=self.soft_fail,
            end=self.ends_in_trigger(),
        )
        self.log.info("%s: goes on in the triggerer", goal)
        self.defer(trigger=trigger, method_name="execute_complete")

    def seen_again(self, context: Context) -> Any:
        """Looks again."""
        return self.look(self.checked_goal(), context).result


class Sensor(Waits, BaseSensorOperator):
    """The part of the sensors that is Airflow's: asking again and again.

    :param soft_fail: skip the task when its time is over, in place of failing it
    """

    ui_color = "#cfe2f3"

    def execute(self, context: Context) -> Any:
        """Waits in the triggerer, or asks again and again."""
        if self.deferrable or self.is_nested(context):
            return self.wait(context)
        return BaseSensorOperator.execute(self, context)

    def poke(self, context: Context) -> Any:
        """Asks once."""
        from airflow.sdk.bases.sensor import PokeReturnValue

        look = self.look(self.checked_goal(), context)
        return PokeReturnValue(is_done=look.met, xcom_value=look.result)

"""Sensors: a document, what a query finds, the health of the cluster, a snapshot.

Keeps true: deferrable ones wait in the triggerer; the others ask every `poke_interval`, in the way
of Airflow's sensors; what no waiting helps fails at once.
"""

import abc
import time
from collections.abc import Sequence
from typing import Any

from ..operators.waits import DEFAULT_TIMEOUT_S, Seconds, seconds
from ..triggers.search import ElasticsearchGoalTrigger
from ..version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
)
from ..waiting import Outcome
from .base import SearchOperator, number, parsed
from .errors import told
from .goals import ClusterHealthGoal, DocumentGoal, QueryGoal, SearchGoal, SnapshotGoal
from .waits import Progress, until_over


class _Sensor(SearchOperator, BaseSensorOperator):
    """The base.

    :param timeout: seconds until the task fails, by default seven days
    :param poke_interval: seconds between two looks at the most
    :param soft_fail: skip the task then, in place of failing it
    :param deferrable: wait in the triggerer; if not, in the task's process
    :param end_in_trigger: end the task there too; by default unless it has outlets or a subclass
        has an `execute_complete` of its own
    """

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

    @abc.abstractmethod
    def goal(self) -> SearchGoal:
        """What is waited for.

        Raises:
            Refused: an argument is not possible.
        """

    def _checked_goal(self) -> SearchGoal:
        with told(f"task {self.task_id!r}"):
            goal = self.goal()
            goal.check()
            return goal

    def poke(self, context: Context) -> Any:
        """Asks once."""
        from airflow.sdk.bases.sensor import PokeReturnValue

        seen = self._look(self._checked_goal(), context)
        return PokeReturnValue(is_done=seen.state == "met", xcom_value=seen.result)

    def _look(self, goal: SearchGoal, context: Context) -> Progress:
        seen = self.ask(context, goal.look, str(goal))
        if seen.state == "failed":
            raise AirflowException(f"task {self.task_id!r}: {seen.message}")
        return seen

    def execute(self, context: Context) -> Any:
        """Looks, and waits unless it is so already."""
        nested = self.is_nested(context)
        if not self.deferrable and not nested:
            return BaseSensorOperator.execute(self, context)
        began = time.time()
        goal = self._checked_goal()
        seen = self._look(goal, context)
        if seen.state == "met":
            return seen.result
        limit = seconds(self.timeout)
        deadline = None if limit is None else began + limit
        pause = seconds(self.poke_interval) or 1.0
        if nested:
            return self._result_of(self._in_process(context, goal, deadline, pause))
        trigger = ElasticsearchGoalTrigger(
            target=self.search_target().serialize(),
            awaited=goal.serialize(),
            deadline=deadline,
            pause=pause,
            soft_fail=self.soft_fail,
            end=self._ends_in_trigger(),
        )
        self.log.info("%s: goes on in the triggerer", goal)
        self.defer(trigger=trigger, method_name="execute_complete")

    def _in_process(
        self, context: Context, goal: SearchGoal, deadline: float | None, pause: float
    ) -> Outcome:
        target, settings = self.search_target(), self.search_settings()
        return self.to_end(
            context,
            lambda: until_over(
                goal, target, deadline=deadline, pause=pause, log=self.log, settings=settings
            ),
        )

    def _ends_in_trigger(self) -> bool:
        if self.end_in_trigger is not None:
            return self.end_in_trigger
        ours = type(self).execute_complete is _Sensor.execute_complete
        return ours and not self.outlets

    def _result_of(self, ending: Outcome) -> Any:
        if ending.status == "met":
            return ending.result
        message = f"task {self.task_id!r}: {ending.message}"
        if ending.status == "fatal":
            raise AirflowFailException(message)
        if ending.status != "timeout":
            raise AirflowException(message)
        if self.soft_fail:
            raise AirflowSkipException(message)
        raise AirflowSensorTimeout(message)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """After the trigger: the result, or the failure.

        `dag.test` does not end tasks in triggers: it resumes them with the state as text.
        """
        if isinstance(event, dict):
            return self._result_of(Outcome.of(event))
        if event == "success":
            return self._look(self._checked_goal(), context).result
        if event == "skipped":
            raise AirflowSkipException(f"task {self.task_id!r}: not within the time given")
        raise AirflowException(f"task {self.task_id!r}: the trigger ended as {event}; see its log")


class ElasticsearchDocumentSensor(_Sensor):
    """Waits for a document.

    :param index: its index
    :param id: its id
    :param expected: JSON pointers, and what they have to lead to
    :param routing: its routing
    """

    template_fields: Sequence[str] = (
        *SearchOperator.template_fields,
        "index",
        "id",
        "expected",
        "routing",
    )

    def __init__(
        self,
        *,
        index: str,
        id: str | int,
        expected: Any = None,
        routing: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.index = index
        self.id = id
        self.expected = expected
        self.routing = routing

    def goal(self) -> DocumentGoal:
        """The document."""
        expected = parsed(self.expected, "expected")
        return DocumentGoal(self.index, str(self.id), expected, self.routing)


class ElasticsearchQuerySensor(_Sensor):
    """Waits until a query finds documents.

    :param index: the indices
    :param query: the query, by default all documents
    :param at_least: how many
    """

    template_fields: Sequence[str] = (
        *SearchOperator.template_fields,
        "index",
        "query",
        "at_least",
    )

    def __init__(
        self, *, index: str, query: Any = None, at_least: int | str = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.index = index
        self.query = query
        self.at_least = at_least

    def goal(self) -> QueryGoal:
        """The number of documents."""
        at_least = number(self.at_least, "at_least")
        return QueryGoal(self.index, parsed(self.query, "query"), at_least or 0)


class ElasticsearchClusterHealthSensor(_Sensor):
    """Waits until the cluster, or indices of it, are well.

    :param status: yellow or green, at least
    :param min_nodes: how many nodes there have to be
    :param index: the indices, by default all
    """

    template_fields: Sequence[str] = (*SearchOperator.template_fields, "status", "index")

    def __init__(
        self,
        *,
        status: str = "yellow",
        min_nodes: int = 1,
        index: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.status = status
        self.min_nodes = min_nodes
        self.index = index

    def goal(self) -> ClusterHealthGoal:
        """The health."""
        return ClusterHealthGoal(self.status, self.min_nodes, self.index)


class ElasticsearchSnapshotSensor(_Sensor):
    """Waits until a snapshot is complete; fails if it fails.

    :param repository: where it is
    :param snapshot: its name
    :param allow_partial: one that lacks shards is good enough
    """

    template_fields: Sequence[str] = (*SearchOperator.template_fields, "repository", "snapshot")

    def __init__(
        self, *, repository: str, snapshot: str, allow_partial: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.repository = repository
        self.snapshot = snapshot
        self.allow_partial = allow_partial

    def goal(self) -> SnapshotGoal:
        """The snapshot."""
        return SnapshotGoal(self.repository, self.snapshot, self.allow_partial)


__all__ = [
    "ElasticsearchClusterHealthSensor",
    "ElasticsearchDocumentSensor",
    "ElasticsearchQuerySensor",
    "ElasticsearchSnapshotSensor",
]

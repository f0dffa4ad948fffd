"""Sensors: a document, what a query finds, the health of the cluster, a snapshot.

Keeps true: deferrable ones wait in the triggerer; the others ask every `poke_interval`, in the way
of Airflow's sensors; what no waiting helps fails at once.
"""

from collections.abc import Sequence
from typing import Any

from ..operators.waits import Sensor
from ..triggers.search import ElasticsearchGoalTrigger
from ..version_compat import AirflowException, Context
from ..waiting import Outcome
from .base import SearchOperator, number, parsed
from .goals import ClusterHealthGoal, DocumentGoal, QueryGoal, SearchGoal, SnapshotGoal
from .waits import Progress, until_over


class _Sensor(SearchOperator, Sensor):
    """The base."""

    ui_color = Sensor.ui_color

    def trigger(self, goal: SearchGoal, **common: Any) -> ElasticsearchGoalTrigger:
        """The trigger that waits for it."""
        return ElasticsearchGoalTrigger(awaited=goal.serialize(), **common)

    def serialized_target(self) -> dict[str, Any]:
        """The engine, as an argument of the trigger."""
        return self.search_target().serialize()

    def look(self, goal: SearchGoal, context: Context) -> Progress:
        """Asks once."""
        seen = self.ask(context, goal.look, str(goal))
        if seen.state == "failed":
            raise AirflowException(f"task {self.task_id!r}: {seen.message}")
        return seen

    def in_process(self, goal: SearchGoal, deadline: float | None, context: Context) -> Outcome:
        """Waits in the process of the task."""
        target, settings, pause = self.search_target(), self.search_settings(), self.pause()
        return self.to_end(
            context,
            lambda: until_over(
                goal, target, deadline=deadline, pause=pause, log=self.log, settings=settings
            ),
        )


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

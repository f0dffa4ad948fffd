"""What the sensors wait for.

Keeps true: an index that is not there yet is waited for, like a document that is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Refused
from .client import SearchClient, path_of
from .jobs import SnapshotJob
from .waits import Awaited, Progress, made_of

_COLOURS = ("red", "yellow", "green")


def pointed_at(document: Any, pointer: str) -> tuple[bool, Any]:
    """Whether a JSON pointer leads to something, and to what."""
    here = document
    for part in pointer.split("/")[1:] if pointer else []:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, Mapping) and name in here:
            here = here[name]
        elif isinstance(here, list) and name.isdigit() and int(name) < len(here):
            here = here[int(name)]
        else:
            return False, None
    return True, here


class SearchGoal(Awaited):
    """The part of the goals that is checked before anything is sent."""

    def check(self) -> None:
        """Refuses what can never be met.

        Raises:
            Refused: and it says why.
        """


@dataclass(frozen=True)
class DocumentGoal(SearchGoal):
    """A document is there, and has certain values."""

    KIND = "document"

    index: str
    id: str
    expected: dict[str, Any] | None = None
    """JSON pointers, and what they have to lead to."""
    routing: str | None = None

    def check(self) -> None:
        """Refuses what can never be met."""
        if not self.index or not self.id:
            raise Refused("index and id have to name a document")
        if self.expected is None:
            return
        if not isinstance(self.expected, Mapping):
            raise Refused("expected is no mapping of JSON pointers to values")
        for pointer in self.expected:
            if pointer and not pointer.startswith("/"):
                raise Refused(f"the JSON pointer {pointer!r} does not begin with /")

    def __str__(self) -> str:
        """What is waited for."""
        return f"wait for the document {self.index}/{self.id}"

    async def look(self, client: SearchClient) -> Progress:
        """Reads it."""
        params = {"routing": self.routing} if self.routing else {}
        answer = await client.ask(
            "GET", path_of(self.index, "_doc", self.id), params=params, resend=True, allow=(404,)
        )
        body = answer.body
        if not body.get("found"):
            return Progress("waiting")
        for pointer, value in (self.expected or {}).items():
            if pointed_at(body.get("_source"), pointer) != (True, value):
                return Progress("waiting")
        return Progress(
            "met",
            {"index": body.get("_index"), "id": body.get("_id"), "version": body.get("_version")},
        )


@dataclass(frozen=True)
class QueryGoal(SearchGoal):
    """A query finds enough documents."""

    KIND = "query"

    index: str
    query: dict[str, Any] | None = None
    at_least: int = 1

    def check(self) -> None:
        """Refuses what can never be met."""
        if self.query is not None and not isinstance(self.query, Mapping):
            raise Refused(f"query is a {type(self.query).__name__}; a mapping is expected")
        if not isinstance(self.at_least, int) or self.at_least < 1:
            raise Refused(f"at_least is {self.at_least!r}; a number of documents is expected")

    def __str__(self) -> str:
        """What is waited for."""
        return f"wait for {self.at_least} documents in {self.index}"

    async def look(self, client: SearchClient) -> Progress:
        """Counts."""
        answer = await client.ask(
            "POST",
            path_of(self.index, "_count"),
            body={"query": self.query} if self.query is not None else {},
            resend=True,
            allow=(404,),
        )
        count = answer.body.get("count", 0)
        enough = answer.status != 404 and count >= self.at_least
        return Progress("met" if enough else "waiting", {"index": self.index, "count": count})


@dataclass(frozen=True)
class ClusterHealthGoal(SearchGoal):
    """The cluster, or some indices of it, are well."""

    KIND = "health"

    status: str = "yellow"
    min_nodes: int = 1
    index: str | None = None

    def check(self) -> None:
        """Refuses what can never be met."""
        if self.status not in _COLOURS[1:]:
            raise Refused(f"status is {self.status!r}; yellow or green is expected")
        if not isinstance(self.min_nodes, int) or self.min_nodes < 1:
            raise Refused(f"min_nodes is {self.min_nodes!r}; a number of nodes is expected")

    def __str__(self) -> str:
        """What is waited for."""
        return f"wait for the status {self.status} with {self.min_nodes} nodes"

    async def look(self, client: SearchClient) -> Progress:
        """Asks, without the engine's own waiting."""
        path = path_of("_cluster", "health", self.index or "")
        # For an index that is not there the engine waits until a time of its own is over: 408.
        answer = await client.ask(
            "GET", path, params={"timeout": "1s"}, resend=True, allow=(404, 408)
        )
        status, nodes = answer.body.get("status"), answer.body.get("number_of_nodes", 0)
        well = (
            answer.status == 200
            and not answer.body.get("timed_out")
            and status in _COLOURS
            and _COLOURS.index(status) >= _COLOURS.index(self.status)
        )
        result = {"status": status, "nodes": nodes}
        return Progress("met" if well and nodes >= self.min_nodes else "waiting", result)


@dataclass(frozen=True)
class SnapshotGoal(SearchGoal):
    """A snapshot is complete. One that has failed is not waited for."""

    KIND = "snapshot"

    repository: str
    snapshot: str
    partial: bool = False

    def __str__(self) -> str:
        """What is waited for."""
        return f"wait for the snapshot {self.repository}/{self.snapshot}"

    async def look(self, client: SearchClient) -> Progress:
        """Asks for its state."""
        seen = await SnapshotJob(self.repository, self.snapshot, self.partial).look(client)
        return Progress("waiting") if seen.state == "lost" else seen


KINDS: dict[str, type[Awaited]] = {
    kind.KIND: kind for kind in (DocumentGoal, QueryGoal, ClusterHealthGoal, SnapshotGoal)
}


def goal_of(stored: Mapping[str, Any]) -> SearchGoal:
    """The goal that a trigger was told.

    Raises:
        Refused: it is none.
    """
    goal: SearchGoal = made_of(stored, KINDS)
    return goal

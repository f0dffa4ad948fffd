"""Waiting for an engine: for a job that it works at, or for a state of its documents.

Keeps true: what may pass is never raised: hosts are asked again until the deadline. An engine tells
nothing by itself, so that it is asked, at first soon and then every `pause` seconds.
"""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from .. import waiting
from ..errors import Refused
from ..waiting import Log, Outcome, Pauses
from .client import SearchClient
from .discovery import connected
from .settings import SearchSettings, SearchTarget

FIRST_PAUSE_S = 0.25


@dataclass(frozen=True)
class Progress:
    """What was seen at one look."""

    state: Literal["waiting", "met", "failed", "lost"]
    result: dict[str, Any] = field(default_factory=dict)
    message: str = ""

    @property
    def met(self) -> bool:
        """Whether it is so."""
        return self.state == "met"


class Awaited(abc.ABC):
    """Something of an engine that is waited for. Its fields are JSON."""

    KIND: ClassVar[str]

    @abc.abstractmethod
    async def look(self, client: SearchClient) -> Progress:
        """Asks once."""

    @abc.abstractmethod
    def __str__(self) -> str:
        """What is waited for, for messages."""

    def serialize(self) -> dict[str, Any]:
        """As an argument of a trigger, or a value of the task's state store."""
        return {"kind": self.KIND, **vars(self)}


def made_of(stored: Mapping[str, Any], kinds: Mapping[str, type[Awaited]]) -> Any:
    """The opposite of `serialize`.

    Raises:
        Refused: it is of no kind that is known.
    """
    kind = kinds.get(str(stored.get("kind")))
    if kind is None:
        raise Refused(f"there is nothing of the kind {stored.get('kind')!r} to wait for")
    return kind(**{name: value for name, value in stored.items() if name != "kind"})


async def until_over(
    awaited: Awaited,
    target: SearchTarget,
    *,
    deadline: float | None,
    pause: float,
    log: Log,
    settings: SearchSettings | None = None,
) -> Outcome:
    """Waits until it is met, has failed, is lost, or the deadline passes.

    `deadline` is in seconds since 1970, `pause` the longest one between two looks.
    """
    pauses = Pauses(log, min(FIRST_PAUSE_S, pause), pause, deadline)

    async def resolve() -> SearchSettings:
        return settings or await target.aresolve()

    async def attempt(found: SearchSettings) -> Outcome:
        found.hide_secrets()
        async with connected(found, log) as client:
            while True:
                seen = await awaited.look(client)
                if seen.state != "waiting":
                    return Outcome(seen.state, seen.result, seen.message)
                await pauses.pause()

    return await waiting.until_over(str(awaited), resolve, attempt, pauses)

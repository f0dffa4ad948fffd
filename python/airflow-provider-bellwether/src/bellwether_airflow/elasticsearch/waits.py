"""Waiting for an engine: for a job that it works at, or for a state of its documents.

Keeps true: what may pass is never raised: hosts are asked again until the deadline. An engine tells
nothing by itself, so that it is asked, at first soon and then every `pause` seconds.
"""

import abc
import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import bellwether

from ..errors import Refused, is_hopeless
from ..version_compat import AirflowNotFoundException
from ..waiting import Log, Outcome
from .client import SearchClient
from .discovery import connected
from .errors import SearchError
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
    try:
        settings = settings or await target.aresolve()
    except (Refused, AirflowNotFoundException) as error:
        return Outcome("fatal", message=str(error))
    settings.hide_secrets()
    wait = min(FIRST_PAUSE_S, pause)
    while True:
        try:
            async with connected(settings, log) as client:
                return await _asking(awaited, client, deadline, wait, pause)
        except TimeoutError as error:
            if not isinstance(error, bellwether.ZooKeeperError):
                return Outcome("timeout", message=f"{awaited}: not within the time given")
            problem = f"{awaited}: {error}"
        except Refused as error:
            return Outcome("fatal", message=f"{awaited}: {error}")
        except SearchError as error:
            problem = f"{awaited}: {error}"
            if error.hopeless:
                return Outcome("fatal", message=problem)
        except bellwether.ZooKeeperError as error:
            problem = f"{awaited}: {error}"
            if is_hopeless(error):
                return Outcome("fatal", message=problem)
        log.warning("%s; trying again in %.1f s", problem, wait)
        left = None if deadline is None else deadline - time.time()
        if left is not None and left <= wait:
            await asyncio.sleep(max(left, 0.0))
            return Outcome("timeout", message=f"{problem}, until the end")
        await asyncio.sleep(wait)
        wait = min(wait * 2, pause)


async def _asking(
    awaited: Awaited, client: SearchClient, deadline: float | None, wait: float, pause: float
) -> Outcome:
    """Asks until there is an end.

    Raises:
        TimeoutError: the deadline has passed.
        SearchError: the engine could not be asked.
    """
    while True:
        seen = await awaited.look(client)
        if seen.state != "waiting":
            return Outcome(seen.state, seen.result, seen.message)
        left = None if deadline is None else deadline - time.time()
        if left is not None and left <= wait:
            await asyncio.sleep(max(left, 0.0))
            raise TimeoutError
        await asyncio.sleep(wait)
        wait = min(wait * 2, pause)

"""Fences: the number of a lock's holder becomes the version of the documents that it writes.

A later holder has a higher number, and an engine that is told to take external versions of the same
or a higher number (`external_gte`) refuses what an earlier holder sends. Plain `external` would
refuse the holder's own second write.

Keeps true: before each request the lease is asked whether it is still held, so that a holder who
knows of its loss sends nothing; one who does not know is refused by the engine.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import bellwether

from ..errors import Refused
from .errors import SearchError, SpentFence, StaleFence

FENCE_MAX = 2**63 - 1


@runtime_checkable
class Lease(Protocol):
    """A lock that is held: what `ZooKeeperLock` and `bellwether.recipes.Lock` give."""

    @property
    def fence(self) -> int:
        """The holder's number, higher than that of every holder before."""

    def check(self) -> object:
        """Raises if the lock is lost."""


@dataclass(frozen=True)
class Fence:
    """The version that a holder's writes have."""

    number: int
    lease: Lease | None = None

    def params(self) -> dict[str, Any]:
        """What goes with a write.

        Raises:
            StaleFence: the lease is lost.
        """
        self.check()
        return {"version": self.number, "version_type": "external_gte"}

    def check(self) -> None:
        """Asks the lease, if there is one.

        Raises:
            StaleFence: it is lost.
        """
        if self.lease is None:
            return
        try:
            self.lease.check()
        except bellwether.ZooKeeperError as error:
            raise StaleFence(f"the lease with the fence {self.number} is lost") from error

    def stale(self, what: str) -> SearchError:
        """The error of a write that an engine has refused."""
        # Only a lock that is taken again can have a higher number.
        kind = SpentFence if self.lease is None else StaleFence
        return kind(f"{what} has a higher version than the fence {self.number}")


def fence_of(given: object) -> Fence:
    """The fence of a number, of text that is one, of a lease, or of a task's result with `fence`.

    Raises:
        Refused: it is none of these.
    """
    if isinstance(given, dict):
        given = given.get("fence")
    if isinstance(given, Lease):
        return Fence(_number(given.fence), given)
    return Fence(_number(given))


def _number(given: object) -> int:
    try:
        number = int(given) if isinstance(given, int | str) and given is not True else -1
    except ValueError:
        number = -1
    if not 0 < number <= FENCE_MAX:
        raise Refused(f"fence is {given!r}; the number of a lock's holder is expected")
    return number


def is_lock(given: object) -> bool:
    """Whether it is entered by `with`, and gives a lease."""
    return isinstance(given, AbstractContextManager)

"""Sessions that are shared: one for each service in a process, and in an event loop.

Keeps true: whoever leases a session gives it back; the last one closes it. A session that is over
is not leased again. After a fork the child begins without any: the parent's belong to it.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from bellwether import AsyncClient, Client, ForkedClientError

from .settings import Settings

_OVER = ("closed", "expired", "auth-failed")


@dataclass
class _Shared:
    client: Client
    users: int = 1


# A signal handler of the same thread may come in between: on_kill closes its session.
_lock = threading.RLock()
_shared: dict[Settings, _Shared] = {}


def _forget() -> None:
    global _lock
    _lock = threading.RLock()
    _shared.clear()
    _by_loop.clear()


os.register_at_fork(after_in_child=_forget)


def is_over(client: Client | AsyncClient) -> bool:
    """Whether a session has ended, for whatever reason."""
    return client.state in _OVER


def acquire(settings: Settings) -> Client:
    """A session of this process, opened if there is none; `release` it.

    Raises:
        bellwether.ZooKeeperError: no server could be reached in time, or none lets us in.
    """
    with _lock:
        shared = _shared.get(settings)
        if shared is not None and not is_over(shared.client):
            shared.users += 1
            return shared.client
        client = connect(settings)
        _shared[settings] = _Shared(client)
        return client


def release(settings: Settings, client: Client) -> None:
    """Gives a session back; the last one to do so closes it."""
    with _lock:
        shared = _shared.get(settings)
        if shared is not None and shared.client is client:
            shared.users -= 1
            if shared.users > 0:
                return
            del _shared[settings]
    try:
        client.close()
    except ForkedClientError:
        # A forked child leaves a block that its parent has entered: the session is the parent's.
        pass


def connect(settings: Settings) -> Client:
    """A session of its own."""
    settings.hide_secrets()
    return Client.connect(settings.hosts, **settings.opening())


async def aconnect(settings: Settings) -> AsyncClient:
    """A session of its own, for asyncio."""
    settings.hide_secrets()
    return await AsyncClient.connect(settings.hosts, **settings.opening())


@contextmanager
def leased(settings: Settings) -> Iterator[Client]:
    """A session of this process, for as long as the block lasts."""
    client = acquire(settings)
    try:
        yield client
    finally:
        release(settings, client)


class _AsyncShared:
    """A session of an event loop, and how many use it. Whoever comes while it opens waits."""

    def __init__(self, settings: Settings) -> None:
        self.users = 0
        self.opening = asyncio.ensure_future(aconnect(settings))

    def is_over(self) -> bool:
        if not self.opening.done():
            return False
        if self.opening.cancelled() or self.opening.exception() is not None:
            return True
        return is_over(self.opening.result())

    async def close(self) -> None:
        if not self.opening.done():
            self.opening.cancel()
        try:
            client = await self.opening
        except (Exception, asyncio.CancelledError):
            return
        await client.close()


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Settings, _AsyncShared]] = (
    WeakKeyDictionary()
)


@asynccontextmanager
async def aleased(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A session of this event loop, for as long as the block lasts.

    Raises:
        bellwether.ZooKeeperError: no server could be reached in time, or none lets us in.
    """
    mine = _by_loop.setdefault(asyncio.get_running_loop(), {})
    shared = mine.get(settings)
    if shared is None or shared.is_over():
        shared = mine[settings] = _AsyncShared(settings)
    shared.users += 1
    try:
        yield await asyncio.shield(shared.opening)
    finally:
        shared.users -= 1
        if shared.users == 0:
            if mine.get(settings) is shared:
                del mine[settings]
            await shared.close()

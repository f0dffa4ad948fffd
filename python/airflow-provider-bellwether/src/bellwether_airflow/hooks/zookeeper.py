"""Hooks: sessions with a ZooKeeper service, for tasks (`ZooKeeperHook`) and for asyncio.

Keeps true: hooks with equal settings share one session in a process, and in an event loop.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

from bellwether import AsyncClient, AsyncWatch, Client, Watch
from bellwether.recipes import (
    AsyncDiscovery,
    AsyncLock,
    AsyncRegistry,
    Discovery,
    Lock,
    Queue,
    Registry,
)

from .. import sessions
from ..errors import Refused
from ..settings import DEFAULT_CONN_ID, Settings, Target
from ..version_compat import BaseHook


class ZooKeeperBaseHook(BaseHook):
    """What all of them share: where the settings come from."""

    conn_name_attr = "zookeeper_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "zookeeper"
    hook_name = "ZooKeeper"

    def __init__(
        self,
        zookeeper_conn_id: str = DEFAULT_CONN_ID,
        *,
        settings: Settings | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.zookeeper_conn_id = zookeeper_conn_id
        self._target = Target(zookeeper_conn_id, settings)
        self._settings = settings


class ZooKeeperHook(ZooKeeperBaseHook):
    """A session for tasks. `with hook.client() as client` leases one, `get_conn` keeps one.

    :param zookeeper_conn_id: a connection of the type `zookeeper`
    :param settings: in place of a connection
    """

    def __init__(self, *arguments: Any, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self._kept: Client | None = None
        self._kept_in = 0

    @property
    def settings(self) -> Settings:
        """What sessions are opened with."""
        if self._settings is None:
            self._settings = self._target.resolve()
        return self._settings

    @contextmanager
    def client(self) -> Iterator[Client]:
        """The process's session, for as long as the block lasts."""
        with sessions.leased(self.settings) as client:
            yield client

    def get_conn(self) -> Client:
        """The process's session, until `close`."""
        if self._kept is None or self._kept_in != os.getpid():
            # What a forked child inherits is its parent's.
            self._kept, self._kept_in = sessions.acquire(self.settings), os.getpid()
        return self._kept

    def close(self) -> None:
        """Gives back what `get_conn` keeps; nothing if there is nothing."""
        kept, self._kept = self._kept, None
        if kept is not None:
            sessions.release(self.settings, kept)

    def __enter__(self) -> Self:
        self.get_conn()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def watch(self, path: str, recursive: bool = False) -> Watch:
        """A persistent watch in the session of `get_conn`: an iterator of events."""
        return self.get_conn().watch(path, recursive)

    def lock(self, path: str, data: bytes = b"") -> Lock:
        """A lock in the session of `get_conn`."""
        return Lock(self.get_conn(), path, data=data)

    def queue(self, path: str) -> Queue:
        """A queue in the session of `get_conn`."""
        return Queue(self.get_conn(), path)

    def discover(self, base: str, service: str) -> Discovery:
        """The instances of a service that is registered below `base`."""
        return Registry(self.get_conn(), base).discover(service)

    def test_connection(self) -> tuple[bool, str]:
        """Whether a session can be opened, and what a person should know about it."""
        import bellwether

        try:
            client = sessions.connect(self.settings)
        except (bellwether.ZooKeeperError, Refused) as error:
            return False, f"{type(error).__name__}: {error}"
        try:
            names = len(client.children("/"))
            kind = "read-only " if client.state == "connected-read-only" else ""
            return True, f"{kind}session with {client.server}, {names} nodes below the root"
        except bellwether.ZooKeeperError as error:
            return False, f"{client.server}: {type(error).__name__}: {error}"
        finally:
            client.close()


class ZooKeeperAsyncHook(ZooKeeperBaseHook):
    """A session for asyncio: `async with hook.client() as client`.

    :param zookeeper_conn_id: a connection of the type `zookeeper`
    :param settings: in place of a connection
    """

    async def get_settings(self) -> Settings:
        """What sessions are opened with."""
        if self._settings is None:
            self._settings = await self._target.aresolve()
        return self._settings

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        """The event loop's session, for as long as the block lasts."""
        async with sessions.aleased(await self.get_settings()) as client:
            yield client

    @asynccontextmanager
    async def watch(self, path: str, recursive: bool = False) -> AsyncIterator[AsyncWatch]:
        """A persistent watch, for as long as the block lasts."""
        async with self.client() as client, await client.watch(path, recursive) as watch:
            yield watch

    @asynccontextmanager
    async def lock(self, path: str, data: bytes = b"") -> AsyncIterator[AsyncLock]:
        """A lock, whose session is leased for as long as the block lasts."""
        async with self.client() as client:
            yield AsyncLock(client, path, data=data)

    @asynccontextmanager
    async def discover(self, base: str, service: str) -> AsyncIterator[AsyncDiscovery]:
        """The instances of a service, for as long as the block lasts."""
        async with self.client() as client, AsyncRegistry(client, base).discover(service) as found:
            yield found


__all__ = ["ZooKeeperAsyncHook", "ZooKeeperHook"]

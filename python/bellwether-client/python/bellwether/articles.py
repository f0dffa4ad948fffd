"""The names that articles about ZooKeeper use, over the real client.

Articles write `from zookeeper import ZooKeeper`, `from zoo_client import ZooClient`, `from
zoo.server import ZooServer` and `ZooDefs`; no such modules exist. Here they do what the articles
want of them, so that an article's text needs another import and few other changes. New programs
use `bellwether.Client` and `bellwether.recipes`.

Keeps true: nothing here talks to a server but through `bellwether.Client`, and every error is its
error. What an article asks for and no server can do (a child of an ephemeral node) fails as it
does there.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple, Self

from . import OPEN_ACL, Acl, Client, OnceWatch, SessionEvents, Stat
from .recipes import Held, Lock

__all__ = ["ACL_PERMISSIONS", "Existing", "ZooClient", "ZooDefs", "ZooKeeper", "ZooServer"]

ACL_PERMISSIONS: Sequence[Acl] = OPEN_ACL
"""Everybody may do everything."""

DEFAULT_HOSTS = "localhost:2181"


class _Kind(NamedTuple):
    """What kind of node to create."""

    ephemeral: bool
    sequential: bool


class ZooDefs:
    """Constants."""

    OpenACL_SECURITY: ClassVar[Sequence[Acl]] = OPEN_ACL

    class Id:
        """Kinds of nodes."""

        persistent: ClassVar[_Kind] = _Kind(False, False)
        ephemeral: ClassVar[_Kind] = _Kind(True, False)
        persistent_sequential: ClassVar[_Kind] = _Kind(False, True)
        ephemeral_sequential: ClassVar[_Kind] = _Kind(True, True)


class Existing(NamedTuple):
    """A node that is there: its data's version, which `delete` takes, and all of its stat."""

    version: int
    stat: Stat


Listener = Callable[["ZooKeeper", str, str], None]


class ZooKeeper:
    """A session with servers, begun by `start` or the first call that needs it.

    `hosts` is a connect string; without one, the environment's `ZOOKEEPER_HOST`, or
    `localhost:2181`. `timeout` is the session timeout in milliseconds. `watcher` is a listener
    (see `register_listener`).
    """

    EVENT_STATE_CONNECTED = "connected"
    EVENT_STATE_DISCONNECTED = "disconnected"
    EVENT_STATE_EXPIRED = "expired"

    def __init__(
        self,
        hosts: str | None = None,
        timeout: int = 30_000,
        watcher: Listener | None = None,
        *,
        leader_path: str = "/leader",
    ) -> None:
        self.hosts = hosts or os.environ.get("ZOOKEEPER_HOST") or DEFAULT_HOSTS
        self.timeout = timeout
        self.leader_path = leader_path
        self._client: Client | None = None
        self._starting = threading.RLock()
        self._listeners: list[Listener] = [watcher] if watcher else []
        self._held: dict[str, Held] = {}
        self._teller: threading.Thread | None = None

    def start(self) -> Self:
        """Begins the session, if it has not begun."""
        self.client  # noqa: B018
        return self

    @property
    def client(self) -> Client:
        """The real client."""
        with self._starting:
            if self._client is None:
                self._client = Client.connect(self.hosts, session_timeout=self.timeout / 1000)
                for listener in self._listeners:
                    listener(self, self.leader_path, self.EVENT_STATE_CONNECTED)
                events = self._client.session_events()
                self._teller = threading.Thread(target=self._tell, args=(events,), daemon=True)
                self._teller.start()
            return self._client

    def _tell(self, events: SessionEvents) -> None:
        for event in events:
            for listener in self._listeners:
                listener(self, self.leader_path, event.kind)

    def register_listener(self, listener: Listener) -> None:
        """Calls `listener(self, path, state)` for each change of the session, in a thread.

        `path` is the path that leaders take (`leader_path`), `state` one of `EVENT_STATE_…`. For a
        session that has begun it is called at once.
        """
        self._listeners.append(listener)
        if self._client is not None:
            listener(self, self.leader_path, self._client.state)

    def create(
        self,
        path: str,
        value: bytes | str = b"",
        kind: _Kind | Sequence[Acl] | None = None,
        acl: Sequence[Acl] | None = None,
        *,
        ephemeral: bool = False,
        sequential: bool = False,
    ) -> str:
        """Creates a node; gives its path. Text is stored as UTF-8.

        Raises NodeExistsError, NoNodeError (nothing at the path above),
        NoChildrenForEphemeralsError (an ephemeral node above).
        """
        if isinstance(kind, _Kind):
            ephemeral, sequential = kind.ephemeral, kind.sequential
        elif kind is not None:
            acl = kind
        data = value.encode() if isinstance(value, str) else value
        created = self.client.create(
            path, data, ephemeral=ephemeral, sequential=sequential, acl=acl
        )
        return created.path

    def get(self, path: str) -> bytes:
        """A node's data. Raises NoNodeError."""
        return self.client.get(path)[0]

    def set(self, path: str, value: bytes | str, version: int = -1) -> None:
        """Sets a node's data if it has this version; -1 for any. Raises NoNodeError,
        BadVersionError."""
        data = value.encode() if isinstance(value, str) else value
        self.client.set(path, data, None if version == -1 else version)

    def exists(self, path: str) -> Existing | None:
        """Whether a node is there, and which version it has."""
        stat = self.client.exists(path)
        return None if stat is None else Existing(stat.version, stat)

    def get_children(self, path: str) -> list[str]:
        """The names of a node's children. Raises NoNodeError."""
        return self.client.children(path)

    def get_watches(self, path: str) -> OnceWatch:
        """Watches a node that is there or not: `wait()` gives the next event."""
        return self.client.exists_and_watch(path)[1]

    def delete(self, path: str, version: int = -1) -> None:
        """Deletes a node if it has this version; -1 for any. Raises NoNodeError, BadVersionError,
        NotEmptyError."""
        self.client.delete(path, None if version == -1 else version)

    def acquire_lock(self, path: str, timeout: float | None = None) -> Held:
        """Waits for the lock at a path, which lasts until `release_lock` or the session's end.
        Raises TimeoutError."""
        held = Lock(self.client, path).acquire(timeout)
        self._held[path] = held
        return held

    def try_lock(self, path: str) -> Held | None:
        """The lock at a path, if nobody has it."""
        held = Lock(self.client, path).try_acquire()
        if held is not None:
            self._held[path] = held
        return held

    def release_lock(self, path: str) -> bool:
        """Lets go of the lock at a path; false if this does not hold it."""
        held = self._held.pop(path, None)
        if held is None:
            return False
        held.release()
        return True

    def close(self) -> None:
        """Ends the session, and with it what is ephemeral or held."""
        self._held.clear()
        if self._client is not None:
            self._client.close()
        if self._teller is not None and self._teller is not threading.current_thread():
            self._teller.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.close()


class ZooClient(ZooKeeper):
    """What an article calls its client."""


class ZooServer:
    """A server that knows where its leader stands, and can be that leader.

    A subclass may replace any of the methods. `leader` is the path that leaders take, or None while
    there is no session.
    """

    def __init__(self, zk: ZooKeeper) -> None:
        self.zk = zk
        self.leader: str | None = None

    def start(self) -> None:
        """Begins to listen, and the session."""
        self.zk.register_listener(self.on_leader_change)
        self.zk.start()

    def on_leader_change(self, zk: ZooKeeper, path: str, state: str) -> None:
        """The session changed."""
        self.leader = path if state == zk.EVENT_STATE_CONNECTED else None

    def acquire_lock(self) -> bool:
        """Leads, if nobody else does."""
        return self.leader is not None and self.zk.try_lock(self.leader) is not None

    def release_lock(self) -> bool:
        """Steps down; false if this does not lead."""
        return self.leader is not None and self.zk.release_lock(self.leader)

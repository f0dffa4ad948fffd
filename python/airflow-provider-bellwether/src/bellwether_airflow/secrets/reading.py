"""Reading nodes for the secrets backend: from the agent of the machine, or in a session.

Keeps true: a read ends in time, whatever the network does; a source that fails is left alone for
`OPEN_S`. Sources belong to a process: a forked child begins without any, and leaves its parent's
connections alone. The agent is asked with the ETag of what it said before.
"""

import http.client
import ipaddress
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import quote

import bellwether
from bellwether import Client

from ..tls import tls_of

OPEN_S = 30.0
"""How long a source that has failed is not asked."""

_SESSION_TIMEOUT_S = 6.0
_CACHE_MAX = 1024
_BYTES_MAX = 4 << 20

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Unreadable(Exception):
    """Something cannot be read; the message is for a person, and has no secret in it."""


@dataclass(frozen=True)
class Source:
    """What a process reads secrets with; equal ones share it."""

    agent_socket: str | None
    hosts: str | None
    user: str | None
    password: str | None = field(repr=False)
    password_file: str | None
    timeout: float
    allow_plaintext: bool
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


class Breaker:
    """Whether a source may be asked."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether it has failed lately, and is not to be asked."""
        return self._clock() < self._until

    def trip(self) -> None:
        """It has failed."""
        self._until = self._clock() + OPEN_S


class Reader:
    """Reads nodes for one process."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.agent = None if source.agent_socket is None else Agent(source.agent_socket)
        self.session = None if source.hosts is None else Session(source)
        self.breakers = {"agent": Breaker(), "session": Breaker()}

    def read(self, path: str, root: str, is_encrypted: bool = False) -> bytes | None:
        """The data of a node; None if it is not there, or if nobody can be asked now.

        Raises:
            Unreadable: nobody could be asked, or the answer was no.
        """
        deadline = time.monotonic() + self._source.timeout
        problem: Unreadable | None = None
        if self.agent is not None and not self.breakers["agent"].is_open:
            # Half of the time is left for a session, if there is one to fall back to.
            share = self._source.timeout / (2 if self.session is not None else 1)
            agent = self.agent
            try:
                return within(share, lambda: agent.read(path, share))
            except (OSError, http.client.HTTPException, Unreadable) as error:
                self.breakers["agent"].trip()
                problem = Unreadable(f"the agent at {agent.path}: {_why(error)}")
        if self.session is None or self.breakers["session"].is_open:
            if problem is not None:
                raise problem
            return None
        if problem is not None:
            _log.info("%s; asking the ensemble", problem)
        session = self.session
        try:
            left = max(deadline - time.monotonic(), 0.001)
            return within(left, lambda: session.read(path, root, left, is_encrypted))
        except Refusal as error:
            # The ensemble answers, and says no.
            raise Unreadable(str(error)) from None
        except (OSError, Unreadable) as error:
            self.breakers["session"].trip()
            session.abandon()
            raise Unreadable(
                f"secrets cannot be read from {self._source.hosts}: {_why(error)}; "
                f"not asking again for {OPEN_S:.0f} s"
            ) from None


class Refusal(Unreadable):
    """The ensemble answers, but does not let us read this node."""


def _why(error: Exception) -> str:
    return f"{error}" or type(error).__name__


def within(limit: float, work: Callable[[], _Result]) -> _Result:
    """Does something in a thread, and waits for it for so many seconds.

    A system call may take longer than any timeout of a client; the thread is then left to itself.

    Raises:
        TimeoutError: it was not done in time. Whatever the work raises.
    """
    done: queue.SimpleQueue[tuple[_Result | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, name="bellwether-secrets", daemon=True).start()
    try:
        result, problem = done.get(timeout=limit)
    except queue.Empty:
        raise TimeoutError(f"no answer in {limit:.1f} s") from None
    if problem is not None:
        raise problem
    return result  # type: ignore[return-value]


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connects to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Agent:
    """The agent of the machine: `GET /v1/node<path>`.

    200 with the node's data and an ETag; 304 if it still has the ETag that was sent; 404 if the
    node is not there; 503 if the agent has lost the ensemble and what it knows is stale.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: dict[str, tuple[str, bytes]] = {}

    def read(self, path: str, timeout: float) -> bytes | None:
        """The data of a node; None if it is not there.

        Raises:
            OSError: the agent cannot be reached, or does not answer in time.
            Unreadable: it does not know, for it is stale.
        """
        known = self._known.get(path)
        headers = {} if known is None else {"If-None-Match": known[0]}
        connection = UnixConnection(self.path, timeout)
        try:
            connection.request("GET", "/v1/node" + quote(path), headers=headers)
            answer = connection.getresponse()
            data = answer.read(_BYTES_MAX + 1)
        finally:
            connection.close()
        if answer.status == 304 and known is not None:
            return known[1]
        if answer.status == 404:
            self._known.pop(path, None)
            return None
        if answer.status != 200 or len(data) > _BYTES_MAX:
            raise Unreadable(f"it answers {answer.status} with {len(data)} bytes")
        tag = answer.getheader("ETag")
        if tag is not None:
            if len(self._known) >= _CACHE_MAX:
                self._known.clear()
            self._known[path] = (tag, data)
        return data


class Session:
    """A session with the ensemble, opened with the first read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._looked_at: set[str] = set()

    def read(self, path: str, root: str, timeout: float, is_encrypted: bool) -> bytes | None:
        """The data of a node; None if it is not there.

        Raises:
            Refusal: the ensemble does not let us read it.
            Unreadable: it cannot be asked.
        """
        try:
            client = self._connected(timeout)
            if not is_encrypted:
                self._look_at(client, root)
            return client.get(path)[0]
        except bellwether.NoNodeError:
            return None
        except (bellwether.NoAuthError, bellwether.BadArgumentsError) as error:
            raise Refusal(f"the secret {path} cannot be read: {type(error).__name__}") from None
        except bellwether.ZooKeeperError as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from None

    def abandon(self) -> None:
        """Ends the session in the background: it does not answer, and the next read has another."""
        client, self._client, self._lock = self._client, None, threading.Lock()
        if client is not None:
            threading.Thread(target=client.close, name="bellwether-close", daemon=True).start()

    def _connected(self, timeout: float) -> Client:
        with self._lock:
            client = self._client
            if client is not None and client.state not in ("closed", "expired", "auth-failed"):
                return client
            source = self._source
            hosts = source.hosts or ""
            if source.ca_cert is None and not source.allow_plaintext and not is_local(hosts):
                raise Unreadable(
                    "not all servers are on this machine: ca_cert has TLS encrypt what they say, "
                    "allow_plaintext=true has secrets travel unencrypted"
                )
            credential = f"{source.user}:{_password(source)}"
            try:
                self._client = client = Client.connect(
                    hosts,
                    session_timeout=_SESSION_TIMEOUT_S,
                    connect_timeout=timeout,
                    read_only=True,
                    auth=[("digest", credential)] if source.user else [],
                    tls=tls_of(source.ca_cert, source.client_cert, source.client_key),
                )
            except bellwether.BadArgumentsError as error:
                # It names a file, or what is wrong with the hosts.
                raise Unreadable(f"no session: {error}") from None
            return client

    def _look_at(self, client: Client, root: str) -> None:
        """Warns, once, of a node above secrets that everybody can read."""
        if root in self._looked_at:
            return
        self._looked_at.add(root)
        try:
            acl, _ = client.get_acl(root)
        except (bellwether.NoNodeError, bellwether.NoAuthError):
            return
        if any(entry.scheme == "world" and entry.perms & bellwether.Perms.READ for entry in acl):
            _log.warning(
                "%s can be read by everybody who reaches the ensemble (world:anyone): give it and "
                "the nodes below an access control list, or encrypt them (fernet_key_file)",
                root,
            )


def _password(source: Source) -> str:
    if source.password_file is None:
        return source.password or ""
    try:
        with open(source.password_file, encoding="utf-8") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise Unreadable(f"password_file {source.password_file} cannot be read: {why}") from None


def is_local(hosts: str) -> bool:
    """Whether all servers of a connect string are on this machine, by their names alone."""
    servers = [server.strip() for server in hosts.partition("/")[0].split(",") if server.strip()]
    return bool(servers) and all(_is_loopback(server) for server in servers)


def _is_loopback(server: str) -> bool:
    if server.startswith("["):
        host = server[1:].partition("]")[0]
    else:
        host = server if server.count(":") > 1 else server.partition(":")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_lock = threading.Lock()
_readers: dict[tuple[int, Source], Reader] = {}


def reader_of(source: Source) -> Reader:
    """The reader of this process, which is made if there is none."""
    with _lock:
        return _readers.setdefault((os.getpid(), source), Reader(source))


def _forget() -> None:
    """In a forked child: the parent's sessions are not ours, and its threads are not here."""
    global _lock
    _lock = threading.Lock()
    _readers.clear()


os.register_at_fork(after_in_child=_forget)

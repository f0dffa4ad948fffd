"""Locks that the process of a task holds: `with ZooKeeperLock("/locks/report") as lease`.

Keeps true: a lock's session is its own, so that whatever ends the block frees the lock at once, and
nothing else. When the lock may be another's, `check` says so from that moment on, the main thread
is told by `LeaseLost`, and a process that does not listen is killed before the servers give the
lock away. A task that Airflow ends frees its locks first, and is told the same.

The moments are fractions of the session timeout without an answer of a server: at 2/3 the client is
not certain any more, at 5/6 the process is killed, at the whole the servers end the session.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal

import bellwether
from bellwether import Client
from bellwether.recipes import Held, Lock, RwLock, Semaphore

from . import sessions
from .errors import Refused, told
from .kills import more_on_kill
from .owner import about
from .paths import checked
from .settings import DEFAULT_CONN_ID, Settings, Target
from .version_compat import AirflowException, get_current_context
from .waiting import logger

Mode = Literal["exclusive", "read", "write", "semaphore"]
OnLost = Literal["terminate", "raise", "ignore"]

_MODES = ("exclusive", "read", "write", "semaphore")
_ON_LOST = ("terminate", "raise", "ignore")

_KILL_AFTER = 1 / 6
"""Of the session timeout, from the loss on: as 2/3 have passed by then, 5/6 will have."""

_LISTEN_S = 0.5
"""What a process gets to listen that was stopped, and so learns of the loss late."""

_Recipe = Lock | RwLock | Semaphore
_log = logger("locks")


class LeaseLost(AirflowException):
    """The lock is not held for certain any more: what was done under it may not be alone."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"the lock {path} is lost: {_REASONS.get(reason, reason)}")
        self.path = path
        self.reason = reason
        """As `bellwether.LostError` has it, or `killed`: the task was told to end."""


_REASONS = {
    "doubt": "no server has answered for 2/3 of the session timeout, and another may get it",
    "deleted": "somebody has deleted its node",
    "released": "it was released",
    "closed": "its session was closed",
    "expired": "its session is over",
    "auth-failed": "its session is over, as the servers refuse its user",
    "killed": "the task was told to end",
    "taken": "its time is over, and another has it",
}


class LockTimeout(AirflowException):
    """The lock was not to be had in the time given."""


class Lease:
    """A lock that this process holds."""

    def __init__(self, path: str, held: Held) -> None:
        self.path = path
        """The lock's."""
        self._held = held
        self._ended: str | None = None

    @property
    def fence(self) -> int:
        """The fencing token: the czxid of the lock's node. Later holders have higher ones."""
        return self._held.fence

    @property
    def node(self) -> str:
        """The node that stands for this holder."""
        return self._held.path

    @property
    def is_held(self) -> bool:
        """Whether it is held for certain at this moment."""
        return self._ended is None and self._held.is_held

    def check(self) -> int:
        """The fencing token, if it is held for certain at this moment. It asks no server.

        Raises:
            LeaseLost: it is not.
        """
        if self._ended is not None:
            raise LeaseLost(self.path, self._ended)
        try:
            return self._held.check()
        except bellwether.LostError as error:
            raise LeaseLost(self.path, error.reason) from None

    def __repr__(self) -> str:
        return f"<lease of {self.path}, fence {self.fence:#x}>"


class ZooKeeperLock:
    """A lock for the block of a `with`; entering waits for it, and gives a `Lease`.

    :param path: the lock's node; kazoo's locks at the same path exclude it
    :param conn: a connection of the type `zookeeper`, or settings in place of one
    :param timeout: seconds to wait for it, by default without end
    :param mode: exclusive; read or write; or semaphore, which `leases` may hold at a time
    :param leases: of a semaphore: how many; everybody has to name the same number
    :param on_lost: terminate has `LeaseLost` raised in the main thread, and kills the process if
        the block goes on regardless; raise does the former only; ignore leaves it to `check`
    """

    def __init__(
        self,
        path: str,
        conn: str | Settings = DEFAULT_CONN_ID,
        timeout: float | None = None,
        *,
        mode: Mode = "exclusive",
        leases: int | None = None,
        on_lost: OnLost = "terminate",
    ) -> None:
        self.path = checked(path)
        self.timeout = timeout
        self.mode = mode
        self.leases = leases
        self.on_lost = on_lost
        self._conn = conn
        self._client: Client | None = None
        self._lease: Lease | None = None
        self._watchdog: _Watchdog | None = None
        self._chained: list[Any] = []
        self._killed = False
        self._pid = os.getpid()
        check_modes(mode, leases, on_lost)
        if timeout is not None and timeout < 0:
            raise Refused(f"timeout is {timeout!r}; seconds from 0 on are expected")

    def __enter__(self) -> Lease:
        if self._client is not None:
            raise RuntimeError(f"the lock {self.path} is entered already: make another one")
        if self.on_lost != "ignore" and not _in_main_thread():
            raise Refused(
                f"on_lost={self.on_lost!r} ends the work of the main thread, and this is another "
                "one: take the lock in the main thread, or say on_lost='ignore' and call check()"
            )
        self._killed, self._pid = False, os.getpid()
        try:
            with told(f"lock {self.path}"):
                lease, client = self._acquire()
            self._lease = lease
            if self.on_lost != "ignore":
                self._watchdog = _Watchdog(lease, client, self.on_lost == "terminate")
                self._watchdog.start()
        except BaseException:
            self._end()
            raise
        _log.info("%s is held, fence %#x", self.path, lease.fence)
        return lease

    def __exit__(self, kind: type[BaseException] | None, *_exception: object) -> None:
        try:
            # Who leaves without an exception has held it to the end, as far as can be known.
            if kind is None and self.on_lost != "ignore" and self._lease is not None:
                if os.getpid() == self._pid:
                    self._lease.check()
        finally:
            self._end()

    def _acquire(self) -> tuple[Lease, Client]:
        settings = self._conn if isinstance(self._conn, Settings) else Target(self._conn).resolve()
        task = _task()
        if task is not None:
            self._chained.append(more_on_kill(task, after=self._on_kill))
        client = self._client = sessions.connect(settings)
        if self._killed:
            raise LeaseLost(self.path, "killed")
        recipe, acquire = self._recipe(client)
        try:
            held = acquire(self.timeout)
        except bellwether.ZooKeeperError:
            if self._killed:
                raise LeaseLost(self.path, "killed") from None
            raise
        except TimeoutError:
            raise LockTimeout(
                f"the lock {self.path} was not to be had in {self.timeout} s{_holder(recipe)}"
            ) from None
        return Lease(self.path, held), client

    def _recipe(self, client: Client) -> tuple[_Recipe, Callable[[float | None], Held]]:
        data = json.dumps(_self(), sort_keys=True).encode()
        if self.mode == "semaphore":
            semaphore = Semaphore(client, self.path, self.leases or 1, data=data)
            return semaphore, semaphore.acquire
        if self.mode == "exclusive":
            lock = Lock(client, self.path, data=data)
            return lock, lock.acquire
        both = RwLock(client, self.path, data=data)
        return both, both.read if self.mode == "read" else both.write

    def _on_kill(self) -> None:
        """Frees the lock at once, and ends the work: Airflow lets blocking calls resume."""
        self._killed = True
        if self._lease is not None:
            self._lease._ended = "killed"
        if self._client is not None:
            self._client.close()
        if _in_main_thread():
            raise LeaseLost(self.path, "killed")

    def _end(self) -> None:
        if os.getpid() != self._pid:
            # A forked child leaves the block: session, signals and lock are the parent's.
            return
        watchdog, self._watchdog = self._watchdog, None
        lease, self._lease = self._lease, None
        client, self._client = self._client, None
        chained, self._chained = self._chained, []
        try:
            for unchain in chained:
                unchain()
        finally:
            if lease is not None and lease._ended is None:
                lease._ended = "released"
            try:
                if watchdog is not None:
                    watchdog.stop()
            finally:
                if client is not None:
                    client.close()


def check_modes(mode: str, leases: int | None, on_lost: str) -> None:
    """Refuses what no lock can be.

    Raises:
        Refused: and it says why.
    """
    if mode not in _MODES:
        raise Refused(f"mode is {mode!r}; one of {', '.join(_MODES)} is expected")
    if on_lost not in _ON_LOST:
        raise Refused(f"on_lost is {on_lost!r}; one of {', '.join(_ON_LOST)} is expected")
    if (mode == "semaphore") != (leases is not None):
        raise Refused("leases, a number, and the mode semaphore belong together")
    if leases is not None and leases < 1:
        raise Refused(f"leases is {leases}; at least 1 is expected")


def _holder(recipe: _Recipe) -> str:
    """Who has it, or is the first of those that do; nothing if that cannot be said."""
    try:
        contenders = recipe.contenders()
    except bellwether.ZooKeeperError:
        return ""
    if not contenders:
        return ""
    first = contenders[0]
    return f"; it is held by {first.data.decode(errors='replace')}, fence {first.fence:#x}"


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _self() -> dict[str, object]:
    """Who holds it, for people who look at its node."""
    process: dict[str, object] = {"host": socket.gethostname(), "pid": os.getpid()}
    try:
        return {**about(get_current_context()), **process}
    except RuntimeError:
        return process


def _task() -> Any:
    """The task that runs in this process, if one does."""
    try:
        return get_current_context().get("task")
    except RuntimeError:
        return None


class _Watchdog:
    """Waits in a thread for the loss of a lease, and tells the main thread.

    `lock` stands between sending a signal and taking the handler away.
    """

    lock = threading.Lock()
    on_watch: "list[_Watchdog]" = []
    before: Any = None
    """The handler of SIGUSR2 that was there first."""

    def __init__(self, lease: Lease, client: Client, kills: bool) -> None:
        self._lease = lease
        self._client = client
        self._patience_s = client.session_timeout * _KILL_AFTER
        self._kills = kills
        self._over = threading.Event()
        self._loss: LeaseLost | None = None
        self._thread = threading.Thread(target=self._run, name="bellwether-lock", daemon=True)

    def start(self) -> None:
        """Begins; in the main thread."""
        if not self.on_watch:
            _Watchdog.before = signal.signal(signal.SIGUSR2, _tell)
        self.on_watch.append(self)
        self._thread.start()

    def stop(self) -> None:
        """Ends; in the main thread. What another lease is lost by is told hereafter too."""
        try:
            with self.lock:
                self._over.set()
        finally:
            # A loss may be told in between: what was done to its end was not done under the lock.
            self.on_watch.remove(self)
            if not self.on_watch:
                before, _Watchdog.before = _Watchdog.before, None
                signal.signal(signal.SIGUSR2, signal.SIG_DFL if before is None else before)
            elif any(other._loss for other in self.on_watch):
                signal.raise_signal(signal.SIGUSR2)

    def _run(self) -> None:
        while True:
            try:
                reason: str = self._lease._held.lost()
            except bellwether.ZooKeeperError as error:
                reason = f"{type(error).__name__}: {error}"
            with self.lock:
                if self._over.is_set() or self._lease._ended is not None:
                    return
                self._loss = LeaseLost(self._lease.path, reason)
                signal.pthread_kill(_main_ident(), signal.SIGUSR2)
            if not self._kills or self._over.wait(self._patience(reason)):
                return
            if not self._lease.is_held:
                _say(f"{self._loss}; the task goes on regardless, and is killed\n")
                os.kill(os.getpid(), signal.SIGKILL)
            # The doubt has passed: a server has answered meanwhile.


    def _patience(self, reason: str) -> float:
        """How long, from here on, the block may take to be left."""
        certain_until = self._client.certain_until
        if reason != "doubt" or certain_until is None:
            return self._patience_s
        left = certain_until + self._patience_s - time.monotonic()
        return min(max(left, _LISTEN_S), self._patience_s)


def _main_ident() -> int:
    ident = threading.main_thread().ident
    assert ident is not None, "the main thread runs"
    return ident


def _say(line: str) -> None:
    """Writes to the task's log without asking for any lock of Python's."""
    try:
        os.write(2, line.encode())
    except OSError:
        pass


def _tell(number: int, frame: FrameType | None) -> None:
    """The handler of SIGUSR2: raises the loss of the outermost lease, once."""
    for watchdog in _Watchdog.on_watch:
        loss, watchdog._loss = watchdog._loss, None
        if loss is not None:
            raise loss
    if callable(_Watchdog.before):
        _Watchdog.before(number, frame)


__all__ = ["Lease", "LeaseLost", "LockTimeout", "ZooKeeperLock"]

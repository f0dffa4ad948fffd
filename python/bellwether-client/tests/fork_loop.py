"""Forks, again and again, while the client of the parent is idle, busy or used by asyncio.

Usage: fork_loop.py HOST:PORT ROOT FORKS idle|threads|asyncio [KEYS]

With a directory of keys, all connections are by TLS, with settings made before the forks.

Each child finds that it may not use what it inherited, drops it, holds no socket of its parent's,
and (every fourth) connects on its own. The parent's session goes on: its ephemeral node is there
at the end, on the connection that it had. With TLS a single byte of a child's on that connection
would end it, a closing alert as any other. Any child that does not end within its deadline, and
any wrong answer, ends this with an exception.

Keeps true: a child ends by `os._exit`, so that nothing of the parent's is cleaned up in it.
"""

import asyncio
import faulthandler
import gc
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from bellwether import AsyncClient, Client, ForkedClientError, Tls, Watch

CHILD_LIMIT_S = 20.0
LIMIT_S = 90.0


def sockets() -> set[str]:
    """The sockets that this process holds open, by their inode."""
    held = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # The listing's own descriptor.
            continue
        if target.startswith("socket:"):
            held.add(target)
    return held


class Inherited:
    """What the parent has, and the child must leave alone."""

    def __init__(self, hosts: str, root: str, tls: Tls | None) -> None:
        self.hosts = hosts
        self.root = root
        self.tls = tls
        self.own = sockets()
        self.client = Client.connect(hosts, session_timeout=10.0, tls=tls)
        self.path = self.client.create(root + "/e-", ephemeral=True, sequential=True).path
        self.watch: Watch | None = self.client.watch(root)
        self.asynchronous: AsyncClient | None = None

    def child(self, number: int) -> NoReturn:
        """What a child does."""
        code = 1
        try:
            # Between two forks a socket of the parent's loop is no concern of ours.
            for use in (self._use, self._iterate, self._close):
                try:
                    use()
                    raise AssertionError("a forked child may use its parent's client")
                except ForkedClientError:
                    pass
            assert os.environ.get("LOOP_SOCKETS") or sockets() <= self.own, sockets() - self.own
            hosts, root, tls = self.hosts, self.root, self.tls
            self.__dict__.clear()
            gc.collect()
            if number % 4 == 0:
                with Client.connect(hosts, tls=tls) as client:
                    assert client.get(root)[0] == b""
            code = 0
        except BaseException:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _use(self) -> None:
        self.client.get(self.root)

    def _iterate(self) -> None:
        assert self.watch is not None
        self.watch.next(0.0)

    def _close(self) -> None:
        self.client.close()

    def fork(self, number: int) -> int:
        """Forks; gives the child."""
        child = os.fork()
        if child == 0:
            self.child(number)
        return child

    def finish(self) -> None:
        """The parent's session has not noticed anything."""
        stat = self.client.exists(self.path)
        assert stat is not None and stat.ephemeral_owner == self.client.session_id
        assert self.client.state == "connected" and self.client.metrics().connections == 1
        self.client.close()


def settings(keys: Path) -> Tls:
    """Those of the stage `secure`."""
    store = keys / "client.p12"
    return Tls(
        trust_pem=keys / "ca.pem", identity_pkcs12=store, identity_password="secret 1"
    )


def wait(child: int) -> None:
    """Waits for a child; one that hangs is killed and reported."""
    descriptor = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([descriptor], [], [], CHILD_LIMIT_S)
        if not ready:
            os.kill(child, signal.SIGABRT)
        _, status = os.waitpid(child, 0)
        assert ready, f"child {child} hung"
        assert status == 0, f"child {child} failed: {status}"
    finally:
        os.close(descriptor)


def idle(inherited: Inherited, forks: int) -> None:
    """Nothing else goes on."""
    for number in range(forks):
        wait(inherited.fork(number))


def threads(inherited: Inherited, forks: int) -> None:
    """Other threads read, write, watch, connect and close all the while."""
    done = threading.Event()
    failed: list[BaseException] = []

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as error:  # pylint: disable=broad-except
            failed.append(error)

    def come_and_go() -> None:
        with Client.connect(inherited.hosts, tls=inherited.tls) as client:
            client.watch(inherited.root).close()

    client, root = inherited.client, inherited.root
    works: list[Callable[[], object]] = [
        lambda: client.get(root),
        lambda: client.set(root, b""),
        lambda: client.get_and_watch(root),
        come_and_go,
    ]
    workers = [threading.Thread(target=repeat, args=(work,), daemon=True) for work in works]
    for worker in workers:
        worker.start()
    os.environ["LOOP_SOCKETS"] = ""
    try:
        idle(inherited, forks)
    finally:
        done.set()
        for worker in workers:
            worker.join(CHILD_LIMIT_S)
    assert not failed, failed
    assert not any(worker.is_alive() for worker in workers)


def asynchronous(inherited: Inherited, forks: int) -> None:
    """The event loop has requests under way; the fork is made in its thread."""

    async def read(client: AsyncClient, done: asyncio.Event) -> None:
        while not done.is_set():
            await client.get(inherited.root)

    async def main() -> None:
        os.environ["LOOP_SOCKETS"] = "of the event loop itself"
        async with AsyncClient.connect(inherited.hosts, tls=inherited.tls) as client:
            inherited.asynchronous, done = client, asyncio.Event()
            readers = [asyncio.ensure_future(read(client, done)) for _ in range(50)]
            loop = asyncio.get_running_loop()
            for number in range(forks):
                child = inherited.fork(number)
                await loop.run_in_executor(None, wait, child)
            done.set()
            await asyncio.gather(*readers)

    asyncio.run(main())


KINDS = {"idle": idle, "threads": threads, "asyncio": asynchronous}

if __name__ == "__main__":
    # A parent that hangs says where.
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    secure = settings(Path(sys.argv[5])) if len(sys.argv) > 5 else None
    parent = Inherited(sys.argv[1], sys.argv[2], secure)
    KINDS[sys.argv[4]](parent, int(sys.argv[3]))
    parent.finish()

"""Forks, again and again, while a hook of the parent has a session: idle, busy, or asyncio's.

Usage: fork_hooks.py HOST:PORT ROOT FORKS idle|threads|asyncio

Each child finds that it may not use the client that it inherited, has no socket of its parent's,
leaves the blocks that its parent has entered, and (every fourth) gets a session of its own from
the very same hook. When all have ended, this says `done`, and ends when it is told to.

Keeps true: a child ends by `os._exit`, so that nothing of the parent's is cleaned up in it.
"""

import asyncio
import faulthandler
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

from bellwether import ForkedClientError

from bellwether_airflow import sessions
from bellwether_airflow.hooks.zookeeper import ZooKeeperAsyncHook, ZooKeeperHook
from bellwether_airflow.settings import Settings

CHILD_LIMIT_S = 20.0
LIMIT_S = 300.0


def sockets() -> set[str]:
    """The sockets that this process holds open."""
    held = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            held.add(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:  # The listing's own descriptor.
            continue
    return {target for target in held if target.startswith("socket:")}


class Parent:
    """A process with a hook, which it uses while it forks."""

    def __init__(self, hosts: str, root: str) -> None:
        self.before = sockets()
        self.root = root
        self.settings = Settings(hosts)
        self.hook = ZooKeeperHook(settings=self.settings)
        self.client = self.hook.get_conn()
        self.session = self.client.session_id
        self.path = self.client.create(root + "/e-", ephemeral=True, sequential=True).path
        self.entered = ExitStack()
        self.entered.enter_context(self.hook.client())
        # Those of an event loop are no concern of ours, nor those that come and go in threads.
        self.counts_sockets = True

    def fork(self, number: int) -> int:
        """Forks; gives the child."""
        child = os.fork()
        if child == 0:
            self._child(number)
        return child

    def _child(self, number: int) -> NoReturn:
        code = 1
        try:
            for use in (lambda: self.client.get(self.root), self.client.close):
                try:
                    use()
                    raise AssertionError("a forked child may use its parent's client")
                except ForkedClientError:
                    pass
            assert not sessions._shared and not sessions._by_loop
            if self.counts_sockets:
                assert sockets() <= self.before, sockets() - self.before
            self.entered.close()
            if number % 4 == 0:
                with self.hook as hook:
                    own = hook.get_conn()
                    assert own.session_id != self.session
                    own.get(self.root)
                    with hook.client() as shared:
                        assert shared is own
            self.hook.close()
            assert not sessions._shared
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def finish(self) -> None:
        """The parent's session has not noticed anything."""
        assert self.hook.get_conn() is self.client
        stat = self.client.exists(self.path)
        assert stat is not None and stat.ephemeral_owner == self.client.session_id == self.session
        assert self.client.state == "connected" and self.client.metrics().connections == 1
        print("done", flush=True)
        assert sys.stdin.readline() == "end\n"
        self.entered.close()
        self.hook.close()


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


def idle(parent: Parent, forks: int) -> None:
    """Nothing else goes on."""
    for number in range(forks):
        wait(parent.fork(number))


def threads(parent: Parent, forks: int) -> None:
    """Other threads lease the session, and open and close others, all the while."""
    done = threading.Event()
    failed: list[BaseException] = []

    def lease() -> None:
        with parent.hook.client() as client:
            client.get(parent.root)

    def come_and_go() -> None:
        other = Settings(parent.settings.hosts, session_timeout=9.0)
        with ZooKeeperHook(settings=other) as hook:
            hook.get_conn().set(parent.root, b"")

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as error:
            failed.append(error)

    workers = [
        threading.Thread(target=repeat, args=(work,), daemon=True)
        for work in (lease, lease, come_and_go, come_and_go)
    ]
    parent.counts_sockets = False
    for worker in workers:
        worker.start()
    try:
        idle(parent, forks)
    finally:
        done.set()
        for worker in workers:
            worker.join(CHILD_LIMIT_S)
    assert not failed, failed
    assert not any(worker.is_alive() for worker in workers)


def asynchronous(parent: Parent, forks: int) -> None:
    """The event loop has requests under way; the fork is made in its thread."""
    hook = ZooKeeperAsyncHook(settings=parent.settings)

    async def read(done: asyncio.Event) -> None:
        while not done.is_set():
            async with hook.client() as client:
                await client.get(parent.root)

    async def main() -> None:
        parent.counts_sockets = False
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        readers = [asyncio.ensure_future(read(done)) for _ in range(20)]
        for number in range(forks):
            await loop.run_in_executor(None, wait, parent.fork(number))
        done.set()
        await asyncio.gather(*readers)

    asyncio.run(main())


KINDS = {"idle": idle, "threads": threads, "asyncio": asynchronous}

if __name__ == "__main__":
    # A parent that hangs says where.
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    made = Parent(sys.argv[1], sys.argv[2])
    KINDS[sys.argv[4]](made, int(sys.argv[3]))
    made.finish()

"""Locks in the process of a task: exclusion, loss, and what the end of a process frees."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bellwether import Client
from bellwether_airflow.errors import Refused
from bellwether_airflow.locks import LeaseLost, LockTimeout, ZooKeeperLock
from bellwether_airflow.settings import Settings
from conftest import WAIT_S, Ran, until
from relay import Relay

HERE = Path(__file__).parent
Succeeds = Callable[..., dict[str, Any]]
Run = Callable[..., Ran]


class Holder:
    """A process that holds a lock."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-B", *command], stdout=subprocess.PIPE, text=True, cwd=HERE
        )
        self.seen: list[str] = []

    def says(self, beginning: str) -> str:
        """Waits for a line that begins so, and gives its last word."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen.append(line)
            if line.startswith(beginning):
                return line.split()[-1]
        raise AssertionError(f"it has ended before {beginning!r}: {''.join(self.seen)}")

    def logs(self, part: str) -> None:
        """Waits for a line with this in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen.append(line)
            if part in line:
                return
        raise AssertionError(f"it has ended without {part!r}: {''.join(self.seen)}")

    def ends(self) -> int:
        """Waits for its end; its code."""
        assert self.process.stdout is not None
        self.seen += self.process.stdout.readlines()
        return self.process.wait(WAIT_S)


@pytest.fixture
def holder() -> Iterator[Callable[..., Holder]]:
    """Starts processes, which end with the test."""
    started: list[Holder] = []

    def start(*command: str) -> Holder:
        started.append(Holder(*command))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(WAIT_S)
        assert one.process.stdout is not None
        one.process.stdout.close()


@pytest.fixture
def settings(hosts: str) -> Settings:
    """A connection whose sessions end soon."""
    return Settings(hosts, session_timeout=3.0)


def contenders(client: Client, path: str) -> int:
    """How many hold a lock or wait for it."""
    client.sync(path)
    return len(client.children(path)) if client.exists(path) else 0


def test_a_lease_has_a_fence_and_ends_with_its_block(
    client: Client, root: str, settings: Settings
) -> None:
    fences = []
    for _ in range(3):
        with ZooKeeperLock(root + "/lock", settings) as lease:
            stat = client.exists(lease.node)
            assert stat is not None and stat.czxid == lease.fence == lease.check()
            assert lease.is_held
            fences.append(lease.fence)
        assert not lease.is_held
        with pytest.raises(LeaseLost, match="released"):
            lease.check()
        assert contenders(client, root + "/lock") == 0
    assert sorted(set(fences)) == fences
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


def test_who_comes_too_late_is_told_who_has_it(root: str, settings: Settings) -> None:
    with ZooKeeperLock(root + "/lock", settings) as lease:
        with pytest.raises(LockTimeout, match=f'"pid": {os.getpid()}.*{lease.fence:#x}'):
            with ZooKeeperLock(root + "/lock", settings, 0.1):
                pass
        lease.check()


def test_readers_share_and_writers_do_not(root: str, settings: Settings) -> None:
    path = root + "/lock"
    with ZooKeeperLock(path, settings, mode="read"):
        with ZooKeeperLock(path, settings, 30, mode="read"):
            with pytest.raises(LockTimeout, match="is held by .*pid"):
                with ZooKeeperLock(path, settings, 0.1, mode="write"):
                    pass
    with ZooKeeperLock(path, settings, 30, mode="write"):
        with pytest.raises(LockTimeout), ZooKeeperLock(path, settings, 0.1, mode="read"):
            pass


def test_a_semaphore_has_so_many_leases(root: str, settings: Settings) -> None:
    def semaphore(timeout: float) -> ZooKeeperLock:
        return ZooKeeperLock(root + "/few", settings, timeout, mode="semaphore", leases=2)

    with semaphore(30) as first, semaphore(30) as second:
        assert first.fence < second.fence
        with pytest.raises(LockTimeout, match=f"is held by .*{first.fence:#x}"), semaphore(0.1):
            pass


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"mode": "sole"}, "mode is 'sole'; one of exclusive, read"),
        ({"on_lost": "shout"}, "on_lost is 'shout'; one of terminate"),
        ({"mode": "semaphore"}, "leases, a number, and the mode semaphore belong together"),
        ({"leases": 2}, "leases, a number, and the mode semaphore belong together"),
        ({"mode": "semaphore", "leases": 0}, "leases is 0; at least 1"),
        ({"timeout": -1.0}, "timeout is -1.0"),
    ],
)
def test_what_no_lock_can_be_is_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        ZooKeeperLock("/lock", **arguments)
    with pytest.raises(Refused, match="does not begin with /"):
        ZooKeeperLock("lock")


def test_another_thread_cannot_be_ended_and_has_to_ask(root: str, settings: Settings) -> None:
    said: list[str] = []

    def work() -> None:
        try:
            with ZooKeeperLock(root + "/lock", settings):
                said.append("entered")
        except Refused as error:
            said.append(str(error))
        with ZooKeeperLock(root + "/lock", settings, on_lost="ignore") as lease:
            said.append(str(lease.check()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(WAIT_S)
    assert "another one: take the lock in the main thread" in said[0] and said[1].isdigit(), said


def test_a_loss_ends_what_the_main_thread_does(
    client: Client, root: str, settings: Settings
) -> None:
    with pytest.raises(LeaseLost) as loss:
        with ZooKeeperLock(root + "/lock", settings) as lease:
            client.delete(lease.node)
            time.sleep(WAIT_S)
    assert loss.value.reason == "deleted" and loss.value.path == root + "/lock"
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL


def test_a_loss_that_is_ignored_is_told_by_check(
    client: Client, root: str, settings: Settings
) -> None:
    with ZooKeeperLock(root + "/lock", settings, on_lost="ignore") as lease:
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
        client.delete(lease.node)
        until(lambda: not lease.is_held, "the loss")
        with pytest.raises(LeaseLost, match="somebody has deleted its node"):
            lease.check()


def test_who_leaves_the_block_has_held_the_lock_to_its_end(
    client: Client, root: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The signal does not arrive.
    monkeypatch.setattr(signal, "pthread_kill", lambda *_arguments: None)
    with pytest.raises(LeaseLost) as loss:
        with ZooKeeperLock(root + "/lock", settings, on_lost="raise") as lease:
            client.delete(lease.node)
            until(lambda: not lease.is_held, "the loss")
    assert loss.value.reason == "deleted"
    with pytest.raises(KeyError):
        with ZooKeeperLock(root + "/lock", settings, on_lost="raise") as lease:
            client.delete(lease.node)
            until(lambda: not lease.is_held, "the loss")
            raise KeyError


def test_two_losses_are_told_one_after_the_other(
    client: Client, root: str, settings: Settings
) -> None:
    told: list[str] = []
    with pytest.raises(LeaseLost) as outermost:
        with ZooKeeperLock(root + "/a", settings, on_lost="raise") as a:
            try:
                with ZooKeeperLock(root + "/b", settings, on_lost="raise") as b:
                    client.delete(b.node)
                    time.sleep(WAIT_S)
            except LeaseLost as loss:
                told.append(loss.path)
                client.delete(a.node)
                time.sleep(WAIT_S)
    assert told == [root + "/b"] and outermost.value.path == root + "/a"


def test_a_handler_that_was_there_is_there_again(root: str, settings: Settings) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, _frame: heard.append(number))
    try:
        with ZooKeeperLock(root + "/lock", settings) as lease:
            signal.raise_signal(signal.SIGUSR2)
            assert heard == [signal.SIGUSR2] and lease.is_held
        signal.raise_signal(signal.SIGUSR2)
        assert heard == [signal.SIGUSR2] * 2
    finally:
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)


def test_a_forked_child_that_leaves_the_block_takes_nothing_along(
    client: Client, root: str, settings: Settings
) -> None:
    parent = os.getpid()
    with ZooKeeperLock(root + "/lock", settings) as lease:
        child = os.fork()
        if child != 0:
            assert os.waitpid(child, 0)[1] == 0
            client.sync(root)
            assert client.exists(lease.node) is not None and lease.check()
    if os.getpid() != parent:
        os._exit(0)
    assert contenders(client, root + "/lock") == 0


def test_two_processes_exclude_each_other(
    holder: Callable[..., Holder], hosts: str, root: str, tmp_path: Path
) -> None:
    marker = str(tmp_path / "alone")
    both = [holder("holder.py", hosts, root + "/lock", "rounds", marker) for _ in range(2)]
    assert [one.ends() for one in both] == [0, 0], [one.seen for one in both]
    fences = [[int(line.split()[1]) for line in one.seen if "held" in line] for one in both]
    assert [len(some) for some in fences] == [25, 25]
    assert all(sorted(some) == some for some in fences)
    assert len({fence for some in fences for fence in some}) == 50


def test_a_lock_is_handed_over_when_its_holder_is_killed(
    holder: Callable[..., Holder], client: Client, hosts: str, root: str, settings: Settings
) -> None:
    path = root + "/lock"
    first = holder("holder.py", hosts, path, "linger")
    fence = int(first.says("held"))
    first.process.kill()
    assert first.ends() == -signal.SIGKILL
    with ZooKeeperLock(path, settings, WAIT_S) as lease:
        assert lease.check() > fence
        assert contenders(client, path) == 1


def test_who_loses_the_network_is_told_before_another_has_the_lock(
    holder: Callable[..., Holder], hosts: str, root: str, settings: Settings
) -> None:
    path = root + "/lock"
    with Relay(hosts) as relay:
        first = holder("holder.py", relay.hosts, path, "linger")
        fence = int(first.says("held"))
        relay.freeze()
        with ZooKeeperLock(path, settings, WAIT_S) as lease:
            # It has ended, or is about to: nothing that it sends from here on is sent by a holder.
            assert lease.check() > fence
            assert first.says("lost") == "doubt"
        assert first.ends() == 0


def test_who_does_not_listen_is_killed(
    holder: Callable[..., Holder], hosts: str, root: str, settings: Settings
) -> None:
    path = root + "/lock"
    with Relay(hosts) as relay:
        first = holder("holder.py", relay.hosts, path, "deaf")
        fence = int(first.says("held"))
        relay.freeze()
        with ZooKeeperLock(path, settings, WAIT_S) as lease:
            assert lease.fence > fence
            assert first.ends() == -signal.SIGKILL
    said = [line.strip() for line in first.seen]
    assert said[-2:] == ["lost doubt", "checked doubt"], said


@pytest.mark.parametrize(("work", "code"), [("linger", 0), ("deaf", -signal.SIGKILL)])
def test_who_was_stopped_is_told_when_it_goes_on(
    holder: Callable[..., Holder],
    hosts: str,
    root: str,
    settings: Settings,
    work: str,
    code: int,
) -> None:
    first = holder("holder.py", hosts, root + "/lock", work)
    fence = int(first.says("held"))
    first.process.send_signal(signal.SIGSTOP)
    with ZooKeeperLock(root + "/lock", settings, WAIT_S) as lease:
        assert lease.fence > fence
        first.process.send_signal(signal.SIGCONT)
        # By the clock, or by a server that was quicker to say so.
        assert first.says("lost") in ("doubt", "expired")
        assert first.ends() == code


def test_a_doubt_that_passes_leaves_the_lock(
    client: Client, hosts: str, root: str, settings: Settings
) -> None:
    with Relay(hosts) as relay:
        # The longest that the servers grant: between the doubt and the end is a third of it.
        through = Settings(relay.hosts, session_timeout=10.0)
        with ZooKeeperLock(root + "/lock", through, on_lost="ignore") as lease:
            fence = lease.check()
            relay.freeze()
            until(lambda: not lease.is_held, "the doubt")
            with pytest.raises(LeaseLost) as loss:
                lease.check()
            relay.thaw()
            until(lambda: lease.is_held, "the answer of a server")
            assert loss.value.reason == "doubt" and lease.check() == fence


@pytest.fixture
def supervised(
    holder: Callable[..., Holder], client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Holder]:
    """Starts a task under Airflow's supervisor, which then holds the lock of this test."""

    def start(task: str, *mark: str) -> Holder:
        monkeypatch.setenv("BELLWETHER_LOCK", root + "/lock")
        started = holder("supervised.py", "test_locks.py", "locks_supervised", task, *mark)
        started.logs("inside")
        assert contenders(client, root + "/lock") == 1
        return started

    return start


@pytest.mark.parametrize("how", ["marked", "stopped"])
def test_a_task_that_airflow_ends_frees_its_lock_and_does_not_go_on(
    supervised: Callable[..., Holder], client: Client, root: str, tmp_path: Path, how: str
) -> None:
    mark = tmp_path / "mark"
    task = supervised("linger", str(mark))
    began = time.monotonic()
    if how == "marked":
        mark.touch()
    else:
        task.process.send_signal(signal.SIGTERM)
    until(lambda: contenders(client, root + "/lock") == 0, "the end of the lock")
    freed = time.monotonic() - began
    task.ends()
    print(f"\n{how}: the lock was free after {freed:.2f} s", flush=True)
    said = "".join(task.seen)
    assert "the task was told to end" in said and "cleaned up" in said, said
    assert "went on" not in said, said


def test_a_task_that_airflow_ends_waits_no_longer(
    holder: Callable[..., Holder],
    client: Client,
    root: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BELLWETHER_LOCK", root + "/lock")
    with ZooKeeperLock(root + "/lock", settings):
        task = holder("supervised.py", "test_locks.py", "locks_supervised", "linger")
        until(lambda: contenders(client, root + "/lock") == 2, "who waits")
        task.process.send_signal(signal.SIGTERM)
        until(lambda: contenders(client, root + "/lock") == 1, "its end")
        task.ends()
    said = "".join(task.seen)
    assert "the task was told to end" in said and "inside" not in said, said


def test_a_supervised_task_is_ended_by_the_loss(
    supervised: Callable[..., Holder], client: Client, root: str
) -> None:
    task = supervised("linger")
    client.delete(root + "/lock", recursive=True)
    assert task.says("state") in ("failed", "up_for_retry")
    task.ends()
    said = "".join(task.seen)
    assert "somebody has deleted its node" in said and "cleaned up" in said, said
    assert "went on" not in said, said


def test_a_supervised_task_that_does_not_listen_is_killed(
    supervised: Callable[..., Holder], client: Client, root: str
) -> None:
    task = supervised("deaf")
    client.delete(root + "/lock", recursive=True)
    assert task.says("state") in ("failed", "up_for_retry")
    assert task.ends() != 0
    said = "".join(task.seen)
    assert "deaf" in said and "the task goes on regardless, and is killed" in said, said


def test_a_decorated_task_holds_the_lock(succeeds: Succeeds, client: Client, root: str) -> None:
    said = succeeds("locks_decorated", path=root + "/lock")
    assert said["alone"]["nodes"] == 1 and said["alone"]["fence"] == said["alone"]["czxid"]
    assert said["after"]["fence"] > said["alone"]["fence"]
    assert contenders(client, root + "/lock") == 0


def test_a_decorated_task_that_does_not_get_it_fails(
    run: Run, root: str, settings: Settings
) -> None:
    with ZooKeeperLock(root + "/lock", settings):
        assert run("locks_decorated", path=root + "/lock").tasks["alone"] == "failed"


def test_the_documents_dag(succeeds: Succeeds, client: Client) -> None:
    said = succeeds("doc_locks")
    assert 0 < said["write_report"] < said["only_the_last_step"]
    assert contenders(client, "/docs/locks/report") == 0


def test_the_example(succeeds: Succeeds, client: Client) -> None:
    said = succeeds("example_locks")
    assert said["look"] == "second"
    assert said["too_late"] == f"released; fence {said['load']} is of an earlier holder"
    client.sync("/")
    assert client.get("/examples/airflow/warehouse-store")[0].endswith(b" third")
    client.delete("/examples", recursive=True)

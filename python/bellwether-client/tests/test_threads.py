"""What a process with threads and signals expects."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from bellwether import Client, ClosedError, NoServerError, SessionExpiredError, WatchEvent
from conftest import WAIT_S, until


def test_a_waiting_thread_lets_others_run(client: Client, root: str) -> None:
    watch = client.watch(root)
    seen: list[object] = []
    waiting = threading.Thread(target=lambda: seen.append(watch.next(WAIT_S)))
    waiting.start()
    client.set(root, b"1")
    waiting.join(WAIT_S)
    assert isinstance(seen[0], WatchEvent)


def test_threads_share_a_client(client: Client, root: str) -> None:
    def work(number: int) -> None:
        path = client.create(f"{root}/n{number}").path
        for version in range(50):
            client.set(path, b"%d" % version, version)
            assert client.get(path)[0] == b"%d" % version

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    versions = [client.get(f"{root}/{name}")[1].version for name in client.children(root)]
    assert versions == [50] * 8


def test_to_close_wakes_whoever_waits(client: Client, root: str) -> None:
    watch, started = client.watch(root), threading.Event()
    ended: list[object] = []

    def wait() -> None:
        started.set()
        try:
            watch.next()
        except ClosedError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait(WAIT_S)
    watch.close()
    thread.join(WAIT_S)
    assert len(ended) == 1


def started(program: str, *arguments: str) -> "subprocess.Popen[str]":
    """A Python program that has printed its first line."""
    command = [sys.executable, "-u", "-c", program, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_ctrl_c_ends_a_wait(hosts: str, root: str) -> None:
    program = """
import signal, sys, bellwether
# Whoever began the tests in the background may have had it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with bellwether.Client.connect(sys.argv[1]) as client:
    watch = client.watch(sys.argv[2])
    try:
        print("ready")
        watch.next()
    except KeyboardInterrupt:
        print("interrupted", client.get(sys.argv[2])[1].version)
"""
    process = started(program, hosts, root)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=WAIT_S)
    assert output == "interrupted 0\n", errors


def test_a_signal_handler_runs_while_a_method_waits(hosts: str, root: str) -> None:
    program = """
import signal, sys, bellwether
client = bellwether.Client.connect(sys.argv[1])
signal.signal(signal.SIGUSR1, lambda *_: client.set(sys.argv[2], b"handled"))
watch = client.watch(sys.argv[2])
print("ready")
print(watch.next().kind)
client.close()
"""
    process = started(program, hosts, root)
    process.send_signal(signal.SIGUSR1)
    output, errors = process.communicate(timeout=WAIT_S)
    assert output == "changed\n", errors


def test_a_process_that_was_stopped_for_too_long_has_lost_its_session(
    hosts: str, root: str, client: Client
) -> None:
    program = """
import sys, bellwether
client = bellwether.Client.connect(sys.argv[1], session_timeout=1.0)
watch = client.watch(sys.argv[2])
client.create(sys.argv[2] + "/e", ephemeral=True)
watch.next()
print("ready")
try:
    while True:
        watch.next()
except bellwether.SessionExpiredError as error:
    while client.state == "connected":
        pass  # The watch may be told first.
    print(client.state, error.code)
"""
    process = started(program, hosts, root)
    process.send_signal(signal.SIGSTOP)
    until(lambda: client.exists(root + "/e") is None, "the expiry")
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=WAIT_S)
    assert output == f"expired {SessionExpiredError.code}\n", errors


def test_without_a_server_connect_gives_up_and_says_why() -> None:
    begun = time.monotonic()
    with pytest.raises(NoServerError, match="127.0.0.1:1") as refused:
        Client.connect("127.0.0.1:1", connect_timeout=0.3)
    assert isinstance(refused.value, TimeoutError) and time.monotonic() - begun >= 0.3


def test_a_dropped_client_closes_its_session(hosts: str, root: str, client: Client) -> None:
    dropped = Client.connect(hosts)
    dropped.create(root + "/e", ephemeral=True)
    del dropped
    until(lambda: client.exists(root + "/e") is None, "the end of the session")


def test_a_process_that_ends_with_a_client_open_ends(hosts: str) -> None:
    program = """
import sys, threading, bellwether
client = bellwether.Client.connect(sys.argv[1])
watch = client.watch("/")
threading.Thread(target=watch.next, daemon=True).start()
print("ready")
"""
    process = started(program, hosts)
    assert process.communicate(timeout=WAIT_S)[1] == "" and process.returncode == 0


def test_waiting_costs_no_processor_time(client: Client, root: str) -> None:
    watch = client.watch(root)
    threads = os.listdir("/proc/self/task")
    before = time.process_time()
    with pytest.raises(TimeoutError):
        watch.next(1.0)
    # A thread that spins would take the whole second; this one wakes ten times.
    assert time.process_time() - before < 0.5
    assert os.listdir("/proc/self/task") == threads

"""Forks: 400 of them, and what a server notices of them, which is nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bellwether import Client
from conftest import WAIT_S, until

LOOP = Path(__file__).with_name("fork_loop.py")
FORKS = {"idle": 100, "threads": 200, "asyncio": 100}


@pytest.mark.parametrize("kind", FORKS)
def test_forks_do_no_harm(
    kind: str, hosts: str, root: str, client: Client, word: Callable[[str], str]
) -> None:
    command = [sys.executable, str(LOOP), hosts, root, str(FORKS[kind]), kind]
    loop = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until(lambda: client.children(root) or loop.poll() is not None, "the parent's session")
    [name] = client.children(root)
    owner = client.get(f"{root}/{name}")[1].ephemeral_owner
    # Only a closeSession, or an expiry, which takes longer than this, would take the node away.
    gone = client.exists_and_watch(f"{root}/{name}")[1]
    assert f"0x{owner & (2**64 - 1):x}" in word("cons")
    _, errors = loop.communicate(timeout=10 * WAIT_S)
    assert loop.returncode == 0, errors
    assert gone.wait(WAIT_S).kind == "deleted"


def test_a_parent_that_is_killed_is_missed_though_its_child_lives(
    hosts: str, root: str, word: Callable[[str], str]
) -> None:
    program = """
import os, signal, sys, bellwether
client = bellwether.Client.connect(sys.argv[1], session_timeout=10.0)
client.create(sys.argv[2] + "/e", ephemeral=True)
child = os.fork()
if child == 0:
    signal.pause()
print(f"{child} {client.session_id & (2**64 - 1):x}", flush=True)
signal.pause()
"""
    command = [sys.executable, "-u", "-c", program, hosts, root]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child, session = parent.stdout.readline().split()
    try:
        assert session in word("cons")
        until(lambda: not sockets(child), "the child to close what it inherited")
        parent.kill()
        until(lambda: session not in word("cons"), "the server to miss the parent")
    finally:
        parent.kill()
        os.kill(int(child), signal.SIGKILL)
        parent.wait(WAIT_S)


def test_children_of_one_parent_choose_their_servers_each_for_itself(hosts: str) -> None:
    program = """
import os, sys, bellwether
bellwether.Client.connect(sys.argv[1]).close()
for number in range(24):
    child = os.fork()
    if child == 0:
        with bellwether.Client.connect(sys.argv[1]) as client:
            print(client.server, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
    address, port = hosts.split(":")
    names = [f"{address}:{port}", f"localhost:{port}"]
    command = [sys.executable, "-u", "-c", program, ",".join(names)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=90)
    chosen = done.stdout.split()
    assert len(chosen) == 24 and set(chosen) == set(names), chosen


def sockets(process: str) -> list[str]:
    """The sockets that a process holds open."""
    held = []
    for name in os.listdir(f"/proc/{process}/fd"):
        try:
            held.append(os.readlink(f"/proc/{process}/fd/{name}"))
        except FileNotFoundError:
            continue  # It was closed meanwhile.
    return [target for target in held if target.startswith("socket:")]

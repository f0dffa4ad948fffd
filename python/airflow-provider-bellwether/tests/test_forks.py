"""Forks of a process whose hook has a session: 200 for each kind, and what a server notices."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bellwether import Client
from conftest import WAIT_S, until

LOOP = Path(__file__).with_name("fork_hooks.py")
FORKS = 200


@pytest.mark.parametrize("kind", ["idle", "threads", "asyncio"])
def test_forks_do_a_hooks_session_no_harm(
    kind: str, hosts: str, root: str, client: Client, word: Callable[[str], str]
) -> None:
    def sessions() -> int:
        return word("cons").count("sid=")

    before = sessions()
    command = [sys.executable, str(LOOP), hosts, root, str(FORKS), kind]
    loop = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: client.children(root) or loop.poll() is not None, "the parent's session")
    [name] = client.children(root)
    owner = client.get(f"{root}/{name}")[1].ephemeral_owner
    session = f"0x{owner & (2**64 - 1):x}"
    # Only a closeSession, or an expiry, which takes longer than this, would take the node away.
    gone = client.exists_and_watch(f"{root}/{name}")[1]
    assert session in word("cons")
    assert loop.stdout is not None
    said = loop.stdout.readline()
    if said != "done\n":
        _, errors = loop.communicate(timeout=WAIT_S)
        pytest.fail(errors)
    # What the children had is closed; what the parent had is as it was.
    until(lambda: sessions() == before + 1, "the children's sessions to end")
    assert session in word("cons")
    _, errors = loop.communicate("end\n", timeout=WAIT_S)
    assert loop.returncode == 0, errors
    assert gone.wait(WAIT_S).kind == "deleted"
    assert session not in word("cons") and sessions() == before

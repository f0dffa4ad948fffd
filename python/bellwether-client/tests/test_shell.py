"""The mini shell: `python -m bellwether`."""

import subprocess
import sys

from bellwether import Client
from conftest import WAIT_S


def shell(hosts: str, *words: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs one command, or what is typed at the prompt."""
    command = [sys.executable, "-m", "bellwether", "-s", hosts, "-t", "5", *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=WAIT_S)


def test_every_command_does_what_it_says(hosts: str, root: str, client: Client) -> None:
    path = root + "/a/b"
    assert shell(hosts, "create", "-p", path, "hello").stdout == path + "\n"
    assert shell(hosts, "create", "-q", path + "-").stdout == path + "-0000000001\n"
    assert shell(hosts, "ls", root + "/a").stdout == "b\nb-0000000001\n"
    assert shell(hosts, "get", path).stdout == "hello\n"
    assert shell(hosts, "set", path, "bye", "--version", "0").returncode == 0
    stat = shell(hosts, "stat", path).stdout
    assert "version = 1\n" in stat and "data_length = 3\n" in stat
    assert shell(hosts, "delete", path).returncode == 0
    assert shell(hosts, "delete", "-r", root + "/a").returncode == 0
    assert client.children(root) == []


def test_a_failure_is_told_on_standard_error_and_by_the_exit_code(hosts: str, root: str) -> None:
    missing = shell(hosts, "get", root + "/missing")
    assert (missing.returncode, missing.stdout) == (1, "") and "NONODE" in missing.stderr
    assert shell(hosts, "set", root, "x", "--version", "7").returncode == 1
    assert shell(hosts, "nonsense").returncode == 2
    nobody = shell("127.0.0.1:1", "-t", "0.2", "ls", "/")
    assert nobody.returncode == 1 and "127.0.0.1:1" in nobody.stderr


def test_watch_prints_events(hosts: str, root: str, client: Client) -> None:
    command = [sys.executable, "-m", "bellwether", "-s", hosts, "watch", "-r", "-n", "2", root]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watching.stderr is not None and watching.stderr.readline().startswith("watching")
    client.create(root + "/a")
    client.delete(root + "/a")
    output, _ = watching.communicate(timeout=WAIT_S)
    assert "kind='created'" in output and "kind='deleted'" in output and watching.returncode == 0


def test_the_prompt_goes_on_after_a_mistake(hosts: str, root: str, client: Client) -> None:
    typed = f"create {root}/a 'two words'\n\nnonsense\nget {root}/missing\nget {root}/a\n"
    session = shell(hosts, typed=typed)
    assert session.stdout.endswith("] ") and "two words\n" in session.stdout
    assert "NONODE" in session.stderr and "nonsense" in session.stderr
    assert client.get(root + "/a")[0] == b"two words"
    assert session.returncode == 0
    assert shell(hosts, typed=f"get {root}/missing\nquit\n").returncode == 1

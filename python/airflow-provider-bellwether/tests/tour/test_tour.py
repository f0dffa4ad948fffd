"""The page docs/airflow/tour.md: its commands in a shell, its DAG file, and what they print.

Usage: BELLWETHER_PROGRAM=bellwether BELLWETHER_WHEELS=DIR BELLWETHER_HOSTS=127.0.0.1:PORT
       pytest -s tests/tour

Keeps true: the page is done from its first block to its last, in a directory of its own. Only the
ports are others, packages come from the wheels and from this environment in place of a registry,
and before a node is changed the triggerer's first look is waited for, for readers half a minute.
Every process that it starts has ended, by the page's own commands.
"""

import contextlib
import ctypes
import json
import os
import queue
import re
import signal
import site
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from conftest import HOSTS, ROOT

LIMIT_S = 300.0
PAGE = ROOT / "docs/airflow/tour.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^## ", re.MULTILINE)


def sections() -> dict[str, list[tuple[str, str]]]:
    """The blocks of the page, with their languages, by the headings above them."""
    parts = _HEADING.split(PAGE.read_text())[1:]
    return {part.splitlines()[0]: _BLOCK.findall(part) for part in parts}


def not_deaf() -> None:
    """Listens to SIGINT, though whoever began these tests may ignore it: no bash can undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Shell:
    """A bash that is given one block after the other."""

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self._ports = re.compile("|".join(ports))
        self._free = ports
        mine = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "BELLWETHER", "PYTHON", "VIRTUAL_ENV"))
        }
        programs = Path(os.environ["BELLWETHER_PROGRAM"]).resolve().parent
        mine |= {
            "PATH": f"{Path(sys.base_prefix) / 'bin'}:{programs}:{mine['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": os.environ["BELLWETHER_WHEELS"],
        }
        self._process = subprocess.Popen(
            ["bash", "-e", "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=mine,
            preexec_fn=not_deaf,
        )
        # Job control, as where a person types: else what runs in the background is deaf to SIGINT.
        assert self._process.stdin is not None
        self._process.stdin.write("set -m\n")
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def port_of(self, port: str) -> str:
        """The free port that stands for one of the page's."""
        return self._free[port]

    def run(self, block: str) -> str:
        """Does what a block says; what it printed."""
        block = self._ports.sub(lambda found: self._free[found.group()], block)
        assert self._process.stdin is not None
        self._process.stdin.write(block + "\necho the-end-of-the-block\n")
        self._process.stdin.flush()
        deadline, printed = time.monotonic() + LIMIT_S, ""
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                raise AssertionError(f"it does not end:\n{block}\n{printed}") from None
            assert line is not None, f"it failed:\n{block}\n{printed}"
            if line == "the-end-of-the-block\n":
                return printed
            printed += line

    def close(self) -> None:
        """Ends the shell itself."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(LIMIT_S)


def adopt() -> None:
    """Has this process become the parent of whatever its children leave behind."""
    set_child_subreaper = 36
    assert ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0) == 0


def begun() -> list[int]:
    """The processes that this one has begun, at any depth, and that have not ended."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(process.name))
    found, new = [], [os.getpid()]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def free_ports(count: int) -> list[str]:
    """Ports of this machine that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def lend_airflow(folder: Path) -> None:
    """Has the environment of the page see this one's Airflow, as if pip had fetched it."""
    (packages,) = (folder / "venv/lib").glob("python3*/site-packages")
    theirs = [path for path in site.getsitepackages() if Path(path).is_dir()]
    for path in list(theirs):
        for borrowed in Path(path).glob("*.pth"):
            theirs += [line for line in borrowed.read_text().split() if line.startswith("/")]
    # Not the provider of this checkout: it comes out of its wheel.
    lent = [path for path in theirs if (Path(path) / "airflow/__main__.py").is_file()]
    assert lent, f"no Airflow in {theirs}"
    (packages / "airflow.pth").write_text("\n".join(lent) + "\n")
    program = folder / "venv/bin/airflow"
    program.write_text(f'#!/bin/sh\nexec {folder}/venv/bin/python -m airflow "$@"\n')
    program.chmod(0o755)


def form_is_shown(folder: Path, port: str) -> None:
    """The page of connections offers the type, with its form."""
    file = folder / "airflow/simple_auth_manager_passwords.json.generated"
    user = {"username": "admin", "password": json.loads(file.read_text())["admin"]}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60.0) as http:
        token = http.post("/auth/token", json=user).raise_for_status().json()["access_token"]
        kinds = http.get("/ui/connections/hook_meta", headers={"Authorization": f"Bearer {token}"})
        (kind,) = [k for k in kinds.json() if k["connection_type"] == "zookeeper"]
    assert kind["hook_name"] == "ZooKeeper"
    assert {"ca_cert", "admin_url", "session_timeout"} <= kind["extra_fields"].keys()


def has_looked(folder: Path) -> bool:
    """Whether the triggerer has kept what the watched node was."""
    with sqlite3.connect(f"file:{folder}/airflow/airflow.db?mode=ro", uri=True) as database:
        (count,) = database.execute("SELECT count(*) FROM asset_state_store").fetchone()
    return bool(count)


def until(state: Callable[[], object], what: str) -> None:
    """Waits for a state that nobody announces."""
    deadline = time.monotonic() + LIMIT_S
    while not state():
        assert time.monotonic() < deadline, "waited in vain for " + what
        time.sleep(0.2)


def test_the_tour(tmp_path: Path) -> None:
    began = time.monotonic()
    adopt()
    host, port = HOSTS.split(":")
    assert host == "127.0.0.1"
    pages = ["2181", "8081", "8793", "8794"]
    shell = Shell(tmp_path, dict(zip(pages, [port, *free_ports(3)], strict=True)))
    try:
        for heading, blocks in sections().items():
            printed = ""
            if heading == "A node that starts a DAG":
                until(lambda: has_looked(tmp_path), "the first look of the triggerer")
            for language, block in blocks:
                if language == "sh":
                    printed = shell.run(block)
                elif language == "python":
                    (tmp_path / "airflow/dags/tour.py").write_text(block)
                else:
                    assert block in printed, f"{heading}: {printed}"
                if heading == "Install" and "venv" in block:
                    lend_airflow(tmp_path)
            if heading == "The connection":
                form_is_shown(tmp_path, shell.port_of("8081"))
            print(f"{heading}: {time.monotonic() - began:.0f} s", flush=True)
        shell.close()
        until(lambda: not begun(), "the end of what the tour has begun")
    finally:
        while left := begun():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    print(f"the tour took {time.monotonic() - began:.0f} s", flush=True)

"""Whose sessions a server has: the connections in `cons`, and the processes at their other ends."""

import os
import re
import socket
from contextlib import suppress
from pathlib import Path

from daemons.deployment import processes

_CONNECTION = re.compile(r"^ ?/127\.0\.0\.1:(\d+)\[.*\bsid=(0x[0-9a-f]+)", re.MULTILINE)


def word_of(address: str, word: str) -> str:
    """What a server answers to a four-letter word."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=60.0) as stream:
        stream.sendall(word.encode())
        with stream.makefile("rb") as answer:
            return answer.read().decode()


def _sockets() -> dict[str, int]:
    """The local port of every TCP socket, by its inode."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {line[9]: int(line[1].rpartition(":")[2], 16) for line in lines}


def _holders() -> dict[int, int]:
    """The process that has a socket with a local port."""
    ports = _sockets()
    found: dict[int, int] = {}
    for pid in processes():
        with suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    inode = os.readlink(entry).removeprefix("socket:[").rstrip("]")
                    if inode in ports:
                        found.setdefault(ports[inode], pid)
    return found


def name_of(pid: int) -> str:
    """What a process is, by its command line."""
    with suppress(OSError):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        words = line.replace("\0", " ").replace("api_server", "api-server").split()
        if "bellwether_airflow.launcher.cli" in words:
            if "run" not in words:
                return "agent"
            return f"launcher of {words[words.index('airflow') + 1]}"
        for name in ("scheduler", "triggerer", "dag-processor", "api-server", "pytest"):
            if any(name in word for word in words):
                return name
        return " ".join(words)
    return "gone"


def owners(address: str) -> list[str]:
    """Who has sessions with a server, once for each session."""
    holders = _holders()
    ports = [int(port) for port, _ in _CONNECTION.findall(word_of(address, "cons"))]
    return sorted(name_of(holders[port]) if port in holders else "gone" for port in ports)

"""The processes of a machine that announced themselves: registered until they are gone.

Keeps true: a process is known by its id and the moment of its start, so that no other one is taken
for it; it is gone when the kernel says so (pidfd). A process announces itself once: who they are is
kept in a file, and an agent that begins anew goes on with those that still run.
"""

import json
import os
import select
import socket
import threading
from dataclasses import asdict, dataclass
from typing import Any

from bellwether.recipes import Instance

from .registrar import Registrar
from .registry import base_of
from .service import Trouble, log, part_of_path

PROCESSES_MAX = 1024


@dataclass(frozen=True)
class Process:
    """A process that has announced itself."""

    pid: int
    started: int
    """In the kernel's clock ticks since the machine began."""
    deployment: str
    component: str
    version: str
    ports: str

    def instance(self, health: Any = "up") -> Instance:
        """As it is registered."""
        host = socket.gethostname()
        metadata = {"pid": str(self.pid), "version": self.version}
        if self.ports:
            metadata["ports"] = self.ports
        return Instance(f"{host}-{self.pid}", host, 0, health=health, metadata=metadata)


class Processes:
    """Registers processes until they are gone; `kept` is the file that knows them."""

    def __init__(self, registrar: Registrar, kept: str) -> None:
        self._registrar = registrar
        self._kept = kept
        self._lock = threading.Lock()
        self._known: dict[int, Process] = {}
        """By pidfd."""
        self._poll = select.poll()
        for process in self._read():
            self._register(process)
        self._write()
        threading.Thread(target=self._run, name="processes", daemon=True).start()

    def add(self, pid: int, said: dict[str, Any]) -> None:
        """It has announced that it starts.

        Raises:
            Trouble: the announcement is none that can be registered.
        """
        process = Process(
            pid,
            _started(pid) or 0,
            part_of_path("deployment", str(said.get("deployment", ""))),
            part_of_path("component", str(said.get("component", ""))),
            str(said.get("version", "unknown"))[:64],
            str(said.get("ports") or "")[:64],
        )
        with self._lock:
            same = (process.pid, process.started, process.deployment, process.component)
            for known in self._known.values():
                if (known.pid, known.started, known.deployment, known.component) == same:
                    return
            if len(self._known) >= PROCESSES_MAX:
                raise Trouble(f"more than {PROCESSES_MAX} processes want to be registered")
            self._register(process)
            self._write()

    def drain(self, pid: int) -> None:
        """It has announced that it ends."""
        with self._lock:
            for known in self._known.values():
                if known.pid == pid:
                    base = base_of(known.deployment)
                    self._registrar.show(base, known.component, known.instance("draining"))

    def _register(self, process: Process) -> None:
        try:
            descriptor = os.pidfd_open(process.pid)
        except OSError:
            return
        # Behind the opening: what has this number now is what the descriptor is of.
        if _started(process.pid) != process.started:
            os.close(descriptor)
            return
        self._known[descriptor] = process
        self._registrar.show(base_of(process.deployment), process.component, process.instance())
        self._poll.register(descriptor, select.POLLIN)

    def _run(self) -> None:
        while True:
            for descriptor, _ in self._poll.poll(200):
                with self._lock:
                    self._poll.unregister(descriptor)
                    gone = self._known.pop(descriptor)
                    base = base_of(gone.deployment)
                    self._registrar.hide(base, gone.component, gone.instance().id)
                    os.close(descriptor)
                    self._write()

    def _read(self) -> list[Process]:
        try:
            with open(self._kept, encoding="utf-8") as file:
                return [Process(**each) for each in json.load(file)]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s cannot be read, which says who is up: %s", self._kept, error)
            return []

    def _write(self) -> None:
        new = self._kept + ".new"
        try:
            descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump([asdict(process) for process in self._known.values()], file)
            os.replace(new, self._kept)
        except OSError as error:
            log.warning("%s cannot be written, which says who is up: %s", new, error)


def _started(pid: int) -> int | None:
    """When a process started, which tells it from a later one of the same number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # Field 22; the second one is a name in parentheses, and may have any character.
            return int(file.read().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None

"""Launchers and agents as processes, and what their components say.

Keeps true: what a test starts is gone when the test ends.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

CLI = [sys.executable, "-m", "bellwether_airflow.launcher.cli"]
COMPONENT = Path(__file__).parent / "component.py"
END_S = 60.0


class Stage:
    """The processes of a test, and the file that their components write to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "said"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, name: str = "one", **more: str) -> subprocess.Popen[bytes]:
        """Starts `bellwether-airflow` with these arguments; its log is `<name>.log`."""
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*CLI, *arguments],
                env=os.environ | {"LAUNCHER": name} | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def run(self, *arguments: str, words: tuple[str, ...] = (), **more: str) -> Any:
        """Starts a launcher of a component."""
        component = [sys.executable, str(COMPONENT), str(self.file), *words]
        return self.start("run", *arguments, "--", *component, **more)

    def said(self, what: str | None = None, by: str | None = None) -> list[dict[str, Any]]:
        """What components have said, in order."""
        if not self.file.exists():
            return []
        lines = [json.loads(line) for line in self.file.read_text().splitlines()]
        return [
            line
            for line in lines
            if what in (None, line["what"]) and by in (None, line["launcher"])
        ]

    def log(self, name: str = "one") -> str:
        """What a program has told."""
        return (self.directory / f"{name}.log").read_text()

    def close(self) -> None:
        """Ends all."""
        for process in self._processes:
            if process.poll() is None:
                # One that a test has stopped hears nothing before.
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._processes:
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # Shown of a test that has failed.
        for log in sorted(self.directory.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text()}")


def is_alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False

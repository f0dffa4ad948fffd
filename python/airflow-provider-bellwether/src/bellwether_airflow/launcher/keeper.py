"""Keeps an agent of the machine running, as a process of its own.

Keeps true: of all agents for one socket one serves, and the others wait until it is gone; so every
launcher of a machine may keep one.
"""

import os
import subprocess
import sys
import threading

from .service import Ensemble, log

_PAUSE_S = 1.0
_CLOSE_S = 5.0


class AgentKeeper:
    """Starts the agent, and starts it again when it ends."""

    def __init__(self, ensemble: Ensemble, socket_path: str) -> None:
        agent = ["agent", *ensemble.arguments(), "--socket", socket_path]
        agent += ["--wait", "--parent", str(os.getpid())]
        self._command = [sys.executable, "-m", "bellwether_airflow.launcher.cli", *agent]
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel takes the agent down with this thread, which lasts as long as the program.
        threading.Thread(target=self._run, name="agent", daemon=True).start()

    def close(self) -> None:
        """Ends the agent."""
        self._ending.set()
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
            code = self._process.wait()
            if not self._ending.is_set():
                log.warning("the agent has ended with %d; starting it again", code)
            self._ending.wait(_PAUSE_S)

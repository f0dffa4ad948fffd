"""A component that runs behind its guard, as the launcher sees it.

Keeps true: a line to the guard never blocks the launcher; if the guard takes none, its last lease
runs out. The guard is started by exec from a process that does not fork by itself.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import guard as guard_module
from .elect import Lease
from .service import log

Told = Callable[["Child", str, int], None]
"""Takes a child, what its guard says (started, term, ended), and the number with it."""


class Child:
    """A command and its guard; `told` is called by a thread of its own."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        told: Told,
        lease: Lease | None,
    ) -> None:
        self.pid = 0
        """The command's, once it has started."""
        self.environment = dict(environment)
        self._told = told
        self._lock = threading.Lock()
        control, self._control = os.pipe()
        self._report, report = os.pipe()
        os.set_blocking(self._control, False)
        if lease is not None:
            # Before the guard is there, so that it never runs the command without one.
            self.lease(lease)
        program = [sys.executable, "-I", "-S", str(Path(guard_module.__file__))]
        try:
            self._process = subprocess.Popen(
                [*program, str(control), str(report), str(os.getpid()), *command],
                env=self.environment,
                pass_fds=(control, report),
                process_group=0,
            )
        finally:
            os.close(control)
            os.close(report)
        threading.Thread(target=self._listen, name="child", daemon=True).start()

    def lease(self, lease: Lease) -> None:
        """How long it may run."""
        self._write(f"lease {lease.term_at!r} {lease.kill_at!r}\n")

    def stop(self, grace: float) -> None:
        """Tells it to end, and kills it after so many seconds."""
        self._write(f"stop {grace!r}\n")

    def kill(self) -> None:
        """Kills it, with all its processes."""
        self._write("kill\n")

    def wait(self) -> None:
        """Until the guard has ended, too."""
        self._process.wait()

    def _write(self, line: str) -> None:
        with self._lock:
            if self._control < 0:
                return
            try:
                os.write(self._control, line.encode())
            except (BlockingIOError, BrokenPipeError):
                log.debug("the guard does not take: %s", line.strip())

    def _listen(self) -> None:
        ended, code = False, -9
        with os.fdopen(self._report, "r", encoding="ascii") as report:
            for line in report:
                word, _, number = line.strip().partition(" ")
                if word == "started":
                    self.pid = int(number)
                if word == "ended":
                    ended, code = True, int(number) if number.lstrip("-").isdigit() else -9
                else:
                    self._told(self, word, int(number or 0))
        self._process.wait()
        if not ended and self.pid:
            # Somebody has killed the guard; the kernel killed the command's first process only.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        with self._lock:
            os.close(self._control)
            self._control = -1
        self._told(self, "ended", code)

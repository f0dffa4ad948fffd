"""Stands between the launcher and a component: whatever happens, no process of it is left.

Usage: guard.py CONTROL REPORT PARENT COMMAND [ARGUMENT …]; the numbers are two pipes and a process.

It is a small process without threads, run by its path, so that it needs no package. It starts the
command in a process group of its own, adopts what the command leaves behind, as a subreaper,
and obeys lines: `lease TERM KILL` (moments of the monotonic clock), `stop SECONDS`, `kill`. It says
`started PID`, `term` when the lease has it end the command, and `ended CODE`.

Keeps true: at TERM the command is told to end, at KILL all its processes are killed, also if the
launcher is stopped or has died: a launcher that is gone is a KILL. `ended` is said, and the guard
ends, when no process of the command is left. If the guard is killed itself, the kernel kills the
command's first process (PR_SET_PDEATHSIG).
"""

import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_NEVER = float("inf")
_PAUSE_S = 0.005
_NOT_STARTED = 127


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


class Guard:
    """A command, and how long it may run."""

    def __init__(self, control: int, report: int, parent: int, command: list[str]) -> None:
        self._control = control
        self._report = report
        self._parent = parent
        self._rest = b""
        self._code: int | None = None
        self._term_at = _NEVER
        self._kill_at = _NEVER
        self._stop_at = _NEVER
        self._told = False
        self._wake = self._hear_signals()
        self._pid = self._start(command)

    def run(self) -> None:
        """Until no process of the command is left."""
        self._say(f"started {self._pid}")
        while self._code is None and time.monotonic() < min(self._kill_at, self._stop_at):
            if os.getppid() != self._parent:
                break
            if time.monotonic() >= self._term_at and not self._told:
                self._say("term")
                self._tell()
            moments = (self._kill_at, self._stop_at, _NEVER if self._told else self._term_at)
            left = min(moments) - time.monotonic()
            timeout = None if left == _NEVER else max(left, 0)
            ready, _, _ = select.select([self._control, self._wake], [], [], timeout)
            if self._wake in ready:
                os.read(self._wake, 512)
                self._reap()
            if self._control in ready and not self._obey():
                break
        self._destroy()
        self._say(f"ended {self._code}")

    def _hear_signals(self) -> int:
        """Signals wake the loop, and do nothing else: the launcher says when to end."""
        wake, waker = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(waker, False)
        ended_or_orphaned = (signal.SIGCHLD, signal.SIGUSR1)
        for number in (*ended_or_orphaned, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        return wake

    def _start(self, command: list[str]) -> int:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        _prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
        me = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            signal.set_wakeup_fd(-1)
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_DFL)
            os.setpgid(0, 0)
            _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == me:
                os.execvp(command[0], command)
        except OSError as error:
            why = error.strerror or str(error)
            os.write(2, f"bellwether-airflow: {command[0]} cannot be started: {why}\n".encode())
        finally:
            os._exit(_NOT_STARTED)

    def _obey(self) -> bool:
        """Reads commands; whether there is somebody who gives them, and lets it live."""
        data = os.read(self._control, 65536)
        if not data:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            words = line.decode().split()
            if words[0] == "lease":
                self._term_at, self._kill_at = float(words[1]), float(words[2])
            elif words[0] == "stop":
                self._stop_at = min(self._stop_at, time.monotonic() + float(words[1]))
                self._tell()
            else:
                return False
        return True

    def _tell(self) -> None:
        """Tells the command to end, once."""
        if not self._told and self._code is None:
            self._told = True
            self._kill(self._pid, signal.SIGTERM)
            self._kill(self._pid, signal.SIGCONT)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._code = os.waitstatus_to_exitcode(status)

    def _destroy(self) -> None:
        """Kills what is left, and what that leaves, until there is nothing."""
        if self._code is None:
            self._kill(self._pid, signal.SIGKILL)
        while True:
            # The group's number is free for others only when no process is in it.
            self._kill(-self._pid, signal.SIGKILL)
            children = _children()
            for pid in children:
                self._kill(pid, signal.SIGKILL)
            self._reap()
            if not children:
                return
            time.sleep(_PAUSE_S)

    @staticmethod
    def _kill(pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _say(self, line: str) -> None:
        try:
            os.write(self._report, line.encode() + b"\n")
        except OSError:
            # The launcher is gone; who is left to be told is nobody.
            pass


def _children() -> list[int]:
    """Processes whose parent this one is, zombies too."""
    me, found = os.getpid(), []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The name in parentheses may have spaces and parentheses itself.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == me:
            found.append(int(name))
    return found


if __name__ == "__main__":
    control, report, parent = (int(number) for number in sys.argv[1:4])
    os.set_inheritable(control, False)
    os.set_inheritable(report, False)
    Guard(control, report, parent, sys.argv[4:]).run()

"""Stands for a component of Airflow: says what it is given, and has a process that gets away.

Usage: component.py FILE [stubborn] [quiet]

It appends lines of JSON to FILE: `begin` with its environment, `end` when it is told to. It holds a
lock of the file beside FILE as long as a process of it lives, and says `overlap` if another does. A
stubborn one does not end when it is told to; a quiet one does not say that it is up. With
AIRFLOW__CORE__PARALLELISM=13 it fails at once.
"""

import fcntl
import json
import os
import signal
import sys
from pathlib import Path

from bellwether_airflow.announcing import announce

FILE = Path(sys.argv[1])
WORDS = sys.argv[2:]


def say(what: str) -> None:
    """Appends a line."""
    given = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW__")}
    line = {"what": what, "pid": os.getpid(), "launcher": os.environ.get("LAUNCHER")}
    line |= {"epoch": int(os.environ.get("BELLWETHER_EPOCH", "0")), "given": given}
    with FILE.open("a") as file:
        file.write(json.dumps(line) + "\n")


def main() -> int:
    """The program."""
    signal.signal(signal.SIGTERM, end)
    if os.environ.get("AIRFLOW__CORE__PARALLELISM") == "13":
        say("unlucky")
        return 13
    with open(f"{FILE}.{os.environ.get('ALONE', 'lock')}", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("overlap")
        if os.fork() == 0:
            # In a session of its own, and deaf: neither the group's end nor SIGTERM reaches it.
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                signal.pause()
        say("begin")
        if "quiet" not in WORDS:
            announce([os.environ["BELLWETHER_NOTIFY"]], kind="start")
        while True:
            signal.pause()


def end(*_: object) -> None:
    """The handler of SIGTERM."""
    if "stubborn" not in WORDS:
        say("end")
        sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())

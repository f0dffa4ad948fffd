"""A process that holds a lock: what `test_locks` starts, tells what to do, and kills.

Usage: holder.py HOSTS PATH WORK [FILE]

It says `waiting`, `held FENCE` and then, as the work has it: `lost REASON`, `checked REASON`,
`done`. Every line is written at once.
"""

import os
import sys
import time

from bellwether_airflow.locks import Lease, LeaseLost, ZooKeeperLock
from bellwether_airflow.settings import Settings

SESSION_TIMEOUT_S = 3.0
ROUNDS = 25


def say(*words: object) -> None:
    """A line for the test."""
    print(*words, flush=True)


def linger(lease: Lease) -> None:
    """Does nothing; the loss ends it."""
    time.sleep(600)


def deaf(lease: Lease) -> None:
    """Goes on whatever it is told, and however often."""
    while True:
        try:
            half_deaf(lease)
        except LeaseLost:
            pass


def half_deaf(lease: Lease) -> None:
    """Hears once; another loss may come while it speaks."""
    try:
        time.sleep(600)
    except LeaseLost as loss:
        say("lost", loss.reason)
        try:
            lease.check()
        except LeaseLost as again:
            say("checked", again.reason)


def rounds(hosts: str, path: str, marker: str) -> None:
    """Enters again and again; a file that only one may make tells whether it was alone."""
    for _ in range(ROUNDS):
        with ZooKeeperLock(path, Settings(hosts)) as lease:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            say("held", lease.check())
            os.unlink(marker)
    say("done")


def main() -> None:
    """The program."""
    hosts, path, work = sys.argv[1:4]
    if work == "rounds":
        rounds(hosts, path, sys.argv[4])
        return
    say("waiting")
    try:
        settings = Settings(hosts, session_timeout=SESSION_TIMEOUT_S)
        with ZooKeeperLock(path, settings) as lease:
            say("held", lease.fence)
            {"linger": linger, "deaf": deaf}[work](lease)
    except LeaseLost as loss:
        say("lost", loss.reason)


if __name__ == "__main__":
    main()

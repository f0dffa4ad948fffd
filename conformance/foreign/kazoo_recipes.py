"""Recipes of kazoo and of Bellwether's client at one path: their holders exclude each other.

    kazoo_recipes.py ADDRESS RECIPES_CHECK

RECIPES_CHECK is the program that takes part as `--hold KIND PATH`. A line per check; the last is
`N passed, N failed`.
"""

import subprocess
import sys
import threading

from kazoo.client import KazooClient

ADDRESS, PROGRAM = sys.argv[1], sys.argv[2]
WAIT = 10


class Ours:
    """A participant of ours in a process of its own."""

    def __init__(self, kind, path):
        self.process = subprocess.Popen(
            [PROGRAM, ADDRESS, "--hold", kind, path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.answer() == "ready"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(WAIT)

    def answer(self):
        return self.process.stdout.readline().strip()

    def send(self, word):
        self.process.stdin.write(word + "\n")

    def ask(self, word):
        self.send(word)
        return self.answer()


def lock_excludes(kazoo):
    lock = kazoo.Lock("/mixed/lock", "kazoo")
    with Ours("lock", "/mixed/lock") as ours:
        assert ours.ask("acquire") == "held"
        assert not lock.acquire(blocking=False), "kazoo has what ours holds"
        assert ours.ask("release") == "nothing"
        assert lock.acquire(timeout=WAIT)
        assert ours.ask("try") == "nothing", "ours has what kazoo holds"
        ours.send("acquire")
        while len(lock.contenders()) < 2:
            pass
        lock.release()
        assert ours.answer() == "held", "ours does not get what kazoo let go of"
        assert ours.ask("release") == "nothing"


def kazoo_waits_for_ours(kazoo):
    lock = kazoo.Lock("/mixed/wait", "kazoo")
    with Ours("lock", "/mixed/wait") as ours:
        assert ours.ask("acquire") == "held"
        got = threading.Event()
        thread = threading.Thread(target=lambda: lock.acquire(timeout=WAIT) and got.set())
        thread.start()
        while len(lock.contenders()) < 2:
            pass
        assert not got.is_set(), "kazoo did not wait"
        assert ours.ask("release") == "nothing"
        assert got.wait(WAIT), "kazoo does not get what ours let go of"
        thread.join()
        lock.release()


def readers_and_writers(kazoo):
    path = "/mixed/rwlock"
    read, write = kazoo.ReadLock(path, "kazoo"), kazoo.WriteLock(path, "kazoo")
    with Ours("rwlock", path) as ours:
        assert ours.ask("read") == "held"
        assert read.acquire(timeout=WAIT), "readers share"
        assert not write.acquire(blocking=False), "kazoo writes what ours reads"
        read.release()
        assert ours.ask("release") == "nothing"
        assert write.acquire(timeout=WAIT)
        assert ours.ask("read") == "nothing", "ours reads what kazoo writes"
        assert ours.ask("write") == "nothing", "ours writes what kazoo writes"
        write.release()
        assert ours.ask("write") == "held"
        assert not read.acquire(blocking=False), "kazoo reads what ours writes"
        assert ours.ask("release") == "nothing"


def election_has_one_leader(kazoo):
    path = "/mixed/election"
    election = kazoo.Election(path, "kazoo")
    with Ours("election", path) as ours:
        assert ours.ask("campaign") == "held"
        leads = threading.Event()
        go_on = threading.Event()
        thread = threading.Thread(
            target=election.run, args=(lambda: (leads.set(), go_on.wait(WAIT)),))
        thread.start()
        while election.contenders() != ["bellwether", "kazoo"]:
            pass
        assert not leads.is_set(), "two lead"
        assert ours.ask("release") == "nothing"
        assert leads.wait(WAIT), "kazoo does not lead after ours"
        ours.send("campaign")
        while election.contenders() != ["kazoo", "bellwether"]:
            pass
        go_on.set()
        assert ours.answer() == "held", "ours does not lead after kazoo"
        thread.join()


def queue_gives_an_item_to_one(kazoo):
    queue = kazoo.LockingQueue("/mixed/queue")
    with Ours("queue", "/mixed/queue") as ours:
        queue.put(b"theirs")
        assert ours.ask("take") == "item theirs"
        assert queue.get(timeout=0.2) is None, "kazoo has what ours holds"
        assert ours.ask("give-back") == "nothing"
        assert queue.get(timeout=WAIT) == b"theirs", "kazoo does not get what was given back"
        assert ours.ask("try") == "nothing", "ours has what kazoo holds"
        assert queue.consume()
        ours.ask("put ours")
        assert queue.get(timeout=WAIT) == b"ours"
        assert queue.release()
        assert ours.ask("take") == "item ours", "ours does not get what was released"
        assert ours.ask("done") == "nothing"
        assert len(queue) == 0


def counter_is_one(kazoo):
    counter = kazoo.Counter("/mixed/counter")
    with Ours("counter", "/mixed/counter") as ours:
        counter += 5
        assert ours.ask("add 37") == "42"
        counter -= 2
        assert counter.value == 40


def barrier_holds_both_up(kazoo):
    barrier = kazoo.Barrier("/mixed/barrier")
    with Ours("barrier", "/mixed/barrier") as ours:
        barrier.create()
        ours.send("wait")
        barrier.remove()
        assert ours.answer() == "passed"
        assert ours.ask("raise") == "up"
        assert not barrier.wait(0.2), "kazoo passes a barrier that ours raised"
        assert ours.ask("lower") == "down"
        assert barrier.wait(WAIT)


def double_barrier_opens_for_both(kazoo):
    path = "/mixed/double-barrier"
    kazoo.ensure_path(path)
    barrier = kazoo.DoubleBarrier(path, 2)
    with Ours("double-barrier", path) as ours:
        ours.send("enter 2")
        while not kazoo.get_children(path):
            pass
        barrier.enter()
        assert ours.answer() == "held"
        ours.send("leave")
        barrier.leave()
        assert ours.answer() == "nothing"


CHECKS = [
    lock_excludes,
    kazoo_waits_for_ours,
    readers_and_writers,
    election_has_one_leader,
    queue_gives_an_item_to_one,
    counter_is_one,
    barrier_holds_both_up,
    double_barrier_opens_for_both,
]


def main():
    kazoo = KazooClient(ADDRESS)
    kazoo.start()
    passed = failed = 0
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        try:
            check(kazoo)
        except Exception as problem:
            failed += 1
            print(f"FAIL {name}: {type(problem).__name__}: {problem}")
        else:
            passed += 1
            print(f"ok   {name}")
    kazoo.delete("/mixed", recursive=True)
    kazoo.stop()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

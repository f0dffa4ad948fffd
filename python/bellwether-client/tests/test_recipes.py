"""The recipes, of both kinds of clients.

Keeps true: one test is a test of both kinds; whoever has to wait at the same time is a thread with
a client of its own.
"""

import asyncio
import gc
import os
import pickle
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from bellwether import (
    AsyncClient,
    BadArgumentsError,
    BadVersionError,
    Client,
    ClosedError,
    ForkedClientError,
    LostError,
    NodeExistsError,
    NoNodeError,
    recipes,
)
from bellwether.recipes import (
    AsyncElection,
    AsyncGroup,
    AsyncLock,
    AsyncRegistry,
    AsyncSetting,
    AsyncSubtree,
    Ballot,
    Barrier,
    Claim,
    Claimed,
    Counter,
    DoubleBarrier,
    Election,
    Group,
    Instance,
    Lock,
    Once,
    Proposal,
    Queue,
    Registry,
    RwLock,
    Semaphore,
    Setting,
    Subtree,
    Tally,
    Worker,
    assign,
    moves,
    rendezvous,
)
from conftest import WAIT_S, Connect, Driven, run, until

T = TypeVar("T")


class DrivenRecipe(Driven):
    """A recipe of asyncio that looks like the one for threads."""

    def _driven(self, result: object) -> Any:
        if isinstance(result, tuple):
            return tuple(self._driven(item) for item in result)
        return DrivenRecipe(self._loop, result) if type(result).__name__[:5] == "Async" else result


def make(kind: type[T], session: Client, *arguments: Any, **keywords: Any) -> T:
    """A recipe for this kind of client."""
    if not isinstance(session, Driven):
        return cast(T, cast(Any, kind)(session, *arguments, **keywords))
    asyncio_kind = getattr(recipes, "Async" + kind.__name__)
    recipe = asyncio_kind(session._inner, *arguments, **keywords)
    return cast(T, DrivenRecipe(session._loop, recipe))


def open_subtree(session: Client, root: str) -> Subtree:
    """A subtree for this kind of client."""
    if not isinstance(session, Driven):
        return Subtree.open(session, root)
    opened = DrivenRecipe(session._loop, None)._call(AsyncSubtree.open, session._inner, root)
    return cast(Subtree, opened)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for those that wait."""
    with ThreadPoolExecutor(8) as executor:
        yield executor


class Cable:
    """A server's address whose connections can be cut, for good."""

    def __init__(self, hosts: str) -> None:
        host, port = hosts.split(":")
        self._server = (host, int(port))
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.hosts = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self._server)
            self._open += [near, far]
            for pair in (near, far), (far, near):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def cut(self) -> None:
        """Cuts what is open, and lets nothing through any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            end.shutdown(socket.SHUT_RDWR)


def cabled(connect: Connect, hosts: str) -> tuple[Client, Cable]:
    """A client of the fixture's kind that a test can cut off from its server."""
    cable = Cable(hosts)
    keywords: dict[str, Any] = {"session_timeout": 2.0, "connect_timeout": WAIT_S}
    kind = connect()
    if not isinstance(kind, Driven):
        return Client.connect(cable.hosts, **keywords), cable

    async def begin() -> AsyncClient:
        return await AsyncClient.connect(cable.hosts, **keywords)

    loop = kind._loop
    return cast(Client, Driven(loop, loop.run_until_complete(begin()))), cable


def test_two_clients_exclude_each_other_and_the_token_grows(
    connect: Connect, root: str, client: Client, pool: ThreadPoolExecutor
) -> None:
    mine = make(Lock, connect(), root + "/lock", data=b"mine")
    other = Lock(client, root + "/lock", data=b"other")
    with mine.acquire() as held:
        assert held.check() == held.fence > 0 and held.is_held
        assert other.try_acquire() is None
        waiting = pool.submit(other.acquire)
        until(lambda: len(mine.contenders()) == 2, "the contender")
        assert [one.data for one in mine.contenders()] == [b"mine", b"other"]
        assert held.path.startswith(root + "/lock/")
        assert not waiting.done()
    after = waiting.result(WAIT_S)
    assert after.check() > held.fence
    with pytest.raises(LostError) as lost:
        held.check()
    assert lost.value.reason == "released" and not held.is_held and held.path == ""
    assert held.lost() == "released"
    held.release()
    with pytest.raises(ClosedError):
        held.revocation_requested()
    after.release()
    free = mine.try_acquire()
    assert free is not None
    with free:
        assert mine.contenders()[0].fence == free.fence


def test_a_wait_that_is_given_up_leaves_the_line(
    connect: Connect, root: str, client: Client
) -> None:
    with Lock(client, root + "/lock").acquire():
        mine = make(Lock, connect(), root + "/lock")
        with pytest.raises(TimeoutError):
            mine.acquire(timeout=0.1)
        until(lambda: len(mine.contenders()) == 1, "an empty line")
        with pytest.raises(BadArgumentsError):
            mine.acquire(timeout=-1)


def test_a_signal_that_ends_the_wait_leaves_the_line(hosts: str, client: Client, root: str) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(*_arguments: object) -> None:
        raise Interrupted

    lock = Lock(client, root + "/lock")
    with lock.acquire(), Client.connect(hosts) as second:
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Interrupted):
                Lock(second, root + "/lock").acquire()
        finally:
            signal.signal(signal.SIGALRM, before)
        until(lambda: len(lock.contenders()) == 1, "an empty line")


def test_a_cancelled_future_leaves_the_line(hosts: str, client: Client, root: str) -> None:
    async def main() -> None:
        async with AsyncClient.connect(hosts) as session:
            lock = AsyncLock(session, root + "/lock")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(lock.acquire(), 0.2)
            waiting = asyncio.ensure_future(lock.acquire())
            while len(await lock.contenders()) < 2:
                await asyncio.sleep(0.01)
            waiting.cancel()
            while len(await lock.contenders()) > 1:
                await asyncio.sleep(0.01)
            assert waiting.cancelled()
            other.release()
            async with lock.acquire(timeout=WAIT_S) as held:
                assert held.is_held
            async with await lock.acquire() as again:
                assert again.check() > held.fence
            assert await lock.contenders() == []

    other = Lock(client, root + "/lock").acquire()
    run(main)


def test_what_is_collected_is_released_in_whatever_thread(
    connect: Connect, root: str, client: Client, pool: ThreadPoolExecutor
) -> None:
    box = [make(Lock, connect(), root + "/lock").acquire()]
    waiting = pool.submit(Lock(client, root + "/lock").acquire, WAIT_S)
    until(lambda: len(Lock(client, root + "/lock").contenders()) == 2, "the contender")
    held = box.pop()
    box.append(held)
    del held

    def collect() -> None:
        box.clear()
        gc.collect()

    pool.submit(collect).result(WAIT_S)
    waiting.result(WAIT_S).release()


def test_deletion_is_a_loss(connect: Connect, root: str, client: Client) -> None:
    held = make(Lock, connect(), root + "/lock").acquire()
    client.delete(held.path)
    assert held.lost(timeout=WAIT_S) == "deleted"
    with pytest.raises(LostError) as lost:
        held.check()
    assert lost.value.reason == "deleted" and not lost.value.maybe_happened
    held.release()


def test_the_end_of_the_session_is_a_loss(connect: Connect, root: str, client: Client) -> None:
    session = connect()
    with make(Lock, session, root + "/lock").acquire() as held:
        with pytest.raises(TimeoutError):
            held.lost(timeout=0.05)
        session.close()
        assert held.lost(timeout=WAIT_S) == "closed"
    until(lambda: Lock(client, root + "/lock").contenders() == [], "the server to know")


def test_silence_is_a_doubt_and_then_the_end(
    connect: Connect, hosts: str, root: str, pool: ThreadPoolExecutor, client: Client
) -> None:
    session, cable = cabled(connect, hosts)
    held = make(Lock, session, root + "/lock").acquire()
    certain_until = session.certain_until
    assert session.is_certain and certain_until is not None
    assert 0 < certain_until - time.monotonic() <= session.session_timeout * 2 / 3
    after = pool.submit(Lock(client, root + "/lock").acquire, WAIT_S)
    cable.cut()
    assert held.lost(timeout=WAIT_S) == "doubt"
    assert not session.is_certain and not held.is_held
    assert not after.done(), "nobody had it before this one had lost it"
    fence = after.result(WAIT_S).fence
    assert fence > held.fence
    until(lambda: session.state == "expired", "the end of the session")
    with pytest.raises(LostError) as lost:
        held.check()
    assert lost.value.reason == "expired" and session.certain_until is None
    held.release()


def test_a_holder_is_asked_to_let_go(connect: Connect, root: str, client: Client) -> None:
    lock = make(Lock, connect(), root + "/lock")
    assert lock.request_revocation() is False
    with lock.acquire() as held:
        with pytest.raises(TimeoutError):
            held.revocation_requested(timeout=0.05)
        assert Lock(client, root + "/lock").request_revocation() is True
        held.revocation_requested(timeout=WAIT_S)
        assert held.is_held


def test_readers_share_and_a_writer_does_not(
    connect: Connect, root: str, client: Client
) -> None:
    mine = make(RwLock, connect(), root + "/lock", data=b"mine")
    other = RwLock(client, root + "/lock")
    with mine.read() as reading, other.read(timeout=WAIT_S):
        assert mine.try_write() is None
        assert [one.data for one in mine.contenders()] == [b"mine", b""]
        assert other.request_revocation()
        reading.revocation_requested(timeout=WAIT_S)
        with pytest.raises(TimeoutError):
            mine.write(timeout=0.05)
    with mine.write(timeout=WAIT_S):
        assert other.try_read() is None
    shared = mine.try_read()
    assert shared is not None
    shared.release()


def test_so_many_have_a_lease(connect: Connect, root: str, client: Client) -> None:
    mine = make(Semaphore, connect(), root + "/leases", 2, data=b"mine")
    other = Semaphore(client, root + "/leases", 2)
    with mine.acquire(), other.acquire(timeout=WAIT_S):
        assert mine.try_acquire() is None and len(other.contenders()) == 2
        with pytest.raises(TimeoutError):
            mine.acquire(timeout=0.05)
    one = mine.try_acquire()
    assert one is not None
    one.release()
    with pytest.raises(BadArgumentsError):
        make(Semaphore, connect(), root + "/none", 0)


def test_an_observer_sees_the_leader_change(
    connect: Connect, root: str, client: Client, pool: ThreadPoolExecutor
) -> None:
    mine = make(Election, connect(), root + "/leader")
    other = Election(client, root + "/leader")
    with make(Election, connect(), root + "/leader").observe() as watch:
        assert watch.next(WAIT_S) is None
        with mine.campaign(b"mine") as office:
            leader = watch.next(WAIT_S)
            assert leader is not None and (leader.data, leader.fence) == (b"mine", office.check())
            assert mine.leader() == leader
            campaign = pool.submit(other.campaign, b"other", WAIT_S)
            until(lambda: len(mine.candidates()) == 2, "the candidate")
            with pytest.raises(TimeoutError):
                watch.next(0.05)
            assert office.is_held
        assert office.lost() == "released"
        second = campaign.result(WAIT_S)
        leader = watch.next(WAIT_S)
        while leader is None:
            leader = watch.next(WAIT_S)
        assert leader.data == b"other" and second.fence > office.fence
        with pytest.raises(TimeoutError):
            mine.campaign(timeout=0.05)
        second.resign()
        second.resign()
        seen = next(watch)
        while seen is not None:
            seen = next(watch)
    assert list(watch) == []


def test_a_group_tells_who_comes_and_goes(connect: Connect, root: str, client: Client) -> None:
    mine = make(Group, connect(), root + "/group")
    with mine.join(b"mine") as membership:
        assert membership.is_certain
        watch = make(Group, connect(), root + "/group").watch()
        first = watch.next(WAIT_S)
        assert (first.kind, first.member.data) == ("joined", b"mine")
        assert first.member.name == membership.name
        with Group(client, root + "/group").join(b"other"):
            joined = next(watch)
            assert (joined.kind, joined.member.data) == ("joined", b"other")
            assert joined.member.session == client.session_id
            membership.update(b"still mine")
            updated = next(watch)
            assert (updated.kind, updated.member.data) == ("updated", b"still mine")
            assert [member.data for member in mine.members()] == [b"still mine", b"other"]
        assert next(watch).kind == "left"
    assert not membership.is_certain
    with pytest.raises(ClosedError):
        membership.update(b"gone")
    left = next(watch)
    assert (left.kind, left.member.name) == ("left", membership.name)
    watch.close()
    assert list(watch) == []
    assert mine.members() == []


def test_a_subtree_is_a_mapping_that_follows(connect: Connect, root: str, client: Client) -> None:
    client.create(root + "/a/b", b"1", makepath=True)
    with open_subtree(connect(), root) as subtree:
        before = subtree.snapshot()
        assert before.is_settled and len(before) == 3
        assert list(before) == before.keys() == [root, root + "/a", root + "/a/b"]
        assert before[root + "/a/b"].data == b"1" and root + "/a" in before and 7 not in before
        assert before.get(root + "/c") is None
        assert dict(before.items())[root + "/a/b"] == before.values()[2]
        assert list(before.children(root)) == ["a"]
        with pytest.raises(KeyError):
            before[root + "/c"]
        watch = subtree.watch()
        changes, now = watch.next(WAIT_S)
        assert [change.kind for change in changes] == ["added"] * 3 and now.keys() == before.keys()
        client.set(root + "/a/b", b"2")
        (changed,), now = next(watch)
        assert (changed.kind, changed.path, changed.node.data) == ("changed", root + "/a/b", b"2")
        assert changed.before == before[root + "/a/b"]
        client.delete(root + "/a/b")
        until(lambda: root + "/a/b" not in subtree.snapshot(), "the deletion")
        kinds = [change.kind for change in subtree.snapshot().changes_since(before)]
        assert kinds == ["removed"]
        assert before[root + "/a/b"].data == b"1", "a snapshot does not change"
    with pytest.raises(ClosedError):
        subtree.snapshot()


@pytest.mark.parametrize(
    ("kind", "values", "stored"),
    [
        (str, ["grün", ""], "grün"),
        (bytes, [b"\xff", b""], None),
        (int, [-5, 7], "-5"),
        (float, [0.5, 2.0], "0.5"),
        (bool, [True, False], "true"),
        ("json", [{"b": [1, None], "a": "ü"}, 3], '{"a":"ü","b":[1,null]}'),
    ],
)
def test_a_setting_holds_its_type(
    connect: Connect, root: str, client: Client, kind: Any, values: list[Any], stored: str | None
) -> None:
    setting: Setting[Any] = make(Setting, connect(), root + "/setting", kind)
    assert setting.get() is None
    for version, value in enumerate(values):
        assert setting.set(value) == version
        reading = setting.get()
        assert reading is not None and reading.problem is None
        assert (reading.value, type(reading.value)) == (value, type(value))
        assert reading.version == version and reading.set_ms > 0
    assert [earlier.value for earlier in setting.earlier()] == values[:1]
    assert setting.roll_back() == 2
    if stored is not None:
        assert client.get(root + "/setting")[0].decode() == stored
    with pytest.raises((TypeError, ValueError)):
        setting.set(object())


def test_a_setting_is_followed_and_rolled_back(
    connect: Connect, root: str, client: Client
) -> None:
    setting: Setting[int] = make(Setting, connect(), root + "/limit", int, keep=2)
    with setting.watch() as watch:
        assert watch.next(WAIT_S) is None
        assert setting.set_first(100) == 0
        with pytest.raises(NodeExistsError) as refused:
            setting.set_first(1)
        assert refused.value.path == root + "/limit"
        seen = next(watch)
        assert seen is not None and (seen.value, seen.version) == (100, 0)
        assert setting.set_if(200, 0) == 1
        with pytest.raises(BadVersionError):
            setting.set_if(300, 0)
        assert setting.roll_back() == 2
        reading = setting.get()
        assert reading is not None and reading.value == 100
        assert setting.roll_back_to(1) == 3
        with pytest.raises(NoNodeError):
            setting.roll_back_to(0)
        client.set(root + "/limit", b"many")
        while (seen := next(watch)) is not None and seen.problem is None:
            assert seen.value in (100, 200)
        assert seen is not None and seen.problem is not None and "many" in seen.problem
        with pytest.raises(ValueError, match="many"):
            print(seen.value)
    with pytest.raises(OverflowError):
        setting.set(1 << 63)
    with pytest.raises(TypeError):
        make(Setting, connect(), root + "/limit", list)


def test_a_ballot_is_decided_by_more_than_half(
    connect: Connect, root: str, client: Client
) -> None:
    mine = make(Ballot, connect(), root + "/votes/upgrade")
    with pytest.raises(NoNodeError):
        mine.vote("a", "yes")
    proposal = Proposal("upgrade?", 3, 60.0)
    mine.propose(proposal)
    with pytest.raises(NodeExistsError):
        mine.propose(proposal)
    assert mine.proposal() == proposal
    assert mine.vote("a", "yes").tally == Tally(1, 0)
    again = mine.vote("a", "no")
    assert (again.kind, again.vote) == ("voted-before", "yes")
    assert mine.outcome() is None and mine.tally() == Tally(1, 0)
    with pytest.raises(TimeoutError):
        mine.result(timeout=0.05)
    with pytest.raises(BadArgumentsError):
        mine.vote("b", cast(Any, "perhaps"))
    assert Ballot(client, root + "/votes/upgrade").vote("b", "yes").kind == "counted"
    outcome = mine.result(timeout=WAIT_S)
    assert (outcome.verdict, outcome.tally) == ("accepted", Tally(2, 0))
    closed = mine.vote("c", "no")
    assert (closed.kind, closed.outcome) == ("closed", outcome) and mine.outcome() == outcome
    late = make(Ballot, connect(), root + "/votes/late")
    late.propose(Proposal("now?", 1, 0.05))
    assert late.result(timeout=WAIT_S).verdict == "expired"


def test_services_are_registered_found_and_chosen(
    connect: Connect, root: str, client: Client
) -> None:
    registry = make(Registry, connect(), root + "/services")
    plain = Instance("one", "10.0.0.1", 80, weight=2, metadata={"zone": "b"})
    with registry.register("orders", plain) as registration:
        one = registration.instance
        said = (one.id, one.address, one.port, one.weight, one.health, one.metadata)
        assert said == ("one", "10.0.0.1", 80, 2, "up", {"zone": "b"})
        assert one.registered_ms > 1_600_000_000_000 and registry.services() == ["orders"]
        with pytest.raises(NodeExistsError):
            Registry(client, root + "/services").register("orders", one)
        with registry.discover("orders") as discovery:
            watch = discovery.watch()
            assert watch.next(WAIT_S) == [one] == discovery.instances()
            two = Registry(client, root + "/services").register(
                "orders", Instance("two", "10.0.0.2", 80)
            )
            assert [instance.id for instance in next(watch)] == ["one", "two"]
            first = discovery.choose_for(b"key")
            assert first is not None
            for _ in range(3):
                with discovery.choose_for(b"key") or pytest.fail("nobody") as choice:
                    assert choice.instance == first.instance
            first.failed()
            other = discovery.choose_for(b"key")
            assert other is not None and other.instance.id != first.instance.id
            other.succeeded()
            registration.set_health("draining")
            assert registration.instance.health == "draining"
            assert [instance.health for instance in next(watch)] == ["draining", "up"]
            chosen = discovery.choose()
            assert chosen is not None and chosen.instance.id == "two"
            two.unregister()
            assert [instance.id for instance in next(watch)] == ["one"]
            assert discovery.choose() is None
            registration.update(Instance("another", "10.0.0.3", 81))
            assert registration.instance.id == "one"
            assert next(watch)[0].address == "10.0.0.3"
        with pytest.raises(ClosedError):
            discovery.choose()
        assert list(watch) == []
    with pytest.raises(ClosedError):
        registration.set_health("up")
    with pytest.raises(BadArgumentsError):
        registry.register("orders", Instance("x", "h", 1, health=cast(Any, "ill")))


def test_a_barrier_holds_others_up(
    connect: Connect, root: str, client: Client, pool: ThreadPoolExecutor
) -> None:
    mine = make(Barrier, connect(), root + "/barrier")
    mine.wait(timeout=WAIT_S)
    mine.raise_()
    assert mine.is_raised()
    with pytest.raises(TimeoutError):
        mine.wait(timeout=0.05)
    waiting = pool.submit(Barrier(client, root + "/barrier").wait, WAIT_S)
    mine.lower()
    waiting.result(WAIT_S)
    assert not mine.is_raised()


def test_participants_begin_and_end_together(
    connect: Connect, root: str, client: Client, pool: ThreadPoolExecutor
) -> None:
    mine = make(DoubleBarrier, connect(), root + "/step", identifier=b"mine")
    with pytest.raises(TimeoutError):
        mine.enter(2, timeout=0.05)
    until(lambda: mine.participants() == [], "this one to go away")
    entering = pool.submit(DoubleBarrier(client, root + "/step").enter, 2, WAIT_S)
    with mine.enter(2, timeout=WAIT_S) as inside:
        other = entering.result(WAIT_S)
        assert inside.is_held and inside.check() > 0 and len(mine.participants()) == 2
        leaving = pool.submit(other.leave)
    leaving.result(WAIT_S)
    assert mine.participants() == [] and inside.lost() == "released"
    inside.leave()


def test_an_entry_is_worked_on_by_one_until_it_is_done(
    connect: Connect, root: str, client: Client
) -> None:
    mine = make(Queue, connect(), root + "/queue")
    other = Queue(client, root + "/queue")
    assert mine.try_take() is None and mine.is_empty()
    with pytest.raises(TimeoutError):
        mine.take(timeout=0.05)
    other.put_all([b"2", b"3"])
    mine.put(b"1", priority=5)
    with pytest.raises(BadArgumentsError):
        mine.put(b"x", priority=1000)
    with mine.take(timeout=WAIT_S) as item:
        assert (item.data, item.priority, item.attempt) == (b"1", 5, 1)
        assert item.check() == item.fence and item.is_held and item.name
        second = other.take(timeout=WAIT_S)
        assert second.data == b"2" and mine.len() == 3
    again = other.take(timeout=WAIT_S)
    assert (again.data, again.attempt) == (b"1", 2) and again.fence > item.fence
    again.done()
    with pytest.raises(ClosedError):
        again.done()
    again.give_back()
    second.done()
    third = mine.try_take()
    assert third is not None and third.data == b"3"
    client.delete(root + "/queue", recursive=True)
    assert third.lost(timeout=WAIT_S) == "deleted"
    with pytest.raises(NoNodeError):
        third.done()
    mine.put(b"4")
    short = make(Queue, connect(), root + "/queue", lease=0.2).take(timeout=WAIT_S)
    assert short.lost(timeout=WAIT_S) == "time-over"
    other.take(timeout=WAIT_S).done()


def test_a_counter_counts(connect: Connect, root: str, client: Client) -> None:
    mine = make(Counter, connect(), root + "/counter")
    assert mine.get() == 0 and mine.add(5) == 5
    assert Counter(client, root + "/counter", exact=True).add(-7) == -2
    assert mine.compare_and_set(-2, 1) is True and mine.compare_and_set(-2, 3) is False
    assert make(Counter, connect(), root + "/counter", exact=True).get() == 1


def test_a_key_is_claimed_once(connect: Connect, root: str, client: Client) -> None:
    mine = make(Once, connect(), root + "/sent", owner="mine")
    other = Once(client, root + "/sent")
    assert mine.claim("key") == Claimed("first", None, None, None) == mine.claim("key")
    already = other.claim("key")
    assert (already.kind, already.by, already.result) == ("already", "mine", None)
    assert already.when_ms is not None and already.when_ms > 0
    assert mine.result("key") is None and not other.done("key", b"theirs")
    assert mine.done("key", b"\xff") and other.result("key") == b"\xff"
    assert other.claim("key").result == b"\xff"
    assert mine.sweep(3600.0) == 0
    with pytest.raises(BadArgumentsError):
        mine.claim("a/b")


def test_a_claim_lasts_for_its_time(
    connect: Connect, root: str, client: Client, pool: ThreadPoolExecutor
) -> None:
    mine = make(Claim, connect(), root + "/claim", owner="mine")
    other = Claim(client, root + "/claim", owner="other")
    assert mine.claimant() is None
    with other.take(60.0) as tenure:
        assert tenure.check() == tenure.fence and tenure.is_held
        assert mine.try_take(60.0) is None
        with pytest.raises(TimeoutError):
            mine.take(60.0, timeout=0.05)
        claimant = mine.claimant()
        assert claimant is not None and claimant.owner == "other"
        deadline_ms = tenure.deadline_ms
        assert claimant.deadline_ms == deadline_ms and deadline_ms is not None
        lost = pool.submit(tenure.lost)
        until(lambda: tenure.renew(90.0), "the renewal beside one that waits for the loss")
        assert tenure.deadline_ms is not None and tenure.deadline_ms > deadline_ms
        assert not lost.done()
    assert lost.result(WAIT_S) == "released" and tenure.deadline_ms is None
    short = mine.take(0.2, timeout=WAIT_S)
    assert short.fence > tenure.fence
    assert short.lost(timeout=WAIT_S) == "time-over"
    with pytest.raises(LostError):
        short.check()
    other.take(60.0, timeout=WAIT_S).release()
    with pytest.raises(ClosedError):
        tenure.renew(1.0)


def test_a_session_is_kept_certain(connect: Connect, client: Client) -> None:
    session = connect(session_timeout=2.0)
    until(lambda: not session.is_certain, "the first doubt of a session that only pings")
    session.confirm()
    first = session.certain_until
    assert session.is_certain and first is not None
    with session.keep_certain():
        until(lambda: time.monotonic() > first, "the moment")
        assert session.is_certain
    until(lambda: not session.is_certain, "the doubt")


def test_partitions_are_assigned_by_exact_quota() -> None:
    four = [Worker(f"worker-{number}") for number in range(4)]
    before = assign(1024, four)
    after = assign(1024, [*four, Worker("worker-4")], before)
    assert moves(before, after) == 204
    assert sorted(after.count(f"worker-{number}") for number in range(5)) == [204] + [205] * 4
    assert rendezvous(b"a", [*four, Worker("worker-4")]) == Worker("worker-3")
    assert rendezvous(b"a", [Worker("idle", weight=0)]) is None
    assert assign(2, []) == [None, None]


def test_operations_that_go_on(connect: Connect, root: str) -> None:
    retrying = connect().retrying
    if type(retrying).__name__[:5] == "Async":
        retrying = cast(Any, DrivenRecipe(connect()._loop, retrying))  # type: ignore[attr-defined]
    created = retrying.create(root + "/n-", b"1", ephemeral=True, sequential=True)
    assert created.path.startswith(root + "/_c_") and retrying.get(created.path)[0] == b"1"
    assert retrying.set(created.path, b"2", 0).version == 1
    with pytest.raises(BadVersionError) as refused:
        retrying.set(created.path, b"3", 0)
    assert refused.value.path == created.path
    retrying.ensure_path(root + "/x/y")
    assert retrying.exists(root + "/x/y") is not None and retrying.children(root + "/x") == ["y"]
    retrying.delete(created.path)
    retrying.sync()
    assert retrying.exists(created.path) is None


def test_a_forked_child_uses_nothing_of_its_parents(client: Client, root: str) -> None:
    lock = Lock(client, root + "/lock")
    held = lock.acquire()
    watch = Group(client, root + "/group").watch()
    subtree = Subtree.open(client, root)
    registry = Registry(client, root + "/services")
    registration = registry.register("orders", Instance("one", "h", 1))
    discovery = registry.discover("orders")
    until(lambda: discovery.instances() != [], "the instance")
    choice = discovery.choose()
    assert choice is not None
    forbidden: list[Callable[[], object]] = [
        lock.acquire,
        held.check,
        held.release,
        lambda: held.is_held,
        lambda: next(watch),
        subtree.snapshot,
        registration.unregister,
        discovery.choose,
        choice.succeeded,
        lambda: client.certain_until,
        lambda: client.retrying,
        lambda: Election(client, root),
    ]
    child = os.fork()
    if child == 0:
        refused = 0
        for use in forbidden:
            try:
                use()
            except ForkedClientError:
                refused += 1
        del held, watch, subtree, registration, discovery, choice
        gc.collect()
        os._exit(100 + refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 100 + len(forbidden)
    assert held.is_held and len(lock.contenders()) == 1
    held.release()


def test_what_is_entered_is_let_go_of_by_asyncio_too(hosts: str, root: str) -> None:
    async def main() -> None:
        async with AsyncClient.connect(hosts) as session:
            group = AsyncGroup(session, root + "/group")
            async with group.join(b"me") as membership, group.watch() as watch:
                async for change in watch:
                    assert change.member.name == membership.name
                    break
                async with AsyncElection(session, root + "/leader").campaign(b"me") as office:
                    assert office.check() == office.fence
                    lost = asyncio.ensure_future(office.lost())
                assert await lost == "released"
            assert await group.members() == []
            registry = AsyncRegistry(session, root + "/services")
            async with registry.register("s", Instance("i", "h", 1)):
                async with registry.discover("s") as discovery, discovery.watch() as found:
                    assert [one.id for one in await found.next(WAIT_S)] == ["i"]
            async with AsyncSubtree.open(session, root) as subtree:
                assert root in subtree.snapshot()
            setting = AsyncSetting(session, root + "/setting", float)
            await setting.set(0.5)
            async for reading in setting.watch():
                assert reading is not None and reading.value == 0.5
                break

    run(main)


def test_values_are_compared_shown_and_pickled() -> None:
    one = Instance("one", "h", 1)
    assert one == pickle.loads(pickle.dumps(one)) and hash(one) == hash(Instance("one", "h", 1))
    assert repr(Tally(1, 2)) == "Tally(yes=1, no=2)"
    assert repr(Worker("w")) == "Worker(id='w', weight=1)" and Worker("w") != Worker("w", 2)


def test_a_client_of_the_other_kind_is_refused(client: Client) -> None:
    with pytest.raises(TypeError, match="AsyncClient"):
        AsyncLock(cast(Any, client), "/lock")


PAGES = sorted((Path(__file__).parents[3] / "docs" / "recipes").glob("*.md"))


@pytest.mark.parametrize("page", [page.stem for page in PAGES if page.stem != "README"])
def test_the_example_of_a_page_runs(page: str, hosts: str, client: Client, root: str) -> None:
    text = (PAGES[0].parent / (page + ".md")).read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    calls: list[str] = []

    def name(word: str) -> Callable[..., None]:
        return lambda *_arguments: calls.append(word)

    with Client.connect(hosts + root) as below:
        words: dict[str, Any] = {"client": below, "last": [], "print": name("print")}
        stubs = "write_report search rebuild export apply call work step"
        for word in stubs.split():
            words[word] = name(word)
        below.create("/config/limit", b"1", makepath=True)

        def plan_once(_fence: int) -> None:
            # The leader of the example leads until it does not.
            leader = "/services/planner/leader"
            if below.exists(leader) is not None:
                below.delete(leader, recursive=True)

        words["plan_once"] = plan_once
        words["participants"] = 1
        words["send"] = lambda *_arguments: b"sent"
        exec(compile(example, page, "exec"), words)
    assert calls or page in ("assignment", "barrier", "counter", "queue")
    assert page != "assignment" or words["owners"].count("b") > words["owners"].count("a")

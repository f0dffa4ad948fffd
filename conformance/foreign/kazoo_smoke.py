#!/usr/bin/env python3
"""What a Python program expects of a server: one check per line, and the counts at the end.

Usage: kazoo_smoke.py HOST:PORT [--restart]

With --restart the script prints the line RESTART when it wants the server restarted on the same
port and directory, and waits for a line on its standard input that says it was.
Keeps true: every check works below a node of its own, waits for states and never for a time, and
passes against Apache ZooKeeper. Leaves to the caller which server it is.
"""

import logging
import re
import socket
import sys
import threading
import time
import traceback
import uuid

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    InvalidACLError,
    NoAuthError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
)
from kazoo.protocol.serialization import Connect, Create, int_int_struct, int_struct
from kazoo.protocol.states import EventType, KazooState, KeeperState
from kazoo.security import ACL, OPEN_ACL_UNSAFE, Id, Permissions, make_digest_acl

WAIT_S = 20.0
CHECKS = []


def check(function):
    """Adds a check to the table; its name is the claim."""
    CHECKS.append((function.__name__.replace("_", " "), function))
    return function


class Context:
    """The server under test, and the clients of one check, which are closed at its end."""

    def __init__(self, hosts):
        self.hosts = hosts
        self.clients = []
        self.root = "/smoke-" + uuid.uuid4().hex

    def client(self, timeout=10.0, **options):
        """A started client."""
        client = KazooClient(hosts=self.hosts, timeout=timeout, **options)
        self.clients.append(client)
        client.start(timeout=WAIT_S)
        return client

    def address(self):
        """Where a plain socket connects."""
        host, port = self.hosts.split(":")
        return host, int(port)

    def home(self, client):
        """A node for this check alone."""
        client.ensure_path(self.root)
        return self.root

    def close(self):
        """Ends every session of the check."""
        for client in self.clients:
            client.stop()
            client.close()


class Events:
    """A watch that remembers what it was told."""

    def __init__(self):
        self.seen = []
        self.arrived = threading.Condition()

    def __call__(self, event):
        with self.arrived:
            self.seen.append(event)
            self.arrived.notify_all()

    def expect(self, kind, path):
        """Waits for the first event and holds it against what is expected."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.seen, WAIT_S), f"no {kind} for {path}"
        assert (self.seen[0].type, self.seen[0].path) == (kind, path), self.seen


def exchange(stream, request):
    """Sends one frame and reads one."""
    stream.sendall(int_struct.pack(len(request)) + request)
    (length,) = int_struct.unpack(stream.recv(4, socket.MSG_WAITALL))
    return stream.recv(length, socket.MSG_WAITALL)


def until(state, what):
    """Waits for a state that nobody announces."""
    deadline = time.monotonic() + WAIT_S
    while not state():
        assert time.monotonic() < deadline, "waited in vain for " + what
        time.sleep(0.02)


def refused(error, call, *arguments, **options):
    """The call must fail with exactly this error."""
    try:
        call(*arguments, **options)
    except error:
        return
    raise AssertionError(f"{call.__name__}{arguments} was not refused with {error.__name__}")


@check
def a_session_starts_and_ends(context):
    client = context.client()
    session, password = client.client_id
    assert client.connected and session != 0 and len(password) == 16, client.client_id
    client.stop()
    assert client.state == KazooState.LOST, client.state


@check
def four_letter_words_are_answered(context):
    client = context.client()
    assert client.command(b"ruok") == "imok"
    assert client.command(b"isro") == "rw"
    version = re.match(r"Zookeeper version: (\d+\.\d+\.\d+)-", client.command(b"srvr"))
    assert version and version[1] == "3.9.5", version


@check
def a_session_moves_to_another_connection(context):
    first = context.client()
    home = context.home(first)
    session = first.client_id
    first.create(home + "/e", b"", ephemeral=True)
    second = context.client(client_id=session)
    assert second.client_id == session, second.client_id
    assert second.exists(home + "/e").ephemeralOwner == session[0]


@check
def a_wrong_password_gets_a_session_of_its_own(context):
    first = context.client()
    session = first.client_id[0]
    thief = context.client(client_id=(session, b"x" * 16))
    assert thief.client_id[0] != session
    assert first.exists("/") is not None and first.client_id[0] == session


@check
def nodes_are_created_read_changed_and_deleted(context):
    client = context.client()
    home = context.home(client)
    path, stat = client.create(home + "/n", b"one", include_data=True)
    assert (path, stat.version, stat.data_length) == (home + "/n", 0, 3), (path, stat)
    data, stat = client.get(path)
    assert (data, stat.version, stat.czxid) == (b"one", 0, stat.mzxid), (data, stat)
    stat = client.set(path, b"three", version=0)
    assert (stat.version, stat.data_length) == (1, 5), stat
    assert stat.mzxid > stat.czxid and stat.pzxid == stat.czxid, stat
    refused(BadVersionError, client.set, path, b"", version=0)
    refused(NodeExistsError, client.create, path)
    refused(BadVersionError, client.delete, path, version=0)
    client.delete(path, version=1)
    refused(NoNodeError, client.get, path)
    refused(NoNodeError, client.create, home + "/a/b")
    assert client.exists(path) is None


@check
def children_are_listed_and_protect_their_parent(context):
    client = context.client()
    home = context.home(client)
    for name in ("b", "a", "c"):
        client.create(f"{home}/{name}")
    children, stat = client.get_children(home, include_data=True)
    assert sorted(children) == ["a", "b", "c"] and stat.numChildren == 3, (children, stat)
    assert stat.cversion == 3, stat
    refused(NotEmptyError, client.delete, home)
    client.delete(home, recursive=True)
    assert client.exists(home) is None


@check
def sequential_names_count_up_under_their_parent(context):
    client = context.client()
    home = context.home(client)
    names = [client.create(home + "/s-", sequence=True) for _ in range(3)]
    assert [name[-10:] for name in names] == ["0000000000", "0000000001", "0000000002"], names
    client.delete(names[2])
    assert client.create(home + "/t", sequence=True).endswith("t0000000003")


@check
def an_ephemeral_node_ends_with_its_session(context):
    owner, other = context.client(), context.client()
    home = context.home(owner)
    owner.create(home + "/e", b"", ephemeral=True)
    stat = other.exists(home + "/e")
    assert stat.ephemeralOwner == owner.client_id[0], stat
    gone = Events()
    assert other.exists(home + "/e", watch=gone)
    owner.stop()
    gone.expect(EventType.DELETED, home + "/e")
    assert other.exists(home + "/e") is None


@check
def a_silent_session_expires_and_loses_its_nodes(context):
    other = context.client()
    path = context.home(other) + "/e"
    with socket.create_connection(context.address(), timeout=WAIT_S) as silent:
        # A session of the shortest timeout that the server grants; nothing ever pings for it.
        exchange(silent, Connect(0, 0, 1, 0, b"\0" * 16, False).serialize())
        create = Create(path, b"", OPEN_ACL_UNSAFE, 1)
        exchange(silent, int_int_struct.pack(1, Create.type) + create.serialize())
        gone = Events()
        assert other.exists(path, watch=gone).ephemeralOwner != 0
        gone.expect(EventType.DELETED, path)


@check
def a_data_watch_fires_once(context):
    client, other = context.client(), context.client()
    path = context.home(client) + "/n"
    client.create(path)
    changed = Events()
    client.get(path, watch=changed)
    other.set(path, b"1")
    changed.expect(EventType.CHANGED, path)
    other.set(path, b"2")
    client.sync(path)
    assert client.get(path)[0] == b"2"
    assert len(changed.seen) == 1, changed.seen


@check
def an_exists_watch_sees_creation_and_deletion(context):
    client, other = context.client(), context.client()
    path = context.home(client) + "/n"
    created, deleted = Events(), Events()
    assert client.exists(path, watch=created) is None
    other.create(path)
    created.expect(EventType.CREATED, path)
    assert client.exists(path, watch=deleted)
    other.delete(path)
    deleted.expect(EventType.DELETED, path)


@check
def a_child_watch_sees_a_child_and_not_its_data(context):
    client, other = context.client(), context.client()
    home = context.home(client)
    other.create(home + "/a")
    changed = Events()
    client.get_children(home, watch=changed)
    other.set(home + "/a", b"x")
    client.sync(home)
    assert not changed.seen, changed.seen
    other.create(home + "/b")
    changed.expect(EventType.CHILD, home)


@check
def a_data_watch_recipe_follows_every_change(context):
    client, other = context.client(), context.client()
    path = context.home(client) + "/n"
    client.create(path, b"0")
    seen = []
    client.DataWatch(path, lambda data, stat: seen.append(data))
    until(lambda: seen == [b"0"], "the first value")
    other.set(path, b"1")
    until(lambda: seen[-1] == b"1", "the second value")
    other.delete(path)
    until(lambda: seen[-1] is None, "the deletion")


@check
def a_transaction_is_all_or_nothing(context):
    client = context.client()
    home = context.home(client)
    good = client.transaction()
    good.create(home + "/a", b"1")
    good.set_data(home + "/a", b"2")
    good.check(home + "/a", 1)
    assert not [r for r in good.commit() if isinstance(r, Exception)]
    assert client.get(home + "/a")[0] == b"2"
    bad = client.transaction()
    bad.create(home + "/b")
    bad.delete(home + "/missing")
    results = bad.commit()
    assert [type(r) for r in results] == [RolledBackError, NoNodeError], results
    assert client.exists(home + "/b") is None


@check
def a_digest_acl_keeps_others_out(context):
    client = context.client()
    path = context.home(client) + "/secret"
    acl = make_digest_acl("user", "password", all=True)
    client.create(path, b"s", acl=[acl])
    refused(NoAuthError, client.get, path)
    refused(NoAuthError, client.set, path, b"")
    client.add_auth("digest", "user:password")
    assert client.get(path)[0] == b"s"
    acls, stat = client.get_acls(path)
    assert acls == [acl] and stat.aversion == 0, (acls, stat)
    client.set_acls(path, [acl], version=0)
    assert client.get_acls(path)[1].aversion == 1
    nobody = [ACL(Permissions.ALL, Id("nonsense", "x"))]
    refused(InvalidACLError, client.create, path + "/x", b"", acl=nobody)


@check
def a_client_that_presents_credentials_at_start_is_let_in(context):
    owner = context.client(auth_data=[("digest", "me:pw")])
    path = context.home(owner) + "/mine"
    owner.create(path, b"", acl=[make_digest_acl("me", "pw", all=True)])
    friend = context.client(auth_data=[("digest", "me:pw")])
    assert friend.get(path)[0] == b""


@check
def a_chroot_hides_the_path_above(context):
    client = context.client()
    home = context.home(client)
    inner = KazooClient(hosts=context.hosts + home)
    context.clients.append(inner)
    inner.start(timeout=WAIT_S)
    assert inner.create("/n", b"x") == "/n"
    assert client.get(home + "/n")[0] == b"x"


@check
def large_data_and_many_children_come_back_whole(context):
    client = context.client()
    home = context.home(client)
    data = bytes(range(256)) * 3900
    client.create(home + "/large", data)
    assert client.get(home + "/large")[0] == data
    waiting = [client.create_async(f"{home}/many-{number:05}") for number in range(2000)]
    for result in waiting:
        result.get(timeout=WAIT_S)
    assert len(client.get_children(home)) == 2001


@check
def replies_come_in_the_order_of_the_requests(context):
    client = context.client()
    path = context.home(client) + "/n"
    client.create(path)
    order = []
    for number in range(100):
        client.set_async(path, str(number).encode())
        read = client.get_async(path)
        read.rawlink(lambda result: order.append(int(result.get()[0])))
    until(lambda: len(order) == 100, "a hundred replies")
    assert order == list(range(100)), order


@check
def a_lock_has_one_holder_among_two(context):
    first, second = context.client(), context.client()
    path = context.home(first) + "/lock"
    held = first.Lock(path, "first")
    assert held.acquire(timeout=WAIT_S)
    contender = second.Lock(path, "second")
    assert not contender.acquire(blocking=False)
    got = threading.Event()

    def wait_for_it():
        with contender:
            got.set()

    thread = threading.Thread(target=wait_for_it, daemon=True)
    thread.start()
    until(lambda: held.contenders() == ["first", "second"], "the second contender")
    assert not got.is_set()
    held.release()
    assert got.wait(WAIT_S), "the lock was not handed over"
    thread.join(WAIT_S)


@check
def a_lock_is_freed_when_its_holder_ends(context):
    first, second = context.client(), context.client()
    path = context.home(first) + "/lock"
    assert first.Lock(path, "first").acquire(timeout=WAIT_S)
    first.stop()
    assert second.Lock(path, "second").acquire(timeout=WAIT_S)


@check
def an_election_moves_on_when_its_leader_ends(context):
    first, second = context.client(), context.client()
    path = context.home(first) + "/election"
    led, release, moved = threading.Event(), threading.Event(), threading.Event()

    def lead():
        led.set()
        release.wait(WAIT_S)

    one = threading.Thread(
        target=first.Election(path, "first").run, args=(lead,), daemon=True
    )
    one.start()
    assert led.wait(WAIT_S), "nobody leads"
    two = threading.Thread(
        target=second.Election(path, "second").run, args=(moved.set,), daemon=True
    )
    two.start()
    election = second.Election(path, "reader")
    until(lambda: election.contenders() == ["first", "second"], "the second candidate")
    assert not moved.is_set()
    release.set()
    assert moved.wait(WAIT_S), "the election did not move on"
    one.join(WAIT_S)
    two.join(WAIT_S)


@check
def a_counter_survives_two_writers(context):
    clients = [context.client(), context.client()]
    path = context.home(clients[0]) + "/counter"

    def count(client):
        counter = client.Counter(path)
        for _ in range(20):
            counter += 1

    threads = [threading.Thread(target=count, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert clients[0].Counter(path).value == 40, clients[0].Counter(path).value


@check
def a_queue_gives_back_what_was_put_in(context):
    client, other = context.client(), context.client()
    queue = client.Queue(context.home(client) + "/queue")
    for item in (b"a", b"b", b"c"):
        queue.put(item)
    reader = other.Queue(queue.path)
    assert [reader.get() for _ in range(3)] == [b"a", b"b", b"c"]
    assert reader.get() is None


def session_survives_a_restart(context):
    """Needs the caller: everything acknowledged is there after a restart, and so is the session."""
    client = context.client(timeout=30.0)
    home = context.home(client)
    client.create(home + "/kept", b"k")
    client.create(home + "/e", b"", ephemeral=True)
    session = client.client_id[0]
    states = []
    client.add_listener(states.append)
    changed = Events()
    client.get(home + "/kept", watch=changed)
    print("RESTART", flush=True)
    sys.stdin.readline()
    until(lambda: states and states[-1] == KazooState.CONNECTED, "the reconnect")
    assert states[0] == KazooState.SUSPENDED, states
    assert KazooState.LOST not in states, states
    assert client.client_id[0] == session
    assert client.client_state == KeeperState.CONNECTED
    assert client.retry(client.get, home + "/kept")[0] == b"k"
    assert client.exists(home + "/e").ephemeralOwner == session
    client.set(home + "/kept", b"after")
    assert client.get(home + "/kept")[0] == b"after"
    client.create(home + "/later", b"")
    assert client.exists(home + "/later").czxid > client.exists(home + "/kept").czxid
    stranger = context.client(client_id=(0x7777, b"y" * 16))
    assert stranger.client_id[0] not in (0x7777, session), stranger.client_id


def run(name, function, hosts):
    """Runs one check, prints its line, and says whether it passed."""
    context = Context(hosts)
    try:
        function(context)
    except Exception:  # pylint: disable=broad-except
        print(f"FAIL {name}")
        traceback.print_exc(file=sys.stdout)
        return False
    else:
        print(f"ok   {name}")
        return True
    finally:
        context.close()
        sys.stdout.flush()


def main():
    """Runs the table; the exit code says whether anything failed."""
    logging.basicConfig(level=logging.CRITICAL)
    hosts = sys.argv[1]
    checks = list(CHECKS)
    if "--restart" in sys.argv[2:]:
        checks.append(("a session survives a restart", session_survives_a_restart))
    results = [run(name, function, hosts) for name, function in checks]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The operations, as both kinds of clients do them, against the server under test."""

import time

import pytest
from bellwether import (
    CREATOR_ALL_ACL,
    OPEN_ACL,
    READ_ACL,
    Acl,
    AuthFailedError,
    BadArgumentsError,
    BadVersionError,
    Client,
    ClosedError,
    Created,
    InvalidACLError,
    Metrics,
    Multi,
    MultiRead,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    Perms,
    ReconfigDisabledError,
    RequestTooLargeError,
    Stat,
    TransactionError,
    ZooKeeperError,
    digest_acl,
)
from conftest import Connect


def test_a_node_is_created_read_changed_and_deleted(connect: Connect, root: str) -> None:
    client = connect()
    path = root + "/n"
    created = client.create(path, b"one")
    assert created.path == path and created.stat.version == 0
    data, stat = client.get(path)
    assert data == b"one" and stat == created.stat
    assert (stat.czxid, stat.data_length, stat.ephemeral_owner) == (stat.mzxid, 3, 0)
    changed = client.set(path, b"three", 0)
    assert (changed.version, changed.data_length) == (1, 5) and changed.mzxid > changed.czxid
    assert client.exists(path) == changed
    with pytest.raises(BadVersionError) as refused:
        client.set(path, b"", version=0)
    error = refused.value
    assert (error.code, error.path, error.maybe_happened) == (-103, path, False)
    with pytest.raises(BadVersionError):
        client.delete(path, 0)
    with pytest.raises(NodeExistsError):
        client.create(path)
    client.delete(path, 1)
    assert client.exists(path) is None
    with pytest.raises(NoNodeError) as missing:
        client.get(path)
    assert missing.value.path == path and str(missing.value).endswith("NONODE")


def test_data_may_be_whatever_has_the_buffer_protocol_but_not_text(
    connect: Connect, root: str
) -> None:
    client = connect()
    path = client.create(root + "/n", bytearray(b"array")).path
    assert client.get(path)[0] == b"array"
    client.set(path, memoryview(b"view"))
    assert client.get(path)[0] == b"view"
    client.set(path, b"")
    assert client.get(path)[0] == b""
    with pytest.raises(TypeError, match="expected bytes, not str"):
        client.set(path, "text")  # type: ignore[arg-type]


def test_children_protect_their_parent(connect: Connect, root: str) -> None:
    client = connect()
    for name in ("b", "a", "c"):
        client.create(f"{root}/{name}")
    assert sorted(client.children(root)) == ["a", "b", "c"]
    names, stat = client.children_and_stat(root)
    assert sorted(names) == ["a", "b", "c"] and (stat.num_children, stat.cversion) == (3, 3)
    assert client.all_children_number(root) == 3
    with pytest.raises(NotEmptyError):
        client.delete(root)
    with pytest.raises(NoNodeError):
        client.create(root + "/x/y")


def test_kinds_of_nodes(connect: Connect, root: str) -> None:
    client = connect()
    first = client.create(root + "/s-", sequential=True).path
    second = client.create(root + "/s-", sequential=True, ephemeral=True)
    assert [first[-10:], second.path[-10:]] == ["0000000000", "0000000001"]
    assert second.stat.ephemeral_owner == client.session_id
    assert client.ephemerals() == client.ephemerals(root) == [second.path]
    assert client.ephemerals("/elsewhere") == []
    with pytest.raises(NoChildrenForEphemeralsError):
        client.create(second.path + "/child")
    assert client.create(root + "/c", container=True).stat.ephemeral_owner == 0
    assert client.create(root + "/t", ttl=3600).stat.version == 0
    assert client.create(root + "/t-", ttl=3600.5, sequential=True).path.startswith(root + "/t-")
    with pytest.raises(BadArgumentsError):
        client.create(root + "/x", ephemeral=True, ttl=1)
    with pytest.raises(BadArgumentsError):
        client.create(root + "/x", ttl=-1)


def test_paths_are_made_and_subtrees_deleted(connect: Connect, root: str) -> None:
    client = connect()
    assert client.create(root + "/a/b/c", b"x", makepath=True).path == root + "/a/b/c"
    client.ensure_path(root + "/a/b/d/e")
    client.ensure_path(root + "/a/b/d/e")
    client.ensure_path("/")
    assert sorted(client.children(root + "/a/b")) == ["c", "d"]
    with pytest.raises(NodeExistsError):
        client.create(root + "/a/b", makepath=True)
    with pytest.raises(BadArgumentsError):
        client.delete(root + "/a", 0, recursive=True)
    client.delete(root + "/a", recursive=True)
    assert client.exists(root + "/a") is None
    with pytest.raises(NoNodeError):
        client.delete(root + "/a", recursive=True)


def test_paths_are_made_below_what_lets_nobody_create(connect: Connect, root: str) -> None:
    owner = connect(auth=[("digest", "me:pw")])
    owner.create(root + "/closed", acl=[*READ_ACL, digest_acl("me", "pw")])
    owner.create(root + "/closed/open")
    client = connect()
    client.ensure_path(root + "/closed/open/a/b")
    assert client.get(root + "/closed/open/a/b")[0] == b""
    with pytest.raises(NoAuthError) as refused:
        client.ensure_path(root + "/closed/missing/a")
    assert refused.value.path == root + "/closed/missing/a"
    owner.set_acl(root + "/closed", OPEN_ACL)


def test_several_reads_are_one_request_and_each_has_its_result(
    connect: Connect, root: str
) -> None:
    client, owner = connect(), connect(auth=[("digest", "me:pw")])
    client.create(root + "/n", b"data")
    owner.create(root + "/secret", acl=[digest_acl("me", "pw")])
    reads = MultiRead().get(root + "/n").children(root).get(root + "/none").get(root + "/secret")
    assert len(reads) == 4
    before = client.metrics()
    data, names, missing, secret = client.multi_read(reads)
    after = client.metrics()
    assert data == client.get(root + "/n")
    assert isinstance(names, list) and sorted(names) == ["n", "secret"]
    assert isinstance(missing, NoNodeError) and missing.path == root + "/none"
    assert isinstance(secret, NoAuthError) and secret.path == root + "/secret"
    assert not missing.maybe_happened and missing.code == -101 and "getData" in str(missing)
    assert (requests(before), requests(after)) == (requests(before), requests(before) + 1)
    assert client.multi_read(MultiRead().children(root + "/n")) == [[]]
    assert client.multi_read(MultiRead()) == []
    with pytest.raises(BadArgumentsError):
        client.multi_read(MultiRead().get("not/a/path"))
    [inner] = connect(root).multi_read(MultiRead().get("/n"))
    assert inner == data


def requests(metrics: Metrics) -> int:
    """How many requests were answered."""
    return sum(kind.done + kind.refused for kind in metrics.operations.values())


def test_a_client_counts_what_it_does(connect: Connect, root: str) -> None:
    client, begun = connect(), time.monotonic()
    first = client.metrics()
    assert (first.connections, first.disconnections, first.failed_attempts) == (1, 0, 0)
    assert first.operations == {} and first.refusals == {} and first.watch_events == 0
    assert first.sent_bytes > 0 and first.received_bytes > 0
    path = client.create(root + "/n", bytes(1000)).path
    for _ in range(3):
        assert len(client.get(path)[0]) == 1000
    for missing in ("/a", "/b"):
        with pytest.raises(NoNodeError):
            client.get(root + missing)
    watch = client.get_and_watch(path)[2]
    client.delete(path)
    assert watch.wait(20).kind == "deleted"
    last, took = client.metrics(), time.monotonic() - begun
    gets = last.operations["getData"]
    assert (gets.done, gets.refused, gets.unsent, gets.in_doubt) == (4, 2, 0, 0)
    assert last.operations["create2"].done == last.operations["delete"].done == 1
    assert last.refusals == {"NONODE": 2} and last.watch_events == 1
    assert 0 < sum(kind.seconds for kind in last.operations.values()) <= took
    assert last.sent_bytes >= first.sent_bytes + 1000
    assert last.received_bytes >= first.received_bytes + 4000
    assert client.metrics() == last != first and hash(last) != hash(first)
    client.close()
    assert client.metrics().connections == 1


def test_access_control_lists(connect: Connect, root: str) -> None:
    client = connect()
    path = client.create(root + "/secret", b"s", acl=[digest_acl("me", "pw")]).path
    with pytest.raises(NoAuthError):
        client.get(path)
    client.add_auth("digest", "me:pw")
    assert ("digest", "me") in client.whoami()
    assert client.get(path)[0] == b"s"
    acl, stat = client.get_acl(path)
    assert acl == [digest_acl("me", "pw")] and stat.aversion == 0
    assert client.set_acl(path, [*READ_ACL, digest_acl("me", "pw")], 0).aversion == 1
    with pytest.raises(BadVersionError):
        client.set_acl(path, OPEN_ACL, 0)
    with pytest.raises(InvalidACLError):
        client.set_acl(path, [Acl(Perms.ALL, "nonsense", "x")])
    stranger = connect()
    assert stranger.get(path)[0] == b"s"
    with pytest.raises(NoAuthError):
        stranger.set(path, b"")
    friend = connect(auth=[("digest", b"me:pw")])
    friend.set(path, b"t")
    mine = friend.create(root + "/mine", acl=CREATOR_ALL_ACL).path
    assert [(entry.scheme, entry.perms) for entry in friend.get_acl(mine)[0]] == [("digest", 31)]


def test_a_wrong_scheme_of_authentication_ends_the_session(connect: Connect, root: str) -> None:
    client = connect()
    with pytest.raises(AuthFailedError) as refused:
        client.add_auth("nonsense", "x")
    assert refused.value.code == -115
    with pytest.raises(AuthFailedError):
        client.get(root)
    assert client.state == "auth-failed"


def test_a_transaction_is_all_or_nothing(connect: Connect, root: str) -> None:
    client = connect()
    a, b = root + "/a", root + "/b"
    good = Multi().create(a, b"1").set(a, b"2").check(a, 1).create(b, ephemeral=True).delete(b)
    assert len(good) == 5
    created, changed, checked, second, deleted = client.commit(good)
    assert isinstance(created, Created) and created.path == a and created.stat.version == 0
    assert isinstance(changed, Stat) and changed.version == 1
    assert changed.mzxid == created.stat.czxid
    assert checked is None and isinstance(second, Created) and deleted is None
    with pytest.raises(TransactionError) as refused:
        client.commit(Multi().create(b).delete(root + "/missing").check(a))
    error = refused.value
    assert (error.index, error.code, error.path) == (1, -101, root + "/missing")
    assert error.results == (0, -101, -2) and not error.maybe_happened
    assert isinstance(error.__cause__, NoNodeError)
    assert client.exists(b) is None and client.get(a)[0] == b"2"
    assert client.commit(Multi()) == []


def test_a_chroot_hides_the_path_above(connect: Connect, root: str) -> None:
    inner, outer = connect(root), connect()
    assert inner.create("/n", b"x").path == "/n"
    assert outer.get(root + "/n")[0] == b"x"
    assert inner.children("/") == ["n"]
    with pytest.raises(NoNodeError) as missing:
        inner.get("/missing")
    assert missing.value.path == "/missing"


def test_what_cannot_be_sent_is_refused_here(connect: Connect, root: str) -> None:
    client = connect(max_request_bytes=1000)
    with pytest.raises(RequestTooLargeError) as large:
        client.create(root + "/n", bytes(1000))
    assert large.value.limit_bytes == 1000 < large.value.bytes
    for path in ("n", "/n/", "/a//b", "/../b", ""):
        with pytest.raises(BadArgumentsError) as wrong:
            client.get(path)
        assert isinstance(wrong.value, ValueError) and wrong.value.path == path
    assert client.state == "connected"


def test_large_data_and_many_children_come_back_whole(connect: Connect, root: str) -> None:
    client = connect()
    data = bytes(range(256)) * 3900
    client.create(root + "/large", data)
    assert client.get(root + "/large")[0] == data
    many = Multi()
    for number in range(2000):
        many.create(f"{root}/many-{number:05}")
    assert len(client.commit(many)) == 2000
    assert len(client.children(root)) == 2001


def test_the_configuration_and_who_is_asking(connect: Connect) -> None:
    client = connect()
    data, stat = client.config()
    assert isinstance(data, bytes) and stat.czxid == 0
    assert ("ip", "127.0.0.1") in client.whoami()
    client.sync()
    with pytest.raises(ReconfigDisabledError):
        client.reconfigure(leaving="5")
    with pytest.raises(BadArgumentsError):
        client.reconfigure(members="x", leaving="5")


def test_a_session_begins_and_ends(connect: Connect, root: str, client: Client) -> None:
    with connect(session_timeout=5.0) as session:
        assert str(session.state) == "connected" and session.session_id != 0
        assert session.session_timeout == 5.0
        assert session.server is not None and session.server.startswith("127.0.0.1:")
        assert f"0x{session.session_id:x} connected" in repr(session)
        session.create(root + "/e", ephemeral=True)
    assert client.exists(root + "/e") is None
    assert session.state == "closed" and session.server is None
    with pytest.raises(ClosedError) as closed:
        session.create(root + "/e")
    assert not closed.value.maybe_happened and isinstance(closed.value, ZooKeeperError)
    session.close()

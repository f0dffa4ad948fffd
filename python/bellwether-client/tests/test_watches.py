"""Watches and session events, of both kinds of clients."""

import gc
import itertools
from collections.abc import Callable

import pytest
from bellwether import Client, ClosedError, Gap, NoNodeError, WatchEvent
from conftest import Connect, until


def brief(event: WatchEvent | Gap) -> tuple[str, str]:
    """What an event says, without the number of its transaction."""
    assert isinstance(event, WatchEvent) and event.zxid > 0
    return event.kind, event.path


def test_a_data_watch_fires_once(connect: Connect, root: str, client: Client) -> None:
    data, stat, watch = connect().get_and_watch(root)
    assert data == b"" and stat.version == 0
    with pytest.raises(TimeoutError):
        watch.wait(0.05)
    client.set(root, b"1")
    client.set(root, b"2")
    fired = watch.wait(20)
    assert brief(fired) == ("changed", root)
    assert watch.wait() == fired
    assert fired.zxid == client.get(root)[1].mzxid - 1


def test_an_exists_watch_sees_creation_and_deletion(
    connect: Connect, root: str, client: Client
) -> None:
    session = connect()
    stat, created = session.exists_and_watch(root + "/n")
    assert stat is None
    client.create(root + "/n")
    assert brief(created.wait(20)) == ("created", root + "/n")
    stat, deleted = session.exists_and_watch(root + "/n")
    assert stat is not None and stat.version == 0
    client.delete(root + "/n")
    assert brief(deleted.wait(20)) == ("deleted", root + "/n")


def test_a_child_watch_sees_a_child(connect: Connect, root: str, client: Client) -> None:
    names, stat, watch = connect().children_and_watch(root)
    assert names == [] and stat.num_children == 0
    client.create(root + "/n")
    assert brief(watch.wait(20)) == ("children", root)


def test_a_watch_that_could_not_be_set_is_none(connect: Connect, root: str) -> None:
    with pytest.raises(NoNodeError):
        connect().get_and_watch(root + "/missing")
    assert len(connect().config_and_watch()) == 3


def test_a_persistent_watch_sees_the_node_and_its_children(
    connect: Connect, root: str, client: Client
) -> None:
    with connect().watch(root) as watch:
        client.create(root + "/n")
        client.set(root + "/n", b"unseen")
        client.set(root, b"seen")
        seen = [brief(event) for event in itertools.islice(watch, 2)]
    assert seen == [("children", root), ("changed", root)]


def test_a_recursive_watch_sees_everything_below(
    connect: Connect, root: str, client: Client
) -> None:
    watch = connect().watch(root, recursive=True)
    client.create(root + "/a/b", makepath=True)
    client.set(root + "/a/b", b"1")
    client.delete(root + "/a", recursive=True)
    below = [brief(watch.next(20)) for _ in range(5)]
    assert below == [
        ("created", root + "/a"),
        ("created", root + "/a/b"),
        ("changed", root + "/a/b"),
        ("deleted", root + "/a/b"),
        ("deleted", root + "/a"),
    ]


def test_a_closed_watch_ends_and_the_server_forgets_it(
    connect: Connect, root: str, word: Callable[[str], str]
) -> None:
    session = connect()
    watch = session.watch(root)
    assert root in word("wchp")
    watch.close()
    assert root not in word("wchp")
    assert list(watch) == []
    with pytest.raises(ClosedError):
        watch.next()
    watch.close()
    _, _, once = session.get_and_watch(root)
    assert root in word("wchp")
    once.close()
    until(lambda: root not in word("wchp"), "the end of the watch")
    with pytest.raises(ClosedError):
        once.wait()


def test_a_dropped_watch_is_forgotten_by_the_server(
    connect: Connect, root: str, word: Callable[[str], str]
) -> None:
    session = connect()
    watches = [session.watch(root), session.watch(root, recursive=True)]
    once = session.get_and_watch(root)
    assert root in word("wchp")
    del watches, once
    gc.collect()
    until(lambda: root not in word("wchp"), "the end of the watches")


def test_watches_end_with_their_session(connect: Connect, root: str) -> None:
    session = connect()
    lasting = session.watch(root)
    _, _, once = session.get_and_watch(root)
    events = session.session_events()
    session.close()
    assert list(lasting) == []
    with pytest.raises(ClosedError):
        once.wait(20)
    assert [event.kind for event in events] == ["closed"]


def test_a_reader_that_is_far_behind_finds_a_gap(
    connect: Connect, root: str, client: Client
) -> None:
    session = connect()
    watch = session.watch(root)
    for number in range(1100):
        client.set(root, b"%d" % number)
    session.sync()  # All events are there: none overtakes the reader once more.
    found = [watch.next(20)]
    while len(found) < 1000:
        found.append(watch.next(20))
    assert isinstance(found[0], Gap) and not any(isinstance(event, Gap) for event in found[1:])


def test_chroots_hide_what_is_above_in_events_too(
    connect: Connect, root: str, client: Client
) -> None:
    watch = connect(root).watch("/", recursive=True)
    client.create(root + "/n")
    assert brief(watch.next(20)) == ("created", "/n")

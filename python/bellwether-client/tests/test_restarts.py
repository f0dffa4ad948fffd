"""A server that goes away and comes back; the harness does it."""

import threading
from collections.abc import Callable

from bellwether import Client, ConnectionLossError, Gap, WatchEvent
from conftest import Connect, until


def test_a_session_survives_a_restart(
    connect: Connect, root: str, server: Callable[[str], None]
) -> None:
    client = connect(session_timeout=10.0)
    session = client.session_id
    client.create(root + "/e", b"mine", ephemeral=True)
    events = client.session_events()
    lasting = client.watch(root)
    _, _, once = client.get_and_watch(root + "/e")
    server("RESTART")
    kinds = [events.next(20).kind]
    while kinds[-1] != "connected":
        kinds.append(events.next(20).kind)
    assert kinds[0] == "disconnected" and set(kinds[1:-1]) <= {"attempt-failed"}
    until(lambda: client.state == "connected", "the state, which follows the event")
    assert client.session_id == session
    assert isinstance(lasting.next(20), Gap)
    assert client.set(root + "/e", b"still").ephemeral_owner == session
    assert once.wait(20).kind == "changed"
    metrics = client.metrics()
    assert (metrics.connections, metrics.disconnections) == (2, 1)
    assert metrics.failed_attempts == kinds.count("attempt-failed")
    client.create(root + "/n")
    event = lasting.next(20)
    assert isinstance(event, WatchEvent) and event.kind == "children"


def test_a_write_under_way_when_a_server_dies_may_have_happened(
    client: Client, root: str, server: Callable[[str], None]
) -> None:
    lost: list[ConnectionLossError] = []
    writing, done = threading.Event(), threading.Event()

    def write(path: str) -> None:
        version = 0
        while not done.is_set():
            try:
                version = client.set(path, b"x").version
            except ConnectionLossError as error:
                lost.append(error)
                # The session goes on: what happened can be looked up.
                assert client.get(path)[1].version in (version, version + 1)
                version = client.get(path)[1].version
            writing.set()

    paths = [client.create(f"{root}/n{number}").path for number in range(8)]
    threads = [threading.Thread(target=write, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    session = client.session_id
    writing.wait(20)
    server("CRASH")
    done.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert client.session_id == session
    for error in lost:
        assert error.maybe_happened and isinstance(error, ConnectionError)
        assert error.path in paths and error.code == -4

"""Locks and fences: what a holder that has lost its lock writes is refused by the engine."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from bellwether import Client
from bellwether.recipes import Lock
from bellwether_airflow.elasticsearch.operators import ElasticsearchOperator
from bellwether_airflow.version_compat import AirflowException, AirflowFailException
from conftest import HOSTS, WAIT_S, Ran, until
from searching import context_of

Succeeds = Callable[..., dict[str, Any]]


def fenced(engine: Any, operation: str, fence: Any, document: Any = None) -> Any:
    """Does an operation on the document 1 with a fence."""
    bulk = operation == "bulk"
    task = ElasticsearchOperator(
        task_id="fenced",
        es_conn_id=engine.conn_id,
        index=engine.index,
        operation=operation,
        id=None if bulk else "1",
        doc=[{"_id": "1", **(document or {})}] if bulk else document,
        fence=fence,
    )
    return task.execute(context_of(task))


class Holder:
    """Somebody with a session of its own."""

    def __init__(self, path: str) -> None:
        self.client = Client.connect(HOSTS, session_timeout=10.0, connect_timeout=WAIT_S)
        self.lock = Lock(self.client, path)


@pytest.mark.parametrize("operation", ["index", "update", "upsert", "create", "delete", "bulk"])
def test_of_two_holders_the_stale_one_is_refused(
    engine: Any, operation: str, lock_node: Callable[[], str]
) -> None:
    """Its session is over and it does not know: it has kept the number, and writes with it."""
    path = lock_node()
    first, second = Holder(path), Holder(path)
    stale = first.lock.acquire(WAIT_S).fence
    assert fenced(engine, "index", stale, {"by": "first"})["version"] == stale
    first.client.close()
    with second.lock.acquire(WAIT_S) as lease:
        assert lease.fence > stale
        fenced(engine, "index", lease.fence, {"by": "second"})
        with pytest.raises(AirflowException, match=f"the fence {stale}|another document"):
            fenced(engine, operation, stale, {"by": "first"})
        assert engine.source("1") == {"by": "second"}
        # The holder's own next write has the same number.
        fenced(engine, "update", lease.fence, {"again": True})
        assert engine.source("1") == {"by": "second", "again": True}
        found = engine.document("1")
        assert found is not None and found["_version"] == lease.fence
        if operation == "delete":
            assert fenced(engine, "delete", lease.fence)["deleted"]
            with pytest.raises(AirflowFailException, match=f"the fence {stale}"):
                fenced(engine, "index", stale, {"by": "first"})
    second.client.close()


def test_a_lease_that_is_lost_writes_nothing(engine: Any, lock_node: Callable[[], str]) -> None:
    holder = Holder(lock_node())
    lease = holder.lock.acquire(WAIT_S)
    fenced(engine, "index", lease, {"by": "holder"})
    holder.client.close()
    with pytest.raises(AirflowException, match="is lost"):
        fenced(engine, "index", lease, {"by": "nobody"})
    assert engine.source("1") == {"by": "holder"}


def test_a_lock_may_be_given_for_with(engine: Any, lock_node: Callable[[], str]) -> None:
    holder = Holder(lock_node())

    class Entered:
        """As `ZooKeeperLock` is."""

        def __enter__(self) -> Any:
            self.held = holder.lock.acquire(WAIT_S)
            return self.held

        def __exit__(self, *_exception: object) -> None:
            self.held.release()

    task = ElasticsearchOperator(
        task_id="t",
        es_conn_id=engine.conn_id,
        index=engine.index,
        id="1",
        doc={"a": 1},
        lock=Entered(),
    )
    version = task.execute(context_of(task))["version"]
    assert version > 1
    assert holder.lock.try_acquire() is not None
    holder.client.close()


def test_a_locked_task_writes_with_its_fence(
    succeeds: Succeeds, engine: Any, client: Client, lock_node: Callable[[], str]
) -> None:
    path = lock_node()
    said = succeeds("search_locked", lock=path, **engine.conf)
    assert said["get"]["source"] == {"n": 1, "m": 2}
    assert 1 < said["index"]["version"] < said["update"]["version"] == said["get"]["version"]
    bulk = engine.document("2")
    assert bulk is not None and bulk["_version"] > said["update"]["version"]
    client.sync(path)
    assert Lock(client, path).contenders() == []


def test_a_lock_that_is_taken(
    run: Callable[..., Ran], engine: Any, lock_node: Callable[[], str]
) -> None:
    path = lock_node()
    holder = Holder(path)
    with holder.lock.acquire(WAIT_S):
        assert run("search_lock_taken", lock=path, **engine.conf).tasks == {"index": "failed"}
    assert engine.ask("GET", f"/{engine.index}", missing_ok=True).get("status") == 404
    holder.client.close()


def test_a_task_that_waits_for_a_lock_can_be_killed(
    engine: Any, client: Client, lock_node: Callable[[], str]
) -> None:
    path = lock_node()
    holder = Holder(path)
    task = ElasticsearchOperator(
        task_id="t", es_conn_id=engine.conn_id, index=engine.index, id="1", doc={}, lock=path
    )
    ended: list[BaseException] = []

    def execute() -> None:
        try:
            task.execute(context_of(task))
        except BaseException as error:
            ended.append(error)

    with holder.lock.acquire(WAIT_S):
        thread = threading.Thread(target=execute)
        thread.start()
        until(lambda: len(Lock(client, path).contenders()) == 2, "the second contender")
        task.on_kill()
        thread.join(WAIT_S)
        until(lambda: len(Lock(client, path).contenders()) == 1, "the end of its session")
    assert isinstance(ended[0], AirflowException)
    holder.client.close()


def test_under_a_fence_a_bulk_neither_creates_nor_updates(engine: Any) -> None:
    with pytest.raises(AirflowFailException, match="index and delete only"):
        fenced(engine, "bulk", 5, {"_op_type": "create"})

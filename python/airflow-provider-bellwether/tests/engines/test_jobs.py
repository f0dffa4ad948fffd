"""What takes an engine long: it is waited for, gone on with, cancelled, found to have failed."""

import asyncio
import random
import string
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bellwether_airflow.elasticsearch.jobs import EngineTask, RestoreJob, SnapshotJob
from bellwether_airflow.elasticsearch.operators import (
    ElasticsearchOperator,
    ElasticsearchReindexOperator,
    ElasticsearchRestoreOperator,
    ElasticsearchSnapshotOperator,
)
from bellwether_airflow.triggers.search import ElasticsearchTaskTrigger
from bellwether_airflow.version_compat import (
    AirflowException,
    AirflowFailException,
    TaskFailedEvent,
    TaskSuccessEvent,
)
from conftest import WAIT_S, Ran, until
from searching import Store, context_of

Succeeds = Callable[..., dict[str, Any]]
REINDEX = "*reindex"


def test_reindex_and_the_operations_by_query(succeeds: Succeeds, opensearch: Any) -> None:
    said = succeeds("search_jobs", **opensearch.conf)
    assert said["copy"]["created"] == 15 and said["update_by_query"]["updated"] == 1
    assert said["delete_by_query"]["deleted"] == 5 and said["count"]["count"] == 10
    copy = opensearch.index + "-copy"
    hits = opensearch.ask("GET", f"/{copy}/_search?size=20")["hits"]["hits"]
    assert {hit["_source"]["n"]: hit["_source"]["twice"] for hit in hits} == {
        n: 0 if n == 3 else 2 * n for n in range(10)
    }


def test_a_job_that_ends_in_the_trigger(succeeds: Succeeds, engine: Any) -> None:
    engine.put("1", {})
    assert succeeds("search_deferred", **engine.conf)["merge"] == {"status": "success"}


def slow(opensearch: Any, **arguments: Any) -> ElasticsearchReindexOperator:
    """A copy that would take minutes."""
    for number in range(5):
        opensearch.put(str(number), {"n": number})
    return ElasticsearchReindexOperator(
        task_id="copy",
        es_conn_id=opensearch.conn_id,
        source={"index": opensearch.index, "size": 1},
        dest=opensearch.index + "-copy",
        requests_per_second=0.05,
        poke_interval=0.1,
        deferrable=False,
        **arguments,
    )


def begun(task: Any, opensearch: Any, store: Store | None = None) -> tuple[Any, list[Any]]:
    """Executes a task in a thread, until the engine works at it."""
    ended: list[Any] = []

    def execute() -> None:
        try:
            ended.append(task.execute(context_of(task, store=store)))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    until(lambda: opensearch.tasks(REINDEX) and (store is None or store.kept), "the job")
    return thread, ended


def test_a_task_that_is_killed_cancels_its_job(opensearch: Any) -> None:
    task = slow(opensearch)
    thread, ended = begun(task, opensearch)
    task.on_kill()
    thread.join(WAIT_S)
    assert isinstance(ended[0], AirflowException) and "told to end" in str(ended[0])
    until(lambda: not opensearch.tasks(REINDEX), "the end of the job")


def test_a_job_whose_time_is_over_is_cancelled(opensearch: Any) -> None:
    task = slow(opensearch, timeout=0.5)
    with pytest.raises(AirflowException, match="not within the time"):
        task.execute(context_of(task))
    until(lambda: not opensearch.tasks(REINDEX), "the end of the job")


def test_a_job_that_somebody_cancels_has_failed(opensearch: Any) -> None:
    task, store = slow(opensearch), Store()
    thread, ended = begun(task, opensearch, store)
    job = store.kept["bellwether_search_job"]["job"]["task"]
    opensearch.ask("POST", f"/_tasks/{job}/_cancel")
    thread.join(WAIT_S)
    assert isinstance(ended[0], AirflowException) and "it was cancelled" in str(ended[0])
    # A retry finds it cancelled, and begins another.
    task.requests_per_second = None
    again = task.execute(context_of(task, number=2, store=store))
    assert again["task"] != job and again["total"] == 5


def test_a_retry_goes_on_with_the_running_job(opensearch: Any) -> None:
    store = Store()
    first = slow(opensearch)
    thread, _ = begun(first, opensearch, store)
    job = store.kept["bellwether_search_job"]["job"]["task"]
    second = slow(opensearch)
    other, said = begun_again(second, store)
    opensearch.ask("POST", f"/_reindex/{job}/_rethrottle?requests_per_second=-1")
    other.join(WAIT_S)
    thread.join(WAIT_S)
    assert said[0]["task"] == job and said[0]["total"] == 5


def begun_again(task: Any, store: Store) -> tuple[threading.Thread, list[Any]]:
    said: list[Any] = []
    context = context_of(task, number=2, store=store)
    thread = threading.Thread(target=lambda: said.append(task.execute(context)))
    thread.start()
    return thread, said


def trigger(engine: Any, job: Any, **arguments: Any) -> ElasticsearchTaskTrigger:
    """A trigger as a triggerer makes it: from what was stored."""
    made = ElasticsearchTaskTrigger(
        target={"es_conn_id": engine.conn_id, "discovery": None},
        awaited=job.serialize(),
        pause=0.1,
        **arguments,
    )
    name, stored = made.serialize()
    assert name == "bellwether_airflow.triggers.search.ElasticsearchTaskTrigger"
    return ElasticsearchTaskTrigger(**stored)


async def event_of(made: Any) -> Any:
    """Its event, within the time of a test."""
    return await asyncio.wait_for(anext(made.run()), WAIT_S)


def submitted(opensearch: Any, **arguments: Any) -> EngineTask:
    """A copy that goes on by itself."""
    from airflow.sdk.exceptions import TaskDeferred

    task = slow(opensearch, **arguments)
    task.deferrable = True
    with pytest.raises(TaskDeferred) as deferred:
        task.execute(context_of(task))
    _, stored = deferred.value.trigger.serialize()
    return EngineTask(stored["awaited"]["task"], stored["awaited"]["about"])


def test_a_trigger_that_a_user_ends_cancels_the_job(opensearch: Any) -> None:
    job = submitted(opensearch)

    async def main() -> None:
        made = trigger(opensearch, job)
        wait = asyncio.ensure_future(event_of(made))
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        # The triggerer is restarted: the job goes on.
        await made.cleanup()
        assert opensearch.tasks(REINDEX)
        await made.on_kill()

    asyncio.run(main())
    until(lambda: not opensearch.tasks(REINDEX), "the end of the job")
    event = asyncio.run(event_of(trigger(opensearch, job)))
    assert isinstance(event, TaskFailedEvent)


def test_a_trigger_whose_time_is_over_cancels_the_job(opensearch: Any) -> None:
    job = submitted(opensearch)
    made = trigger(opensearch, job, deadline=time.time() + 0.3)
    assert isinstance(asyncio.run(event_of(made)), TaskFailedEvent)
    until(lambda: not opensearch.tasks(REINDEX), "the end of the job")


def test_a_trigger_tells_what_the_engine_no_longer_knows(engine: Any) -> None:
    node = next(iter(engine.ask("GET", "/_nodes")["nodes"]))
    event = asyncio.run(event_of(trigger(engine, EngineTask(f"{node}:987654321"))))
    assert event.payload["status"] == "lost"


def test_a_copy_that_lacks_documents_has_failed(opensearch: Any) -> None:
    """The other index has a field of another type."""
    opensearch.put("1", {"n": "text"})
    copy = opensearch.index + "-copy"
    opensearch.ask("PUT", f"/{copy}", {"mappings": {"properties": {"n": {"type": "long"}}}})
    task = ElasticsearchReindexOperator(
        task_id="copy",
        es_conn_id=opensearch.conn_id,
        source=opensearch.index,
        dest=copy,
        deferrable=False,
    )
    with pytest.raises(AirflowException, match="1 failures, such as") as told:
        task.execute(context_of(task))
    assert "'text'" not in str(told.value)


def test_snapshots_and_restores(
    run: Callable[..., Ran], engine: Any, repository: None
) -> None:
    done = run("search_snapshots", **engine.conf)
    assert done.tasks.pop("over_itself") == "failed"
    assert set(done.tasks.values()) == {"success"}, done.tasks
    assert done.xcoms["snapshot"]["state"] == "SUCCESS" and done.xcoms["snapshot"]["indices"] == 1
    assert done.xcoms["restore"]["indices"] == [engine.index + "-restored"]
    assert done.xcoms["count"]["count"] == 20


def snapshot(engine: Any, **arguments: Any) -> ElasticsearchSnapshotOperator:
    return ElasticsearchSnapshotOperator(
        task_id="snapshot",
        es_conn_id=engine.conn_id,
        repository="tests",
        index=engine.index,
        deferrable=False,
        poke_interval=0.1,
        **arguments,
    )


def test_a_retry_takes_the_snapshot_of_the_first_try(engine: Any, repository: None) -> None:
    engine.put("1", {})
    task = snapshot(engine, snapshot=engine.index)
    first = task.execute(context_of(task))
    assert task.execute(context_of(task, number=2)) == first
    other = ElasticsearchSnapshotOperator(
        task_id="other",
        es_conn_id=engine.conn_id,
        repository="tests",
        snapshot=engine.index,
        deferrable=False,
    )
    with pytest.raises(AirflowFailException, match="is not this task's"):
        other.execute(context_of(other))


def test_a_retry_takes_the_indices_that_the_first_try_restored(
    engine: Any, repository: None
) -> None:
    engine.put("1", {"a": 1})
    made = snapshot(engine, snapshot=engine.index)
    made.execute(context_of(made))
    engine.ask("DELETE", "/" + engine.index)
    task = ElasticsearchRestoreOperator(
        task_id="restore",
        es_conn_id=engine.conn_id,
        repository="tests",
        snapshot=engine.index,
        deferrable=False,
        poke_interval=0.1,
    )
    first = task.execute(context_of(task))
    assert task.execute(context_of(task, number=2)) == first
    assert engine.source("1") == {"a": 1}


def test_a_snapshot_that_is_ended_is_deleted(engine: Any, repository: None) -> None:
    """Written as slowly as the engines can be told to."""
    slow_settings = {"location": "slow", "max_snapshot_bytes_per_sec": "8kb"}
    engine.ask("PUT", "/_snapshot/slow", {"type": "fs", "settings": slow_settings})
    for number in range(20):
        engine.put(str(number), {"text": "".join(random.choices(string.ascii_letters, k=2000))})
    task = snapshot(engine, snapshot=engine.index)
    task.repository = "slow"
    ended: list[BaseException] = []

    def execute() -> None:
        try:
            task.execute(context_of(task))
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    path = f"/_snapshot/slow/{engine.index}"

    def is_running() -> bool:
        found = engine.ask("GET", path, missing_ok=True).get("snapshots") or [{}]
        return bool(found[0].get("state") == "IN_PROGRESS")

    until(is_running, "the snapshot")
    task.on_kill()
    thread.join(WAIT_S)
    assert "told to end" in str(ended[0])
    until(lambda: "error" in engine.ask("GET", path, missing_ok=True), "its end")


def test_a_restore_of_damaged_files_fails(engine: Any) -> None:
    """The engines would leave the index red, and say no more."""
    name = engine.index
    engine.ask("PUT", f"/_snapshot/{name}", {"type": "fs", "settings": {"location": name}})
    engine.put("1", {"text": "to be damaged"})
    made = snapshot(engine, snapshot="damaged")
    made.repository = name
    made.execute(context_of(made))
    engine.ask("DELETE", "/" + name)
    node = next(iter(engine.ask("GET", "/_nodes/settings")["nodes"].values()))
    shared = node["settings"]["path"]["repo"]
    folder = Path(shared if isinstance(shared, str) else shared[0]) / name
    blobs = list(folder.rglob("__*"))
    assert blobs
    for blob in blobs:
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 0xFF
        blob.write_bytes(data)
    task = ElasticsearchRestoreOperator(
        task_id="restore",
        es_conn_id=engine.conn_id,
        repository=name,
        snapshot="damaged",
        deferrable=False,
        poke_interval=0.1,
    )
    with pytest.raises(AirflowException, match=f"a shard of {name} cannot be restored"):
        task.execute(context_of(task))
    engine.ask("DELETE", f"/_snapshot/{name}")


def test_what_is_lost_or_complete_is_told_by_triggers(engine: Any, repository: None) -> None:
    engine.put("1", {})
    made = snapshot(engine, snapshot=engine.index)
    made.execute(context_of(made))
    done = asyncio.run(event_of(trigger(engine, SnapshotJob("tests", engine.index))))
    assert isinstance(done, TaskSuccessEvent)
    for job in (SnapshotJob("tests", "none"), RestoreJob("tests", "x", [engine.index + "-none"])):
        event = asyncio.run(event_of(trigger(engine, job)))
        assert event.payload["status"] == "lost", job


def test_the_zip_of_elasticsearch_says_what_it_lacks(engine: Any) -> None:
    """Not so with a full Elasticsearch; here the refusal is told, and is not tried again."""
    if engine.name != "elasticsearch":
        engine.put("1", {})
    task = ElasticsearchOperator(
        task_id="t",
        es_conn_id=engine.conn_id,
        index=engine.index,
        operation="delete_by_query",
        query={"match_all": {}},
        deferrable=False,
    )
    if engine.name == "opensearch":
        assert task.execute(context_of(task))["deleted"] == 1
    else:
        with pytest.raises(AirflowFailException, match="40[05]"):
            task.execute(context_of(task))

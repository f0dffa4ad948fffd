"""Leases that outlive processes: the lock operators, their trigger, and what they leave behind."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from bellwether import Client
from bellwether.recipes import Claim
from bellwether_airflow.errors import Refused
from bellwether_airflow.leases import LeaseGoal, give_up, lease_of, renew_lease
from bellwether_airflow.locks import LeaseLost
from bellwether_airflow.settings import Settings, Target
from bellwether_airflow.triggers.lock import LockTrigger
from bellwether_airflow.version_compat import TaskFailedEvent, TaskSuccessEvent, TriggerEvent
from bellwether_airflow.waiting import look_once
from conftest import Ran, until
from scripted import Scripted

Succeeds = Callable[..., dict[str, Any]]
Run = Callable[..., Ran]
Word = Callable[[str], str]
Meanwhile = Callable[[Callable[[], object]], None]


def take(hosts: str, lock: str, owner: str, ttl: float = 600.0, leases: int = 1) -> dict[str, Any]:
    """A lease, or nothing if there is none to be had."""
    goal = LeaseGoal(lock, owner, ttl, leases)
    return asyncio.run(look_once(goal, Settings(hosts))).result


def holder(client: Client, node: str) -> str | None:
    """Whose a node is."""
    claimant = Claim(client, node).claimant()
    return None if claimant is None else claimant.owner


def test_a_setup_acquires_and_its_teardown_releases(
    succeeds: Succeeds, client: Client, root: str
) -> None:
    path, fences = root + "/lock", []
    for _ in range(2):
        said = succeeds("leases", path=path)
        assert said["acquire"].keys() == {"path", "node", "owner", "fence", "deadline_ms"}
        assert said["acquire"]["node"] == path and "/leases/" in said["acquire"]["owner"]
        assert said["work"] == said["acquire"]["fence"]
        assert said["release"] == {"path": path, "released": True, "late": False}
        assert holder(client, path) is None
        fences.append(said["work"])
    assert fences[0] < fences[1]


def test_an_alias_is_moved_under_a_lock(
    succeeds: Succeeds, client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, holders = root + "/lock", []

    def reply(method: str, where: str, body: bytes) -> tuple[int, Any]:
        client.sync(path)
        holders.append((where, holder(client, path)))
        return 200, {"old": {}} if method == "GET" else {"acknowledged": True}

    engine = Scripted([], reply=reply)
    monkeypatch.setenv(
        "AIRFLOW_CONN_LEASES_ALIAS",
        json.dumps({"conn_type": "elasticsearch", "host": engine.address}),
    )
    try:
        said = succeeds("leases_alias", path=path)
    finally:
        engine.close()
    assert said["switch"] == {"alias": "current", "index": "new", "before": ["old"]}
    owner = said["acquire"]["owner"]
    assert holders == [("/_alias/current", owner), ("/_aliases", owner)]
    assert said["release"]["released"] and holder(client, path) is None


def test_a_task_waits_in_the_trigger_until_the_lease_is_given_back(
    succeeds: Succeeds, client: Client, root: str, word: Word, meanwhile: Meanwhile
) -> None:
    theirs = Claim(client, root + "/lock", owner="another").take(600.0)

    def give_back() -> None:
        until(lambda: root + "/lock" in word("wchp").splitlines(), "a watch")
        theirs.release()

    for dag in ("leases", "leases_in_process", "leases_resumed"):
        theirs = Claim(client, root + "/lock", owner="another").take(600.0)
        meanwhile(give_back)
        assert succeeds(dag, path=root + "/lock")["acquire"]["fence"] > theirs.fence
        # The last one has no task that releases it.
        client.set(root + "/lock", b"")


def test_a_lease_whose_time_is_over_is_taken_over(
    succeeds: Succeeds, client: Client, root: str
) -> None:
    theirs = Claim(client, root + "/lock", owner="another").take(1.5)
    mine = succeeds("leases_resumed", path=root + "/lock")["acquire"]
    assert mine["fence"] > theirs.fence
    assert holder(client, root + "/lock") == mine["owner"]
    # It is no longer theirs to give back.
    theirs.release()
    assert holder(client, root + "/lock") == mine["owner"]


def test_time_limits(run: Run, client: Client, root: str) -> None:
    Claim(client, root + "/lock", owner="another").take(600.0)
    done = run("leases_time_out", path=root + "/lock")
    assert done.tasks == {"fails": "failed", "skips": "skipped"}
    assert holder(client, root + "/lock") == "another"


def test_a_semaphore_has_so_many_leases(run: Run, client: Client, root: str) -> None:
    done = run("leases_two", path=root + "/few")
    assert done.tasks == {"acquire_0": "success", "acquire_1": "success", "third": "failed"}
    nodes = {done.xcoms[f"acquire_{number}"]["node"] for number in range(2)}
    assert nodes == {root + "/few/lease-0", root + "/few/lease-1"}
    assert give_up(client, done.xcoms["acquire_1"])["released"]
    assert holder(client, done.xcoms["acquire_1"]["node"]) is None
    assert holder(client, done.xcoms["acquire_0"]["node"]) == done.xcoms["acquire_0"]["owner"]


def test_what_can_never_be_had_is_refused(run: Run, root: str) -> None:
    assert set(run("leases_refused", path=root).tasks.values()) == {"failed"}


def test_inside_another_operator(succeeds: Succeeds, client: Client, root: str) -> None:
    said = succeeds("leases_nested", path=root + "/lock")["nest"]
    assert said["released"] and holder(client, root + "/lock") is None


def test_an_owner_gets_its_lease_back_and_nobody_else_does(hosts: str, root: str) -> None:
    lock = root + "/lock"
    first, again = take(hosts, lock, "me"), take(hosts, lock, "me")
    assert first["node"] == again["node"] and first["fence"] < again["fence"]
    assert take(hosts, lock, "you") == {}
    few = [take(hosts, root + "/few", owner, leases=2)["node"] for owner in ("me", "you", "you")]
    assert few[0] != few[1] == few[2]
    assert take(hosts, root + "/few", "them", leases=2) == {}


def test_only_the_owner_gives_it_back(client: Client, hosts: str, root: str) -> None:
    lease = take(hosts, root + "/lock", "me")
    done = give_up(client, {**lease, "owner": "you"})
    assert done == {"path": root + "/lock", "released": False, "late": True}
    assert holder(client, root + "/lock") == "me"
    assert give_up(client, lease)["released"]
    assert not give_up(client, lease)["released"]
    assert not give_up(client, {**lease, "node": root + "/none"})["released"]


def test_work_that_took_longer_than_the_lease_is_late(
    client: Client, hosts: str, root: str
) -> None:
    lease = take(hosts, root + "/lock", "me", ttl=0.2)
    until(lambda: client.set(root, b"").mtime > lease["deadline_ms"], "the end of the lease")
    assert give_up(client, lease) == {"path": root + "/lock", "released": True, "late": True}


def test_a_lease_is_renewed_by_its_owner_alone(client: Client, hosts: str, root: str) -> None:
    settings, lock = Settings(hosts), root + "/lock"
    lease = take(hosts, lock, "me", ttl=600.0)
    until(lambda: client.set(root, b"").mtime > lease["deadline_ms"] - 600_000, "a millisecond")
    assert renew_lease(lease, settings) == lease["fence"]
    renewed = Claim(client, lock).claimant()
    assert renewed is not None and renewed.deadline_ms > lease["deadline_ms"]
    give_up(client, lease)
    theirs = take(hosts, lock, "you")
    with pytest.raises(LeaseLost) as loss:
        renew_lease(lease, settings)
    assert loss.value.reason == "taken" and loss.value.path == lock
    assert renew_lease(theirs, settings) == theirs["fence"] > lease["fence"]


def test_a_lease_is_what_a_task_has_said_even_as_text() -> None:
    lease = {"path": "/lock", "node": "/lock/lease-0", "owner": "me", "fence": 7}
    assert lease_of(lease) == lease_of(str(lease)) == lease_of(json.dumps(lease)) == lease
    for wrong in ({}, "", "7", None, {"node": "/lock"}):
        with pytest.raises(Refused, match="pass on the result"):
            lease_of(wrong)


def events(trigger: LockTrigger) -> list[TriggerEvent]:
    """What a trigger tells."""

    async def collect() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    return asyncio.run(collect())


def test_a_triggerer_that_takes_over_gets_what_the_one_before_took(
    client: Client, hosts: str, root: str
) -> None:
    arguments: dict[str, Any] = {
        "lock": root + "/lock",
        "owner": "me",
        "ttl": 600.0,
        "leases": 1,
        "target": Target(given=Settings(hosts)).serialize(),
        "deadline": time.time() + 60.0,
    }
    path, stored = LockTrigger(**arguments).serialize()
    assert path == "bellwether_airflow.triggers.lock.LockTrigger"
    assert stored.items() >= arguments.items()
    fences: list[int] = []
    for _ in range(2):
        (event,) = events(LockTrigger(**stored))
        assert isinstance(event, TaskSuccessEvent)
        said: Any = event.xcoms
        fences.append(said["return_value"]["fence"])
    assert fences[0] < fences[1]
    (event,) = events(LockTrigger(**{**stored, "owner": "you", "deadline": time.time() + 0.2}))
    assert isinstance(event, TaskFailedEvent) and holder(client, root + "/lock") == "me"


def test_the_documents_dag(succeeds: Succeeds, client: Client) -> None:
    said = succeeds("doc_locks_between_tasks")
    assert said["rebuild"] == said["acquire"]["fence"]
    assert said["release"] == {"path": "/docs/locks/index", "released": True, "late": False}
    assert holder(client, "/docs/locks/index") is None


def test_the_example(succeeds: Succeeds, client: Client) -> None:
    said = succeeds("example_leases")
    assert said["check"] is True and said["close_window"]["released"]
    client.sync("/")
    assert b'"task_id":"close_window"' in client.get("/examples/airflow/window-last")[0]
    client.delete("/examples", recursive=True)

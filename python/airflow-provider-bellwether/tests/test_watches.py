"""Watches, sensors and barriers, in runs of DAGs and in triggers of their own."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import pytest
from bellwether import Acl, AsyncClient, Client
from conftest import WAIT_S, Ran, until

from bellwether_airflow.errors import Refused
from bellwether_airflow.goals import NodeGoal, baseline_of
from bellwether_airflow.rounds import BarrierGoal
from bellwether_airflow.settings import Settings, Target
from bellwether_airflow.triggers.zookeeper import HealthTrigger, ZNodeBarrierTrigger, ZNodeTrigger
from bellwether_airflow.version_compat import TaskFailedEvent, TaskSkippedEvent, TaskSuccessEvent
from bellwether_airflow.waiting import Look, logger, reach

Succeeds = Callable[..., dict[str, Any]]
Run = Callable[..., Ran]
Word = Callable[[str], str]
Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def once_watched(client: Client, word: Word, meanwhile: Meanwhile) -> Callable[..., None]:
    """Does something as soon as a node is watched."""

    def then(path: str, work: Callable[[], object]) -> None:
        def wait() -> None:
            until(lambda: path in word("wchp").splitlines(), f"a watch on {path}")
            work()

        meanwhile(wait)

    return then


def test_a_change_ends_the_task_in_the_trigger(
    succeeds: Succeeds, client: Client, root: str, once_watched: Callable[..., None]
) -> None:
    once_watched(root, lambda: client.set(root, b"new"))
    said = succeeds("watch_changed", path=root)["watch"]
    assert said["exists"] and said["version"] == 1 and "value" not in said


def test_waiting_in_the_process(
    succeeds: Succeeds, client: Client, root: str, once_watched: Callable[..., None]
) -> None:
    once_watched(root, lambda: client.set(root, b"new"))
    assert succeeds("watch_in_process", path=root)["watch"]["value"] == "new"


def test_a_task_with_outlets_resumes(
    succeeds: Succeeds, client: Client, root: str, once_watched: Callable[..., None]
) -> None:
    once_watched(root, lambda: client.set(root, b"go"))
    assert succeeds("watch_resumed", path=root)["watch"]["version"] == 1


def test_a_change_since_an_earlier_task(
    succeeds: Succeeds, client: Client, root: str, once_watched: Callable[..., None]
) -> None:
    once_watched(root, lambda: client.set(root, b"new"))
    said = succeeds("watch_since", path=root)
    assert said["watch"]["version"] == said["get"]["version"] + 1


def test_what_is_so_already_is_not_waited_for(
    succeeds: Succeeds, client: Client, root: str
) -> None:
    client.set(root, b'{"is":["ready"]}')
    said = succeeds("watch_met", path=root.removesuffix("/"))
    assert said["deleted"] == {"path": root + "/none", "exists": False}
    assert said["none"]["children"] == 0
    assert {name for name in said if said[name]["exists"]} == said.keys() - {"deleted"}


def test_time_limits(run: Run, root: str) -> None:
    assert run("watch_times_out", path=root).tasks == {
        "fails": "failed",
        "skips": "skipped",
        "fails_resumed": "failed",
        "skips_in_process": "skipped",
    }


def test_what_can_never_be_met_is_refused(run: Run, root: str) -> None:
    assert set(run("watch_refused", path=root).tasks.values()) == {"failed"}


def test_a_sensor_counts_children(
    succeeds: Succeeds, client: Client, root: str, word: Word, meanwhile: Meanwhile
) -> None:
    before = word("cons").count("sid=")

    def twins() -> None:
        # The words on watches do not list those on children.
        until(lambda: word("cons").count("sid=") > before, "the session of the sensor")
        client.create(root + "/a")
        client.create(root + "/b")

    meanwhile(twins)
    assert succeeds("sensor_children", path=root)["sense"]["children"] == 2


def test_a_sensor_that_asks(
    succeeds: Succeeds, client: Client, root: str, word: Word, meanwhile: Meanwhile
) -> None:
    path = root + "/x"

    def requests() -> int:
        (line,) = [line for line in word("srvr").splitlines() if line.startswith("Received: ")]
        return int(line.removeprefix("Received: "))

    before = requests()

    def appear() -> None:
        until(lambda: requests() > before + 5, "asking")
        client.create(path)

    meanwhile(appear)
    assert succeeds("sensor_pokes", path=path)["sense"]["exists"]


def test_health(run: Run, hosts: str) -> None:
    done = run("sensor_health")
    assert done.tasks == {"well": "success", "dead": "failed"}
    assert done.xcoms["well"]["leader"] == hosts


def test_two_watches_inside_other_operators(
    succeeds: Succeeds, client: Client, root: str, once_watched: Callable[..., None]
) -> None:
    once_watched(root, lambda: client.set(root, b"go"))
    said = succeeds("watch_nested", path=root)
    # What an operator inside another gives back has the data.
    assert said["first"]["value"] == said["second"]["value"] == "go"


@pytest.mark.parametrize("dag_id", ["watch_in_process", "watch_nested"])
def test_a_task_that_is_killed_ends_and_leaves_no_session(
    dag_id: str,
    run: Run,
    root: str,
    word: Word,
    once_watched: Callable[..., None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = word("cons").count("sid=")
    # As Airflow does it: to the process of the task, which calls `on_kill` of the outer operator.
    once_watched(root, lambda: os.kill(os.getpid(), signal.SIGTERM))
    done = run(dag_id, path=root)
    assert "success" not in done.tasks.values(), done.tasks
    # And not because its time was over.
    assert "was told to end" in capfd.readouterr().out
    until(lambda: word("cons").count("sid=") <= before, "the session's end")


def test_an_entry_that_a_user_takes_back_is_gone(hosts: str, client: Client, root: str) -> None:
    target = Target(given=Settings(hosts)).serialize()
    waiting = ZNodeBarrierTrigger(path=root, name="me", size=2, phase="enter", target=target)

    async def main() -> None:
        wait = asyncio.ensure_future(event_of(waiting))
        await asyncio.to_thread(until, lambda: client.exists(root + "/members/me"), "the entry")
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        await waiting.on_kill()

    asyncio.run(main())
    client.sync(root)
    assert client.children(root + "/members") == []


def member(hosts: str, path: str, phase: str) -> None:
    """Takes part in a barrier of two."""
    goal = BarrierGoal(path, "other", 2, phase)
    target, log = Target(given=Settings(hosts)), logger("test")
    outcome = asyncio.run(reach(goal, target, deadline=time.time() + WAIT_S, pause=0.1, log=log))
    assert outcome.status == "met", outcome


def test_a_barrier_and_another_round_of_it(
    succeeds: Succeeds, hosts: str, client: Client, root: str, meanwhile: Meanwhile
) -> None:
    def other() -> None:
        for phase in ("enter", "leave", "enter", "leave"):
            member(hosts, root + "/b", phase)

    meanwhile(other)
    for _ in range(2):
        assert succeeds("barrier", path=root + "/b")["leave"]["phase"] == "leave"
    client.sync(root)
    assert client.children(root + "/b/members") == []


def trigger(hosts: str, path: str, **arguments: Any) -> ZNodeTrigger:
    target = Target(given=Settings(hosts)).serialize()
    made = ZNodeTrigger(path=path, target=target, pause=0.1, **arguments)
    # As a triggerer makes it: from what was stored.
    name, stored = made.serialize()
    assert name == "bellwether_airflow.triggers.znode.ZNodeTrigger"
    return ZNodeTrigger(**stored)


async def event_of(made: Any) -> Any:
    """The event of a trigger, within the time of a test."""
    return await asyncio.wait_for(anext(made.run()), WAIT_S)


def test_a_change_before_the_trigger_begins_is_not_lost(
    hosts: str, client: Client, root: str
) -> None:
    stat = client.exists(root)
    assert stat is not None
    seen = {"czxid": stat.czxid, "mzxid": stat.mzxid}
    client.set(root, b"between")
    event = asyncio.run(event_of(trigger(hosts, root, baseline=seen)))
    assert isinstance(event, TaskSuccessEvent) and event.xcoms is not None
    result: Any = event.xcoms["return_value"]
    assert result["version"] == 1


def test_a_baseline_is_what_a_task_has_said_even_as_text() -> None:
    said = {"path": "/a", "exists": True, "czxid": 1, "mzxid": 2}
    wanted = {"czxid": 1, "mzxid": 2}
    assert baseline_of(said) == baseline_of(str(said)) == baseline_of(json.dumps(said)) == wanted
    gone = {"path": "/a", "exists": False}
    assert baseline_of(gone) == baseline_of(str(gone)) == baseline_of(json.dumps(gone)) == {}
    for wrong in ("", "nothing", "7", {"czxid": 1}):
        with pytest.raises(Refused, match="pass on the result"):
            baseline_of(wrong)


def test_a_node_that_is_made_anew_is_another(hosts: str, client: Client, root: str) -> None:
    stat = client.create(root + "/x").stat
    client.delete(root + "/x")
    client.create(root + "/x")
    seen = {"czxid": stat.czxid, "mzxid": stat.mzxid}
    event = asyncio.run(event_of(trigger(hosts, root + "/x", baseline=seen)))
    assert isinstance(event, TaskSuccessEvent)


class Meddling:
    """A client behind each of whose requests the node is changed, before the next one."""

    def __init__(self, client: AsyncClient, path: str) -> None:
        self._client = client
        self._path = path

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def asked(*arguments: Any) -> Any:
            answer = await getattr(self._client, name)(*arguments)
            await self._client.set(self._path, b"later")
            return answer

        return asked


def test_what_a_look_saw_is_what_its_watch_was_armed_at(
    hosts: str, client: Client, root: str
) -> None:
    stat = client.create(root + "/x", b"first").stat
    goal = NodeGoal(root + "/x", with_value=True)

    async def look() -> Look:
        async with AsyncClient.connect(hosts) as session:
            return await goal.look(cast(AsyncClient, Meddling(session, root + "/x")))

    seen = asyncio.run(look()).result
    assert (seen["value"], seen["mzxid"]) == ("first", stat.mzxid)


def test_triggers_share_a_session(hosts: str, client: Client, word: Word, root: str) -> None:
    def sessions() -> int:
        return word("cons").count("sid=")

    def watched(path: str) -> bool:
        return path in word("wchp").splitlines()

    async def main() -> None:
        before = await asyncio.to_thread(sessions)
        waits = [
            asyncio.ensure_future(event_of(trigger(hosts, f"{root}/{n}", condition="exists")))
            for n in range(3)
        ]
        for n in range(3):
            await asyncio.to_thread(until, partial(watched, f"{root}/{n}"), "a watch")
        assert await asyncio.to_thread(sessions) == before + 1
        for n in range(3):
            await asyncio.to_thread(client.create, f"{root}/{n}")
        assert all([isinstance(await wait, TaskSuccessEvent) for wait in waits])
        await asyncio.to_thread(until, lambda: sessions() == before, "the session's end")

    asyncio.run(main())


def test_a_trigger_that_is_cancelled_leaves_no_session(hosts: str, word: Word, root: str) -> None:
    async def main() -> None:
        before = word("cons").count("sid=")
        wait = asyncio.ensure_future(event_of(trigger(hosts, root + "/x", condition="exists")))
        await asyncio.to_thread(until, lambda: root + "/x" in word("wchp"), "the watch")
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        await asyncio.to_thread(
            until, lambda: word("cons").count("sid=") == before, "the session's end"
        )

    asyncio.run(main())


def test_a_service_that_is_down_is_waited_for(hosts: str) -> None:
    """A trigger does not raise, and ends by its deadline."""
    late: dict[str, Any] = {"deadline": time.time() + 1.0, "condition": "exists"}
    down = ZNodeTrigger(
        path="/", target={"hosts": "127.0.0.1:1"}, pause=0.1, soft_fail=True, **late
    )
    assert isinstance(asyncio.run(event_of(down)), TaskSkippedEvent)
    health = HealthTrigger(
        target={"hosts": "127.0.0.1:1"}, pause=0.1, deadline=time.time() + 0.3, end=False
    )
    event = asyncio.run(event_of(health))
    assert event.payload["status"] == "timeout"


def test_what_no_waiting_helps_fails_the_task(
    hosts: str, client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create(root + "/x", acl=[Acl(2, "world", "anyone")])
    event = asyncio.run(event_of(trigger(hosts, root + "/x", condition="value", expected="a")))
    assert isinstance(event, TaskFailedEvent)
    monkeypatch.setenv("AIRFLOW_CONN_BAD", '{"conn_type": "zookeeper", "extra": {"use_ssl": true}}')
    bad = ZNodeTrigger(path="/", target={"conn_id": "bad"})
    assert isinstance(asyncio.run(event_of(bad)), TaskFailedEvent)


@pytest.mark.skipif(
    "BELLWETHER_HARNESS" not in os.environ,
    reason="no harness that restarts the server (cargo xtask test airflow)",
)
@pytest.mark.parametrize("command", ["RESTART", "CRASH"])
def test_waiting_triggers_live_through_a_restart(
    command: str, hosts: str, client: Client, word: Word, root: str, server: Callable[[str], None]
) -> None:
    def watched(path: str) -> bool:
        return path in word("wchp").splitlines()

    async def main() -> None:
        waits = [
            asyncio.ensure_future(event_of(trigger(hosts, f"{root}/{n}", condition="exists")))
            for n in range(5)
        ]
        for n in range(5):
            await asyncio.to_thread(until, partial(watched, f"{root}/{n}"), "a watch")
        await asyncio.to_thread(server, command)
        for n in range(5):
            await asyncio.to_thread(client.retrying.create, f"{root}/{n}")
        assert all([isinstance(await wait, TaskSuccessEvent) for wait in waits])

    asyncio.run(main())

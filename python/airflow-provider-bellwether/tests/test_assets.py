"""Assets that are nodes, and the events of their watchers."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    AssetStateStoreResult,
    ErrorResponse,
    GetAssetStateStoreByName,
    OKResponse,
    SetAssetStateStoreByName,
)
from airflow.sdk.execution_time.context import AssetStateStoreAccessors
from airflow.triggers.shared_stream import SharedStreamManager
from bellwether import Client
from conftest import WAIT_S, until

from bellwether_airflow.assets import create_asset, watched_asset
from bellwether_airflow.triggers import events
from bellwether_airflow.triggers.zookeeper import ZNodeEventTrigger


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("zk://Main/a/b/", "zk://main/a/b"),
        ("ZK://main", "zk://main/"),
    ],
)
def test_an_address_has_one_form(written: str, normal: str) -> None:
    assert Asset(name="n", uri=written).uri == normal


@pytest.mark.parametrize("wrong", ["zk:///a", "zk://main/a?b=1", "zk://main//a"])
def test_addresses_that_are_none(wrong: str) -> None:
    with pytest.raises(ValueError):
        Asset(name="n", uri=wrong)


def test_an_asset_of_a_node() -> None:
    assert create_asset(ensemble="main", path="/a").uri == "zk://main/a"
    made = watched_asset("n", path="/a/b", root="/a")
    assert made.uri == "zk://zookeeper-default/a/b"
    (watcher,) = made.watchers
    name, arguments = watcher.trigger.serialize()
    assert name == "bellwether_airflow.triggers.events.ZNodeEventTrigger"
    assert arguments == {
        "path": "/a/b",
        "root": "/a",
        "zookeeper_conn_id": "zookeeper_default",
        "asset": "n",
    }
    # Two assets of one node have two triggers, for Airflow tells them apart by their arguments.
    (another,) = watched_asset("m", path="/a/b", root="/a").watchers
    assert another.trigger.serialize() != watcher.trigger.serialize()
    assert another.trigger.shared_stream_key() == watcher.trigger.shared_stream_key()
    with pytest.raises(ValueError, match="not above"):
        ZNodeEventTrigger(path="/ab", root="/a")


def test_a_dag_is_scheduled_by_a_node(dags: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    stored = json.dumps(DagSerialization.serialize_dag(dags["asset_scheduled"]))
    assert "zk://zookeeper-default/assets/colour" in stored
    assert "bellwether_airflow.triggers.events.ZNodeEventTrigger" in stored


class Store:
    """The state of an asset, as a triggerer offers it."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        """What was stored."""
        return self.kept.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        """Stores."""
        self.kept[key] = value


def made(path: str, root: str, store: Store) -> ZNodeEventTrigger:
    """A trigger as a triggerer makes it."""
    trigger = ZNodeEventTrigger(path=path, root=root)
    state: Any = store
    trigger.asset_state_store = state
    return trigger


class Triggerer:
    """The part of a triggerer that runs event triggers: shared streams, and their events."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self._streams = SharedStreamManager()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, trigger: ZNodeEventTrigger) -> None:
        """Begins with a trigger."""
        number = len(self._tasks)
        stream = self._streams.subscribe(
            trigger_id=number, trigger=trigger, key=trigger.shared_stream_key()
        )

        async def feed() -> None:
            async for event in trigger.filter_shared_stream(stream):
                self.events.put_nowait(event.payload)

        self._tasks.append(asyncio.ensure_future(feed()))

    async def next(self) -> Any:
        """The next event, within the time of a test."""
        return await asyncio.wait_for(self.events.get(), WAIT_S)

    async def kill(self) -> None:
        """Ends with all of them at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._streams.stop_all()


def sessions(word: Callable[[str], str]) -> int:
    """How many sessions the server has."""
    return word("cons").count("sid=")


def test_watchers_share_a_session_and_tell_of_their_own_nodes(
    client: Client, root: str, word: Callable[[str], str]
) -> None:
    async def main() -> None:
        before = sessions(word)
        triggerer, stores = Triggerer(), [Store() for _ in range(3)]
        for number, store in enumerate(stores):
            triggerer.start(made(f"{root}/{number}", root, store))
        await asyncio.to_thread(until, lambda: all(store.kept for store in stores), "the cursors")
        assert sessions(word) == before + 1
        for number in (2, 0):
            await asyncio.to_thread(client.create, f"{root}/{number}")
            event = await triggerer.next()
            assert event["path"] == f"{root}/{number}" and event["exists"]
        await asyncio.to_thread(client.delete, f"{root}/2")
        assert await triggerer.next() == {"path": f"{root}/2", "exists": False}
        assert triggerer.events.empty()
        await triggerer.kill()
        await asyncio.to_thread(until, lambda: sessions(word) == before, "the session's end")

    asyncio.run(main())


def test_an_event_that_may_not_be_in_the_database_yet_is_told_again(
    client: Client, root: str
) -> None:
    async def main() -> None:
        store = Store()
        for told in range(2):
            triggerer = Triggerer()
            triggerer.start(made(root, root, store))
            if not told:
                await asyncio.to_thread(until, lambda: store.kept, "the cursor")
                await asyncio.to_thread(client.set, root, b"changed")
            # Killed as soon as it has told: long before the cursor is stored.
            assert (await triggerer.next())["exists"]
            await triggerer.kill()

    asyncio.run(main())


def test_a_change_while_no_triggerer_runs_is_told_afterwards(
    client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEEP_AFTER_S", 0.0)

    async def main() -> None:
        store = Store()
        first = Triggerer()
        first.start(made(root, root, store))
        await asyncio.to_thread(until, lambda: store.kept, "the cursor")
        await first.kill()
        await asyncio.to_thread(client.set, root, b"meanwhile")
        second = Triggerer()
        second.start(made(root, root, store))
        event = await second.next()
        assert event["exists"] and event["mzxid"] > event["czxid"]
        wanted = {"czxid": event["czxid"], "mzxid": event["mzxid"], "exists": True}
        await asyncio.to_thread(
            until, lambda: store.kept == {f"bellwether:{root}": wanted}, "the cursor"
        )
        await second.kill()
        # It is told once.
        third = Triggerer()
        third.start(made(root, root, store))
        await asyncio.to_thread(client.set, root, b"again")
        assert (await third.next())["mzxid"] > event["mzxid"]
        assert third.events.empty()
        await third.kill()

    asyncio.run(main())


class Supervisor:
    """The part of a triggerer's supervisor that keeps the state of assets, by their names."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Any] = {}

    async def asend(self, message: Any) -> Any:
        """Answers as the API does."""
        key = (message.name, message.key)
        if isinstance(message, SetAssetStateStoreByName):
            self.kept[key] = message.value
            return OKResponse(ok=True)
        assert isinstance(message, GetAssetStateStoreByName)
        if key not in self.kept:
            return ErrorResponse(error=ErrorType.ASSET_STORE_NOT_FOUND)
        return AssetStateStoreResult(value=self.kept[key])


def watching(names: list[str], **arguments: Any) -> ZNodeEventTrigger:
    """A trigger of several assets, with the state stores that Airflow gives it."""
    trigger = ZNodeEventTrigger(**arguments)
    assets = [Asset(name=name, uri=f"x-assets://{name}") for name in names]
    trigger.asset_state_store = AssetStateStoreAccessors(inlets=assets)
    return trigger


def test_a_trigger_of_several_assets_keeps_its_cursor_with_the_one_it_names(
    client: Client,
    root: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.setattr(events, "_LOG", logging.getLogger("events-of-the-test"))
    monkeypatch.setattr(events, "KEEP_AFTER_S", 0.0)
    both = ["reds", "greens"]

    async def main() -> None:
        first = Triggerer()
        first.start(watching(both, path=root, asset="reds"))
        await asyncio.to_thread(until, lambda: supervisor.kept, "the cursor")
        await first.kill()
        assert set(supervisor.kept) == {("reds", f"bellwether:{root}")}
        await asyncio.to_thread(client.set, root, b"meanwhile")
        second = Triggerer()
        second.start(watching(both, path=root, asset="reds"))
        assert (await second.next())["exists"]
        await second.kill()
        assert caplog.text == ""
        # Without a name, or with one that no asset has, there is none, and the log says so.
        for asset in (None, "blues"):
            caplog.clear()
            trigger = watching(both, path=root, asset=asset)
            third = Triggerer()
            third.start(trigger)
            await asyncio.to_thread(until, lambda: "was not kept" in caplog.text, "the warning")
            assert "argument asset" in caplog.text
            await asyncio.to_thread(client.set, root, b"again")
            assert (await third.next())["exists"]
            await third.kill()

    asyncio.run(main())

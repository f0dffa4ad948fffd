"""Message queues: told once they are in the database, and removed then."""

import asyncio
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from airflow.triggers.shared_stream import SharedStreamManager
from bellwether import OPEN_ACL, Acl, Client, Perms
from bellwether.recipes import Queue
from conftest import WAIT_S, until

from bellwether_airflow import sessions
from bellwether_airflow.errors import Refused
from bellwether_airflow.queues.zookeeper import ZooKeeperMessageQueueProvider
from bellwether_airflow.triggers import queue as queues
from bellwether_airflow.triggers.queue import ZooKeeperQueueTrigger
from bellwether_airflow.waiting import Pauses

PROVIDER = "bellwether_airflow.queues.zookeeper.ZooKeeperMessageQueueProvider"


class Triggerer:
    """The part of a triggerer that runs event triggers, and says what is in the database."""

    def __init__(self, path: str, ack_timeout: float = WAIT_S) -> None:
        self.events: asyncio.Queue[tuple[dict[str, Any], int]] = asyncio.Queue()
        self.problem: BaseException | None = None
        self._streams = SharedStreamManager(ack_timeout=ack_timeout)
        self._trigger = ZooKeeperQueueTrigger(path=path)
        self._task = asyncio.ensure_future(self._feed())

    async def _feed(self) -> None:
        key = self._trigger.shared_stream_key()
        stream = self._streams.subscribe(trigger_id=1, trigger=self._trigger, key=key)
        try:
            async for event in self._trigger.filter_shared_stream(stream):
                number = self._streams.bind_pending_event(trigger_id=1, key=key)
                assert number is not None, "the stream does not wait for the database"
                self.events.put_nowait((event.payload, number))
        except Exception as error:
            self.problem = error
        finally:
            await self._streams.unsubscribe(1, key)

    async def next(self) -> tuple[dict[str, Any], int]:
        """The next event, and the number that it is confirmed by."""
        return await asyncio.wait_for(self.events.get(), WAIT_S)

    def confirm(self, *numbers: int) -> None:
        """Says that events are in the database."""
        self._streams.confirm_persisted(numbers)

    async def kill(self) -> None:
        """Ends at once."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._streams.stop_all()


def entries(client: Client, path: str) -> int:
    """How many messages there are, taken or not."""
    return len(client.children(f"{path}/entries"))


async def soon(state: Callable[[], object], what: str) -> None:
    """Waits for a state."""
    await asyncio.to_thread(until, state, what)


def test_a_message_is_removed_when_its_event_is_in_the_database(client: Client, root: str) -> None:
    async def main() -> None:
        triggerer = Triggerer(root)
        await asyncio.to_thread(queue.put_all, [b"one", b"\xff"])
        (first, one), (second, two) = [await triggerer.next() for _ in range(2)]
        assert first["value"] == "one" and second["value_base64"] == "/w=="
        assert first["queue"] == root and first["attempt"] == 1
        assert entries(client, root) == 2
        triggerer.confirm(one)
        await soon(lambda: entries(client, root) == 1, "the first to be removed")
        assert client.children(f"{root}/entries") == [second["name"]]
        triggerer.confirm(two)
        await soon(lambda: entries(client, root) == 0, "the second to be removed")
        await triggerer.kill()
        assert triggerer.problem is None

    queue = Queue(client, root)
    asyncio.run(main())


def test_a_triggerer_that_is_killed_loses_nothing(client: Client, root: str) -> None:
    async def main() -> None:
        await asyncio.to_thread(Queue(client, root).put, b"one")
        for attempt in (1, 2):
            triggerer = Triggerer(root)
            message, number = await triggerer.next()
            assert message["value"] == "one" and message["attempt"] == attempt
            if attempt == 2:
                triggerer.confirm(number)
                await soon(lambda: entries(client, root) == 0, "the message to be removed")
            await triggerer.kill()
        assert client.children(f"{root}/taken") == []

    asyncio.run(main())


def test_of_two_airflows_one_is_told(client: Client, root: str) -> None:
    async def main() -> None:
        pair = [Triggerer(root), Triggerer(root)]
        sent = [f"m{number}".encode() for number in range(40)]
        await asyncio.to_thread(Queue(client, root).put_all, sent)
        told: list[str] = []
        while len(told) < len(sent):
            for triggerer in pair:
                while not triggerer.events.empty():
                    message, number = triggerer.events.get_nowait()
                    told.append(message["value"])
                    triggerer.confirm(number)
            await asyncio.sleep(0)
        await soon(lambda: entries(client, root) == 0, "the queue to be empty")
        assert sorted(told) == sorted(text.decode() for text in sent)
        for triggerer in pair:
            assert triggerer.events.empty() and triggerer.problem is None
            await triggerer.kill()

    asyncio.run(main())


def test_only_so_many_are_held(
    client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "HELD_MAX", 3)

    async def main() -> None:
        await asyncio.to_thread(Queue(client, root).put_all, [b""] * 5)
        triggerer = Triggerer(root)
        numbers = [(await triggerer.next())[1] for _ in range(3)]
        assert len(client.children(f"{root}/taken")) == 3 and triggerer.events.empty()
        triggerer.confirm(*numbers)
        triggerer.confirm(*[(await triggerer.next())[1] for _ in range(2)])
        await soon(lambda: entries(client, root) == 0, "the queue to be empty")
        await triggerer.kill()

    asyncio.run(main())


def test_a_message_that_is_never_confirmed_goes_back(client: Client, root: str) -> None:
    async def main() -> None:
        await asyncio.to_thread(Queue(client, root).put, b"one")
        triggerer = Triggerer(root, ack_timeout=0.2)
        await triggerer.next()
        await soon(lambda: triggerer.problem is not None, "Airflow to give up")
        assert type(triggerer.problem).__name__ == "AckTimeout"
        await triggerer.kill()
        item = await asyncio.to_thread(Queue(client, root).take, WAIT_S)
        assert (item.data, item.attempt) == (b"one", 2)
        await asyncio.to_thread(item.done)

    asyncio.run(main())


def test_a_message_that_is_not_held_any_more_is_told_again(client: Client, root: str) -> None:
    async def main() -> None:
        await asyncio.to_thread(Queue(client, root).put, b"one")
        triggerer = Triggerer(root)
        first, late = await triggerer.next()
        # By hand: nobody holds it, and whoever takes it is the next.
        await asyncio.to_thread(client.delete, f"{root}/taken/{first['name']}")
        again, number = await triggerer.next()
        assert again == {**first, "attempt": 2}
        triggerer.confirm(late)
        triggerer.confirm(number)
        await soon(lambda: entries(client, root) == 0, "the queue to be empty")
        assert triggerer.problem is None
        await triggerer.kill()

    asyncio.run(main())


def test_a_session_that_ends_does_not_end_the_stream(client: Client, root: str) -> None:
    async def main() -> None:
        queue = Queue(client, root)
        await asyncio.to_thread(queue.put, b"one")
        triggerer = Triggerer(root)
        first, late = await triggerer.next()
        (shared,) = sessions._by_loop[asyncio.get_running_loop()].values()
        await shared.opening.result().close()
        again, number = await triggerer.next()
        assert again == {**first, "attempt": 2}
        triggerer.confirm(late, number)
        await soon(lambda: entries(client, root) == 0, "the queue to be empty")
        await asyncio.to_thread(queue.put, b"two")
        message, number = await triggerer.next()
        assert message["value"] == "two"
        triggerer.confirm(number)
        await soon(lambda: entries(client, root) == 0, "the queue to be empty")
        assert triggerer.problem is None
        await triggerer.kill()

    asyncio.run(main())


def test_what_cannot_be_removed_is_not_told_at_full_speed(
    client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[str] = []

    async def wait(_pauses: Pauses, problem: str) -> None:
        paused.append(problem)
        await asyncio.to_thread(client.set_acl, f"{root}/entries", OPEN_ACL)

    monkeypatch.setattr(Pauses, "wait", wait)

    told: list[str] = []

    async def confirm_all(triggerer: Triggerer) -> None:
        while True:
            message, number = await triggerer.next()
            told.append(message["value"])
            triggerer.confirm(number)

    async def main() -> None:
        await asyncio.to_thread(Queue(client, root).put, b"one")
        fixed = Acl(Perms.READ | Perms.CREATE | Perms.ADMIN, "world", "anyone")
        await asyncio.to_thread(client.set_acl, f"{root}/entries", [fixed])
        triggerer = Triggerer(root)
        confirming = asyncio.ensure_future(confirm_all(triggerer))
        await soon(lambda: entries(client, root) == 0, "the message to be removed")
        confirming.cancel()
        await triggerer.kill()
        assert triggerer.problem is None

    asyncio.run(main())
    assert paused and all("NoAuthError" in problem for problem in paused)
    # One telling may be under way when the pause begins.
    assert set(told) == {"one"} and 2 <= len(told) <= len(paused) + 2


def test_alone_a_message_is_removed_when_the_next_is_due(client: Client, root: str) -> None:
    async def main() -> None:
        await asyncio.to_thread(Queue(client, root).put_all, [b"one", b"two"])
        events = ZooKeeperQueueTrigger(path=root).run()
        for text, left in (("one", 2), ("two", 1)):
            event = await asyncio.wait_for(anext(events), WAIT_S)
            assert event.payload["value"] == text and entries(client, root) == left
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert entries(client, root) == 1 and client.children(f"{root}/taken") == []


@pytest.mark.parametrize(
    ("address", "conn_id", "path"),
    [
        ("zk-queue://main_2/a/b", "main_2", "/a/b"),
        ("zk-queue:///orders/", "zookeeper_default", "/orders"),
    ],
)
def test_addresses(address: str, conn_id: str, path: str) -> None:
    provider = ZooKeeperMessageQueueProvider()
    assert provider.queue_matches(address)
    made = provider.trigger_kwargs(address)
    assert made == {"path": path, "zookeeper_conn_id": conn_id}
    _, stored = provider.trigger_class()(**made).serialize()
    assert stored == made


@pytest.mark.parametrize(
    "wrong", ["zk-queue://main", "zk-queue://main/", "zk-queue://main/a?b=1", "zk-queue://m//a/b"]
)
def test_addresses_that_are_none(wrong: str) -> None:
    with pytest.raises(Refused):
        ZooKeeperMessageQueueProvider().trigger_kwargs(wrong)


def test_queues_that_are_none() -> None:
    for wrong in ("/", "orders", "/a//b"):
        with pytest.raises(Refused):
            ZooKeeperQueueTrigger(path=wrong)
    assert not ZooKeeperMessageQueueProvider().queue_matches("zk://main/a")


def test_airflows_trigger_finds_the_provider(airflow_db: None) -> None:
    from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()  # type: ignore[no-untyped-call]
    assert PROVIDER in manager.queue_class_names
    wanted = (
        "bellwether_airflow.triggers.queue.ZooKeeperQueueTrigger",
        {"path": "/orders", "zookeeper_conn_id": "main"},
    )
    by_scheme = MessageQueueTrigger(scheme="zk-queue", path="/orders", zookeeper_conn_id="main")
    assert by_scheme.serialize() == wanted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert MessageQueueTrigger(queue="zk-queue://main/orders").serialize() == wanted


def test_the_documents_dag_puts_a_message(
    succeeds: Callable[..., dict[str, Any]], client: Client
) -> None:
    queue = Queue(client, "/docs/orders")
    while (left := queue.try_take()) is not None:
        left.done()
    assert succeeds("doc_queue")["ship"] == []
    item = queue.take(WAIT_S)
    assert (item.data, item.priority) == (b"paper", 100)
    item.done()

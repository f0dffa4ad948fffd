"""The trigger of message queues: an event for every message of a queue, and then it is removed.

Keeps true: a message is removed when Airflow has its event in the database, and not before; until
then it is held, so that no other triggerer of any Airflow is told of it. A message that could not
be removed is told again: at least once. Nothing that may pass is raised: what `advance` raises
would end the watchers of the queue.

A queue is the recipe of the client: what is taken from it belongs to the session, and goes back
with it. Children of a plain node would be told to everybody who looks at them.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import bellwether
from bellwether import AsyncClient
from bellwether.recipes import AsyncItem, AsyncQueue

from .. import sessions
from ..errors import Refused, explained
from ..paths import checked
from ..settings import DEFAULT_CONN_ID, Target
from ..values import shown
from ..version_compat import (
    AdvanceItem,
    AdvanceOutcome,
    AirflowNotFoundException,
    BaseEventTrigger,
    SharedStreamProducer,
    TriggerEvent,
    conf,
)
from ..waiting import Pauses, logger

HELD_MAX = 100
"""How many messages of a queue are held at a time: they wait for the database."""

_LOG = logger("queue")


class ZooKeeperQueueTrigger(BaseEventTrigger):
    """Tells of every message of a queue, and removes it.

    :param path: the queue's node
    :param zookeeper_conn_id: a connection of the type `zookeeper`
    """

    def __init__(self, *, path: str, zookeeper_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if checked(path) == "/":
            raise Refused("the path / is the root, and no queue; /orders would be one")
        self.path = path
        self.zookeeper_conn_id = zookeeper_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments by which another triggerer makes it again."""
        arguments = {"path": self.path, "zookeeper_conn_id": self.zookeeper_conn_id}
        return "bellwether_airflow.triggers.queue.ZooKeeperQueueTrigger", arguments

    def shared_stream_key(self) -> Hashable:
        """The connection and the queue."""
        return "bellwether-queue", self.zookeeper_conn_id, self.path

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> "QueueProducer":
        """What takes the messages, and removes them."""
        return QueueProducer(kwargs["path"], kwargs["zookeeper_conn_id"])

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[dict[str, Any]]
    ) -> AsyncIterator[TriggerEvent]:
        """An event for every message."""
        async for message in shared_stream:
            yield TriggerEvent(message)  # type: ignore[no-untyped-call]

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Alone, where nobody says what is in the database: removed when the next one is due."""
        producer = self.create_shared_stream_producer(self.serialize()[1])
        try:
            async for message, item in producer.open_stream():
                yield TriggerEvent(message)  # type: ignore[no-untyped-call]
                await producer.advance([AdvanceItem(item, AdvanceOutcome(acked=1, failed=0))])
        finally:
            await producer.aclose()


class QueueProducer(SharedStreamProducer):
    """Takes messages, and is told what has become of them."""

    def __init__(self, path: str, conn_id: str) -> None:
        self._path = path
        self._conn_id = conn_id
        self._held: set[AsyncItem] = set()
        # Whoever has more than Airflow's own limit before it loses the trigger.
        limit = conf.getint("triggerer", "shared_stream_subscriber_queue_size", fallback=HELD_MAX)
        self._room = asyncio.Semaphore(max(1, min(HELD_MAX, limit)))
        self._client: AsyncClient | None = None
        self._leased = AsyncExitStack()
        self._pauses = Pauses(_LOG)
        self._trouble: str | None = None

    async def open_stream(self) -> AsyncIterator[tuple[dict[str, Any], AsyncItem]]:
        """Messages, and the items that they were taken as; it never ends."""
        while True:
            await self._room.acquire()
            item = await self._next()
            self._held.add(item)
            message = {
                "queue": self._path,
                "name": item.name,
                "priority": item.priority,
                "attempt": item.attempt,
                **shown(item.data),
            }
            yield message, item

    async def _next(self) -> AsyncItem:
        while True:
            # What cannot be removed would be told again at once, and again.
            trouble, self._trouble = self._trouble, None
            if trouble is not None:
                await self._pauses.wait(trouble)
            try:
                return await AsyncQueue(await self._session(), self._path).take()
            except bellwether.ZooKeeperError as error:
                self._trouble = explained(error, f"take from the queue {self._path}")
            except (Refused, AirflowNotFoundException) as error:
                # Somebody may mend the connection.
                self._trouble = str(error)

    async def _session(self) -> AsyncClient:
        """The session that holds the messages: one as long as it lives."""
        client = self._client
        if client is None or sessions.is_over(client):
            self._client = None
            await self._leased.aclose()
            settings = await Target(self._conn_id).aresolve()
            client = await self._leased.enter_async_context(sessions.aleased(settings))
            self._client = client
        return client

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Removes messages whose events are in the database; gives the others back."""
        await asyncio.gather(*(self._settle(one.broker_payload, one.outcome) for one in batch))

    async def _settle(self, item: AsyncItem, outcome: AdvanceOutcome) -> None:
        name = f"{item.name} of the queue {self._path}"
        try:
            if outcome.is_clean:
                await item.done()
                self._pauses.reset()
            else:
                self._trouble = f"{name} has not come to the database"
                await item.give_back()
        except bellwether.NoNodeError:
            _LOG.warning("%s was not held any more, and may be told again", name)
        except bellwether.ZooKeeperError as error:
            self._trouble = explained(error, f"remove {name}")
        finally:
            self._held.discard(item)
            self._room.release()

    async def aclose(self) -> None:
        """Gives back what is held, and the session."""
        held, self._held = self._held, set()
        self._client = None
        try:
            for item in held:
                await item.give_back()
        except bellwether.ZooKeeperError as error:
            _LOG.warning("%s", explained(error, f"give back to the queue {self._path}"))
        finally:
            await self._leased.aclose()


__all__ = ["QueueProducer", "ZooKeeperQueueTrigger"]

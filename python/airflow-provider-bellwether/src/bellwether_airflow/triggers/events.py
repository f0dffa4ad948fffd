"""The trigger of asset watchers: an event whenever a node has become another one.

Keeps true: a change while no triggerer runs is told afterwards, by a cursor in the asset's state
store that is written after the event: at least once. Triggers with the same connection and root
share one session and one recursive watch. Nothing that may pass is raised.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from typing import Any

import bellwether
from bellwether import AsyncClient, Gap

from .. import sessions
from ..errors import Refused, explained
from ..goals import baseline_of, state_of
from ..paths import checked
from ..settings import DEFAULT_CONN_ID, Settings, Target
from ..version_compat import (
    AirflowNotFoundException,
    AirflowRuntimeError,
    AssetNameRef,
    BaseEventTrigger,
    TriggerEvent,
)
from ..waiting import RELOOK_S, Pauses, logger

KEEP_AFTER_S = 10.0
"""How long after an event the cursor is stored. A triggerer hands events on about once a second,
and says to nobody when they are in the database; a cursor that was stored before that would lose
the event of a triggerer that is killed in between. Within this time an event is told twice."""

_LOG = logger("events")


class ZNodeEventTrigger(BaseEventTrigger):
    """Tells of a node that was created, set or deleted.

    :param path: the node
    :param root: a node at or above it; triggers that name the same share a watch. By default the
        node itself
    :param zookeeper_conn_id: a connection of the type `zookeeper`
    :param asset: the name of the asset whose state store keeps the cursor. Without it the trigger
        has one only as long as a single asset watches with these arguments: Airflow makes one
        trigger for all assets that do, and tells it of no names
    """

    def __init__(
        self,
        *,
        path: str,
        root: str | None = None,
        zookeeper_conn_id: str = DEFAULT_CONN_ID,
        asset: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = checked(path)
        self.root = checked(root or path)
        self.zookeeper_conn_id = zookeeper_conn_id
        self.asset = asset
        if self.root != "/" and self.path != self.root and not path.startswith(self.root + "/"):
            raise Refused(f"the root {self.root!r} is not above {self.path!r}")
        self._seen: dict[str, int] | None = None
        self._keeping: asyncio.Task[None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments by which another triggerer makes it again."""
        arguments = {
            "path": self.path,
            "root": self.root,
            "zookeeper_conn_id": self.zookeeper_conn_id,
            "asset": self.asset,
        }
        return "bellwether_airflow.triggers.events.ZNodeEventTrigger", arguments

    def shared_stream_key(self) -> Hashable:
        """The connection and the root."""
        return "bellwether", self.zookeeper_conn_id, self.root

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[str | None]:
        """Paths that have changed, and None when any may have; it never ends."""
        conn_id, root = kwargs["zookeeper_conn_id"], kwargs["root"]
        pauses = Pauses(_LOG)
        while True:
            try:
                settings = await Target(conn_id).aresolve()
                async with sessions.aleased(settings) as client:
                    async for path in _changes(client, root, pauses):
                        yield path
            except bellwether.ZooKeeperError as error:
                await pauses.wait(explained(error, f"watch below {root}"))
            except (Refused, AirflowNotFoundException) as error:
                # Somebody may mend the connection.
                await pauses.wait(str(error))

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[str | None]
    ) -> AsyncIterator[TriggerEvent]:
        """An event for every look at the node that finds it another one."""
        self._seen = await self._load()
        try:
            # What changed while nobody watched; what changes from here on is in the stream already.
            async for event in self._looked():
                yield event
            async for changed in shared_stream:
                if changed is None or changed == self.path:
                    async for event in self._looked():
                        yield event
        finally:
            if self._keeping is not None:
                self._keeping.cancel()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """As with others, alone."""
        _, arguments = self.serialize()
        async for event in self.filter_shared_stream(self.open_shared_stream(arguments)):
            yield event

    async def _looked(self) -> AsyncIterator[TriggerEvent]:
        result = await self._read()
        now = baseline_of(result)
        if self._seen is None:
            # The first look of all: what is there is what changes count from.
            self._seen = now
            await self._keep(now, 0.0)
        elif now != self._seen:
            self._seen = now
            if self._keeping is not None:
                self._keeping.cancel()
            yield TriggerEvent(result)  # type: ignore[no-untyped-call]
            self._keeping = asyncio.create_task(self._keep(now, KEEP_AFTER_S))

    async def _read(self) -> dict[str, Any]:
        pauses = Pauses(_LOG)
        while True:
            try:
                settings: Settings = await Target(self.zookeeper_conn_id).aresolve()
                async with sessions.aleased(settings) as client:
                    stat = await client.retrying.exists(self.path)
                    about = {"path": self.path, "exists": stat is not None}
                    return about if stat is None else {**about, **state_of(stat)}
            except bellwether.ZooKeeperError as error:
                await pauses.wait(explained(error, f"look at {self.path}"))
            except (Refused, AirflowNotFoundException) as error:
                await pauses.wait(str(error))

    @property
    def _key(self) -> str:
        return f"bellwether:{self.path}"

    @property
    def _store(self) -> Any:
        """Where the cursor is kept.

        Raises:
            KeyError: no asset of that name is watched by this trigger.
        """
        store = self.asset_state_store
        return store if store is None or self.asset is None else store[AssetNameRef(self.asset)]

    async def _load(self) -> dict[str, int] | None:
        try:
            if (store := self._store) is None:
                return self._seen
            kept = await store.aget(self._key)
        except (AirflowRuntimeError, KeyError, ValueError) as error:
            _LOG.warning(
                "no cursor for %s (%s): a change while no triggerer ran is not told of; the "
                "trigger's argument asset says whose state store keeps it",
                self.path,
                error,
            )
            return self._seen
        return None if kept is None else baseline_of(kept)

    async def _keep(self, now: dict[str, int], after: float) -> None:
        await asyncio.sleep(after)
        try:
            if (store := self._store) is not None:
                await store.aset(self._key, {**now, "exists": bool(now)})
        except (AirflowRuntimeError, KeyError, ValueError) as error:
            _LOG.warning("the cursor for %s was not kept: %s", self.path, error)


async def _changes(client: AsyncClient, root: str, pauses: Pauses) -> AsyncIterator[str | None]:
    """What changes below a node, as long as the session lives.

    Raises:
        bellwether.ZooKeeperError: the session is over, or the service refused the watch.
    """
    async with await client.watch(root, recursive=True) as watch:
        pauses.reset()
        yield None
        while True:
            try:
                change = await watch.next(RELOOK_S)
            except TimeoutError as error:
                if isinstance(error, bellwether.NoServerError | bellwether.RequestTimeoutError):
                    raise
                yield None
                continue
            yield None if isinstance(change, Gap) else change.path

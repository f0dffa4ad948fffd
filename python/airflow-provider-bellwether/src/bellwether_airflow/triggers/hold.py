"""The trigger that holds an ephemeral node for a task.

Keeps true: the node exists as long as the hold lasts and the service can be reached. A session that
was lost is opened again, and the node made anew; a triggerer that takes over waits until the node
of the one before is gone.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from typing import Any

import bellwether
from bellwether import Acl, AsyncClient

from ..errors import Refused, explained, is_hopeless
from ..sessions import aconnect
from ..settings import Target
from ..version_compat import (
    AirflowNotFoundException,
    BaseTrigger,
    TaskFailedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

_PAUSE_S = 1.0
_PAUSE_S_MAX = 30.0
_RELOOK_S = 60.0


class HoldTrigger(BaseTrigger):
    """Keeps an ephemeral node for `hold_for` seconds, or until a node exists."""

    def __init__(
        self,
        *,
        path: str,
        data: dict[str, str],
        acl: list[dict[str, Any]],
        makepath: bool,
        target: dict[str, Any],
        hold_for: float | None,
        until: str | None,
        owner: str,
        deadline: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.path = path
        self.data = data
        self.acl = acl
        self.makepath = makepath
        self.target = target
        self.hold_for = hold_for
        self.until = until
        self.owner = owner
        # By the clock of whoever defers, so that a triggerer that takes over does not begin anew.
        self.deadline = deadline
        if deadline is None and hold_for is not None:
            self.deadline = time.time() + hold_for

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments by which another triggerer makes it again."""
        names = ("path", "data", "acl", "makepath", "target", "hold_for", "until", "owner")
        arguments = {name: getattr(self, name) for name in (*names, "deadline")}
        return f"bellwether_airflow.triggers.hold.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Holds the node; ends the task when the hold ends."""
        try:
            settings = await Target.deserialize(self.target).aresolve()
        except (Refused, AirflowNotFoundException) as error:
            self.log.error("hold of %s: %s", self.path, error)
            yield TaskFailedEvent()
            return
        pause = _PAUSE_S
        while True:
            try:
                # A session of its own: the node has to go when the hold ends, not when others do.
                client = await aconnect(settings)
                try:
                    await self._hold(client)
                finally:
                    await client.close()
                yield TaskSuccessEvent(xcoms={"return_value": {"path": self.path, "held": True}})
                return
            except bellwether.ZooKeeperError as error:
                if is_hopeless(error):
                    self.log.error(explained(error, f"hold of {self.path}"))
                    break
                self.log.warning("%s; again", explained(error, f"hold of {self.path}"))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_S_MAX)
        yield TaskFailedEvent()

    async def _hold(self, client: AsyncClient) -> None:
        while True:
            await self._make(client)
            stat, mine = await client.exists_and_watch(self.path)
            async with mine:
                if stat is None or stat.ephemeral_owner != client.session_id:
                    continue
                if await self._is_over(client, mine):
                    return

    async def _make(self, client: AsyncClient) -> None:
        data = self.data
        content = (
            data["value"].encode() if "value" in data else base64.b64decode(data["value_base64"])
        )
        acl = [Acl(entry["perms"], entry["scheme"], entry["id"]) for entry in self.acl] or None
        if self.makepath and self.path.rpartition("/")[0]:
            await client.retrying.ensure_path(self.path.rpartition("/")[0])
        while True:
            try:
                await client.retrying.create(self.path, content, ephemeral=True, acl=acl)
                return
            except bellwether.NodeExistsError:
                stat, watch = await client.exists_and_watch(self.path)
                async with watch:
                    if stat is not None and stat.ephemeral_owner == client.session_id:
                        return
                    if stat is not None:
                        self.log.info("%s is there by another session; waiting", self.path)
                        await _event(watch.wait(), _RELOOK_S)

    async def _is_over(self, client: AsyncClient, mine: bellwether.AsyncOnceWatch) -> bool:
        """Whether the hold has ended; False if the node has changed meanwhile."""
        events = [asyncio.ensure_future(mine.wait())]
        until = None
        try:
            if self.until is not None:
                stat, until = await client.exists_and_watch(self.until)
                if stat is not None:
                    return True
                events.append(asyncio.ensure_future(until.wait()))
            left = None if self.deadline is None else self.deadline - time.time()
            if left is not None and left <= 0:
                return True
            limit = _RELOOK_S if left is None else min(left, _RELOOK_S)
            done, _ = await asyncio.wait(events, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            for event in done:
                event.result()
            return self.deadline is not None and time.time() >= self.deadline
        finally:
            for event in events:
                event.cancel()
            if until is not None:
                await until.close()


async def _event(event: Any, limit: float) -> None:
    try:
        await asyncio.wait_for(event, limit)
    except bellwether.ZooKeeperError:
        raise
    except TimeoutError:
        pass

"""Barriers of tasks: several meet at a node, and go on when all are there, or all have left.

Keeps true: a member's node is persistent, for tasks outlive sessions. Whoever finds the barrier
full opens it by the node `ready`; a member is in if its node is older than that, also after others
have left. The last to leave removes `ready`, and the next round can begin.
"""

from dataclasses import dataclass

import bellwether
from bellwether import AsyncClient, AsyncOnceWatch, Stat

from .errors import Refused
from .paths import checked, child_of
from .waiting import Goal, Look

PHASES = ("enter", "leave")


@dataclass(frozen=True)
class BarrierGoal(Goal):
    """To have entered a barrier with `size` others, or to have left it with all."""

    path: str
    name: str
    size: int
    phase: str

    def check(self) -> None:
        """Refuses what can never be met.

        Raises:
            Refused: and it says why.
        """
        checked(self.path)
        if self.phase not in PHASES:
            raise Refused(f"phase is {self.phase!r}; enter or leave is expected")
        if not isinstance(self.size, int) or self.size < 1:
            raise Refused(f"size is {self.size!r}; the number of members is expected")
        if not self.name or "/" in self.name:
            raise Refused(f"name is {self.name!r}; a name without / is expected")

    def __str__(self) -> str:
        """What is waited for."""
        return f"{self.phase} the barrier {self.path} as {self.name}"

    @property
    def _members(self) -> str:
        return child_of(self.path, "members")

    @property
    def _ready(self) -> str:
        return child_of(self.path, "ready")

    @property
    def _mine(self) -> str:
        return child_of(self._members, self.name)

    async def look(self, client: AsyncClient) -> Look:
        """Does what this member has to do, and looks whether the others have done it too."""
        return await (self._enter(client) if self.phase == "enter" else self._leave(client))

    async def _enter(self, client: AsyncClient) -> Look:
        await client.retrying.ensure_path(self._members)
        mine = await self._join(client)
        ready, opened = await client.exists_and_watch(self._ready)
        if ready is not None:
            # A member that came after the opening is of the next round, and waits for this one's
            # end: the watch tells of it.
            return Look(mine.czxid < ready.czxid, self._result(), [opened])
        names, _, changed = await client.children_and_watch(self._members)
        if len(names) >= self.size:
            await self._open(client)
            await changed.close()
            await opened.close()
            return await self._enter(client)
        return Look(False, self._result(), [opened, changed])

    async def _join(self, client: AsyncClient) -> Stat:
        while True:
            stat = await client.retrying.exists(self._mine)
            if stat is not None:
                return stat
            try:
                return (await client.retrying.create(self._mine)).stat
            except bellwether.NodeExistsError:
                continue

    async def _open(self, client: AsyncClient) -> None:
        try:
            await client.retrying.create(self._ready)
        except bellwether.NodeExistsError:
            pass

    async def withdraw(self, client: AsyncClient) -> None:
        """Takes back an entry, unless the barrier has opened with it: the others wait on."""
        ready = await client.retrying.exists(self._ready)
        mine = await client.retrying.exists(self._mine)
        if mine is None or (ready is not None and mine.czxid < ready.czxid):
            return
        try:
            await client.retrying.delete(self._mine)
        except bellwether.NoNodeError:
            pass

    async def _leave(self, client: AsyncClient) -> Look:
        try:
            await client.retrying.delete(self._mine)
        except bellwether.NoNodeError:
            pass
        watches: list[AsyncOnceWatch] = []
        try:
            names, _, changed = await client.children_and_watch(self._members)
        except bellwether.NoNodeError:
            return Look(True, self._result(), watches)
        ready, opened = await client.exists_and_watch(self._ready)
        watches = [changed, opened]
        if ready is None:
            return Look(True, self._result(), watches)
        inside = [name for name in names if await self._is_inside(client, name, ready)]
        if not inside:
            try:
                await client.retrying.delete(self._ready)
            except bellwether.NoNodeError:
                pass
        return Look(not inside, self._result(), watches)

    async def _is_inside(self, client: AsyncClient, name: str, ready: Stat) -> bool:
        stat = await client.exists(child_of(self._members, name))
        return stat is not None and stat.czxid < ready.czxid

    def _result(self) -> dict[str, object]:
        return {"path": self.path, "name": self.name, "size": self.size, "phase": self.phase}

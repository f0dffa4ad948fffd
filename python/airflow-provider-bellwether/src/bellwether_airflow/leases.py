"""Leases that outlive processes and sessions: a task takes one, and another gives it back.

Keeps true: a lease is a claim of the client's recipe (`Claim`), so that every program that claims
the same node is excluded. It is an owner's for a time by the leader's clock; its owner gets it back
at once, and it alone gives it up. Whoever reads the node's layout here reads what
`docs/recipes/claim.md` says: the owner, a word of the taking, milliseconds; nothing if it is free.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bellwether
from bellwether import AsyncClient, AsyncOnceWatch, Client, Stat
from bellwether.recipes import AsyncClaim, AsyncTenure

from . import sessions
from .errors import Refused, told
from .locks import LeaseLost
from .owner import deployment, owner_of
from .paths import checked, child_of
from .settings import DEFAULT_CONN_ID, Settings, Target
from .values import given_back
from .version_compat import Context
from .waiting import Goal, Look

_CLOCK = "clock"
"""The child of a claim's node that is written to learn the leader's time."""

_AGAIN_S_MIN = 0.05
"""The shortest pause before a lease whose time should be over is asked for again."""


def holder_of(context: Context, within: str | None = None) -> str:
    """The owner of a task's lease: the same in every try, and readable for people."""
    ti = context["ti"]
    names = (deployment(), ti.dag_id, ti.run_id, ti.task_id, ti.map_index)
    return " ".join(f"{'/'.join(map(str, names))} {owner_of(context, within)}".split())


def nodes_of(lock: str, leases: int) -> list[str]:
    """The claims that a lock is made of: its own node, or one for each lease of a semaphore."""
    if leases == 1:
        return [lock]
    return [child_of(lock, f"lease-{number}") for number in range(leases)]


@dataclass(frozen=True)
class _Record:
    """What the node of a claim says."""

    owner: str
    length_ms: int

    @classmethod
    def parse(cls, data: bytes) -> "_Record | None":
        lines = data.decode(errors="replace").splitlines()
        if len(lines) < 3 or not lines[2].isdigit():
            return None
        return cls(lines[0], int(lines[2]))

    def deadline_ms(self, stat: Stat) -> int:
        """Until when it is the owner's, in milliseconds since 1970 by the leader's clock."""
        return stat.mtime + self.length_ms


@dataclass(frozen=True)
class LeaseGoal(Goal):
    """A lease is had: one of so many, for so many seconds."""

    lock: str
    owner: str
    ttl: float
    leases: int = 1

    def check(self) -> None:
        """Refuses what can never be had.

        Raises:
            Refused: and it says why.
        """
        if checked(self.lock) == "/":
            raise Refused("the lock / is the root of the service: name a node below it")
        if self.leases < 1:
            raise Refused(f"leases is {self.leases}; at least 1 is expected")
        if not 0.001 <= self.ttl < 1e9:
            raise Refused(f"ttl is {self.ttl!r}; seconds are expected")

    def __str__(self) -> str:
        """What is waited for."""
        return f"acquire {self.lock}"

    async def look(self, client: AsyncClient) -> Look:
        """Takes a lease if there is one; if not, watches all of them until the first is over."""
        nodes = nodes_of(self.lock, self.leases)
        watches: list[AsyncOnceWatch] = []
        mine = []
        for node in nodes:
            await client.retrying.ensure_path(node)
            watches.append((await client.exists_and_watch(node))[1])
            claimant = await AsyncClaim(client, node, owner=self.owner).claimant()
            if claimant is not None and claimant.owner == self.owner:
                mine.append(node)
        left = []
        # Another try of this task may have taken one: it is this one's.
        for node in mine[:1] or nodes:
            tenure = await AsyncClaim(client, node, owner=self.owner).try_take(self.ttl)
            if tenure is not None:
                return Look(True, self._result(node, tenure), watches)
            left.append(await _left_s(client, node))
        return Look(False, {}, watches, again_s=max(min(left), _AGAIN_S_MIN))

    def _result(self, node: str, tenure: AsyncTenure) -> dict[str, Any]:
        return {
            "path": self.lock,
            "node": node,
            "owner": self.owner,
            "fence": tenure.fence,
            "deadline_ms": tenure.deadline_ms,
        }


async def _left_s(client: AsyncClient, node: str) -> float:
    """How long a lease will be somebody's, in seconds."""
    try:
        data, stat = await client.get(node)
        clock = await client.exists(child_of(node, _CLOCK))
    except bellwether.NoNodeError:
        return 0.0
    record = _Record.parse(data)
    if record is None or clock is None:
        return 0.0
    return (record.deadline_ms(stat) - clock.mtime) / 1000


def lease_of(lease: Any) -> dict[str, Any]:
    """A lease, as the task that acquired it says it: path, node, owner, fence.

    Raises:
        Refused: it is no such result.
    """
    lease = given_back(lease)
    if not isinstance(lease, Mapping) or not {"node", "owner"} <= lease.keys():
        raise Refused(
            "lease has no node and owner: pass on the result of the task that acquired it"
        )
    return {
        **lease,
        "path": str(lease.get("path", lease["node"])),
        "node": checked(lease["node"]),
        "owner": str(lease["owner"]),
    }


def give_up(client: Client, lease: Any) -> dict[str, Any]:
    """Gives a lease back, if it is its owner's: `released`, and whether that was `late`."""
    lease = lease_of(lease)
    node, owner = lease["node"], lease["owner"]
    while True:
        found = _read(client, node)
        if found is None or found[0].owner != owner:
            return {"path": lease["path"], "released": False, "late": True}
        record, _, stat = found
        try:
            done = client.retrying.set(node, b"", stat.version)
        except (bellwether.BadVersionError, bellwether.NoNodeError):
            continue
        late = done.mtime > record.deadline_ms(stat)
        return {"path": lease["path"], "released": True, "late": late}


def _read(client: Client, node: str) -> tuple[_Record, bytes, Stat] | None:
    client.retrying.sync(node)
    try:
        data, stat = client.retrying.get(node)
    except bellwether.NoNodeError:
        return None
    record = _Record.parse(data)
    return None if record is None else (record, data, stat)


def renew_lease(lease: Any, conn: str | Settings = DEFAULT_CONN_ID) -> int:
    """Begins the time of a lease anew, in a task between acquiring and releasing it.

    Gives the fencing token, the one with which it was acquired.

    Raises:
        LeaseLost: it is not its owner's any more; nothing may be done under it.
    """
    with told("renew a lease"):
        lease = lease_of(lease)
        node, owner = lease["node"], lease["owner"]
        settings = conn if isinstance(conn, Settings) else Target(conn).resolve()
        with sessions.leased(settings) as client:
            while True:
                found = _read(client, node)
                if found is None or found[0].owner != owner:
                    raise LeaseLost(lease["path"], "taken")
                _, data, stat = found
                try:
                    client.retrying.set(node, data, stat.version)
                    return int(lease["fence"])
                except (bellwether.BadVersionError, bellwether.NoNodeError):
                    continue

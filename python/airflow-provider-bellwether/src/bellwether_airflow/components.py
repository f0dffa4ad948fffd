"""Components of Airflow that are registered, as a state that is waited for.

Keeps true: an instance counts while its session lives and it says that it is up.
"""

import json
from dataclasses import dataclass

import bellwether
from bellwether import AsyncClient

from .errors import Refused
from .paths import checked, child_of
from .waiting import Goal, Look

_WATCHED_MAX = 64
_AGAIN_S = 5.0


def path_of(deployment: str, component: str) -> str:
    """The node above a component's instances.

    Raises:
        Refused: one of them cannot be a node's name.
    """
    for name, value in (("deployment", deployment), ("component", component)):
        if not value or "/" in value:
            raise Refused(f"{name} is {value!r}: a name without / is expected")
    return f"/airflow/{deployment}/registry/{component}"


@dataclass(frozen=True)
class ComponentGoal(Goal):
    """So many instances are registered and up."""

    path: str
    min_count: int

    def check(self) -> None:
        """Refuses what can never be met.

        Raises:
            Refused: and it says why.
        """
        checked(self.path)
        if self.min_count < 1:
            raise Refused(f"min_count is {self.min_count}; at least 1 is expected")

    def __str__(self) -> str:
        """What is waited for."""
        return f"wait for {self.min_count} at {self.path}"

    async def look(self, client: AsyncClient) -> Look:
        """Reads every instance, and watches those that are not too many."""
        try:
            names, _, watch = await client.children_and_watch(self.path)
        except bellwether.NoNodeError:
            stat, watch = await client.exists_and_watch(self.path)
            again_s = 0.0 if stat is not None else _AGAIN_S
            return Look(False, self._result([]), [watch], again_s)
        watches, up = [watch], []
        for name in sorted(names):
            path = child_of(self.path, name)
            try:
                if len(watches) < _WATCHED_MAX:
                    data, _, of_node = await client.get_and_watch(path)
                    watches.append(of_node)
                else:
                    data, _ = await client.get(path)
            except bellwether.NoNodeError:
                continue
            if _is_up(data):
                up.append(name)
        met = len(up) >= self.min_count
        return Look(met, self._result(up), watches, _AGAIN_S)

    def _result(self, up: list[str]) -> dict[str, object]:
        return {"path": self.path, "count": len(up), "instances": up}


def _is_up(data: bytes) -> bool:
    """What an instance says of itself, in the form of Curator's service discovery."""
    try:
        said = json.loads(data)
        payload = said.get("payload") or {}
        health = payload.get("health", "up") if isinstance(payload, dict) else "up"
        return health == "up" and said.get("enabled", True) is not False
    except (AttributeError, ValueError):
        return False

"""The health of a service: how many of its servers serve, and whether one leads.

Keeps true: it needs no session, so that a service that is down can be waited for.
"""

from dataclasses import dataclass
from typing import ClassVar

from .errors import Refused
from .waiting import Goal, Look
from .words import states_of, summary


@dataclass(frozen=True)
class HealthGoal(Goal):
    """So many servers serve, and if wanted one of them leads."""

    servers: tuple[tuple[str, int], ...]
    min_servers: int
    require_leader: bool

    needs_session: ClassVar[bool] = False

    def check(self) -> None:
        """Refuses what can never be met.

        Raises:
            Refused: and it says why.
        """
        if not 1 <= self.min_servers <= len(self.servers):
            raise Refused(
                f"min_servers is {self.min_servers}, and the connection names {len(self.servers)}"
            )

    def __str__(self) -> str:
        """What is waited for."""
        leader = ", one of them leading" if self.require_leader else ""
        return f"wait for {self.min_servers} of {len(self.servers)} servers{leader}"

    async def look(self, client: None) -> Look:
        """Asks every server."""
        servers = await states_of(list(self.servers))
        serving = [server for server in servers if server.mode not in (None, "read-only")]
        led = not self.require_leader or any(server.leads for server in serving)
        result = {
            "serving": len(serving),
            "leader": next((server.address for server in serving if server.leads), None),
            "servers": dict(summary(servers)),
        }
        return Look(led and len(serving) >= self.min_servers, result)

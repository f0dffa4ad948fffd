"""The trigger that waits until the service is well.

Keeps true: it needs no session, and takes a server that does not answer for one that is down.
"""

from typing import Any

from ..errors import Refused
from ..health import HealthGoal
from ..settings import Settings, Target
from ..version_compat import AirflowNotFoundException
from ..waiting import Goal, Outcome, reach
from .znode import GoalTrigger


class HealthTrigger(GoalTrigger):
    """Asks the servers every `pause` seconds; the arguments are the sensor's."""

    _ARGUMENTS = (
        *GoalTrigger._ARGUMENTS,
        "min_servers",
        "require_leader",
        "min_synced_followers",
        "max_latency_ms",
    )

    def __init__(
        self,
        *,
        min_servers: int | None = None,
        require_leader: bool = True,
        min_synced_followers: int = 0,
        max_latency_ms: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.min_servers = min_servers
        self.require_leader = require_leader
        self.min_synced_followers = min_synced_followers
        self.max_latency_ms = max_latency_ms
        self._settings = Settings("")

    def goal(self) -> Goal:
        """The state of the servers, which `wait` has looked up."""
        return HealthGoal.of(
            self._settings,
            self.min_servers,
            require_leader=self.require_leader,
            min_synced_followers=self.min_synced_followers,
            max_latency_ms=self.max_latency_ms,
        )

    async def wait(self) -> Outcome:
        """Waits until enough servers serve."""
        try:
            self._settings = await Target.deserialize(self.target).aresolve()
        except (Refused, AirflowNotFoundException) as error:
            return Outcome("fatal", message=str(error))
        given = Target(given=self._settings)
        return await reach(
            self.goal(), given, deadline=self.deadline, pause=self.pause, log=self.log
        )

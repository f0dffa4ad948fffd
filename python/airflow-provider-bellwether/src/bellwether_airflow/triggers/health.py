"""The trigger that waits until the service is well.

Keeps true: it needs no session, and takes a server that does not answer for one that is down.
"""

from typing import Any

from ..errors import Refused
from ..health import HealthGoal
from ..settings import Target
from ..version_compat import AirflowNotFoundException
from ..waiting import Goal, Outcome, reach
from .znode import GoalTrigger


class HealthTrigger(GoalTrigger):
    """Asks the servers every `pause` seconds; the arguments are the sensor's."""

    _ARGUMENTS = (*GoalTrigger._ARGUMENTS, "min_servers", "require_leader")

    def __init__(
        self, *, min_servers: int | None = None, require_leader: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.min_servers = min_servers
        self.require_leader = require_leader
        self._servers: tuple[tuple[str, int], ...] = ()

    def goal(self) -> Goal:
        """The state of the servers, whose addresses `wait` has looked up."""
        wanted = self.min_servers or len(self._servers)
        return HealthGoal(self._servers, wanted, self.require_leader)

    async def wait(self) -> Outcome:
        """Waits until enough servers serve."""
        try:
            settings = await Target.deserialize(self.target).aresolve()
            self._servers = tuple(settings.servers())
        except (Refused, AirflowNotFoundException) as error:
            return Outcome("fatal", message=str(error))
        given = Target(given=settings)
        return await reach(
            self.goal(), given, deadline=self.deadline, pause=self.pause, log=self.log
        )

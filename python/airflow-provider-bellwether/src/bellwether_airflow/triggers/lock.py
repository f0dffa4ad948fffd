"""The trigger that waits for a lease.

Keeps true: a triggerer that takes over asks for the same owner, and so gets what the one before
may have taken.
"""

from typing import Any

from ..leases import LeaseGoal
from .znode import GoalTrigger


class LockTrigger(GoalTrigger):
    """Acquires a lease; the arguments are those of `ZookeeperAcquireLockOperator`."""

    _ARGUMENTS = (*GoalTrigger._ARGUMENTS, "lock", "owner", "ttl", "leases")

    def __init__(self, *, lock: str, owner: str, ttl: float, leases: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lock = lock
        self.owner = owner
        self.ttl = ttl
        self.leases = leases

    def goal(self) -> LeaseGoal:
        """The lease."""
        return LeaseGoal(self.lock, self.owner, self.ttl, self.leases)


__all__ = ["LockTrigger"]

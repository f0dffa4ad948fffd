"""Operators that hold a lock between tasks: acquire in a setup, release in its teardown.

Keeps true: the lock is a lease in a persistent node, for no process of Airflow lives as long as the
tasks in between. It is one run's for `ttl` seconds at most, whatever dies; every try of the task
that acquires is one owner; only that owner's lease is released.
"""

from collections.abc import Sequence
from typing import Any

from bellwether import Client

from ..errors import Refused
from ..leases import LeaseGoal, give_up, holder_of
from ..settings import Settings
from ..triggers.lock import LockTrigger
from ..version_compat import Context
from ..waiting import Goal
from .base import ZookeeperNodeOperator
from .deferring import Seconds, seconds
from .waits import Waits


class ZookeeperAcquireLockOperator(Waits):
    """Acquires a lease of a lock, and waits for it without a worker.

    The result has `fence`, the fencing token for writes to other systems, and is what
    `ZookeeperReleaseLockOperator` and `renew_lease` are given.

    :param lock: the lock's node
    :param ttl: seconds until the lease is over by itself: longer than the work may take
    :param leases: how many may hold it at a time; everybody has to name the same number
    :param timeout: seconds until the task fails, by default seven days
    :param soft_fail: skip the task then, in place of failing it
    :param deferrable: wait in the triggerer; if not, in the task's process
    :param end_in_trigger: end the task there too; by default unless it has outlets or a subclass
        has an `execute_complete` of its own
    :param poke_interval: seconds before another attempt to reach the service
    """

    template_fields: Sequence[str] = ("lock", "zookeeper_conn_id", "zookeeper_hosts")

    def __init__(
        self,
        *,
        lock: str,
        ttl: Seconds,
        leases: int = 1,
        soft_fail: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lock = lock
        self.ttl = ttl
        self.leases = leases
        self.soft_fail = soft_fail

    # Who asks, from the context of `execute`.
    _owner = ""

    @property
    def path(self) -> str:  # type: ignore[override]
        """The node that the task is about."""
        return self.lock

    def goal(self) -> LeaseGoal:
        """The lease."""
        length = seconds(self.ttl)
        if length is None:
            raise Refused("ttl is missing: seconds until the lease is over by itself")
        return LeaseGoal(self.lock, self._owner, length, self.leases)

    def trigger(self, goal: Goal, **common: Any) -> LockTrigger:
        """The trigger that waits for it."""
        assert isinstance(goal, LeaseGoal)
        return LockTrigger(
            lock=goal.lock, owner=goal.owner, ttl=goal.ttl, leases=goal.leases, **common
        )

    def execute(self, context: Context) -> Any:
        """Takes the lease, or waits until it can be had."""
        self._own(context)
        return self.wait(context)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """After the trigger: the lease, or the failure."""
        self._own(context)
        return super().execute_complete(context, event)

    def _own(self, context: Context) -> None:
        self._owner = holder_of(context, self.task_id if self.is_nested(context) else None)


class ZookeeperReleaseLockOperator(ZookeeperNodeOperator):
    """Releases the lease that another task has acquired; a teardown.

    If the lease is another's by then, it is left alone, and the result says so: `released` is
    false. `late` says whether the work took longer than the lease.

    :param lease: the result of the task that acquired it
    """

    template_fields: Sequence[str] = ("lease", "zookeeper_conn_id", "zookeeper_hosts")

    def __init__(self, *, lease: Any, **kwargs: Any) -> None:
        kwargs.setdefault("path", "/")
        super().__init__(**kwargs)
        self.lease = lease

    def doing(self) -> str:
        """What the work is, for messages."""
        return "release the lease"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Gives the lease back if it is still its owner's."""
        done = give_up(client, self.lease)
        if not done["released"]:
            self.log.warning("%s: the lease was over, and is another's or nobody's", done["path"])
        elif done["late"]:
            self.log.warning(
                "%s: released after its time; nobody else had it, but ttl is too short",
                done["path"],
            )
        return done


__all__ = ["ZookeeperAcquireLockOperator", "ZookeeperReleaseLockOperator"]

"""Triggers that wait for Elasticsearch or OpenSearch.

Keeps true: they ask other hosts, and ask again, and never raise what may pass; when a user ends the
task, its job ends too; when the triggerer ends, the job goes on, and so does the next triggerer.
"""

import abc
import asyncio
from collections.abc import AsyncIterator
from typing import Any

import bellwether

from ..elasticsearch.discovery import connected
from ..elasticsearch.errors import SearchError
from ..elasticsearch.goals import goal_of
from ..elasticsearch.jobs import job_of
from ..elasticsearch.settings import SearchTarget
from ..elasticsearch.waits import Awaited, Ending, until_over
from ..errors import Refused
from ..version_compat import (
    BaseTrigger,
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)

CANCEL_LIMIT_S = 20.0
"""What a cancellation may take; Airflow gives 30 s."""


class _SearchTrigger(BaseTrigger):
    """Waits; ends the task itself, or has it resume.

    :param target: the connection, as `SearchTarget.serialize` gives it
    :param awaited: what is waited for, as its `serialize` gives it
    :param deadline: seconds since 1970, or nothing to wait for good
    :param pause: seconds between two looks at the most
    :param soft_fail: skip the task when the deadline passes, in place of failing it
    :param end: end the task in the trigger, without a worker
    """

    def __init__(
        self,
        *,
        target: dict[str, Any],
        awaited: dict[str, Any],
        deadline: float | None = None,
        pause: float = 5.0,
        soft_fail: bool = False,
        end: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.target = target
        self.awaited = awaited
        self.deadline = deadline
        self.pause = pause
        self.soft_fail = soft_fail
        self.end = end

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and the arguments by which another triggerer makes it again."""
        names = ("target", "awaited", "deadline", "pause", "soft_fail", "end")
        arguments = {name: getattr(self, name) for name in names}
        return f"{type(self).__module__}.{type(self).__name__}", arguments

    @abc.abstractmethod
    def made(self) -> Awaited:
        """What is waited for."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Waits, and says how it ended."""
        try:
            ending = await until_over(
                self.made(),
                SearchTarget.deserialize(self.target),
                deadline=self.deadline,
                pause=self.pause,
                log=self.log,
            )
        except Refused as error:
            ending = Ending("fatal", message=str(error))
        if ending.status != "met":
            self.log.error("%s", ending.message)
        if ending.status == "timeout":
            await self.on_kill()
        yield self.event_of(ending)

    def event_of(self, ending: Ending) -> TriggerEvent:
        """The event that ends the task, or that resumes it: a job that is lost is begun again."""
        if not self.end or ending.status == "lost":
            return TriggerEvent(ending.told())  # type: ignore[no-untyped-call]
        if ending.status == "met":
            return TaskSuccessEvent(xcoms={"return_value": ending.result})
        if ending.status == "timeout" and self.soft_fail:
            return TaskSkippedEvent()
        return TaskFailedEvent()


class ElasticsearchTaskTrigger(_SearchTrigger):
    """Waits for a job; cancels it when a user ends the task, and when its time is over."""

    def made(self) -> Awaited:
        """The job."""
        return job_of(self.awaited)

    async def on_kill(self) -> None:
        """Cancels the job."""
        try:
            job = job_of(self.awaited)
            settings = await SearchTarget.deserialize(self.target).aresolve()
            async with asyncio.timeout(CANCEL_LIMIT_S):
                async with connected(settings, self.log) as client:
                    await job.cancel(client)
        except (SearchError, Refused, TimeoutError, bellwether.ZooKeeperError) as error:
            self.log.error("%s could not be cancelled: %s", self.awaited, error)


class ElasticsearchGoalTrigger(_SearchTrigger):
    """Waits for a state of documents, of the cluster, or of a snapshot."""

    def made(self) -> Awaited:
        """The goal."""
        return goal_of(self.awaited)


__all__ = ["ElasticsearchGoalTrigger", "ElasticsearchTaskTrigger"]

"""Triggers that wait for Elasticsearch or OpenSearch.

Keeps true: they ask other hosts, and ask again, and never raise what may pass; when a user ends the
task, its job ends too; when the triggerer ends, the job goes on, and so does the next triggerer.
"""

import abc
import asyncio
from typing import Any

import bellwether

from ..elasticsearch.discovery import connected
from ..elasticsearch.errors import SearchError
from ..elasticsearch.goals import goal_of
from ..elasticsearch.jobs import job_of
from ..elasticsearch.settings import SearchTarget
from ..elasticsearch.waits import Awaited, until_over
from ..errors import Refused
from ..waiting import Outcome
from .ending import EndingTrigger

CANCEL_LIMIT_S = 20.0
"""What a cancellation may take; Airflow gives 30 s."""


class _SearchTrigger(EndingTrigger):
    """The base; between two looks there is `pause` at the most.

    :param awaited: what is waited for, as its `serialize` gives it
    """

    _ARGUMENTS = (*EndingTrigger._ARGUMENTS, "awaited")

    def __init__(self, *, awaited: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.awaited = awaited

    @abc.abstractmethod
    def made(self) -> Awaited:
        """What is waited for."""

    async def wait(self) -> Outcome:
        """Waits; what is out of time is cancelled."""
        try:
            outcome = await until_over(
                self.made(),
                SearchTarget.deserialize(self.target),
                deadline=self.deadline,
                pause=self.pause,
                log=self.log,
            )
        except Refused as error:
            return Outcome("fatal", message=str(error))
        if outcome.status == "timeout":
            await self.on_kill()
        return outcome


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

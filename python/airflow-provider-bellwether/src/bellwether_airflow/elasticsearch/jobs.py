"""What an engine works at for long: its tasks, snapshots and restores.

Keeps true: a job is known by names and ids that another process can go on with. One that was
cancelled, or that could not do all, has failed, also where the engine calls it completed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .client import SearchClient, path_of
from .errors import Answered, SearchError, told_by
from .waits import Awaited, Progress, made_of

_FIGURES = (
    "total",
    "created",
    "updated",
    "deleted",
    "noops",
    "version_conflicts",
    "batches",
)


class Job(Awaited):
    """A job that can be cancelled."""

    async def cancel(self, client: SearchClient) -> None:
        """Has the engine end it, if it is not over.

        Raises:
            SearchError: the engine could not be told.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class EngineTask(Job):
    """A task of the engine, by the id that its start gave."""

    KIND = "task"

    task: str
    about: str = "task"

    def __str__(self) -> str:
        """What it is."""
        return f"{self.about} {self.task}"

    async def look(self, client: SearchClient) -> Progress:
        """How far it is."""
        answer = await client.ask("GET", path_of("_tasks", self.task), resend=True, allow=(404,))
        if answer.status == 404:
            return Progress("lost", message=f"{self}: the engine does not know it any more")
        body = answer.body
        if not body.get("completed"):
            return Progress("waiting", _figures(body.get("task", {}).get("status") or {}))
        if "error" in body:
            kind, reason = told_by(body["error"])
            return Progress("failed", message=f"{self}: {kind}: {reason}")
        response = body.get("response") or {}
        problem = _problem_in(response)
        result = {"task": self.task, **_figures(response)}
        if problem:
            return Progress("failed", result, f"{self}: {problem}")
        return Progress("met", result)

    async def cancel(self, client: SearchClient) -> None:
        """Has the engine cancel it."""
        path = path_of("_tasks", self.task, "_cancel")
        await client.ask("POST", path, resend=True, allow=(404,))


def _figures(status: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: status[name] for name in _FIGURES if name in status}
    shards = status.get("_shards")
    if isinstance(shards, Mapping):
        figures["shards"] = shards.get("successful")
    return figures


def _problem_in(response: Mapping[str, Any]) -> str:
    """What is wrong with a response, in spite of the task's being completed."""
    if response.get("canceled"):
        return f"it was cancelled: {response['canceled']}"
    if response.get("timed_out"):
        return "its time was over"
    failures = response.get("failures") or []
    shards = response.get("_shards") or {}
    failures = failures or shards.get("failures") or []
    if failures:
        return f"{len(failures)} failures, such as {_failure(failures[0])}"
    return f"{shards['failed']} shards failed" if shards.get("failed") else ""


def _failure(failure: Any) -> str:
    if not isinstance(failure, Mapping):
        return "one without a reason"
    error = failure.get("cause") or failure.get("reason") or {}
    kind, reason = told_by(error) if isinstance(error, Mapping) else ("error", str(error))
    return f"{kind}: {reason}"


@dataclass(frozen=True)
class SnapshotJob(Job):
    """A snapshot, by its name."""

    KIND = "snapshot"

    repository: str
    snapshot: str
    partial: bool = False
    """Whether one that lacks shards is good enough."""

    def __str__(self) -> str:
        """What it is."""
        return f"snapshot {self.repository}/{self.snapshot}"

    async def told(self, client: SearchClient) -> dict[str, Any] | None:
        """What the engine knows of it; nothing if there is none."""
        path = path_of("_snapshot", self.repository, self.snapshot)
        try:
            answer = await client.ask("GET", path, resend=True)
        except Answered as error:
            if error.status == 404 and error.kind == "snapshot_missing_exception":
                return None
            raise
        found = answer.body.get("snapshots") or []
        return dict(found[0]) if found else None

    async def look(self, client: SearchClient) -> Progress:
        """How far it is."""
        told = await self.told(client)
        if told is None:
            return Progress("lost", message=f"{self}: the engine does not know it any more")
        state, shards = told.get("state"), told.get("shards") or {}
        result = {
            "repository": self.repository,
            "snapshot": self.snapshot,
            "state": state,
            "indices": len(told.get("indices") or []),
            "shards": shards.get("successful"),
        }
        if state in ("IN_PROGRESS", "STARTED", "INIT"):
            return Progress("waiting", result)
        if state == "SUCCESS" or (state == "PARTIAL" and self.partial):
            return Progress("met", result)
        failed = f", {shards.get('failed')} of {shards.get('total')} shards failed"
        return Progress("failed", result, f"{self}: it is {state}{failed if shards else ''}")

    async def cancel(self, client: SearchClient) -> None:
        """Deletes it if it is not complete: that is how the engines end one."""
        told = await self.told(client)
        if told is not None and told.get("state") != "SUCCESS":
            await self.delete(client)

    async def delete(self, client: SearchClient) -> None:
        """Deletes it."""
        path = path_of("_snapshot", self.repository, self.snapshot)
        await client.ask("DELETE", path, resend=True, allow=(404,))


@dataclass(frozen=True)
class RestoreJob(Job):
    """The restore of a snapshot, by the indices that it makes."""

    KIND = "restore"

    repository: str
    snapshot: str
    indices: list[str]
    delete_on_kill: bool = False

    def __str__(self) -> str:
        """What it is."""
        return f"restore of {self.repository}/{self.snapshot}"

    async def tables(self, client: SearchClient) -> dict[str, list[dict[str, Any]]]:
        """The primary shards of those indices that are there."""
        path = path_of("_cluster", "state", "routing_table", ",".join(self.indices))
        params = {"ignore_unavailable": True, "filter_path": "routing_table"}
        answer = await client.ask("GET", path, params=params, resend=True)
        table = (answer.body.get("routing_table") or {}).get("indices") or {}
        return {
            name: [
                shard
                for copies in told.get("shards", {}).values()
                for shard in copies
                if shard.get("primary")
            ]
            for name, told in table.items()
        }

    async def look(self, client: SearchClient) -> Progress:
        """How far it is."""
        tables = await self.tables(client)
        shards = [shard for name in self.indices for shard in tables.get(name, [])]
        started = sum(shard.get("state") == "STARTED" for shard in shards)
        result = {
            "repository": self.repository,
            "snapshot": self.snapshot,
            "indices": self.indices,
            "shards": started,
        }
        for name, primaries in tables.items():
            if any(_given_up(shard) for shard in primaries):
                return Progress("failed", result, f"{self}: a shard of {name} cannot be restored")
        if any(name not in tables for name in self.indices):
            return Progress("lost", result, f"{self}: an index of it is not there")
        return Progress("met" if started == len(shards) else "waiting", result)

    async def cancel(self, client: SearchClient) -> None:
        """Deletes what is being restored, if that was asked for; the engines know no other way."""
        if not self.delete_on_kill:
            return
        tables = await self.tables(client)
        unfinished = [
            name
            for name, shards in tables.items()
            if any(shard.get("state") != "STARTED" for shard in shards)
        ]
        if unfinished:
            path = path_of(",".join(sorted(unfinished)))
            await client.ask("DELETE", path, resend=True, allow=(404,))


def _given_up(shard: Mapping[str, Any]) -> bool:
    why = shard.get("unassigned_info") or {}
    return (
        shard.get("state") == "UNASSIGNED"
        and why.get("reason") == "ALLOCATION_FAILED"
        and why.get("allocation_status") == "deciders_no"
    )


def renamed(names: Sequence[str], pattern: str | None, replacement: str | None) -> list[str]:
    """The names of restored indices, by the engines' regular expression and its `$1`.

    Raises:
        SearchError: the expression is not one that both Java and Python have.
    """
    if pattern is None or replacement is None:
        return list(names)
    try:
        put = re.sub(r"\$(\d+)", r"\\g<\1>", replacement.replace("\\", r"\\"))
        return [re.sub(pattern, put, name) for name in names]
    except (re.error, IndexError) as error:
        raise SearchError(f"rename_pattern {pattern!r} to {replacement!r}: {error}") from None


KINDS: dict[str, type[Awaited]] = {
    kind.KIND: kind for kind in (EngineTask, SnapshotJob, RestoreJob)
}


def job_of(stored: Mapping[str, Any]) -> Job:
    """The job that was kept.

    Raises:
        Refused: it is none.
    """
    job: Job = made_of(stored, KINDS)
    return job

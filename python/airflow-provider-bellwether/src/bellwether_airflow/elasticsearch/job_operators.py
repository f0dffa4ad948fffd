"""Operators for what takes an engine long: reindexing, merging, snapshots, restores.

Keeps true: a job is known to the task's state store before anything waits for it, so that a retry
goes on with it; it ends with the task when a user ends that, and when its time is over; one that
has failed is begun again by a retry only, one that is lost at once.
"""

import abc
import asyncio
import time
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..errors import Refused
from ..operators.deferring import Defers
from ..triggers.search import CANCEL_LIMIT_S, ElasticsearchTaskTrigger
from ..version_compat import AirflowException, AirflowRuntimeError, Context
from ..waiting import Outcome
from .base import SearchOperator, parsed
from .client import SearchClient, path_of
from .discovery import connected
from .errors import Answered, SearchError, told
from .jobs import EngineTask, Job, RestoreJob, SnapshotJob, job_of, renamed
from .waits import until_over

_KEPT = "bellwether_search_job"

LOST_MAX = 3
"""How often a task begins a job again that the engine has forgotten."""


class JobOperator(SearchOperator, Defers):
    """The base: begins a job, and waits for it in the triggerer or in the process.

    When `timeout` has passed, the job is cancelled.
    """

    @abc.abstractmethod
    async def start(self, client: SearchClient, context: Context) -> Job:
        """Begins the job, or finds the one that a try before has begun."""

    @abc.abstractmethod
    def doing(self) -> str:
        """What the job is, for messages."""

    def execute(self, context: Context) -> Any:
        """Begins the job, unless a try before has, and waits for it."""
        job, ending = self._kept(context)
        if ending is not None:
            return self.result_of(ending)
        return self._wait(context, job or self._begun(context))

    def _kept(self, context: Context) -> tuple[Job | None, Outcome | None]:
        """The job of an earlier try: one that goes on, or one that is done."""
        store = context.get("task_state_store")
        if store is None or self.is_nested(context) or context["ti"].try_number < 2:
            return None, None
        try:
            kept = store.get(_KEPT)
        except AirflowRuntimeError as error:
            self.log.warning("the task's state store cannot be read (%s): begins anew", error)
            return None, None
        # A task that was cleared begins a new series of tries, and anew.
        if not isinstance(kept, Mapping) or kept.get("series") != _series(context):
            return None, None
        with told(f"task {self.task_id!r}: {self.doing()}"):
            stored = kept.get("job")
            job = job_of(stored if isinstance(stored, Mapping) else {})
        seen = self.ask(context, job.look, f"look for {job}")
        if seen.state == "waiting":
            self.log.info("%s: goes on", job)
            return job, None
        if seen.state == "met":
            return None, Outcome("met", seen.result)
        self.log.info("%s; begins anew", seen.message)
        return None, None

    def _begun(self, context: Context) -> Job:
        job = self.ask(context, lambda client: self._started(client, context), self.doing())
        self.log.info("%s has begun", job)
        store = context.get("task_state_store")
        if store is not None and not self.is_nested(context):
            try:
                store.set(_KEPT, {"job": job.serialize(), "series": _series(context)})
            except AirflowRuntimeError as error:
                self.log.warning(
                    "the task's state store cannot be written (%s): a retry would begin anew", error
                )
        return job

    async def _started(self, client: SearchClient, context: Context) -> Job:
        """Begins the job. If the task is told to end meanwhile, the answer is still waited for: it
        alone says what there is to cancel."""
        starting = asyncio.ensure_future(self.start(client, context))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            try:
                async with asyncio.timeout(CANCEL_LIMIT_S):
                    await (await starting).cancel(client)
            except (SearchError, TimeoutError) as error:
                self.log.error("%s: it may have begun, and go on: %s", self.doing(), error)
            raise

    def _wait(self, context: Context, job: Job) -> Any:
        deadline = self.deadline(time.time())
        for _ in range(LOST_MAX):
            if self.deferrable and not self.is_nested(context):
                self._defer(job, deadline)
            ending = self._in_process(context, job, deadline)
            if ending.status != "lost":
                return self.result_of(ending)
            self.log.warning("%s; begins anew", ending.message)
            job = self._begun(context)
        raise AirflowException(f"task {self.task_id!r}: {job} was lost {LOST_MAX} times")

    def _defer(self, job: Job, deadline: float | None, lost: int = 0) -> None:
        """Goes on in the triggerer, unless it is over already.

        Raises:
            TaskDeferred: always.
        """
        trigger = ElasticsearchTaskTrigger(
            target=self.search_target().serialize(),
            awaited=job.serialize(),
            deadline=deadline,
            pause=self.pause(),
            end=self.ends_in_trigger(),
        )
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"deadline": deadline, "lost": lost},
        )

    def _in_process(self, context: Context, job: Job, deadline: float | None) -> Outcome:
        target = self.search_target()
        with told(f"task {self.task_id!r}: {job}"):
            settings = self.search_settings()
        pause = self.pause()

        async def cancelled() -> None:
            try:
                async with asyncio.timeout(CANCEL_LIMIT_S):
                    async with connected(settings, self.log) as client:
                        await job.cancel(client)
            except (SearchError, TimeoutError) as error:
                self.log.error("%s could not be cancelled: %s", job, error)

        async def inside() -> Outcome:
            try:
                ending = await until_over(
                    job,
                    target,
                    deadline=deadline,
                    pause=pause,
                    log=self.log,
                    settings=settings,
                )
            except asyncio.CancelledError:
                await cancelled()
                raise
            if ending.status == "timeout":
                await cancelled()
            return ending

        return self.to_end(context, inside)

    def too_late(self, message: str) -> AirflowException:
        """Another try may begin the job anew."""
        return AirflowException(message)

    def seen_again(self, context: Context) -> Any:
        """The job is over, and may be forgotten."""
        return {"status": "success"}

    def execute_complete(
        self,
        context: Context,
        event: Any = None,
        deadline: float | None = None,
        lost: int = 0,
    ) -> Any:
        """After the trigger: the result, the failure, or the job again if it was lost."""
        if not isinstance(event, dict) or event["status"] != "lost" or lost + 1 >= LOST_MAX:
            return super().execute_complete(context, event)
        self.log.warning("%s; begins anew", event["message"])
        self._defer(self._begun(context), deadline, lost + 1)


def _series(context: Context) -> int:
    """The same in all tries until the task is cleared."""
    return int(getattr(context["ti"], "max_tries", 0) or 0)


class ElasticsearchReindexOperator(JobOperator):
    """Copies documents from indices into another.

    :param source: the index, or the `source` of a reindex request
    :param dest: the index, or the `dest` of a reindex request
    :param query: which documents
    :param script: what is done to them
    :param conflicts: abort or proceed; by default abort
    :param slices: how many parts work at it, or auto
    :param refresh: have searches see the copies at the end
    :param requests_per_second: documents per second at the most
    """

    template_fields: Sequence[str] = (
        *JobOperator.template_fields,
        "source",
        "dest",
        "query",
        "script",
    )

    def __init__(
        self,
        *,
        source: str | dict[str, Any],
        dest: str | dict[str, Any],
        query: Any = None,
        script: Any = None,
        conflicts: str | None = None,
        slices: int | str | None = None,
        refresh: bool = False,
        requests_per_second: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.dest = dest
        self.query = query
        self.script = script
        self.conflicts = conflicts
        self.slices = slices
        self.refresh = refresh
        self.requests_per_second = requests_per_second

    def doing(self) -> str:
        """For messages."""
        return f"reindex {_index_of(self.source)} into {_index_of(self.dest)}"

    async def start(self, client: SearchClient, context: Context) -> Job:
        """Begins it."""
        source = dict(self.source) if isinstance(self.source, Mapping) else {"index": self.source}
        dest = dict(self.dest) if isinstance(self.dest, Mapping) else {"index": self.dest}
        query, script = parsed(self.query, "query"), parsed(self.script, "script")
        if query is not None and "query" in source:
            raise Refused("query is given twice: by itself, and in source")
        if query is not None:
            source["query"] = query
        body: dict[str, Any] = {"source": source, "dest": dest}
        body |= {"script": script} if script is not None else {}
        body |= {"conflicts": self.conflicts} if self.conflicts else {}
        params: dict[str, Any] = {"wait_for_completion": False, "refresh": self.refresh}
        if self.slices is not None:
            params["slices"] = self.slices
        if self.requests_per_second is not None:
            params["requests_per_second"] = self.requests_per_second
        answer = await client.ask("POST", "/_reindex", params=params, body=body)
        return EngineTask(str(answer.body["task"]), self.doing())


def _index_of(part: str | Mapping[str, Any]) -> str:
    index = part.get("index") if isinstance(part, Mapping) else part
    return ",".join(index) if isinstance(index, list) else str(index)


class ElasticsearchForceMergeOperator(JobOperator):
    """Merges the segments of indices that are not written any more.

    :param index: the indices
    :param max_num_segments: how many segments a shard has then
    :param only_expunge_deletes: merge only what has deleted documents
    """

    template_fields: Sequence[str] = (*JobOperator.template_fields, "index")

    def __init__(
        self,
        *,
        index: str,
        max_num_segments: int | None = None,
        only_expunge_deletes: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.index = index
        self.max_num_segments = max_num_segments
        self.only_expunge_deletes = only_expunge_deletes
        if max_num_segments is not None and only_expunge_deletes:
            raise ValueError(
                f"task {self.task_id!r}: max_num_segments and only_expunge_deletes exclude each "
                "other"
            )

    def doing(self) -> str:
        """For messages."""
        return f"force merge of {self.index}"

    async def start(self, client: SearchClient, context: Context) -> Job:
        """Begins it."""
        params: dict[str, Any] = {"wait_for_completion": False}
        if self.max_num_segments is not None:
            params["max_num_segments"] = self.max_num_segments
        if self.only_expunge_deletes:
            params["only_expunge_deletes"] = True
        answer = await client.ask("POST", path_of(self.index, "_forcemerge"), params=params)
        return EngineTask(str(answer.body["task"]), self.doing())


class ElasticsearchSnapshotOperator(JobOperator):
    """Makes a snapshot.

    :param repository: where to, registered with the engine
    :param snapshot: its name; by default one of the task's own, the same in every try
    :param index: the indices, by default all
    :param include_global_state: the cluster's settings and templates too
    :param allow_partial: one that lacks shards is good enough
    """

    template_fields: Sequence[str] = (
        *JobOperator.template_fields,
        "repository",
        "snapshot",
        "index",
    )

    def __init__(
        self,
        *,
        repository: str,
        snapshot: str | None = None,
        index: str = "*",
        include_global_state: bool = False,
        allow_partial: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repository = repository
        self.snapshot = snapshot
        self.index = index
        self.include_global_state = include_global_state
        self.allow_partial = allow_partial

    def doing(self) -> str:
        """For messages."""
        return f"snapshot of {self.index} into {self.repository}"

    async def start(self, client: SearchClient, context: Context) -> Job:
        """Begins it; goes on with the task's own, and makes one that failed anew."""
        name = self.snapshot or f"airflow-{self.task_owner(context)}"
        job = SnapshotJob(self.repository, name, self.allow_partial)
        told_before = await job.told(client)
        if told_before is not None:
            mine = (told_before.get("metadata") or {}).get("owner") == self.task_owner(context)
            if not mine:
                raise Refused(f"{job} is there already, and is not this task's")
            if told_before.get("state") not in ("FAILED", "PARTIAL"):
                return job
            await job.delete(client)
        body = {
            "indices": self.index,
            "include_global_state": self.include_global_state,
            "partial": self.allow_partial,
            "metadata": {"owner": self.task_owner(context), "by": "airflow"},
        }
        path = path_of("_snapshot", self.repository, name)
        await client.ask("PUT", path, params={"wait_for_completion": False}, body=body)
        return job


class ElasticsearchRestoreOperator(JobOperator):
    """Restores indices of a snapshot. They must not be there, or be closed.

    :param repository: where the snapshot is
    :param snapshot: its name, or the result of the task that made it
    :param index: the indices, by default all of it
    :param rename_pattern: a regular expression on the names of the indices
    :param rename_replacement: what takes its place, with `$1` for its groups
    :param include_global_state: the cluster's settings and templates too
    :param delete_on_kill: delete what is being restored when the task is ended by a user; the
        engines have no other way to end a restore
    """

    template_fields: Sequence[str] = (
        *JobOperator.template_fields,
        "repository",
        "snapshot",
        "index",
        "rename_pattern",
        "rename_replacement",
    )

    def __init__(
        self,
        *,
        repository: str,
        snapshot: str,
        index: str = "*",
        rename_pattern: str | None = None,
        rename_replacement: str | None = None,
        include_global_state: bool = False,
        delete_on_kill: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repository = repository
        self.snapshot = snapshot
        self.index = index
        self.rename_pattern = rename_pattern
        self.rename_replacement = rename_replacement
        self.include_global_state = include_global_state
        self.delete_on_kill = delete_on_kill
        if (rename_pattern is None) != (rename_replacement is None):
            raise ValueError(
                f"task {self.task_id!r}: rename_pattern and rename_replacement belong together"
            )

    def doing(self) -> str:
        """For messages."""
        return f"restore of {self.repository}/{self.snapshot}"

    async def start(self, client: SearchClient, context: Context) -> Job:
        """Begins it, unless a try before has restored all of it."""
        told_of_it = await SnapshotJob(self.repository, self.snapshot).told(client)
        if told_of_it is None:
            raise SearchError(f"there is no snapshot {self.repository}/{self.snapshot}")
        names = _chosen(list(told_of_it.get("indices") or []), self.index)
        if not names:
            raise Refused(f"{self.repository}/{self.snapshot} has no index {self.index!r}")
        made = sorted(set(renamed(names, self.rename_pattern, self.rename_replacement)))
        job = RestoreJob(self.repository, self.snapshot, made, self.delete_on_kill)
        body: dict[str, Any] = {
            "indices": ",".join(names),
            "include_global_state": self.include_global_state,
            "include_aliases": True,
        }
        if self.rename_pattern is not None:
            body |= {
                "rename_pattern": self.rename_pattern,
                "rename_replacement": self.rename_replacement,
            }
        path = path_of("_snapshot", self.repository, self.snapshot, "_restore")
        try:
            await client.ask("POST", path, params={"wait_for_completion": False}, body=body)
        except Answered as error:
            if error.kind == "snapshot_restore_exception" and await _is_restored(client, job):
                return job
            raise
        return job


def _chosen(names: list[str], wanted: str) -> list[str]:
    patterns = [part.strip() for part in wanted.split(",") if part.strip()]
    return [name for name in names if any(fnmatchcase(name, part) for part in patterns)]


async def _is_restored(client: SearchClient, job: RestoreJob) -> bool:
    """Whether every shard of its indices comes from that snapshot."""
    path = path_of(",".join(job.indices), "_recovery")
    answer = await client.ask("GET", path, resend=True, allow=(404,))
    if answer.status == 404:
        return False
    for name in job.indices:
        shards = (answer.body.get(name) or {}).get("shards") or []
        sources = [shard.get("source") or {} for shard in shards if shard.get("primary")]
        if not sources or any(
            (source.get("repository"), source.get("snapshot")) != (job.repository, job.snapshot)
            for source in sources
        ):
            return False
    return True

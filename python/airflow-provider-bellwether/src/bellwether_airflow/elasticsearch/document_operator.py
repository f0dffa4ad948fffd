"""The operator for documents: one operation on one document, on many, or on what a query finds.

Keeps true: `doc`, which Airflow takes for documentation of the task, is never handed to it; every
operation can be tried again; under a lock each write carries the holder's fence.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from bellwether.recipes import Lock

from ..errors import Refused
from ..owner import about
from ..values import to_bytes
from ..version_compat import AirflowException, Context
from . import documents
from .base import number, parsed
from .bulk import bulk
from .client import SearchClient, path_of
from .documents import Doing, Work, search_body
from .errors import told
from .fences import Fence, Lease, fence_of, is_lock
from .jobs import EngineTask, Job
from .job_operators import JobOperator

_AT_ONCE: dict[str, Doing] = {
    "index": documents.index,
    "create": documents.create,
    "get": documents.get,
    "update": documents.update,
    "upsert": documents.upsert,
    "delete": documents.delete,
    "exists": documents.exists,
    "search": documents.search,
    "count": documents.count,
    "bulk": bulk,
    "refresh": documents.refresh,
}
_BY_QUERY = ("delete_by_query", "update_by_query")
OPERATIONS = (*_AT_ONCE, *_BY_QUERY)

_NEEDS_ID = ("get", "update", "delete", "exists")
_OWN_ID = ("index", "create", "upsert")
_ALL_INDICES = ("bulk", "search", "count", "refresh")
_FENCED = ("index", "create", "update", "upsert", "delete", "bulk")


class ElasticsearchOperator(JobOperator):
    """An operation on documents of Elasticsearch or OpenSearch.

    :param operation: index, create, get, update, upsert, delete, exists, search, count, bulk,
        delete_by_query, update_by_query, or refresh
    :param index: the index, or for reading several: names separated by commas, with stars
    :param id: of the document; for index, create and upsert by default the task's owner, the same
        in every try
    :param doc: the document; of update and upsert the fields to merge; of search and the like the
        body; of bulk a list (see `bellwether_airflow.elasticsearch.bulk`)
    :param doc_type: accepted for programs that have it; the engines have no types any more
    :param query: of search, count and the operations by query
    :param routing: of the document
    :param pipeline: that documents go through first
    :param refresh: true, wait_for, or false
    :param if_seq_no: write only if the document has this number, with `if_primary_term`
    :param if_primary_term: see `if_seq_no`
    :param lock: the path of a lock in ZooKeeper that is held meanwhile, or a lock for `with`; its
        fence becomes the version of what is written
    :param lock_timeout: seconds that the lock may take
    :param fence: in place of `lock` the number of a lock that is held elsewhere, its lease, or the
        result of the task that took it
    :param push_value: put what was read into XCom too, not only ids and totals
    :param requests_per_second: documents per second at the most, of the operations by query
    :param allow_partial: take results that lack documents, because a shard failed
    """

    template_fields: Sequence[str] = (
        *JobOperator.template_fields,
        "index",
        "id",
        "document",
        "query",
        "routing",
        "pipeline",
        "if_seq_no",
        "if_primary_term",
        "lock",
        "fence",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )
    template_fields_renderers = {"document": "json", "query": "json"}

    def __init__(
        self,
        *,
        operation: str = "index",
        index: str = "",
        id: str | int | None = None,
        doc: Any = None,
        doc_type: str | None = None,
        query: Any = None,
        routing: str | None = None,
        pipeline: str | None = None,
        refresh: str | bool | None = None,
        if_seq_no: int | str | None = None,
        if_primary_term: int | str | None = None,
        lock: str | AbstractContextManager[Lease] | None = None,
        lock_timeout: float | None = None,
        fence: Any = None,
        push_value: bool = False,
        allow_partial: bool = False,
        requests_per_second: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.operation = operation
        self.index = index
        self.id = id
        self.document = doc
        self.doc_type = doc_type
        self.query = query
        self.routing = routing
        self.pipeline = pipeline
        self.refresh = refresh
        self.if_seq_no = if_seq_no
        self.if_primary_term = if_primary_term
        self.lock = lock
        self.lock_timeout = lock_timeout
        self.fence = fence
        self.push_value = push_value
        self.allow_partial = allow_partial
        self.requests_per_second = requests_per_second
        self._check()

    _VALUES = ("document", "query")

    def _check(self) -> None:
        problem = None
        conditional = self.if_seq_no is not None or self.if_primary_term is not None
        fenced = self.lock is not None or self.fence is not None
        if self.operation not in OPERATIONS:
            problem = f"operation is {self.operation!r}; one of {', '.join(OPERATIONS)} is expected"
        elif self.lock is not None and self.fence is not None:
            problem = "lock and fence are both given; one of them says what fences the writes"
        elif fenced and self.operation not in _FENCED:
            problem = (
                f"{self.operation} cannot carry a fence: take the lock around the tasks "
                "(ZooKeeperLock, or the operators for locks)"
            )
        elif conditional and (self.if_seq_no is None or self.if_primary_term is None):
            problem = "if_seq_no and if_primary_term belong together"
        elif conditional and self.operation not in ("index", "update", "delete"):
            problem = f"if_seq_no is for index, update and delete, not for {self.operation}"
        elif conditional and fenced:
            problem = "a write has either a fence or if_seq_no"
        elif self.pipeline and self.operation not in ("index", "create", "bulk", "update_by_query"):
            problem = f"a pipeline is for index, create and bulk, not for {self.operation}"
        if problem:
            raise ValueError(f"task {self.task_id!r}: {problem}")

    def execute(self, context: Context) -> Any:
        """Does the operation."""
        if self.doc_type is not None:
            self.log.warning("doc_type is not used: engines have had no types since version 8")
        if self.operation in _BY_QUERY:
            return super().execute(context)
        doing = f"{self.operation} in {self.index or 'all indices'}"
        with told(f"task {self.task_id!r}: {doing}"):
            # Refused before a lock is waited for.
            self._work(context, None)
            with self._fenced(context) as fence:
                work = self._work(context, fence)
                return self.ask(context, lambda client: self._do(client, work), doing)

    async def _do(self, client: SearchClient, work: Work) -> dict[str, Any]:
        return await _AT_ONCE[self.operation](client, work)

    def _work(self, context: Context, fence: Fence | None) -> Work:
        """What is to be done.

        Raises:
            Refused: an argument is not possible.
        """
        owner = self.task_owner(context)
        identity = None if self.id in (None, "") else str(self.id)
        if identity is None and self.operation in _NEEDS_ID:
            raise Refused(f"{self.operation} needs the id of a document")
        if identity is None and self.operation in _OWN_ID:
            identity = owner
        if not self.index and self.operation not in _ALL_INDICES:
            raise Refused(f"{self.operation} needs an index")
        return Work(
            operation=self.operation,
            index=self.index,
            owner=owner,
            id=identity,
            document=parsed(self.document, "doc"),
            query=parsed(self.query, "query"),
            routing=self.routing,
            pipeline=self.pipeline,
            refresh=self.refresh,
            if_seq_no=number(self.if_seq_no, "if_seq_no"),
            if_primary_term=number(self.if_primary_term, "if_primary_term"),
            fence=fence,
            with_data=self.push_value or self.is_nested(context),
            allow_partial=self.allow_partial,
        )

    @contextmanager
    def _fenced(self, context: Context) -> Iterator[Fence | None]:
        """Holds the lock, if there is one, for as long as the block lasts."""
        lock: Any = self.lock
        if self.fence is not None:
            yield fence_of(parsed(self.fence, "fence") if _is_object(self.fence) else self.fence)
        elif lock is None:
            yield None
        elif is_lock(lock):
            with lock as lease:
                yield fence_of(lease)
        elif isinstance(lock, str):
            data = to_bytes(about(context))
            with self.session(context) as (client, _):
                try:
                    held = Lock(client, lock, data=data).acquire(self.lock_timeout)
                except TimeoutError as error:
                    raise AirflowException(
                        f"task {self.task_id!r}: the lock {lock} was not free within "
                        f"{self.lock_timeout} s"
                    ) from error
                with held as lease:
                    self.log.info("holds %s, fence %d", lock, lease.fence)
                    yield fence_of(lease)
        else:
            raise Refused(f"lock is a {type(lock).__name__}; a path or a lock is expected")

    async def start(self, client: SearchClient, context: Context) -> Job:
        """Begins an operation by query."""
        work = self._work(context, None)
        params: dict[str, Any] = {
            "wait_for_completion": False,
            **work.params("routing", "pipeline"),
            **({"refresh": True} if work.refresh not in (None, "", False, "false") else {}),
        }
        if self.requests_per_second is not None:
            params["requests_per_second"] = self.requests_per_second
        path = path_of(self.index, f"_{self.operation}")
        answer = await client.ask("POST", path, params=params, body=search_body(work))
        return EngineTask(str(answer.body["task"]), f"{self.operation} in {self.index}")

    def doing(self) -> str:
        """For messages."""
        return f"{self.operation} in {self.index}"


def _is_object(given: object) -> bool:
    return isinstance(given, str) and given.lstrip().startswith("{")

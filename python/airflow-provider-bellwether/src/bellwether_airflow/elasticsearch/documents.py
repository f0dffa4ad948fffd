"""What is done with documents: the operations of `ElasticsearchOperator`, by their names.

Keeps true: each can be done again by a retry without harm. Ids are fixed before anything is sent;
a create that finds its own document, or a delete that finds none, has happened before. With a
fence every write carries it as its version.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import Refused
from .client import Answer, SearchClient, path_of
from .errors import Answered, Partial, SearchError
from .fences import Fence


@dataclass(frozen=True)
class Work:
    """One operation with its arguments."""

    operation: str
    index: str
    owner: str
    id: str | None = None
    document: Any = field(default=None, repr=False)
    query: Any = field(default=None, repr=False)
    routing: str | None = None
    pipeline: str | None = None
    refresh: str | bool | None = None
    if_seq_no: int | None = None
    if_primary_term: int | None = None
    fence: Fence | None = None
    with_data: bool = False
    allow_partial: bool = False

    @property
    def path(self) -> str:
        """The path of the document."""
        return path_of(self.index, "_doc", self.id or "")

    @property
    def name(self) -> str:
        """The document, for messages."""
        return f"{self.index}/{self.id}"

    @property
    def is_conditional(self) -> bool:
        """Whether a second execution would be refused."""
        return self.if_seq_no is not None

    def params(self, *names: str) -> dict[str, Any]:
        """The arguments of these names that are given."""
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value not in (None, "")}

    def write_params(self) -> dict[str, Any]:
        """What goes with a write of the document."""
        params = self.params("routing", "refresh", "if_seq_no", "if_primary_term")
        if self.fence is not None:
            params |= self.fence.params()
        return params


Doing = Callable[[SearchClient, Work], Awaitable[dict[str, Any]]]


def _told(answer: Answer) -> dict[str, Any]:
    """What a task tells about a write."""
    body = answer.body
    return {
        "index": body.get("_index"),
        "id": body.get("_id"),
        "version": body.get("_version"),
        "seq_no": body.get("_seq_no"),
        "primary_term": body.get("_primary_term"),
        "result": body.get("result"),
    }


def _document(work: Work) -> Mapping[str, Any]:
    if not isinstance(work.document, Mapping):
        kind = type(work.document).__name__
        raise Refused(f"doc is a {kind}; a mapping, or text that is a JSON object, is expected")
    return work.document


async def _read(client: SearchClient, work: Work) -> dict[str, Any] | None:
    """The document with its version, as it is at this moment; nothing if there is none."""
    answer = await client.ask(
        "GET", work.path, params=work.params("routing"), resend=True, allow=(404,)
    )
    return answer.body if answer.body.get("found") else None


def _same(found: Mapping[str, Any] | None, work: Work) -> bool:
    return found is not None and found.get("_source") == work.document


def _unchanged(found: Mapping[str, Any]) -> dict[str, Any]:
    return _told(Answer(200, {**found, "result": "unchanged"}, None, ""))


async def index(client: SearchClient, work: Work) -> dict[str, Any]:
    """Writes the document, over what is there."""
    document = _document(work)
    params = {**work.write_params(), **work.params("pipeline")}
    try:
        answer = await client.ask(
            "PUT", work.path, params=params, body=document, resend=not work.is_conditional
        )
    except Answered as error:
        if error.status != 409:
            raise
        if work.fence is not None:
            raise work.fence.stale(work.name) from error
        found = await _read(client, work)
        # A try before this one may have written it, and lost the answer.
        if found is not None and work.is_conditional and _same(found, work):
            return _unchanged(found)
        raise
    return _told(answer)


async def create(client: SearchClient, work: Work) -> dict[str, Any]:
    """Writes the document unless another is there; one that is the same was written before."""
    document = _document(work)
    if work.fence is not None:
        # Engines know no create with an external version; the lock keeps others away.
        found = await _read(client, work)
        if found is None:
            return await index(client, work)
        if not _same(found, work):
            raise SearchError(f"{work.name} is there already, and is another document")
        return _unchanged(found)
    params = {**work.write_params(), **work.params("pipeline")}
    path = path_of(work.index, "_create", work.id or "")
    try:
        answer = await client.ask("PUT", path, params=params, body=document, resend=True)
    except Answered as error:
        found = await _read(client, work) if error.status == 409 else None
        if found is None or not _same(found, work):
            raise
        return _unchanged(found)
    return _told(answer)


async def get(client: SearchClient, work: Work) -> dict[str, Any]:
    """Reads the document."""
    found = await _read(client, work)
    if found is None:
        raise SearchError(f"there is no document {work.name}")
    told = _told(Answer(200, {**found, "result": "found"}, None, ""))
    return {**told, "source": found.get("_source")} if work.with_data else told


async def exists(client: SearchClient, work: Work) -> dict[str, Any]:
    """Whether the document is there."""
    answer = await client.ask(
        "HEAD", work.path, params=work.params("routing"), resend=True, allow=(404,)
    )
    return {"index": work.index, "id": work.id, "exists": answer.status == 200}


async def update(client: SearchClient, work: Work) -> dict[str, Any]:
    """Merges the given fields into the document, which has to be there."""
    return await _update(client, work, upsert=False)


async def upsert(client: SearchClient, work: Work) -> dict[str, Any]:
    """Merges the given fields into the document, or writes it if there is none."""
    return await _update(client, work, upsert=True)


async def _update(client: SearchClient, work: Work, *, upsert: bool) -> dict[str, Any]:
    document = _document(work)
    if work.fence is not None:
        return await _fenced_update(client, work, upsert=upsert)
    params = work.write_params()
    if not work.is_conditional:
        params["retry_on_conflict"] = 3
    body = {"doc": document, **({"doc_as_upsert": True} if upsert else {})}
    path = path_of(work.index, "_update", work.id or "")
    answer = await client.ask(
        "POST", path, params=params, body=body, resend=not work.is_conditional
    )
    return _told(answer)


async def _fenced_update(client: SearchClient, work: Work, *, upsert: bool) -> dict[str, Any]:
    """Reads, merges and writes: the engines' own update takes no external version."""
    assert work.fence is not None
    found = await _read(client, work)
    if found is None and not upsert:
        raise SearchError(f"there is no document {work.name} to update")
    if found is not None and int(found["_version"]) > work.fence.number:
        raise work.fence.stale(work.name)
    before = found.get("_source") if found is not None else None
    merged = merge(before if isinstance(before, Mapping) else {}, _document(work))
    return await index(client, replace(work, document=merged))


def merge(before: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """As the engines merge: objects field by field, everything else in whole."""
    merged = dict(before)
    for name, value in fields.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


async def delete(client: SearchClient, work: Work) -> dict[str, Any]:
    """Deletes the document; that there is none is as good."""
    try:
        answer = await client.ask(
            "DELETE",
            work.path,
            params=work.write_params(),
            resend=not work.is_conditional,
            allow=(404,),
        )
    except Answered as error:
        if error.status == 409 and work.fence is not None:
            raise work.fence.stale(work.name) from error
        raise
    deleted = answer.body.get("result") == "deleted"
    return {"index": work.index, "id": work.id, "deleted": deleted}


def search_body(work: Work) -> dict[str, Any]:
    """The request of a search: `doc` is its body, and `query` goes into it.

    Raises:
        Refused: one of them is no mapping, or the query is in both.
    """
    body = work.document if work.document is not None else {}
    if not isinstance(body, Mapping):
        raise Refused(f"doc is a {type(body).__name__}; the body of a search is expected")
    if work.query is None:
        return dict(body)
    if not isinstance(work.query, Mapping):
        raise Refused(f"query is a {type(work.query).__name__}; a mapping is expected")
    if "query" in body:
        raise Refused("query is given twice: by itself, and in doc")
    return {**body, "query": work.query}


async def search(client: SearchClient, work: Work) -> dict[str, Any]:
    """The documents that a query finds, by their ids; with data, the documents themselves."""
    params: dict[str, Any] = work.params("routing")
    if not work.allow_partial:
        params["allow_partial_search_results"] = False
    body = search_body(work)
    path = path_of(work.index, "_search")
    answer = await client.ask("POST", path, params=params, body=body, resend=True)
    _whole(answer, work)
    hits = answer.body.get("hits", {})
    total = hits.get("total") or {}
    told = {
        "total": total.get("value"),
        "relation": total.get("relation"),
        "ids": [hit.get("_id") for hit in hits.get("hits", [])],
        "took_ms": answer.body.get("took"),
    }
    if work.with_data:
        told["hits"] = [
            {name.removeprefix("_"): hit[name] for name in _HIT if name in hit}
            for hit in hits.get("hits", [])
        ]
        if "aggregations" in answer.body:
            told["aggregations"] = answer.body["aggregations"]
    return told


_HIT = ("_index", "_id", "_score", "_source", "fields", "sort", "highlight")


def _whole(answer: Answer, work: Work) -> None:
    shards = answer.body.get("_shards", {})
    if work.allow_partial:
        return
    if shards.get("failed"):
        raise Partial(f"{shards['failed']} of {shards.get('total')} shards failed")
    if answer.body.get("timed_out"):
        raise Partial("the engine's time for the search was over")


async def count(client: SearchClient, work: Work) -> dict[str, Any]:
    """How many documents a query finds."""
    path = path_of(work.index, "_count")
    answer = await client.ask(
        "POST", path, params=work.params("routing"), body=search_body(work), resend=True
    )
    _whole(answer, work)
    return {"index": work.index, "count": answer.body.get("count")}


async def refresh(client: SearchClient, work: Work) -> dict[str, Any]:
    """Has searches see what was written."""
    answer = await client.ask("POST", path_of(work.index, "_refresh"), resend=True)
    _whole(answer, work)
    return {"index": work.index, "shards": answer.body.get("_shards", {}).get("successful")}

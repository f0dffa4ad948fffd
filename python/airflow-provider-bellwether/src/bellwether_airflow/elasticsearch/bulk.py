"""Many documents in few requests.

An item is a document, or a mapping of `_op_type` (index, create, update, delete), `_index`, `_id`,
`_routing` and `_source`. Without `_source` the rest of the mapping is the document.

Keeps true: an item without an id gets one that a retry gives it too; items that the engine was too
busy for are sent again, and no other; whatever else fails is told, with the first few reasons.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import Refused
from .client import SearchClient, dumped, path_of
from .documents import Work
from .errors import SearchError, told_by

ITEMS_MAX = 1000
BYTES_MAX = 5_000_000
TRIES_MAX = 6
IDS_TOLD_MAX = 100
_REASONS_TOLD = 3
_PAUSE_S = 0.25
_PAUSE_S_MAX = 8.0

_KINDS = ("index", "create", "update", "delete")
_META = {"_op_type", "_index", "_id", "_routing", "_source"}
_LASTING = (400, 413)


class BulkFailed(SearchError):
    """Some items were refused. The others are written."""

    def __init__(self, text: str, *, hopeless: bool) -> None:
        super().__init__(text)
        self.hopeless = hopeless


@dataclass(frozen=True)
class Item:
    """One write."""

    kind: str
    index: str
    id: str
    routing: str | None = None
    source: Any = field(default=None, repr=False)

    def lines(self, version: Mapping[str, Any]) -> list[Any]:
        """The lines of a request."""
        meta = {"_index": self.index, "_id": self.id, **version}
        if self.routing:
            meta["routing"] = self.routing
        if self.kind == "delete":
            return [{"delete": meta}]
        if self.kind == "update":
            return [{"update": {**meta, "retry_on_conflict": 3}}, {"doc": self.source}]
        return [{self.kind: meta}, self.source]


def items_of(work: Work) -> list[Item]:
    """The items that `doc` is a list of.

    Raises:
        Refused: an entry is none; it says which.
    """
    given = work.document
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        kind = type(given).__name__
        raise Refused(f"doc is a {kind}; for the operation bulk a list is expected")
    return [_item(entry, number, work) for number, entry in enumerate(given)]


def _item(entry: Any, number: int, work: Work) -> Item:
    if not isinstance(entry, Mapping):
        raise Refused(f"item {number} is a {type(entry).__name__}; a mapping is expected")
    kind = str(entry.get("_op_type", "index"))
    if kind not in _KINDS:
        raise Refused(f"item {number} has the _op_type {kind!r}; one of {_KINDS} is expected")
    if work.fence is not None and kind not in ("index", "delete"):
        raise Refused(
            f"item {number} is a {kind}, which takes no external version: under a lock a bulk has "
            "index and delete only"
        )
    identity = entry.get("_id")
    if identity is None and kind in ("update", "delete"):
        raise Refused(f"item {number} is a {kind} without _id")
    index = str(entry.get("_index") or work.index)
    if not index:
        raise Refused(f"item {number} has no _index, and the task has no index")
    source = entry.get("_source")
    if source is None:
        source = {name: value for name, value in entry.items() if name not in _META}
    return Item(
        kind,
        index,
        str(identity) if identity is not None else f"{work.owner}-{number}",
        entry.get("_routing", work.routing),
        None if kind == "delete" else source,
    )


def _requests(items: list[Item], version: Mapping[str, Any]) -> Iterator[list[Item]]:
    """Parts that an engine takes at once."""
    part: list[Item] = []
    size = 0
    for item in items:
        try:
            length = sum(len(dumped(line)) + 1 for line in item.lines(version))
        except (TypeError, ValueError) as error:
            raise Refused(f"the document {item.index}/{item.id} is not JSON: {error}") from None
        if part and (len(part) == ITEMS_MAX or size + length > BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(item)
        size += length
    if part:
        yield part


@dataclass
class _Tally:
    results: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[Item, int, str]] = field(default_factory=list)


async def bulk(client: SearchClient, work: Work) -> dict[str, Any]:
    """Writes all items; what is told are totals, and the ids if they are few.

    Raises:
        BulkFailed: items were refused.
        StaleFence: items have had a later holder.
    """
    items = items_of(work)
    tally = _Tally()
    version = work.fence.params() if work.fence is not None else {}
    for part in _requests(items, version):
        await _send(client, work, part, tally)
    if tally.failed:
        raise _problem(work, len(items), tally)
    told: dict[str, Any] = {"items": len(items), **dict(tally.results)}
    if len(items) <= IDS_TOLD_MAX:
        told["ids"] = [item.id for item in items]
    return told


async def _send(client: SearchClient, work: Work, part: list[Item], tally: _Tally) -> None:
    params = work.params("pipeline", "refresh")
    left, pause = part, _PAUSE_S
    for number in range(TRIES_MAX):
        version = work.fence.params() if work.fence is not None else {}
        lines = [line for item in left for line in item.lines(version)]
        answer = await client.ask(
            "POST", path_of("_bulk"), params=params, lines=lines, resend=True
        )
        answers = answer.body.get("items", [])
        if len(answers) != len(left):
            raise SearchError(f"{len(left)} items were sent, and {len(answers)} are answered")
        last = number == TRIES_MAX - 1
        left = await _sorted_out(client, left, answers, tally, last=last)
        if not left:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, _PAUSE_S_MAX)


async def _sorted_out(
    client: SearchClient,
    sent: list[Item],
    answers: list[Any],
    tally: _Tally,
    *,
    last: bool,
) -> list[Item]:
    """Counts what was answered; gives the items to send again."""
    again = []
    for item, told in zip(sent, answers, strict=True):
        outcome = next(iter(told.values()))
        status = int(outcome.get("status", 500))
        if status < 300:
            tally.results[str(outcome.get("result", item.kind))] += 1
        elif status == 404 and item.kind == "delete":
            tally.results["not_found"] += 1
        elif status == 429 and not last:
            again.append(item)
        elif status == 409 and item.kind == "create" and await _is_same(client, item):
            tally.results["unchanged"] += 1
        else:
            kind, reason = told_by(outcome.get("error") or {})
            tally.failed.append((item, status, f"{kind}: {reason}"))
    return again


async def _is_same(client: SearchClient, item: Item) -> bool:
    """Whether a try before this one has created it."""
    params = {"routing": item.routing} if item.routing else {}
    answer = await client.ask(
        "GET", path_of(item.index, "_doc", item.id), params=params, resend=True, allow=(404,)
    )
    return bool(answer.body.get("found")) and answer.body.get("_source") == item.source


def _problem(work: Work, total: int, tally: _Tally) -> SearchError:
    failed = tally.failed
    if work.fence is not None and all(status == 409 for _, status, _ in failed):
        item = failed[0][0]
        some = f"{len(failed)} of {total} documents, such as {item.index}/{item.id},"
        return work.fence.stale(some)
    reasons = "; ".join(
        f"{item.kind} {item.index}/{item.id}: {status} {reason}"
        for item, status, reason in failed[:_REASONS_TOLD]
    )
    more = f"; and {len(failed) - _REASONS_TOLD} more" if len(failed) > _REASONS_TOLD else ""
    return BulkFailed(
        f"{len(failed)} of {total} items were refused, the others are done: {reasons}{more}",
        hopeless=all(status in _LASTING for _, status, _ in failed),
    )

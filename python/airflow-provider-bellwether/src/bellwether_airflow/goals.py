"""The states of nodes that a task can wait for.

Keeps true: a node is looked at by the request that arms its watch; that something has changed is
told by another `(czxid, mzxid)`, whichever is greater: a restored service counts from an earlier
zxid.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import bellwether
from bellwether import AsyncClient, AsyncOnceWatch, Stat

from .errors import Refused
from .paths import checked
from .values import described, given_back, shown, to_bytes
from .waiting import Goal, Look

CONDITIONS = ("exists", "deleted", "changed", "value", "regex", "json", "children")

_COUNT = re.compile(r"\s*(>=|<=|==|!=|>|<)?\s*(\d+)\s*")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ">=": lambda found, wanted: found >= wanted,
    "<=": lambda found, wanted: found <= wanted,
    "==": lambda found, wanted: found == wanted,
    "!=": lambda found, wanted: found != wanted,
    ">": lambda found, wanted: found > wanted,
    "<": lambda found, wanted: found < wanted,
}

Baseline = Mapping[str, Any]


@dataclass(frozen=True)
class NodeGoal(Goal):
    """A node is there, gone, other than it was, or has a value or a number of children."""

    path: str
    condition: str = "changed"
    expected: Any = None
    """Of value: the data. Of regex: the pattern. Of json: a mapping of a JSON pointer to what
    stands there. Of children: a number, at least, or `== 3` and the like."""
    baseline: Baseline | None = None
    """Of changed: what the node was: `{}` if it was not there, else `czxid` and `mzxid`."""
    with_value: bool = False

    def check(self) -> None:
        """Refuses what can never be met.

        Raises:
            Refused: and it says why.
        """
        checked(self.path)
        if self.condition not in CONDITIONS:
            raise Refused(
                f"condition is {self.condition!r}; one of {', '.join(CONDITIONS)} is expected"
            )
        if self.condition in ("value", "regex", "json", "children") and self.expected is None:
            raise Refused(f"the condition {self.condition} needs expected")
        if self.condition == "regex":
            self._pattern()
        if self.condition == "json":
            _pointers(self.expected)
        if self.condition == "children":
            self._count()

    def __str__(self) -> str:
        """What is waited for, without the value: it may be a secret."""
        return f"wait for {self.path} ({self.condition})"

    async def look(self, client: AsyncClient) -> Look:
        """Reads the node, with a watch on whatever the condition depends on, in one request."""
        while True:
            try:
                return await self._look_at_node(client)
            except bellwether.NoNodeError:
                stat, watch = await client.exists_and_watch(self.path)
                if stat is None:
                    return self._look_at_none(watch)
                await watch.close()

    async def _look_at_node(self, client: AsyncClient) -> Look:
        if self.condition == "children":
            names, stat, watch = await client.children_and_watch(self.path)
            result = {**described(self.path, stat), "exists": True, "children": len(names)}
            return Look(self._enough(len(names)), result, [watch])
        if self.with_value or self.condition in ("value", "regex", "json"):
            data, found, watch = await client.get_and_watch(self.path)
            return Look(self._met(found, data), self._result(found, data), [watch])
        seen, watch = await client.exists_and_watch(self.path)
        return Look(self._met(seen, b""), self._result(seen, b""), [watch])

    def _look_at_none(self, watch: AsyncOnceWatch) -> Look:
        if self.condition == "children":
            result = {"path": self.path, "exists": False, "children": 0}
            return Look(self._enough(0), result, [watch])
        return Look(self._met(None, b""), self._result(None, b""), [watch])

    def _enough(self, found: int) -> bool:
        compare, wanted = self._count()
        return compare(found, wanted)

    def _met(self, stat: Stat | None, data: bytes) -> bool:
        match self.condition:
            case "exists":
                return stat is not None
            case "deleted":
                return stat is None
            case "changed":
                return self.baseline is not None and state_of(stat) != dict(self.baseline)
            case "value":
                return stat is not None and data == to_bytes(self.expected)
            case "regex":
                text = data.decode(errors="replace")
                return stat is not None and self._pattern().search(text) is not None
            case _:
                return stat is not None and _json_has(data, self.expected)

    def _result(self, stat: Stat | None, data: bytes) -> dict[str, Any]:
        if stat is None:
            return {"path": self.path, "exists": False}
        values = shown(data) if self.with_value else {}
        return {**described(self.path, stat), "exists": True, **values}

    def _pattern(self) -> re.Pattern[str]:
        try:
            return re.compile(self.expected)
        except (re.error, TypeError) as error:
            raise Refused(f"expected is no regular expression: {error}") from None

    def _count(self) -> tuple[Callable[[int, int], bool], int]:
        found = _COUNT.fullmatch(str(self.expected))
        if found is None:
            raise Refused(
                f"expected is {self.expected!r}; a number, or such as '== 3', is expected"
            )
        return _COMPARE[found.group(1) or ">="], int(found.group(2))


def state_of(stat: Stat | None) -> dict[str, int]:
    """What tells one state of a node from another."""
    return {} if stat is None else {"czxid": stat.czxid, "mzxid": stat.mzxid}


def baseline_of(result: Any) -> dict[str, int]:
    """The baseline that the result of another task is, or a template that has become text.

    Raises:
        Refused: it is no such result.
    """
    result = given_back(result)
    if isinstance(result, Mapping):
        if result.get("exists") is False or result == {}:
            return {}
        if {"czxid", "mzxid"} <= result.keys():
            return {"czxid": int(result["czxid"]), "mzxid": int(result["mzxid"])}
    raise Refused("baseline has neither czxid and mzxid nor exists: pass on the result of a task")


def _pointers(expected: Any) -> dict[str, Any]:
    wrong = not isinstance(expected, Mapping) or not expected
    if wrong or any(pointer and not str(pointer).startswith("/") for pointer in expected):
        raise Refused(
            'expected is no mapping of JSON pointers to values, such as {"/state": "ready"}'
        )
    return dict(expected)


def _json_has(data: bytes, expected: Any) -> bool:
    try:
        document = json.loads(data)
    except ValueError:
        return False
    for pointer, wanted in _pointers(expected).items():
        found, value = _at(document, pointer)
        if not found or value != wanted:
            return False
    return True


def _at(document: Any, pointer: str) -> tuple[bool, Any]:
    """What a JSON pointer (RFC 6901) leads to."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, Mapping) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        else:
            return False, None
    return True, document

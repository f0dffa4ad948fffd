"""Restoring a subtree from a dump: what differs, and the writes that mend it.

Keeps true: every write is safe to repeat, so that a restore that was interrupted is begun again and
finds what is left to do. The service's own nodes, and ephemeral ones, are left alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import bellwether
from bellwether import Client, Multi

from .dumps import Node, walk
from .errors import Refused
from .paths import is_reserved, parent_of

MODES = ("merge", "replace", "verify")
OPERATIONS_MAX = 100
"""Operations of a transaction."""
BYTES_MAX = 512 * 1024
"""Data of a transaction: half of what a server takes at once by default."""
_EXAMPLES = 10


@dataclass
class Report:
    """What was different, and what was done about it."""

    same: int = 0
    created: int = 0
    updated: int = 0
    different: int = 0
    deleted: int = 0
    superfluous: int = 0
    ephemeral: int = 0
    examples: list[str] = field(default_factory=list)
    """The first paths that were different."""

    def note(self, kind: str, path: str) -> None:
        """Counts a node that is not as it should be."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{kind}: {path}")

    @property
    def differences(self) -> int:
        """How many nodes were not as in the dump."""
        return self.created + self.updated + self.different + self.deleted + self.superfluous


def placed(nodes: Iterable[Node], of: str, at: str) -> Iterator[Node]:
    """The nodes of a dump of `of` as they belong at `at`: a part of it, or all of it elsewhere."""
    inside = of == "/" or at == of or at.startswith(of + "/")
    for node in nodes:
        if inside:
            if at == "/" or node.path == at or node.path.startswith(at + "/"):
                yield node
            continue
        rest = node.path.removeprefix(of.rstrip("/"))
        path = (at.rstrip("/") + rest) or "/"
        yield Node(path, node.data, node.acl, node.ephemeral)


class Restore:
    """One restore: the changes of a mode, gathered into transactions."""

    def __init__(self, client: Client, mode: str, dry_run: bool) -> None:
        if mode not in MODES:
            raise Refused(f"mode is {mode!r}; one of {', '.join(MODES)} is expected")
        self._client = client
        self._mode = mode
        self._dry_run = dry_run or mode == "verify"
        self._nodes: list[Node] = []
        self._multi = Multi()
        self._bytes = 0
        self.report = Report()

    def run(self, nodes: Iterable[Node], at: str) -> Report:
        """Goes through the dump, and through what is there."""
        if not self._dry_run and parent_of(at) != "/":
            self._client.retrying.ensure_path(parent_of(at))
        seen: set[str] = set()
        for node in nodes:
            if is_reserved(node.path):
                continue
            if node.ephemeral:
                self.report.ephemeral += 1
                continue
            if self._mode != "merge":
                seen.add(node.path)
            self._one(node)
        self._flush()
        if self._mode != "merge":
            self._others(seen, at)
        return self.report

    def _one(self, node: Node) -> None:
        try:
            data, stat = self._client.retrying.get(node.path)
        except bellwether.NoNodeError:
            self.report.note("created", node.path)
            self._gather(node, Multi.create, node.data, acl=list(node.acl))
            return
        acl, about = self._client.get_acl(node.path)
        same_acl = sorted(map(_key, acl)) == sorted(map(_key, node.acl))
        if data == node.data and same_acl:
            self.report.same += 1
            return
        if self._mode != "replace":
            self.report.note("different", node.path)
            return
        self.report.note("updated", node.path)
        if not same_acl and not self._dry_run:
            # No transaction can set an access list.
            self._flush()
            self._client.set_acl(node.path, list(node.acl), about.aversion)
        if data != node.data:
            self._gather(node, Multi.set, node.data, stat.version)

    def _gather(self, node: Node, add: Any, *arguments: Any, **options: Any) -> None:
        if self._dry_run:
            return
        size = len(node.data) + len(node.path)
        if self._nodes and (len(self._nodes) >= OPERATIONS_MAX or self._bytes + size > BYTES_MAX):
            self._flush()
        add(self._multi, node.path, *arguments, **options)
        self._nodes.append(node)
        self._bytes += size

    def _flush(self) -> None:
        nodes, multi = self._nodes, self._multi
        self._nodes, self._multi, self._bytes = [], Multi(), 0
        if not nodes:
            return
        try:
            self._client.commit(multi)
        except (bellwether.TransactionError, bellwether.ConnectionLossError) as error:
            cause = error.__cause__
            if isinstance(cause, bellwether.NoAuthError | bellwether.InvalidACLError):
                raise
            # Somebody was faster with one of them, or it is not known: one after the other.
            for node in nodes:
                self._alone(node)

    def _alone(self, node: Node) -> None:
        writing = self._client.retrying
        while True:
            try:
                data, stat = writing.get(node.path)
                if data != node.data and self._mode == "replace":
                    writing.set(node.path, node.data, stat.version)
                return
            except bellwether.BadVersionError:
                continue
            except bellwether.NoNodeError:
                pass
            try:
                writing.create(node.path, node.data, acl=list(node.acl))
                return
            except bellwether.NodeExistsError:
                continue

    def _others(self, seen: set[str], at: str) -> None:
        """What the dump does not have: deleted by replace, children first."""
        try:
            there = [(node.path, node.ephemeral) for node, _ in walk(self._client, at)]
        except bellwether.NoNodeError:
            return
        for path, ephemeral in reversed(there):
            if path in seen or path == "/" or ephemeral:
                continue
            if self._mode == "verify":
                self.report.note("superfluous", path)
                continue
            self.report.note("deleted", path)
            if self._dry_run:
                continue
            try:
                self._client.retrying.delete(path)
            except bellwether.NoNodeError:
                pass
            except bellwether.NotEmptyError:
                # A live session has an ephemeral node below it.
                self.report.deleted -= 1
                self.report.note("superfluous", path)


def _key(entry: bellwether.Acl) -> tuple[int, str, str]:
    return entry.perms, entry.scheme, entry.id

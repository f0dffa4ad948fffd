"""Dumps of subtrees: lines of JSON, a header, a line per node, a trailer that proves the rest.

Keeps true: a dump is read and written a node at a time, however large; it has its name only when it
is complete; a reader takes nothing from a dump whose trailer does not fit. It is no picture of one
moment: the header and the trailer tell between which zxids it was read.
"""

import base64
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote, unquote, urlsplit

import bellwether
from bellwether import Acl, Client, Stat

from .errors import Refused
from .paths import child_of, is_reserved
from .settings import Settings
from .version_compat import conf

FORMAT = 1
INLINE_BYTES_MAX = 64 * 1024
"""What is kept in XCom, which lies in Airflow's database, if there is no place for a file."""
_END = ".jsonl"


@dataclass(frozen=True)
class Node:
    """A node of a dump."""

    path: str
    data: bytes
    acl: tuple[Acl, ...]
    ephemeral: bool

    def line(self, stat: Stat) -> bytes:
        """As a line of a dump."""
        names = ("czxid", "mzxid", "ctime", "mtime", "version", "cversion", "aversion", "pzxid")
        numbers = {name: getattr(stat, name) for name in names}
        record = {
            "path": self.path,
            "data": base64.b64encode(self.data).decode(),
            "acl": [[entry.perms, entry.scheme, entry.id] for entry in self.acl],
            "stat": {**numbers, "ephemeralOwner": stat.ephemeral_owner},
        }
        return _line(record)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """From a line of a dump."""
        acl = tuple(Acl(perms, scheme, name) for perms, scheme, name in record["acl"])
        ephemeral = record["stat"]["ephemeralOwner"] != 0
        return cls(record["path"], base64.b64decode(record["data"]), acl, ephemeral)


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def walk(client: Client, path: str) -> Iterator[tuple[Node, Stat]]:
    """A node and all below it, parents first. What goes away meanwhile is left out.

    Raises:
        bellwether.NoNodeError: there is no such node.
    """
    waiting, first = [path], True
    reading = client.retrying
    while waiting:
        at = waiting.pop()
        try:
            data, stat = reading.get(at)
            acl, _ = client.get_acl(at)
            names = reading.children(at)
        except bellwether.NoNodeError:
            if first:
                raise
            continue
        first = False
        yield Node(at, data, tuple(acl), stat.ephemeral_owner != 0), stat
        below = [child_of(at, name) for name in sorted(names, reverse=True)]
        waiting += [name for name in below if not is_reserved(name)]


def write(out: IO[bytes], client: Client, path: str, zxid: int | None) -> dict[str, Any]:
    """Writes a dump, and gives its manifest. `zxid` is the service's before the first node."""
    digest = hashlib.sha256()
    size = count = 0
    last = zxid or 0

    def put(line: bytes) -> None:
        nonlocal size
        out.write(line)
        digest.update(line)
        size += len(line)

    put(_line({"kind": "tree", "format": FORMAT, "path": path, "zxid_from": zxid}))
    for node, stat in walk(client, path):
        put(node.line(stat))
        count += 1
        last = max(last, stat.mzxid, stat.pzxid)
    trailer = {"count": count, "sha256": digest.hexdigest(), "zxid_to": last}
    line = _line({"trailer": trailer})
    out.write(line)
    return {"path": path, "zxid_from": zxid, "bytes": size + len(line), **trailer}


def read(lines: Iterator[bytes]) -> Iterator[Node]:
    """The nodes of a dump that `verify` has found whole."""
    next(lines)
    for line in lines:
        record = json.loads(line)
        if "trailer" in record:
            return
        yield Node.of(record)


def verify(lines: Iterator[bytes], name: str) -> str:
    """Reads a dump to its end, and gives the path that it is of.

    Raises:
        Refused: it is none, or not whole.
    """
    digest = hashlib.sha256()
    count, path = -1, ""
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            raise Refused(f"{name}: line {count + 2} is not JSON") from None
        if count < 0:
            if record.get("kind") != "tree" or record.get("format") != FORMAT:
                raise Refused(f"{name} is no dump of a tree in the format {FORMAT}")
            path = record["path"]
        elif "trailer" in record:
            trailer = record["trailer"]
            if trailer["count"] != count or trailer["sha256"] != digest.hexdigest():
                raise Refused(f"{name} is damaged: its trailer does not fit what stands before it")
            return path
        digest.update(line)
        count += 1
    raise Refused(f"{name} is not complete: it has no trailer")


class Place:
    """A file, in a file system or in an object storage.

    A URL of a scheme other than `file` is an `ObjectStoragePath` of Airflow.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        parts = urlsplit(name)
        self._file: Any
        if parts.scheme in ("", "file"):
            self._file = Path(unquote(parts.path) if parts.scheme else name)
        else:
            from airflow.sdk import ObjectStoragePath

            self._file = ObjectStoragePath(name)

    def __str__(self) -> str:
        """Its name, as it was given."""
        return self.name

    def lines(self) -> Iterator[bytes]:
        """What it holds, line by line.

        Raises:
            Refused: it cannot be read.
        """
        try:
            with self._file.open("rb") as file:
                yield from file
        except OSError as error:
            raise Refused(f"{self.name} cannot be read: {error}") from None

    def chunks(self) -> Iterator[bytes]:
        """What it holds, in pieces for a request."""
        with self._file.open("rb") as file:
            while chunk := file.read(1 << 16):
                yield chunk

    def fill(self, write_to: Any) -> Any:
        """Has a function write it under another name, and gives it its own when it is complete."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_name(f".{self._file.name}.partial")
        try:
            with partial.open("wb") as file:
                said = write_to(file)
                if isinstance(partial, Path):
                    file.flush()
                    os.fsync(file.fileno())
            if isinstance(partial, Path):
                partial.replace(self._file)
            else:
                partial.rename(self._file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return said

    def newest(self) -> "Place | None":
        """The last of the dumps in this directory, by their names."""
        if not self._file.is_dir():
            return None
        names = sorted(file.name for file in self._file.iterdir() if file.name.endswith(_END))
        return Place(f"{self.name.rstrip('/')}/{names[-1]}") if names else None


class Inline:
    """A dump that is a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        """A name for messages."""
        return "the dump in the result of the task"

    def lines(self) -> Iterator[bytes]:
        """What it holds, line by line."""
        yield from io.BytesIO(self._text.encode())


def directory(settings: Settings, path: str) -> str | None:
    """Where dumps of a node are kept, if `[bellwether] dump_root` says so."""
    root = str(conf.get("bellwether", "dump_root", fallback="") or "")
    if not root:
        return None
    return f"{root.rstrip('/')}/{quote(settings.hosts, safe='')}/{quote(path, safe='')}"


def kept_name(stamp: str, owner: str) -> str:
    """The name of a dump: later runs sort behind earlier ones, and every try has the same."""
    return f"{stamp}-{owner}{_END}"


def source_of(source: Any, settings: Settings, path: str) -> Place | Inline:
    """What is restored: a name, the result of a dump, or nothing for the newest that is kept.

    Raises:
        Refused: there is none.
    """
    if isinstance(source, str) and source.lstrip().startswith("{"):
        import ast

        try:
            source = ast.literal_eval(source)
        except (ValueError, SyntaxError):
            raise Refused("source is neither a name nor the result of a dump") from None
    if isinstance(source, Mapping):
        if "inline" in source:
            return Inline(source["inline"])
        source = source.get("dest")
    if isinstance(source, str) and source:
        return Place(source)
    where = directory(settings, path)
    if where is None:
        raise Refused("there is no source, and [bellwether] dump_root says of no place for dumps")
    newest = Place(where).newest()
    if newest is None:
        raise Refused(f"there is no dump of {path} in {where}")
    return newest

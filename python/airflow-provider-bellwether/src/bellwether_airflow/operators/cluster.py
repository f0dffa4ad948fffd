"""Operators of the service itself: its members, and quotas.

Keeps true: what is so already is a success; a change of the members is made from the configuration
that was looked at, or not at all.
"""

from collections.abc import Sequence
from typing import Any

import bellwether
from bellwether import Client

from ..errors import Refused
from ..paths import checked, child_of, is_reserved
from ..settings import Settings
from ..version_compat import AirflowException, Context
from .base import ZookeeperNodeOperator

_WRITE_TRIES = 20
_QUOTAS = "/zookeeper/quota"
_LIMITS, _USED = "zookeeper_limits", "zookeeper_stats"

Members = str | Sequence[str] | None


class ZookeeperReconfigOperator(ZookeeperNodeOperator):
    """Changes the members of an ensemble.

    :param joining: servers, as `server.4=host:2888:3888;2181`, separated by commas or in a list
    :param leaving: numbers of servers
    :param members: all servers, in place of joining and leaving
    """

    template_fields: Sequence[str] = (
        "joining",
        "leaving",
        "members",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self,
        *,
        joining: Members = None,
        leaving: Members = None,
        members: Members = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(path="/zookeeper/config", **kwargs)
        self.joining = joining
        self.leaving = leaving
        self.members = members
        if (members is None) == (joining is None and leaving is None):
            raise Refused("either members, or joining and leaving, say who belongs to the ensemble")

    def doing(self) -> str:
        """What the work is, for messages."""
        return "change the members"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Looks at the configuration, and changes it if it is not so already."""
        for _ in range(_WRITE_TRIES):
            client.retrying.sync("/")
            data, _stat = client.config()
            now, version = configuration(data)
            wanted = self._wanted(now)
            if wanted == now:
                return {"servers": now, "version": f"{version:x}", "changed": False}
            try:
                after, _stat = self._change(client, version)
            except bellwether.ConnectionLossError:
                # The configuration tells whether it happened.
                continue
            servers, version = configuration(after)
            return {"servers": servers, "version": f"{version:x}", "changed": True}
        raise AirflowException("the connection was lost again and again")

    def _wanted(self, now: dict[str, str]) -> dict[str, str]:
        if self.members is not None:
            return dict(map(_server, _listed(self.members)))
        wanted = dict(now)
        for number in _listed(self.leaving):
            if not number.isdigit():
                raise Refused(f"leaving has {number!r}; the number of a server is expected")
            wanted.pop(number, None)
        wanted.update(map(_server, _listed(self.joining)))
        return wanted

    def _change(self, client: Client, version: int) -> tuple[bytes, bellwether.Stat]:
        if self.members is not None:
            return client.reconfigure(members=_lines(self.members), version=version)
        return client.reconfigure(
            joining=_lines(self.joining) or None,
            leaving=",".join(_listed(self.leaving)) or None,
            version=version,
        )


def configuration(data: bytes) -> tuple[dict[str, str], int]:
    """The servers by their numbers, and the version, of the configuration node.

    Raises:
        Refused: there is none: a server that stands alone has no members to change.
    """
    servers, version = {}, None
    for line in data.decode().splitlines():
        if line.startswith("server."):
            number, address = _server(line)
            servers[number] = address
        elif line.startswith("version="):
            version = int(line.removeprefix("version="), 16)
    if version is None or not servers:
        raise Refused("the service has no dynamic configuration: it is no ensemble")
    return servers, version


def _listed(members: Members) -> list[str]:
    parts = members.replace("\n", ",").split(",") if isinstance(members, str) else members or []
    return [str(part).strip() for part in parts if str(part).strip()]


def _lines(members: Members) -> str:
    return ",".join(_listed(members))


def _server(line: str) -> tuple[str, str]:
    """The number and the address of `server.4=host:2888:3888:participant;0.0.0.0:2181`."""
    name, equals, address = line.partition("=")
    number = name.strip().removeprefix("server.")
    if not equals or not number.isdigit():
        raise Refused(f"{line!r} is no server; server.4=host:2888:3888;2181 is expected")
    peers, semicolon, client = address.strip().partition(";")
    # As servers write it: with the part that one may leave out.
    if peers.rpartition(":")[2] not in ("participant", "observer"):
        peers += ":participant"
    if semicolon and ":" not in client:
        client = f"0.0.0.0:{client}"
    return number, f"{peers}{semicolon}{client}"


class ZookeeperQuotaOperator(ZookeeperNodeOperator):
    """Limits the nodes and the bytes at and below a node.

    :param path: the node, as seen without a chroot
    :param count: how many nodes, the node itself among them
    :param bytes: how many bytes of data
    :param hard: refuse what is beyond, where servers have `enforceQuota=true`; else they warn
    """

    template_fields: Sequence[str] = (
        "path",
        "count",
        "bytes",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self,
        *,
        path: str,
        count: int | str | None = None,
        bytes: int | str | None = None,
        hard: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(path=path, **kwargs)
        self.count = count
        self.bytes = bytes
        self.hard = hard
        if count is None and bytes is None:
            raise Refused("count, or bytes, or both say what is limited")

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"limit {self.path}"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Writes the limits where the servers look for them."""
        path = checked(self.path)
        if path == "/" or is_reserved(path):
            raise Refused("a quota is for a node of yours")
        if "/" in settings.hosts:
            raise Refused("quotas lie outside of a chroot: use a connection without one")
        if client.retrying.exists(path) is None:
            error = bellwether.NoNodeError(path)
            error.path = path
            raise error
        wanted = {
            "countHardLimit" if self.hard else "count": _limit(self.count, "count", 1),
            "byteHardLimit" if self.hard else "bytes": _limit(self.bytes, "bytes", 0),
        }
        self._refuse_nested(client, path)
        limits = self._write(client, _QUOTAS + path, wanted)
        return {"path": path, "limits": limits}

    def _write(self, client: Client, node: str, wanted: dict[str, int | None]) -> dict[str, int]:
        writing = client.retrying
        writing.ensure_path(node)
        for _ in range(_WRITE_TRIES):
            limits = {"count": -1, "bytes": -1, "byteHardLimit": -1, "countHardLimit": -1}
            try:
                data, stat = writing.get(child_of(node, _LIMITS))
                limits |= _parsed(data)
                version: int | None = stat.version
            except bellwether.NoNodeError:
                version = None
            after = limits | {key: value for key, value in wanted.items() if value is not None}
            try:
                if version is None:
                    writing.create(child_of(node, _LIMITS), _written(after))
                elif after != limits:
                    writing.set(child_of(node, _LIMITS), _written(after), version)
                if writing.exists(child_of(node, _USED)) is None:
                    writing.create(child_of(node, _USED), b"count=0,bytes=0")
                return after
            except (
                bellwether.NodeExistsError,
                bellwether.BadVersionError,
                bellwether.NoNodeError,
            ):
                continue
        raise AirflowException("others write the quota faster than this task can")

    def _refuse_nested(self, client: Client, path: str) -> None:
        """Servers refuse quotas within each other, or count them wrongly."""
        above = path
        while (above := above.rpartition("/")[0]) != "":
            if client.retrying.exists(f"{_QUOTAS}{above}/{_LIMITS}") is not None:
                raise Refused(f"{above} has a quota, which counts {path} too")
        waiting = [_QUOTAS + path]
        while waiting:
            node = waiting.pop()
            try:
                names = client.retrying.children(node)
            except bellwether.NoNodeError:
                continue
            if _LIMITS in names and node != _QUOTAS + path:
                below = node.removeprefix(_QUOTAS)
                raise Refused(f"{below} has a quota, and would be counted by that of {path} too")
            waiting += [child_of(node, name) for name in names if name not in (_LIMITS, _USED)]


def _limit(value: int | str | None, name: str, least: int) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
    except ValueError:
        number = least - 1
    if number < least:
        raise Refused(f"{name} is {value!r}; a number from {least} on is expected")
    return number


def _parsed(data: bytes) -> dict[str, int]:
    found = {}
    for pair in data.decode(errors="replace").replace(";", ",").split(","):
        key, _, value = pair.partition("=")
        try:
            found[key] = int(value.strip("="))
        except ValueError:
            if pair:
                raise Refused(f"the quota that is there cannot be read at {pair!r}") from None
    return found


def _written(limits: dict[str, int]) -> bytes:
    """As servers of every version read it: old ones stop at the second equals sign."""
    others = ";".join(f"{key}={limits[key]}" for key in ("byteHardLimit", "countHardLimit"))
    return f"count={limits['count']},bytes={limits['bytes']}=;{others}".encode()

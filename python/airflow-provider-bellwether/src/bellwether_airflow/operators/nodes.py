"""Operators of single nodes: create, get, set, delete, exists.

Keeps true: what a try did, the next one finds and does not do again. Writes go through the client's
`retrying`, which finds out about a write whose answer was lost.
"""

from collections.abc import Sequence
from typing import Any

import bellwether
from bellwether import Client, Stat

from ..errors import Refused
from ..paths import checked, is_reserved, parent_of
from ..settings import Settings
from ..triggers.hold import HoldTrigger
from ..values import AclLike, Mode, acl_of, described, mode_of, shown, to_bytes
from ..version_compat import AirflowException, AirflowSkipException, Context
from .base import ZookeeperNodeOperator, ZookeeperOperator

_WRITE_TRIES = 20
"""How often a write that lost a race against another is begun again."""

_IF_EXISTS = ("update", "ignore", "fail", "compare")

_UNSET: Any = object()


class ZookeeperCreateOperator(ZookeeperNodeOperator):
    """Creates a node.

    :param path: the node; for a sequential one the beginning of its name
    :param value: bytes, text, or what can be written as JSON
    :param mode: persistent, sequential, ephemeral, container, ttl, or a name that Java has
    :param if_exists: update sets the value, ignore leaves it, compare fails if it is another one,
        fail fails
    :param makepath: create the missing nodes above
    :param ttl: seconds, for the mode ttl
    :param acl: open, creator, read_only, digest, or a list of entries
    :param marker: for `if_exists="fail"`: a node below which the creation leaves the owner's mark
        in the same transaction, by which a later try knows that an earlier one has created it
    :param hold: for an ephemeral node: a trigger keeps its session for `hold_for` or `until`
    :param hold_for: seconds
    :param until: a node whose existence ends the hold
    :param push_value: put the value into XCom too
    """

    template_fields: Sequence[str] = (
        "path",
        "value",
        "until",
        "marker",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self,
        *,
        path: str,
        value: Any = b"",
        mode: str = "persistent",
        if_exists: str = "update",
        makepath: bool = True,
        ttl: float | None = None,
        acl: AclLike = None,
        marker: str | None = None,
        hold: bool = False,
        hold_for: float | None = None,
        until: str | None = None,
        push_value: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(path=path, **kwargs)
        self.value = value
        self.mode = mode
        self.if_exists = if_exists
        self.makepath = makepath
        self.ttl = ttl
        self.acl = acl
        self.marker = marker
        self.hold = hold
        self.hold_for = hold_for
        self.until = until
        self.push_value = push_value
        self._check(mode_of(mode))

    def _check(self, mode: Mode) -> None:
        if self.if_exists not in _IF_EXISTS:
            raise Refused(
                f"if_exists is {self.if_exists!r}; one of {', '.join(_IF_EXISTS)} is expected"
            )
        if mode.ttl != (self.ttl is not None):
            raise Refused("ttl, in seconds, and the mode ttl belong together")
        if mode.ephemeral and not self.hold:
            raise Refused(
                "an ephemeral node would be gone with the task's process; with hold=True and "
                "hold_for or until a trigger keeps it"
            )
        if self.hold and not mode.ephemeral:
            raise Refused("hold is for ephemeral nodes; others stay by themselves")
        if self.hold and self.hold_for is None and self.until is None:
            raise Refused("hold needs an end: hold_for, in seconds, or until, the path of a node")
        if self.hold and mode.sequential:
            raise Refused("a held node has one name, by which the trigger finds it again")
        if self.marker is not None and (self.if_exists != "fail" or mode.sequential):
            raise Refused('marker is for if_exists="fail", and for nodes with one name')

    def execute(self, context: Context) -> Any:
        """Creates the node, or has a trigger hold it."""
        if self.hold:
            return self._hold(context)
        return super().execute(context)

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"create {self.path}"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Creates the node, or finds what an earlier try or somebody else has left."""
        path, data, mode = checked(self.path), to_bytes(self.value), mode_of(self.mode)
        parent = parent_of(path)
        if self.makepath and parent != "/":
            client.retrying.ensure_path(parent)
        if mode.sequential:
            at, stat = self._sequential(context, client, settings, path, data)
        elif self.marker:
            at, stat = path, self._marked(context, client, settings, path, data)
        else:
            at, stat = path, self._named(client, settings, path, data)
        values = shown(data) if self.push_value or self.is_nested(context) else {}
        return {**described(at, stat), **values}

    def _options(self, settings: Settings) -> dict[str, Any]:
        mode = mode_of(self.mode)
        return {"container": mode.container, "ttl": self.ttl, "acl": acl_of(self.acl, settings)}

    def _sequential(
        self, context: Context, client: Client, settings: Settings, path: str, data: bytes
    ) -> tuple[str, Stat]:
        """The owner stands in the name, so that every try finds the same node."""
        parent, owned = parent_of(path), f"{path}{self.task_owner(context)}-"
        options = self._options(settings)
        for _ in range(_WRITE_TRIES):
            client.retrying.sync(parent)
            names = client.retrying.children(parent)
            above = "/" if parent == "/" else parent + "/"
            mine = sorted(above + name for name in names if (above + name).startswith(owned))
            stat = client.retrying.exists(mine[0]) if mine else None
            if stat is not None:
                return mine[0], stat
            try:
                made = client.create(owned, data, sequential=True, **options)
            except bellwether.ConnectionLossError:
                continue
            return made.path, made.stat
        raise AirflowException(f"create {path}: the connection was lost again and again")

    def _named(self, client: Client, settings: Settings, path: str, data: bytes) -> Stat:
        options = self._options(settings)
        for _ in range(_WRITE_TRIES):
            stat = client.retrying.exists(path)
            try:
                if stat is None:
                    return client.retrying.create(path, data, **options).stat
                return self._existing(client, path, data)
            except bellwether.NodeExistsError:
                if self.if_exists == "fail":
                    raise
            except (bellwether.NoNodeError, bellwether.BadVersionError) as error:
                if isinstance(error, bellwether.NoNodeError) and stat is None:
                    raise
        raise AirflowException(f"create {path}: others write it faster than this task can")

    def _existing(self, client: Client, path: str, data: bytes) -> Stat:
        if self.if_exists == "fail":
            error = bellwether.NodeExistsError(path)
            error.path = path
            raise error
        found, stat = client.retrying.get(path)
        if self.if_exists == "ignore" or found == data:
            return stat
        if self.if_exists == "compare":
            raise Refused("the node is there with another value (if_exists='compare')")
        return client.retrying.set(path, data, stat.version)

    def _marked(
        self, context: Context, client: Client, settings: Settings, path: str, data: bytes
    ) -> Stat:
        marker = f"{checked(self.marker)}/{self.task_owner(context)}"
        options = self._options(settings)
        client.retrying.ensure_path(parent_of(marker))
        for _ in range(_WRITE_TRIES):
            mine = client.retrying.exists(marker)
            if mine is not None:
                stat = client.retrying.exists(path)
                if stat is None:
                    raise bellwether.NoNodeError(f"{path} was created by this task and is gone")
                return stat
            both = bellwether.Multi().create(path, data, **options).create(marker)
            try:
                client.commit(both)
            except bellwether.ConnectionLossError:
                pass
        raise AirflowException(f"create {path}: the connection was lost again and again")

    def _hold(self, context: Context) -> Any:
        if self.is_nested(context):
            raise self.refused("an operator inside another cannot hold an ephemeral node")
        path, data = checked(self.path), to_bytes(self.value)
        settings = self.settings()
        self.defer(
            trigger=HoldTrigger(
                path=path,
                data=shown(data),
                acl=[
                    {"perms": entry.perms, "scheme": entry.scheme, "id": entry.id}
                    for entry in acl_of(self.acl, settings) or []
                ],
                makepath=self.makepath,
                target=self.target().serialize(),
                hold_for=self.hold_for,
                until=self.until,
                owner=self.task_owner(context),
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """After the hold, where a trigger cannot end a task (`dag.test`)."""
        if event != "success":
            raise AirflowException(f"task {self.task_id!r}: the hold of {self.path} ended: {event}")
        return {"path": self.path, "held": True}


class ZookeeperGetOperator(ZookeeperNodeOperator):
    """Reads a node.

    :param path: the node
    :param default: what to give if there is no such node; without it that is a failure
    :param push_value: put the value into XCom, as `value`, or `value_base64` if it is no text
    """

    def __init__(
        self, *, path: str, default: Any = _UNSET, push_value: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(path=path, **kwargs)
        self.default = default
        self.push_value = push_value

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"get {self.path}"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Reads the node as the leader has it."""
        path = checked(self.path)
        client.retrying.sync(path)
        try:
            data, stat = client.retrying.get(path)
        except bellwether.NoNodeError:
            if self.default is _UNSET:
                raise
            return {"path": path, "default": True, "value": self.default}
        result = described(path, stat)
        if self.push_value or self.is_nested(context):
            values = shown(data)
            if self.sensitive:
                self.value = next(iter(values.values()))
                self.mask_values()
            result |= values
        return result


class ZookeeperExistsOperator(ZookeeperNodeOperator):
    """Looks whether a node is there, which XCom then tells as `exists`.

    :param path: the node
    :param skip_unless: skip the task, and those behind it, unless it is there (True) or is not
    """

    def __init__(self, *, path: str, skip_unless: bool | None = None, **kwargs: Any) -> None:
        super().__init__(path=path, **kwargs)
        self.skip_unless = skip_unless

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"look for {self.path}"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Asks for the node as the leader has it."""
        path = checked(self.path)
        client.retrying.sync("/")
        stat = client.retrying.exists(path)
        if self.skip_unless is not None and self.skip_unless != (stat is not None):
            raise AirflowSkipException(f"{path} {'does not exist' if stat is None else 'exists'}")
        about = {"path": path} if stat is None else described(path, stat)
        return {**about, "exists": stat is not None}


class ZookeeperSetOperator(ZookeeperNodeOperator):
    """Sets the data of a node that exists.

    :param path: the node
    :param value: bytes, text, or what can be written as JSON
    :param expected_version: write only if the node has this version; -1 for any
    :param push_value: put the value into XCom too
    """

    template_fields: Sequence[str] = (
        "path",
        "value",
        "expected_version",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self,
        *,
        path: str,
        value: Any,
        expected_version: int | str = -1,
        push_value: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(path=path, **kwargs)
        self.value = value
        self.expected_version = expected_version
        self.push_value = push_value

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"set {self.path}"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Sets the data, or finds that an earlier try has."""
        path, data = checked(self.path), to_bytes(self.value)
        expected = version_of(self.expected_version)
        stat = (
            _set_any(client, path, data) if expected < 0 else _set_one(client, path, data, expected)
        )
        values = shown(data) if self.push_value or self.is_nested(context) else {}
        return {**described(path, stat), **values}


def _set_any(client: Client, path: str, data: bytes) -> Stat:
    for _ in range(_WRITE_TRIES):
        found, stat = client.retrying.get(path)
        if found == data:
            return stat
        try:
            return client.retrying.set(path, data, stat.version)
        except bellwether.BadVersionError:
            pass
    raise AirflowException(f"set {path}: others write it faster than this task can")


def _set_one(client: Client, path: str, data: bytes, expected: int) -> Stat:
    try:
        return client.retrying.set(path, data, expected)
    except bellwether.BadVersionError:
        client.retrying.sync(path)
        found, stat = client.retrying.get(path)
        # Only a write that expected this version has left the next one.
        if stat.version == expected + 1 and found == data:
            return stat
        raise


class ZookeeperDeleteOperator(ZookeeperNodeOperator):
    """Deletes a node.

    :param path: the node; neither `/` nor anything at or below `/zookeeper`
    :param expected_version: delete only if the node has this version; -1 for any
    :param recursive: delete the nodes below too, in transactions that are not one
    :param missing_ok: it is no failure that there is no such node
    """

    template_fields: Sequence[str] = (
        "path",
        "expected_version",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self,
        *,
        path: str,
        expected_version: int | str = -1,
        recursive: bool = False,
        missing_ok: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(path=path, **kwargs)
        self.expected_version = expected_version
        self.recursive = recursive
        self.missing_ok = missing_ok

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"delete {self.path}"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Deletes the node, or finds it gone."""
        path, expected = checked(self.path), version_of(self.expected_version)
        if path == "/" or is_reserved(path):
            raise Refused("the root and the service's own nodes are not deleted")
        if self.recursive and expected >= 0:
            raise Refused("recursive and expected_version do not go together")
        try:
            if self.recursive:
                _delete_below(client, path)
            else:
                client.retrying.delete(path, expected if expected >= 0 else None)
        except bellwether.NoNodeError:
            if not self.missing_ok:
                raise
            return {"path": path, "deleted": False}
        return {"path": path, "deleted": True}


def _delete_below(client: Client, path: str) -> None:
    for number in range(_WRITE_TRIES):
        try:
            return client.delete(path, recursive=True)
        except (bellwether.ConnectionLossError, bellwether.NotEmptyError):
            # This waits until there is a connection again.
            client.retrying.exists(path)
        except bellwether.NoNodeError:
            # Of the first look: there was nothing. Later: a try before has deleted it.
            if number == 0:
                raise
            return None
    raise AirflowException(f"delete {path}: others create nodes below it faster than this task can")


def version_of(version: int | str) -> int:
    """A version that may have come out of a template.

    Raises:
        Refused: it is no number of a version.
    """
    try:
        number = int(version)
    except (TypeError, ValueError):
        number = -2
    if not -1 <= number <= 2**31 - 1:
        raise Refused(f"expected_version is {version!r}; a version, or -1 for any, is expected")
    return number


__all__ = [
    "ZookeeperCreateOperator",
    "ZookeeperDeleteOperator",
    "ZookeeperExistsOperator",
    "ZookeeperGetOperator",
    "ZookeeperOperator",
    "ZookeeperSetOperator",
]

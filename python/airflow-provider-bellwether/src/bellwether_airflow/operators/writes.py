"""Operators of writes that happen once: transactions, counters, claims.

Keeps true: a mark of the owner is written in the same transaction as the write. A try that finds
its mark knows that an earlier one did it, and tells what that one told.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import bellwether
from bellwether import Client, Multi
from bellwether.recipes import Once

from ..errors import Refused, told
from ..goals import NodeGoal
from ..owner import about, run_owner_of
from ..paths import checked, child_of, parent_of
from ..settings import Settings
from ..triggers.znode import ZNodeTrigger
from ..values import acl_of, mode_of, to_bytes
from ..version_compat import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    Context,
    conf,
)
from ..waiting import Goal
from .base import ZookeeperNodeOperator
from .nodes import version_of
from .waits import Waits

_WRITE_TRIES = 50
_DEFAULT_MARKERS = "/airflow/markers"


def marker_root(given: str | None) -> str:
    """The node below which marks are kept."""
    root = given or conf.get("bellwether", "marker_root", fallback="") or _DEFAULT_MARKERS
    return checked(root)


class _Marked(ZookeeperNodeOperator):
    """The part of an operator that writes at most once, whatever becomes of its tries."""

    marker: str | None

    def _once(self, context: Context, client: Client, prepare: Any) -> dict[str, Any]:
        """Commits what `prepare` gives, with the owner's mark, unless the mark is there.

        `prepare` gives a transaction and what to tell; it is called again when the transaction
        lost a race.
        """
        marker = child_of(marker_root(self.marker), self.task_owner(context))
        client.retrying.ensure_path(parent_of(marker))
        for _ in range(_WRITE_TRIES):
            try:
                data, _ = client.retrying.get(marker)
                return {**json.loads(data)["result"], "repeated": True}
            except bellwether.NoNodeError:
                pass
            multi, result = prepare()
            mark = json.dumps({"by": about(context), "result": result}).encode()
            try:
                client.commit(multi.create(marker, mark))
                return {**result, "repeated": False}
            except bellwether.ConnectionLossError:
                # Whether it happened is told by the mark.
                continue
            except bellwether.TransactionError as error:
                marked = error.path == marker
                if not marked and not self.lost_a_race(error):
                    raise
        raise AirflowException(f"{self.doing()}: others write faster than this task can")

    def lost_a_race(self, error: bellwether.TransactionError) -> bool:
        """Whether the transaction may be prepared anew."""
        return False


class ZookeeperMultiOperator(_Marked):
    """Does several writes or none, and once however often the task is tried.

    :param ops: mappings with `op`: create, set, delete or check, and `path`; create and set have
        `value`, create also `mode`, `ttl` and `acl`; the others `version`, by default any
    :param marker: the node below which the owner's mark is kept, by default
        `[bellwether] marker_root`
    """

    template_fields: Sequence[str] = ("ops", "marker", "zookeeper_conn_id", "zookeeper_hosts")

    def __init__(
        self, *, ops: Sequence[Mapping[str, Any]], marker: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(path="/", **kwargs)
        self.ops = ops
        self.marker = marker

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"a transaction of {len(self.ops)} operations"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Commits the operations together with the mark."""
        if not self.ops:
            raise Refused("ops is empty")
        # What is not possible is refused before anything is sent.
        self._transaction(settings)
        result = {"operations": len(self.ops)}
        return self._once(context, client, lambda: (self._transaction(settings), result))

    def _transaction(self, settings: Settings) -> Multi:
        multi = Multi()
        for number, operation in enumerate(self.ops):
            try:
                _add(multi, operation, settings)
            except Refused as error:
                raise Refused(f"operation {number}: {error}") from None
        return multi


_KEYS = {
    "create": {"value", "mode", "ttl", "acl"},
    "set": {"value", "version"},
    "delete": {"version"},
    "check": {"version"},
}


def _add(multi: Multi, operation: Mapping[str, Any], settings: Settings) -> None:
    kind = operation.get("op")
    if kind not in _KEYS:
        raise Refused(f"op is {kind!r}; one of {', '.join(_KEYS)} is expected")
    unknown = operation.keys() - _KEYS[kind] - {"op", "path"}
    if unknown:
        raise Refused(f"{kind} does not have {', '.join(sorted(unknown))}")
    path = checked(operation.get("path"))
    version = version_of(operation.get("version", -1))
    wanted = None if version < 0 else version
    match kind:
        case "create":
            mode = mode_of(operation.get("mode", "persistent"))
            if mode.ephemeral:
                raise Refused("an ephemeral node would be gone with the task's process")
            if mode.ttl != ("ttl" in operation):
                raise Refused("ttl, in seconds, and the mode ttl belong together")
            multi.create(
                path,
                to_bytes(operation.get("value")),
                sequential=mode.sequential,
                container=mode.container,
                ttl=operation.get("ttl"),
                acl=acl_of(operation.get("acl"), settings),
            )
        case "set":
            multi.set(path, to_bytes(operation.get("value")), wanted)
        case "delete":
            multi.delete(path, wanted)
        case _:
            multi.check(path, wanted)


class ZookeeperCounterOperator(_Marked):
    """Adds to a number in a node, once however often the task is tried.

    :param path: the node; it is created if it is missing, and counts as 0
    :param delta: a whole number
    :param marker: the node below which the owner's mark is kept, by default
        `[bellwether] marker_root`
    """

    template_fields: Sequence[str] = (
        "path",
        "delta",
        "marker",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self, *, path: str, delta: int | str = 1, marker: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(path=path, **kwargs)
        self.delta = delta
        self.marker = marker

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"count at {self.path}"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """Adds, together with the mark."""
        path = checked(self.path)
        try:
            delta = int(self.delta)
        except (TypeError, ValueError):
            raise Refused(f"delta is {self.delta!r}; a whole number is expected") from None
        client.retrying.ensure_path(parent_of(path))

        def prepare() -> tuple[Multi, dict[str, Any]]:
            try:
                data, stat = client.retrying.get(path)
            except bellwether.NoNodeError:
                return Multi().create(path, str(delta).encode()), {"path": path, "value": delta}
            try:
                before = int(data or b"0")
            except ValueError:
                raise Refused(f"{path} does not hold a number") from None
            after = before + delta
            multi = Multi().set(path, str(after).encode(), stat.version)
            return multi, {"path": path, "value": after}

        return self._once(context, client, prepare)

    def lost_a_race(self, error: bellwether.TransactionError) -> bool:
        """Another has counted, or created or deleted the node."""
        races = bellwether.BadVersionError, bellwether.NodeExistsError, bellwether.NoNodeError
        return isinstance(error.__cause__, races)


_ON_CLAIMED = ("skip", "wait", "fail")


class ZookeeperOnceOperator(Waits):
    """Lets one run go on, of all runs and deployments that name the same key.

    :param key: what is done once, such as an interval: `{{ data_interval_start }}`
    :param path: the node below which claims are kept
    :param mark: claim takes the key for this run; done says that its work is done
    :param on_claimed: if another has it: skip the task and those behind it; wait until it is done
        and skip then; or fail
    :param timeout: seconds to wait
    """

    template_fields: Sequence[str] = ("key", "path", "zookeeper_conn_id", "zookeeper_hosts")

    def __init__(
        self,
        *,
        key: str,
        path: str = "/airflow/once",
        mark: str = "claim",
        on_claimed: str = "skip",
        **kwargs: Any,
    ) -> None:
        super().__init__(end_in_trigger=True, **kwargs)
        self.key = key
        self.path = path
        self.mark = mark
        self.on_claimed = on_claimed
        if mark not in ("claim", "done"):
            raise Refused(f"mark is {mark!r}; claim or done is expected")
        if on_claimed not in _ON_CLAIMED:
            raise Refused(
                f"on_claimed is {on_claimed!r}; one of {', '.join(_ON_CLAIMED)} is expected"
            )

    def execute(self, context: Context) -> Any:
        """Claims, or says done."""
        with told(f"task {self.task_id!r}: {self.mark} {self.key}"):
            if not self.key:
                raise Refused("key is empty")
            root, key = checked(self.path), quote(self.key, safe="")
            with self.session(context) as (client, _):
                once = Once(client, root, owner=run_owner_of(context))
                if self.mark == "done":
                    ours = once.done(key, json.dumps(about(context)).encode())
                    return {"key": self.key, "done": True, "first": ours}
                claimed = once.claim(key)
        if claimed.kind == "first":
            return {"key": self.key, "claimed": True}
        message = f"task {self.task_id!r}: {self.key} is another run's"
        if self.on_claimed == "fail":
            raise AirflowFailException(message)
        if self.on_claimed == "wait" and claimed.result is None:
            # Ends as skipped, or fails when the time is over.
            self.wait(context)
        raise AirflowSkipException(message)

    def goal(self) -> NodeGoal:
        """The other run is done: its name has a result behind it."""
        node = f"{checked(self.path)}/keys/{quote(self.key, safe='')}"
        return NodeGoal(node, "regex", r"^[^\n]*\n")

    def trigger(self, goal: Goal, **common: Any) -> ZNodeTrigger:
        """The trigger that waits for it, and has the task resume to be skipped."""
        assert isinstance(goal, NodeGoal)
        return ZNodeTrigger(
            path=goal.path,
            condition=goal.condition,
            expected=goal.expected,
            **{**common, "end": False},
        )

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """After the other run is done."""
        super().execute_complete(context, event)
        raise AirflowSkipException(f"task {self.task_id!r}: {self.key} was another run's")

"""Operators of whole trees: dump and recover.

Keeps true: a dump has its name only when it is complete, and every try of a task the same one. What
cannot be taken back needs the connect string as a confirmation.
"""

import asyncio
import io
import time
from collections.abc import Sequence
from typing import IO, Any

from .. import dumps, waiting
from ..dumps import Inline, Place
from ..errors import Refused, told
from ..health import HealthGoal
from ..hooks.admin import ZooKeeperAdminHook
from ..paths import checked
from ..restores import Restore, placed
from ..settings import Settings, Target
from ..version_compat import AirflowException, Context
from ..words import WordNotAllowed, ask, states_of
from .base import ZookeeperOperator

_KINDS = ("tree", "snapshot", "sessions")
_ADMIN_WAIT_S = 600.0
"""How long an admin server that was asked too often is asked again."""


class ZookeeperDumpOperator(ZookeeperOperator):
    """Writes a subtree, the server's snapshot, or its sessions to a file.

    :param path: the node; for `tree`
    :param dest: a file, or a URL of an object storage. By default a file below
        `[bellwether] dump_root`; without that the dump is in the result, up to 64 KiB
    :param kind: tree: a line of JSON for every node. snapshot: by the admin server. sessions: what
        the leader tells by the four-letter word dump
    """

    template_fields: Sequence[str] = ("path", "dest", "zookeeper_conn_id", "zookeeper_hosts")

    def __init__(
        self, *, path: str = "/", dest: str | None = None, kind: str = "tree", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.dest = dest
        self.kind = kind
        if kind not in _KINDS:
            raise Refused(f"kind is {kind!r}; one of {', '.join(_KINDS)} is expected")

    def execute(self, context: Context) -> Any:
        """Writes the dump; the result is its manifest."""
        with told(f"task {self.task_id!r}: dump {self.path}"):
            path = checked(self.path)
            settings = self.settings()
            if self.kind == "snapshot":
                return self._snapshot(context, settings)
            if self.kind == "sessions":
                text = asyncio_run(_sessions(settings))
                return self._put(context, settings, lambda out: _text(out, text))
            zxid = asyncio_run(_zxid(settings))
            with self.session(context) as (client, _):
                client.retrying.sync(path)
                return self._put(
                    context, settings, lambda out: dumps.write(out, client, path, zxid)
                )

    def _place(self, context: Context, settings: Settings) -> Place | None:
        if self.dest:
            return Place(self.dest)
        what = self.path if self.kind == "tree" else f"/ {self.kind}"
        where = dumps.directory(settings, what)
        if where is None:
            return None
        run = context["dag_run"]
        stamp = run.run_after.strftime("%Y%m%dT%H%M%S.%f")
        return Place(f"{where}/{dumps.kept_name(stamp, self.task_owner(context))}")

    def _put(self, context: Context, settings: Settings, write: Any) -> dict[str, Any]:
        place = self._place(context, settings)
        if place is not None:
            said: dict[str, Any] = place.fill(write)
            return {"kind": self.kind, "dest": str(place), **said}
        out = _Limited()
        said = write(out)
        return {"kind": self.kind, "inline": out.getvalue().decode(), **said}

    def _snapshot(self, context: Context, settings: Settings) -> dict[str, Any]:
        place = self._place(context, settings)
        if place is None:
            raise Refused("a snapshot needs dest, or [bellwether] dump_root")
        hook = ZooKeeperAdminHook(settings=settings)
        url = hook.urls()[0]
        said: dict[str, Any] = place.fill(lambda out: hook.snapshot(url, out, _ADMIN_WAIT_S))
        return {"kind": self.kind, "dest": str(place), "server": url, **said}


class _Limited(io.BytesIO):
    """Takes as much as fits into a result."""

    def write(self, data: Any, /) -> int:
        """As a file's.

        Raises:
            Refused: it would be more.
        """
        if self.tell() + len(data) > dumps.INLINE_BYTES_MAX:
            raise Refused(
                f"the dump has more than {dumps.INLINE_BYTES_MAX} bytes; it needs dest, or "
                "[bellwether] dump_root"
            )
        return super().write(data)


def _text(out: IO[bytes], text: str) -> dict[str, Any]:
    return {"bytes": out.write(text.encode())}


async def _sessions(settings: Settings) -> str:
    servers = settings.servers()
    found = await states_of(servers, settings.tls_files)
    leading = [server for server, state in zip(servers, found, strict=True) if state.leads]
    if not leading:
        problems = "; ".join(f"{state.address}: {state.problem or state.mode}" for state in found)
        raise AirflowException(f"no server of the connection leads: {problems}")
    try:
        return await ask(leading[0], "dump", settings.tls_files)
    except WordNotAllowed as error:
        raise Refused(str(error)) from None
    except OSError as error:
        raise AirflowException(f"{leading[0][0]}:{leading[0][1]}: {error}") from error


async def _zxid(settings: Settings) -> int | None:
    """The greatest zxid that a server tells; nothing if none tells."""
    states = await states_of(settings.servers(), settings.tls_files)
    return max((state.zxid for state in states if state.zxid is not None), default=None)


def asyncio_run(main: Any) -> Any:
    """Runs a coroutine in the process of a task."""
    try:
        return waiting.run_to_end(lambda: main)
    except asyncio.CancelledError:
        raise AirflowException("the task was told to end") from None


class ZookeeperRecoverOperator(ZookeeperOperator):
    """Restores a subtree from a dump, or the servers from a snapshot.

    :param path: the node: the one of the dump, one below it, or another to restore it to
    :param source: a file, a URL, or the result of a dump; by default the newest complete dump of
        the path below `[bellwether] dump_root`
    :param kind: tree, or snapshot by the admin servers of all servers
    :param mode: merge creates what is missing; replace also sets and deletes what is different;
        verify fails if anything is different
    :param dry_run: only tell what would be done
    :param confirm: for replace and for snapshot: the connect string of the service
    :param wait_healthy: seconds to wait for a service that takes writes
    """

    template_fields: Sequence[str] = (
        "path",
        "source",
        "confirm",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self,
        *,
        path: str = "/",
        source: Any = None,
        kind: str = "tree",
        mode: str = "merge",
        dry_run: bool = False,
        confirm: str | None = None,
        wait_healthy: float = 300.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.source = source
        self.kind = kind
        self.mode = mode
        # `dry_run` is a method of Airflow's operators.
        self.only_tell = dry_run
        self.confirm = confirm
        self.wait_healthy = wait_healthy
        if kind not in _KINDS[:2]:
            raise Refused(f"kind is {kind!r}; tree or snapshot is expected")

    def execute(self, context: Context) -> Any:
        """Restores; a try after an interruption does what is left."""
        with told(f"task {self.task_id!r}: recover {self.path}"):
            path, settings = checked(self.path), self.settings()
            destructive = self.kind == "snapshot" or self.mode == "replace"
            if destructive and not self.only_tell and self.confirm != settings.hosts:
                raise Refused(
                    f"confirm has to be the connect string {settings.hosts!r} of the service "
                    "whose data is replaced"
                )
            source = dumps.source_of(self.source, settings, path)
            if self.kind == "snapshot":
                return self._snapshot(context, settings, source)
            of = dumps.verify(source.lines(), str(source))
            self._wait_healthy(context, settings)
            with self.session(context) as (client, _):
                restore = Restore(client, self.mode, self.only_tell)
                nodes = placed(dumps.read(source.lines()), of, path)
                report = restore.run(nodes, path)
            said = {"path": path, "source": str(source), "mode": self.mode} | vars(report)
            if self.mode == "verify" and report.differences and not self.only_tell:
                raise Refused(f"{report.differences} nodes differ: {', '.join(report.examples)}")
            return {**said, "dry_run": self.only_tell}

    def _wait_healthy(self, context: Context, settings: Settings) -> None:
        goal = HealthGoal(tuple(settings.servers()), 1, True, tls=settings.tls_files)
        outcome = asyncio_run(
            waiting.reach(
                goal,
                Target(given=settings),
                deadline=time.time() + self.wait_healthy,
                pause=1.0,
                log=self.log,
            )
        )
        if outcome.status != "met":
            raise AirflowException(f"task {self.task_id!r}: {outcome.message}")

    def _snapshot(
        self, context: Context, settings: Settings, source: Place | Inline
    ) -> dict[str, Any]:
        if not isinstance(source, Place):
            raise Refused("a snapshot is restored from a file")
        hook = ZooKeeperAdminHook(settings=settings)
        urls = hook.urls()
        if self.only_tell:
            return {"source": str(source), "servers": urls, "dry_run": True}
        store = None if self.is_nested(context) else context.get("task_state_store")
        kept = store.get("bellwether_restored") if store is not None else None
        done: list[Any] = kept if isinstance(kept, list) else []
        for url in urls:
            if url in done:
                continue
            self.log.warning("%s takes the snapshot %s for its database", url, source)
            hook.restore(url, source.chunks, _ADMIN_WAIT_S)
            done.append(url)
            if store is not None:
                store.set("bellwether_restored", done)
        return {"source": str(source), "servers": done, "dry_run": False}

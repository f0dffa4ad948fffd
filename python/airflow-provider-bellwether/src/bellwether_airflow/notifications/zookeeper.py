"""The notifier that writes a node when a task or a DAG succeeds, fails or is late.

Keeps true: it never raises: what cannot be told is logged, and the task ends as it would have.
"""

from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from typing import Any

from bellwether import AsyncClient, Client, NodeExistsError, NoNodeError

from .. import sessions
from ..paths import checked, parent_of
from ..settings import DEFAULT_CONN_ID, Settings, Target
from ..values import to_bytes
from ..version_compat import BaseNotifier, Context


class ZooKeeperNotifier(BaseNotifier):
    """Sets a node, which is made if it is missing: `on_failure_callback=ZooKeeperNotifier(path)`.

    :param path: the node
    :param value: bytes, text, or what can be written as JSON; by default a mapping of who and when
    :param zookeeper_conn_id: a connection of the type `zookeeper`
    """

    template_fields: Sequence[str] = ("path", "value", "zookeeper_conn_id")

    def __init__(
        self,
        path: str,
        value: Any = None,
        zookeeper_conn_id: str = DEFAULT_CONN_ID,
        context: Context | None = None,
    ) -> None:
        super().__init__(context)
        self.path = path
        self.value = value
        self.zookeeper_conn_id = zookeeper_conn_id

    def __call__(self, *args: Any) -> None:
        """Tells it; an error is logged, and that is all."""
        try:
            super().__call__(*args)
        except Exception as error:
            self._failed(error)

    def __await__(self) -> Generator[Any, Any, None]:
        """Tells it in the triggerer; an error is logged, and that is all."""
        try:
            yield from super().__await__()
        except Exception as error:
            self._failed(error)

    def notify(self, context: Context) -> None:
        """Sets the node."""
        try:
            path, data = self._message(context)
            settings = self._settings(Target(self.zookeeper_conn_id).resolve())
            with sessions.leased(settings) as client:
                _write(client, path, data)
        except Exception as error:
            self._failed(error)

    async def async_notify(self, context: Context) -> None:
        """Sets the node."""
        try:
            path, data = self._message(context)
            settings = self._settings(await Target(self.zookeeper_conn_id).aresolve())
            async with sessions.aleased(settings) as client:
                await _awrite(client, path, data)
        except Exception as error:
            self._failed(error)

    def _settings(self, settings: Settings) -> Settings:
        settings.hide_secrets()
        return settings

    def _message(self, context: Context) -> tuple[str, bytes]:
        value = _news(context) if self.value is None else self.value
        return checked(self.path), to_bytes(value)

    def _failed(self, error: Exception) -> None:
        self.log.error("%s was not told: %s: %s", self.path, type(error).__name__, error)


def _news(context: Context) -> dict[str, Any]:
    """Who it is and how it stands; the parts that the context has."""
    said: dict[str, Any] = {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    source: Any = context.get("ti") or context.get("dag_run")
    for name in ("dag_id", "run_id", "task_id", "map_index", "try_number", "state"):
        value = getattr(source, name, None)
        if value is not None:
            said[name] = value if isinstance(value, int) else str(value)
    return said


def _write(client: Client, path: str, data: bytes) -> None:
    while True:
        try:
            client.set(path, data)
            return
        except NoNodeError:
            pass
        try:
            client.retrying.ensure_path(parent_of(path))
            client.create(path, data)
            return
        except NodeExistsError:
            continue


async def _awrite(client: AsyncClient, path: str, data: bytes) -> None:
    while True:
        try:
            await client.set(path, data)
            return
        except NoNodeError:
            pass
        try:
            await client.retrying.ensure_path(parent_of(path))
            await client.create(path, data)
            return
        except NodeExistsError:
            continue


__all__ = ["ZooKeeperNotifier"]

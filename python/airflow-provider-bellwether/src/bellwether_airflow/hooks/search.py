"""Hooks for Elasticsearch and OpenSearch: requests from tasks (`SearchHook`), and for asyncio.

Keeps true: the connection types `elasticsearch` and `opensearch` are those of Airflow's own
providers, and are not registered again; connections are kept until `close`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, AbstractAsyncContextManager
from typing import Any, Self, TypeVar

from ..elasticsearch.client import Answer, Engine, SearchClient
from ..elasticsearch.discovery import connected
from ..elasticsearch.errors import SearchError
from ..elasticsearch.settings import DEFAULT_CONN_ID, SearchSettings, SearchTarget
from ..errors import Refused
from ..version_compat import BaseHook
from ..waiting import logger

_Result = TypeVar("_Result")


class _Hook(BaseHook):
    """What both kinds share: where the settings come from."""

    conn_name_attr = "es_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    hook_name = "Elasticsearch and OpenSearch"

    def __init__(
        self,
        es_conn_id: str = DEFAULT_CONN_ID,
        *,
        discovery: str | None = None,
        settings: SearchSettings | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if settings is not None and discovery is not None:
            raise ValueError("discovery belongs to a connection: settings have a registry")
        self.es_conn_id = es_conn_id
        self.discovery = discovery
        self._settings = settings


class SearchHook(_Hook):
    """Requests from a task: `with SearchHook("logs") as hook: hook.request("GET", "/_tasks")`.

    :param es_conn_id: a connection of the type `elasticsearch` or `opensearch`
    :param discovery: `zk://CONN_ID/ROOT`: the hosts are found in ZooKeeper
    :param settings: in place of a connection
    """

    _runner: asyncio.Runner | None = None
    _opened: AbstractAsyncContextManager[SearchClient] | None = None
    _client: SearchClient | None = None

    @property
    def settings(self) -> SearchSettings:
        """How the engine is reached."""
        if self._settings is None:
            self._settings = SearchTarget(self.es_conn_id, self.discovery).resolve()
        return self._settings

    def get_conn(self) -> SearchClient:
        """The client of this hook, until `close`; its methods are for `run`."""
        if self._client is None:
            self.settings.hide_secrets()
            self._runner = asyncio.Runner()
            self._opened = connected(self.settings, logger("search"))
            try:
                self._client = self._runner.run(_enter(self._opened))
            except BaseException:
                self._runner.close()
                self._runner = self._opened = None
                raise
        return self._client

    def run(self, work: Callable[[SearchClient], Awaitable[_Result]]) -> _Result:
        """Does something with the client; not from within an event loop.

        Raises:
            SearchError: what went wrong.
        """
        client = self.get_conn()
        assert self._runner is not None

        async def inside() -> _Result:
            return await work(client)

        return self._runner.run(inside())

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        lines: Sequence[Any] | None = None,
        resend: bool | None = None,
        allow: Collection[int] = (),
    ) -> Answer:
        """A request; see `SearchClient.ask`. By default GET and HEAD may be sent twice.

        Raises:
            SearchError: what went wrong.
        """
        twice = method in ("GET", "HEAD") if resend is None else resend
        return self.run(
            lambda client: client.ask(
                method, path, params=params, body=body, lines=lines, resend=twice, allow=allow
            )
        )

    def engine(self) -> Engine | None:
        """Which engine answers, by its header."""
        return self.request("GET", "/_cluster/health").engine

    def hosts(self) -> tuple[str, ...]:
        """The addresses that are asked."""
        return self.get_conn().hosts.addresses

    def close(self) -> None:
        """Closes the connections; nothing if there are none."""
        runner, opened = self._runner, self._opened
        self._runner = self._opened = self._client = None
        if runner is None:
            return
        try:
            if opened is not None:
                runner.run(_leave(opened))
        finally:
            runner.close()

    def __enter__(self) -> Self:
        self.get_conn()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """Whether an engine answers, and which."""
        import bellwether

        try:
            answer = self.request("GET", "/_cluster/health")
        except (SearchError, Refused, bellwether.ZooKeeperError) as error:
            return False, f"{type(error).__name__}: {error}"
        finally:
            self.close()
        engine, status = answer.engine or "an engine", answer.body.get("status")
        return True, f"{engine} at {answer.host}, status {status}"


class SearchAsyncHook(_Hook):
    """Requests for asyncio: `async with hook.client() as client`.

    :param es_conn_id: a connection of the type `elasticsearch` or `opensearch`
    :param discovery: `zk://CONN_ID/ROOT`: the hosts are found in ZooKeeper
    :param settings: in place of a connection
    """

    @asynccontextmanager
    async def client(self) -> AsyncIterator[SearchClient]:
        """A client, for as long as the block lasts."""
        if self._settings is None:
            self._settings = await SearchTarget(self.es_conn_id, self.discovery).aresolve()
        self._settings.hide_secrets()
        async with connected(self._settings, logger("search")) as client:
            yield client


async def _enter(opened: AbstractAsyncContextManager[SearchClient]) -> SearchClient:
    return await opened.__aenter__()


async def _leave(opened: AbstractAsyncContextManager[SearchClient]) -> None:
    await opened.__aexit__(None, None, None)


__all__ = ["SearchAsyncHook", "SearchHook"]

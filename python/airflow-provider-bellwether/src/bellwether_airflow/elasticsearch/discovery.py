"""The hosts of an engine, found in ZooKeeper: `zk://CONN_ID/ROOT`.

Below `ROOT/nodes` every node of the engine has an ephemeral child, made by its agent: JSON with its
HTTP address as `http` and what it is doing as `phase`. Those in the phase `ready` are asked.

Keeps true: changes are followed by a watch for as long as a client lives; when ZooKeeper is away
the last hosts stay, for a node that cannot tell is not a node that is gone.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import bellwether
from bellwether import AsyncClient

from .. import sessions
from ..errors import Refused
from ..paths import child_of
from ..waiting import Log
from .client import Hosts, SearchClient
from .errors import Unreachable
from .settings import SearchSettings, address

_PAUSE_S = 1.0
_PAUSE_S_MAX = 30.0
READY = "ready"


async def ready_hosts(client: AsyncClient, nodes: str, scheme: str, log: Log) -> list[str]:
    """The addresses of the nodes that are ready, sorted.

    Raises:
        bellwether.ZooKeeperError: they could not be read.
    """
    try:
        names = await client.retrying.children(nodes)
    except bellwether.NoNodeError:
        return []
    found = set()
    for name in names:
        try:
            data, _ = await client.retrying.get(child_of(nodes, name))
        except bellwether.NoNodeError:
            continue
        host = _host_of(data, scheme, child_of(nodes, name), log)
        if host is not None:
            found.add(host)
    return sorted(found)


def _host_of(data: bytes, scheme: str, path: str, log: Log) -> str | None:
    try:
        told = json.loads(data)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        log.warning("%s is no JSON object: passed over", path)
        return None
    if told.get("phase") != READY or not told.get("http"):
        return None
    try:
        return address(str(told["http"]), scheme)
    except Refused as error:
        log.warning("%s: %s: passed over", path, error)
        return None


@asynccontextmanager
async def connected(settings: SearchSettings, log: Log) -> AsyncIterator[SearchClient]:
    """A client for as long as the block lasts, which follows discovery if there is one.

    Raises:
        Unreachable: no node is ready, and the connection names no host.
        bellwether.ZooKeeperError: ZooKeeper could not be asked, and the connection names no host.
    """
    registry = settings.registry
    if registry is None:
        async with SearchClient(settings) as client:
            yield client
        return
    nodes = registry.nodes
    hosts = Hosts(settings.hosts)
    first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def follow() -> None:
        pause = _PAUSE_S
        while True:
            try:
                async with sessions.aleased(registry.zookeeper) as session:
                    pause = _PAUSE_S
                    await _follow(session, nodes, settings.scheme, hosts, first, log)
            except bellwether.ZooKeeperError as error:
                log.warning("discovery at %s: %s; the last hosts stay", nodes, error)
                if not first.done():
                    first.set_exception(error)
            except Exception as error:
                if not first.done():
                    first.set_exception(error)
                raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE_S_MAX)

    following = asyncio.ensure_future(follow())
    try:
        try:
            await first
        except bellwether.ZooKeeperError:
            if not settings.hosts:
                raise
        if not hosts.addresses:
            raise Unreachable(f"no node below {nodes} is ready")
        async with SearchClient(settings, hosts) as client:
            yield client
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(
    session: AsyncClient,
    nodes: str,
    scheme: str,
    hosts: Hosts,
    first: "asyncio.Future[None]",
    log: Log,
) -> None:
    """Reads at once and at every change, as long as the session lives."""
    async with await session.watch(nodes, recursive=True) as watch:
        while True:
            found = await ready_hosts(session, nodes, scheme, log)
            # With none ready the last ones stay, as long as they answer.
            if found:
                hosts.replace(found)
            if not first.done():
                first.set_result(None)
            await watch.next()

"""Four-letter words: what a server says about itself without a session.

Keeps true: an answer is awaited for a limited time; that a word is not allowed is an error of its
own, for no waiting helps.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .tls import TlsFiles

ANSWER_S = 5.0
_LINE = re.compile(r"^([^:\n]+): (.*)$", re.MULTILINE)
_METRIC = re.compile(r"^zk_(\w+)\t(.*)$", re.MULTILINE)
_NOT_ALLOWED = "is not executed because it is not in the whitelist"


class WordNotAllowed(Exception):
    """The server's `4lw.commands.whitelist` does not have the word."""


async def ask(server: tuple[str, int], word: str, tls: TlsFiles | None = None) -> str:
    """What a server answers; by TLS if its port is one of those that speak nothing else.

    Raises:
        OSError: it cannot be reached, or does not answer in time.
        WordNotAllowed: its whitelist does not have the word.
    """
    host, port = server[0].strip("[]"), server[1]
    async with asyncio.timeout(ANSWER_S):
        context = None if tls is None else tls.context()
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            writer.write(word.encode())
            await writer.drain()
            answer = (await reader.read()).decode(errors="replace")
        finally:
            writer.close()
    if _NOT_ALLOWED in answer:
        raise WordNotAllowed(
            f"{host}:{port} does not answer {word}: 4lw.commands.whitelist does not have it"
        )
    return answer


@dataclass(frozen=True)
class Server:
    """What `srvr` tells of a server."""

    address: str
    mode: str | None
    """leader, follower, observer, standalone, read-only; nothing if it does not serve."""
    zxid: int | None
    problem: str | None = None
    version: str | None = None
    latency_ms: float | None = None
    """The average since it began to count, which is its start or the word `srst`."""
    connections: int | None = None
    outstanding: int | None = None
    """Requests that it has taken and not answered."""

    @property
    def leads(self) -> bool:
        """Whether it decides about writes."""
        return self.mode in ("leader", "standalone")


async def state_of(server: tuple[str, int], tls: TlsFiles | None = None) -> Server:
    """What a server is; one that cannot be asked is a server with a problem."""
    address = f"{server[0]}:{server[1]}"
    try:
        answer = await ask(server, "srvr", tls)
    except (OSError, WordNotAllowed) as error:
        return Server(address, None, None, str(error) or type(error).__name__)
    told = dict(_LINE.findall(answer))
    if "Mode" not in told:
        return Server(address, None, None, answer.strip().splitlines()[0] if answer else "silent")
    try:
        return Server(
            address,
            told["Mode"],
            int(told["Zxid"], 0),
            version=told["Zookeeper version"].partition(",")[0],
            latency_ms=float(told["Latency min/avg/max"].split("/")[1]),
            connections=int(told["Connections"]),
            outstanding=int(told["Outstanding"]),
        )
    except (KeyError, IndexError, ValueError) as error:
        return Server(address, None, None, f"its srvr is not as expected: {error!r}")


async def states_of(servers: list[tuple[str, int]], tls: TlsFiles | None = None) -> list[Server]:
    """What all servers are, asked at once."""
    return list(await asyncio.gather(*[state_of(server, tls) for server in servers]))


async def metrics_of(server: tuple[str, int], tls: TlsFiles | None = None) -> Mapping[str, str]:
    """What a server tells by `mntr`, without the `zk_` that its names begin with.

    Raises:
        OSError: it cannot be reached, or does not answer in time.
        WordNotAllowed: its whitelist does not have the word, which it has not by default.
    """
    return dict(_METRIC.findall(await ask(server, "mntr", tls)))


def hole_of(where: str, version: str | None) -> str | None:
    """A warning, if a server's version is one whose admin server has a known hole."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version or "")
    if numbers is None or not (3, 9, 0) <= tuple(map(int, numbers.groups())) < (3, 9, 4):
        return None
    return (
        f"{where} is ZooKeeper {numbers.group()}, whose admin server takes and restores snapshots "
        "for users who lack the permission (CVE-2025-58457): run 3.9.4 or later, or set "
        "admin.snapshot.enabled=false and admin.restore.enabled=false"
    )


def summary(servers: list[Server]) -> Mapping[str, str]:
    """A word on each server, for XCom."""
    return {server.address: server.mode or f"down: {server.problem}" for server in servers}

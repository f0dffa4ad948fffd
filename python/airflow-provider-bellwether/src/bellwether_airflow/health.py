"""The health of a service: how many of its servers serve, whether one leads, who follows.

Keeps true: it needs no session, so that a service that is down can be waited for. The word `srvr`
is enough unless followers are asked for: the leader counts them in `mntr`, and at its admin server.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import httpx

from .errors import Refused
from .settings import Settings
from .tls import TlsFiles
from .waiting import Goal, Look, logger
from .words import ANSWER_S, Server, WordNotAllowed, hole_of, metrics_of, states_of, summary

_LOG = logger("health")
_warned: set[str] = set()


@dataclass(frozen=True)
class HealthGoal(Goal):
    """So many servers serve, and if wanted one of them leads and so many follow it."""

    servers: tuple[tuple[str, int], ...]
    min_servers: int
    require_leader: bool
    min_synced_followers: int = 0
    max_latency_ms: float | None = None
    tls: TlsFiles | None = None
    admin_urls: tuple[str, ...] = ()

    needs_session: ClassVar[bool] = False

    @classmethod
    def of(cls, settings: Settings, min_servers: int | None, **wanted: Any) -> Self:
        """The health of the service of a connection; by default of all its servers."""
        servers, urls = tuple(settings.servers()), tuple(settings.admin_urls())
        count = len(servers) if min_servers is None else min_servers
        return cls(servers, count, tls=settings.tls_files, admin_urls=urls, **wanted)

    def check(self) -> None:
        """Refuses what can never be met.

        Raises:
            Refused: and it says why.
        """
        if not 1 <= self.min_servers <= len(self.servers):
            raise Refused(
                f"min_servers is {self.min_servers}, and the connection names {len(self.servers)}"
            )
        if self.min_synced_followers < 0:
            raise Refused(f"min_synced_followers is {self.min_synced_followers}")
        if self.max_latency_ms is not None and self.max_latency_ms < 0:
            raise Refused(f"max_latency_ms is {self.max_latency_ms}")

    def __str__(self) -> str:
        """What is waited for."""
        quick = "" if self.max_latency_ms is None else f" within {self.max_latency_ms} ms"
        leader = ", one of them leading" if self.require_leader else ""
        follow = self.min_synced_followers
        followed = f", {follow} followers in sync" if follow else ""
        count = f"{self.min_servers} of {len(self.servers)}"
        return f"wait for {count} servers{quick}{leader}{followed}"

    async def look(self, client: None) -> Look:
        """Asks every server.

        Raises:
            Refused: nobody may tell how many follow.
        """
        servers = await states_of(list(self.servers), self.tls)
        serving = [server for server in servers if server.mode not in (None, "read-only")]
        led = not self.require_leader or any(server.leads for server in serving)
        metrics, problems = await self._metrics(servers)
        synced = int(metrics.get("synced_followers", 0))
        voters = metrics.get("quorum_size")
        holes = [hole for server in servers if (hole := hole_of(server.address, server.version))]
        for hole in set(holes) - _warned:
            _warned.add(hole)
            _LOG.warning("%s", hole)
        result = {
            "serving": len(serving),
            "leader": next((server.address for server in serving if server.leads), None),
            "servers": dict(summary(servers)),
            "about": {server.address: _about(server) for server in serving},
            "voters": None if voters is None else int(voters),
            "synced_followers": synced if metrics else None,
            "warnings": holes + problems,
        }
        quick = [server for server in serving if self._is_quick(server)]
        enough = len(quick) >= self.min_servers and synced >= self.min_synced_followers
        return Look(led and enough, result)

    def _is_quick(self, server: Server) -> bool:
        limit, latency = self.max_latency_ms, server.latency_ms
        return limit is None or (latency is not None and latency <= limit)

    async def _metrics(self, servers: list[Server]) -> tuple[Mapping[str, Any], list[str]]:
        """What the leader measures, and why admin servers did not tell."""
        problems: list[str] = []
        if self.admin_urls:
            told = await asyncio.gather(*[_monitored(url) for url in self.admin_urls])
            for metrics in told:
                if isinstance(metrics, str):
                    problems.append(metrics)
                elif metrics.get("server_state") == "leader":
                    return metrics, problems
        if not self.min_synced_followers:
            return {}, problems
        for server, state in zip(self.servers, servers, strict=True):
            if state.mode != "leader":
                continue
            try:
                return await metrics_of(server, self.tls), problems
            except WordNotAllowed as error:
                if not self.admin_urls:
                    why = f"min_synced_followers needs admin_url, or the word mntr: {error}"
                    raise Refused(why) from None
                problems.append(str(error))
            except OSError as error:
                problems.append(f"{state.address}: {error or type(error).__name__}")
        return {}, problems


def _about(server: Server) -> dict[str, Any]:
    names = ("version", "zxid", "latency_ms", "connections", "outstanding")
    return {name: getattr(server, name) for name in names}


async def _monitored(url: str) -> Mapping[str, Any] | str:
    """What an admin server measures, or why it does not say."""
    try:
        async with httpx.AsyncClient(timeout=ANSWER_S) as client:
            answer = await client.get(f"{url}/commands/monitor")
            told = answer.raise_for_status().json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"{url}: {error or type(error).__name__}"
    return told if isinstance(told, dict) else f"{url}: it does not answer with an object"

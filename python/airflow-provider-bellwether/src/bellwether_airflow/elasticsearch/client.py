"""A thin layer on httpx that both engines understand: plain JSON, several hosts, careful repeats.

Keeps true: a request goes to the next host if nothing was sent, and after a lost answer, 429 or 502
to 504 only if it may be executed twice. Which engine answers is read from its headers, never asked.
Leaves what requests mean to `documents`, `jobs` and `goals`.
"""

import asyncio
import datetime
import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

from ..errors import Refused
from .errors import Malformed, OutcomeUnknown, Unreachable, answered
from .settings import SearchSettings

Engine = Literal["elasticsearch", "opensearch"]

ROUNDS_MAX = 3
"""How often all hosts are tried for one request."""

_PAUSE_S = 0.25
"""Before the second round; doubled for the third."""

AVOID_S = 30.0
"""How long a host that did not answer comes last."""

_ELSEWHERE = (429, 502, 503, 504)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Answer:
    """What an engine answered."""

    status: int
    body: dict[str, Any]
    engine: Engine | None
    """Nothing if a proxy in between has removed the header that tells."""
    host: str


class Hosts:
    """The addresses to ask, in turn; discovery replaces them."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._addresses = tuple(addresses)
        self._turn = 0
        self._avoided: dict[str, float] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them."""
        return self._addresses

    def replace(self, addresses: Iterable[str]) -> None:
        """What is asked from now on."""
        self._addresses = tuple(addresses)

    def in_turn(self) -> list[str]:
        """Each once: another one first at every call, and those that did not answer last."""
        if not self._addresses:
            return []
        start = self._turn % len(self._addresses)
        self._turn += 1
        now = time.monotonic()
        rotated = self._addresses[start:] + self._addresses[:start]
        return sorted(rotated, key=lambda address: self._avoided.get(address, 0.0) > now)

    def avoid(self, address: str) -> None:
        """It did not answer."""
        self._avoided[address] = time.monotonic() + AVOID_S

    def welcome(self, address: str) -> None:
        """It answered."""
        self._avoided.pop(address, None)


class SearchClient:
    """Requests to one engine, over connections that are kept: `async with SearchClient(…)`."""

    def __init__(self, settings: SearchSettings, hosts: Hosts | None = None) -> None:
        self._settings = settings
        self.hosts = hosts or Hosts(settings.hosts)
        self.engine: Engine | None = None
        user = (settings.user, settings.password or "") if settings.user else None
        self._http = httpx.AsyncClient(
            auth=user,
            headers={"Accept": "application/json", **settings.headers()},
            timeout=httpx.Timeout(settings.timeout, connect=settings.connect_timeout),
            verify=settings.tls(),
            # Proxies of the environment are for the world outside, not for an engine.
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        lines: Sequence[Any] | None = None,
        resend: bool = False,
        allow: Collection[int] = (),
    ) -> Answer:
        """Sends a request, as JSON or as a line of JSON each, and gives the answer.

        `resend` says that it may be executed twice; `allow` names error statuses that are answers.

        Raises:
            Unreachable: no host took it, or none could serve it.
            OutcomeUnknown: it may have been executed.
            Answered: the engine told an error.
            Malformed: it was no answer of an engine.
            Refused: the body cannot be written as JSON.
        """
        content, kind = _content(body, lines)
        request = {
            "method": method,
            "params": {name: _text(value) for name, value in (params or {}).items()},
            "content": content,
            "headers": {"Content-Type": kind} if content is not None else {},
        }
        doing = f"{method} {path}"
        problem: Exception = Unreachable(f"{doing}: there is no host to ask")
        for number in range(ROUNDS_MAX):
            if number:
                await asyncio.sleep(_PAUSE_S * 2 ** (number - 1))
            for host in self.hosts.in_turn():
                outcome = await self._try(host, path, request, doing, resend, allow)
                if isinstance(outcome, Answer):
                    return outcome
                problem = outcome
        raise problem

    async def _try(
        self,
        host: str,
        path: str,
        request: Mapping[str, Any],
        doing: str,
        resend: bool,
        allow: Collection[int],
    ) -> Answer | Exception:
        """One attempt: the answer, or a problem that another host may not have."""
        try:
            response = await self._http.request(url=host + path, **request)
        except _UNSENT as error:
            self.hosts.avoid(host)
            return Unreachable(f"{doing}: {host} cannot be reached ({type(error).__name__})")
        except httpx.TransportError as error:
            self.hosts.avoid(host)
            lost = f"{doing}: {host} did not answer ({type(error).__name__})"
            if not resend:
                raise OutcomeUnknown(lost) from error
            return Unreachable(lost)
        except httpx.DecodingError as error:
            raise Malformed(f"{doing}: {host} sent what cannot be read ({error})") from error
        status = response.status_code
        if status in allow:
            return self._read(response, host, doing)
        if status in _ELSEWHERE:
            problem = answered(status, _json(response), host)
            if status != 429:
                self.hosts.avoid(host)
            if not resend:
                raise problem
            return problem
        if status >= 300:
            raise answered(status, _json(response), host)
        return self._read(response, host, doing)

    def _read(self, response: httpx.Response, host: str, doing: str) -> Answer:
        self.hosts.welcome(host)
        engine = _engine(response)
        self.engine = engine or self.engine
        if response.request.method == "HEAD":
            return Answer(response.status_code, {}, engine, host)
        body = _json(response)
        if not isinstance(body, dict):
            kind = response.headers.get("content-type", "of no type")
            raise Malformed(
                f"{doing}: {host} answered {response.status_code} with {len(response.content)} "
                f"bytes ({kind}) that are no JSON object: is it an engine?"
            )
        return Answer(response.status_code, body, engine, host)


def path_of(*parts: str) -> str:
    """The path of parts, each quoted; commas and stars of index names stay."""
    return "/" + "/".join(quote(part, safe=",*") for part in parts if part)


def _engine(response: httpx.Response) -> Engine | None:
    if response.headers.get("x-elastic-product") == "Elasticsearch":
        return "elasticsearch"
    return "opensearch" if "x-opensearch-version" in response.headers else None


def _json(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def _content(body: Any, lines: Sequence[Any] | None) -> tuple[bytes | None, str]:
    try:
        if lines is not None:
            return "".join(dumped(line) + "\n" for line in lines).encode(), "application/x-ndjson"
        if body is not None:
            return dumped(body).encode(), "application/json"
    except (TypeError, ValueError) as error:
        raise Refused(f"the request cannot be written as JSON: {error}") from None
    return None, ""


def dumped(value: Any) -> str:
    """JSON as the engines take it, with times in ISO form.

    Raises:
        TypeError: there is something that JSON does not have.
        ValueError: a number is not finite.
    """
    return json.dumps(value, default=_plain, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> str:
    if isinstance(value, datetime.date | datetime.datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)

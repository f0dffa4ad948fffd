"""What the tests share: a server's address, clients of both kinds, and the harness that runs it.

Usage: BELLWETHER_HOSTS=HOST:PORT pytest -s

The tests of restarts print the line RESTART or CRASH when they want the server stopped or killed
and started again with the same directory on the same port, and wait for a line on standard input
that says it was. At the end stands the line `N passed, N failed`.

Keeps true: a test works below a node of its own, waits for states and never for a time, and asks
nothing of Bellwether that it does not ask of Apache ZooKeeper.
"""

import asyncio
import os
import socket
import sys
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast

import pytest
from bellwether import AsyncClient, AsyncOnceWatch, AsyncSessionEvents, AsyncWatch, Client

WAIT_S = 20.0


def until(state: Callable[[], object], what: str) -> None:
    """Waits for a state that nobody announces."""
    deadline = time.monotonic() + WAIT_S
    while not state():
        assert time.monotonic() < deadline, "waited in vain for " + what
        time.sleep(0.02)


@pytest.fixture(scope="session")
def hosts() -> str:
    """The server under test."""
    return os.environ["BELLWETHER_HOSTS"]


@pytest.fixture
def word(hosts: str) -> Callable[[str], str]:
    """Asks the server by a four-letter word."""
    host, port = hosts.split(":")

    def ask(name: str) -> str:
        with socket.create_connection((host, int(port)), timeout=WAIT_S) as stream:
            stream.sendall(name.encode())
            with stream.makefile("rb") as answer:
                return answer.read().decode()

    return ask


@pytest.fixture
def server() -> Callable[[str], None]:
    """Has the harness do something with the server: RESTART or CRASH."""

    def tell(command: str) -> None:
        print(command, flush=True)
        assert sys.stdin.readline() == "done\n", "no harness answers"

    return tell


@pytest.fixture
def client(hosts: str) -> Iterator[Client]:
    """A client for threads."""
    with Client.connect(hosts, session_timeout=10.0, connect_timeout=WAIT_S) as connected:
        yield connected


@pytest.fixture
def root(client: Client) -> Iterator[str]:
    """A node for this test alone."""
    path = "/py-" + uuid.uuid4().hex
    client.create(path)
    yield path
    client.delete(path, recursive=True)


class Driven:
    """An object of asyncio whose methods wait, so that one test is a test of both kinds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: object) -> None:
        self._loop = loop
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return (lambda *words, **options: self._call(found, *words, **options)) if callable(
            found
        ) else found

    def _call(self, method: Callable[..., Any], *arguments: object, **keywords: object) -> Any:
        async def inside() -> Any:
            result = method(*arguments, **keywords)
            return await result if hasattr(result, "__await__") else result

        return self._driven(self._loop.run_until_complete(inside()))

    def _driven(self, result: object) -> Any:
        if isinstance(result, tuple):
            return tuple(self._driven(item) for item in result)
        if isinstance(result, (AsyncClient, AsyncOnceWatch, AsyncWatch, AsyncSessionEvents)):
            return Driven(self._loop, result)
        return result

    def __repr__(self) -> str:
        return repr(self._inner)

    def __enter__(self) -> Any:
        return self.__getattr__("__aenter__")()

    def __exit__(self, *exception: object) -> None:
        self.__getattr__("__aexit__")(*exception)

    def __iter__(self) -> "Driven":
        return self

    def __next__(self) -> Any:
        try:
            return self.__getattr__("__anext__")()
        except StopAsyncIteration:
            raise StopIteration from None


Connect = Callable[..., Client]


@pytest.fixture(params=["threads", "asyncio"])
def connect(request: pytest.FixtureRequest, hosts: str) -> Iterator[Connect]:
    """Connects a client of the one or the other kind; both look like `Client`."""
    opened: list[Client] = []
    loop = asyncio.new_event_loop()


    def threads(suffix: str = "", **options: Any) -> Client:
        opened.append(Client.connect(hosts + suffix, connect_timeout=WAIT_S, **options))
        return opened[-1]

    def driven(suffix: str = "", **options: Any) -> Client:
        async def begin() -> AsyncClient:
            return await AsyncClient.connect(hosts + suffix, connect_timeout=WAIT_S, **options)

        opened.append(cast(Client, Driven(loop, loop.run_until_complete(begin()))))
        return opened[-1]

    yield threads if request.param == "threads" else driven
    for connected in opened:
        connected.close()
    loop.close()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test of asyncio, with a deadline."""

    async def limited() -> None:
        await asyncio.wait_for(main(), 3 * WAIT_S)

    asyncio.run(limited())


_COUNTS = {"passed": 0, "failed": 0}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Counts tests; one that is skipped has failed."""
    if report.outcome != "passed":
        _COUNTS["failed"] += 1
    elif report.when == "call":
        _COUNTS["passed"] += 1


def pytest_unconfigure() -> None:
    """The line that the stage reads."""
    print(f"\n{_COUNTS['passed']} passed, {_COUNTS['failed']} failed", flush=True)

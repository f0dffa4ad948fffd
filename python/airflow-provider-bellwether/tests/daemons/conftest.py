"""The tests with real daemons: BELLWETHER_APACHE says where the second server is.

Keeps true: without a second server no test of this directory is collected, and this is said. The
daemons are started once, and what they have told is shown with a test that fails. Every test asks
the same of both servers, at once.
"""

import os
from collections.abc import Callable, Generator, Iterator

import pytest
from bellwether import Client
from conftest import HOME, HOSTS, WAIT_S

from daemons.deployment import SERVERS, Deployment
from daemons.sessions import word_of

APACHE = os.environ.get("BELLWETHER_APACHE")
if APACHE is None:
    print("\nno second server: tests/daemons is left out (cargo xtask test airflow starts both)")
    collect_ignore_glob = ["test_*.py"]

_STARTED: list[Deployment] = []


@pytest.fixture(scope="session")
def addresses() -> dict[str, str]:
    """Where the servers are."""
    return dict(zip(SERVERS, (HOSTS, str(APACHE)), strict=True))


@pytest.fixture(scope="session")
def clients(addresses: dict[str, str]) -> Iterator[dict[str, Client]]:
    """The tests' own session with each server."""
    opened = {
        name: Client.connect(address, session_timeout=10.0, connect_timeout=WAIT_S)
        for name, address in addresses.items()
    }
    yield opened
    for client in opened.values():
        client.close()


@pytest.fixture(scope="session")
def airflow(addresses: dict[str, str], clients: dict[str, Client]) -> Iterator[Deployment]:
    """The daemons, with what they have to find at the servers."""
    for name, client in clients.items():
        for path in ("/daemons", "/daemons/wait", "/variables", "/connections"):
            client.create(path)
        client.create("/daemons/colour", b"red")
        client.create(f"/variables/secret_{name}", b"old")
    clients["bellwether"].create("/connections/secret_warehouse", b"http://old")
    deployment = Deployment(HOME / "daemons", addresses)
    _STARTED.append(deployment)
    try:
        deployment.start()
        yield deployment
    finally:
        deployment.close()


@pytest.fixture
def words(addresses: dict[str, str]) -> Callable[[str, str], str]:
    """Asks a server by a four-letter word."""
    return lambda server, word: word_of(addresses[server], word)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the logs of the daemons with a test that fails."""
    report = yield
    if report.failed:
        for deployment in _STARTED:
            report.sections += [(f"log of {name}", text) for name, text in deployment.tails()]
    return report

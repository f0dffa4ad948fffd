"""Health: what servers say of themselves, by words and at their admin servers.

Keeps true: what one server alone cannot show (a leader with followers, an old version, TLS, a word
that is not allowed) is told by servers of the tests that speak the words.
"""

import asyncio
import datetime
import ipaddress
import logging
import os
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import HOSTS
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scripted import Scripted, dead_address

from bellwether_airflow import health
from bellwether_airflow.errors import Refused
from bellwether_airflow.health import HealthGoal
from bellwether_airflow.hooks.admin import ZooKeeperAdminHook
from bellwether_airflow.operators.trees import _sessions
from bellwether_airflow.settings import Settings
from bellwether_airflow.tls import TlsFiles
from bellwether_airflow.triggers.zookeeper import HealthTrigger
from bellwether_airflow.words import hole_of

NOT_ALLOWED = "mntr is not executed because it is not in the whitelist.\n"


def srvr(mode: str, version: str = "3.9.5", latency: float = 0.25) -> str:
    """As a server answers it."""
    return (
        f"Zookeeper version: {version}-0123abc, built on 2026-02-11 20:18 UTC\n"
        f"Latency min/avg/max: 0/{latency}/7\nReceived: 9\nSent: 8\nConnections: 2\n"
        f"Outstanding: 1\nZxid: 0x200000003\nMode: {mode}\nNode count: 5\n"
    )


def mntr(followers: int) -> str:
    """As a leader answers it."""
    return (
        "zk_version\t3.9.5-0123abc, built on 2026-02-11 20:18 UTC\nzk_server_state\tleader\n"
        f"zk_quorum_size\t3\nzk_synced_followers\t{followers}\n"
    )


class Speaking(socketserver.ThreadingTCPServer):
    """A server that answers words."""

    daemon_threads = True

    def __init__(self, words: dict[str, str], context: ssl.SSLContext | None = None) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    stream = self.request
                    if context is not None:
                        stream = context.wrap_socket(stream, server_side=True)
                    stream.sendall(words.get(stream.recv(4).decode(), "").encode())
                    stream.close()
                except OSError:
                    # Whoever does not speak TLS is told nothing.
                    pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.where = ("127.0.0.1", int(self.server_address[1]))
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def speaks() -> Iterator[Callable[..., tuple[str, int]]]:
    """Starts a server that answers words."""
    begun: list[Speaking] = []

    def start(*answers: str, **kwargs: Any) -> tuple[str, int]:
        begun.append(Speaking(dict(zip(("srvr", "mntr"), answers, strict=False)), **kwargs))
        return begun[-1].where

    yield start
    for server in begun:
        server.shutdown()
        server.server_close()


@pytest.fixture
def admin() -> Iterator[Scripted]:
    """An admin server that answers as the test says."""
    server = Scripted([])
    yield server
    server.close()


def looked(goal: HealthGoal) -> Any:
    """A look."""
    goal.check()
    return asyncio.run(goal.look(None))


def test_a_server_tells_its_version_and_how_it_fares() -> None:
    trigger = HealthTrigger(target={"hosts": HOSTS}, max_latency_ms=60_000.0, end=False)

    async def outcome() -> Any:
        return await trigger.wait()

    told = asyncio.run(outcome())
    assert told.status == "met", told.message
    about = told.result["about"][HOSTS]
    assert about["version"].startswith("3.9.5") and about["zxid"] >= 0
    assert about["latency_ms"] >= 0 and about["connections"] >= 1 and about["outstanding"] >= 0
    assert told.result["warnings"] == [] and told.result["leader"] == HOSTS
    # It stands alone: nobody follows, however long one waits.
    goal = HealthGoal.of(Settings(HOSTS), None, require_leader=True, min_synced_followers=1)
    assert not looked(goal).met


@pytest.mark.skipif(
    "BELLWETHER_ADMIN" not in os.environ, reason="this server has no admin server yet"
)
def test_an_admin_server_measures() -> None:
    hook = ZooKeeperAdminHook("admin")
    (url,) = hook.urls()
    told = hook.monitor(url)
    assert told["server_state"] == "standalone" and told["version"].startswith("3.9.")
    settings = Settings(HOSTS, admin_url=url)
    look = looked(HealthGoal.of(settings, 1, require_leader=True))
    assert look.met and look.result["warnings"] == []


def test_followers_in_sync_by_mntr(speaks: Callable[..., tuple[str, int]]) -> None:
    follower = speaks(srvr("follower"), NOT_ALLOWED)
    for followers, met in ((2, True), (1, False)):
        servers = (follower, speaks(srvr("leader"), mntr(followers)))
        look = looked(HealthGoal(servers, 2, True, min_synced_followers=2))
        assert look.met is met
        assert (look.result["synced_followers"], look.result["voters"]) == (followers, 3)
    # Nobody waits for a word that is not allowed.
    goal = HealthGoal((speaks(srvr("leader"), NOT_ALLOWED),), 1, True, min_synced_followers=1)
    with pytest.raises(Refused, match=r"needs admin_url.*mntr"):
        looked(goal)


def test_followers_in_sync_by_the_admin_server(
    speaks: Callable[..., tuple[str, int]], admin: Scripted
) -> None:
    admin.answers += [(200, {"server_state": "leader", "quorum_size": 3, "synced_followers": 2})]
    leader = speaks(srvr("leader"), NOT_ALLOWED)
    dead = dead_address()
    goal = HealthGoal((leader,), 1, True, 2, admin_urls=(dead, admin.address))
    look = looked(goal)
    assert look.met and look.result["synced_followers"] == 2
    assert [asked[1] for asked in admin.asked] == ["/commands/monitor"]
    (warning,) = look.result["warnings"]
    assert warning.startswith(dead)
    # When no admin server tells of a leader, what is asked for is not known to be so.
    admin.answers += [(200, {"server_state": "follower"})]
    look = looked(goal)
    assert not look.met and look.result["synced_followers"] is None


def test_slow_servers_do_not_count(speaks: Callable[..., tuple[str, int]]) -> None:
    servers = (speaks(srvr("leader", latency=4.5)), speaks(srvr("follower", latency=80.0)))
    assert looked(HealthGoal(servers, 2, True)).met
    assert not looked(HealthGoal(servers, 2, True, max_latency_ms=50.0)).met
    assert looked(HealthGoal(servers, 1, True, max_latency_ms=50.0)).met


def test_a_server_that_speaks_strangely_is_down(speaks: Callable[..., tuple[str, int]]) -> None:
    strange = speaks(srvr("leader").replace("Outstanding: 1", "Outstanding: few"))
    look = looked(HealthGoal((strange,), 1, True))
    assert not look.met
    assert "not as expected" in look.result["servers"][f"127.0.0.1:{strange[1]}"]


@pytest.mark.parametrize(
    ("version", "holed"),
    [
        ("3.8.9", False),
        ("3.9.0-abc", True),
        ("3.9.3-abc", True),
        ("3.9.4", False),
        ("3.9.5-bellwether-0.1.0", False),
        ("3.10.0", False),
        (None, False),
    ],
)
def test_versions_with_the_hole(version: str | None, holed: bool) -> None:
    warning = hole_of("one:2181", version)
    assert (warning is not None) is holed
    assert warning is None or ("one:2181" in warning and "CVE-2025-58457" in warning)


def test_a_version_with_the_hole_is_warned_of_once(
    speaks: Callable[..., tuple[str, int]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_LOG", logging.getLogger("health-of-the-test"))
    server = speaks(srvr("standalone", version="3.9.3"))
    for _ in range(2):
        look = looked(HealthGoal((server,), 1, True))
        assert look.met and "CVE-2025-58457" in look.result["warnings"][0]
    assert caplog.text.count("CVE-2025-58457") == 1


def test_a_snapshot_of_such_a_version_is_warned_of(
    admin: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = ZooKeeperAdminHook(settings=Settings("one:2181", admin_url=admin.address))
    log = Warnings()
    monkeypatch.setattr(type(hook), "log", log)
    with (tmp_path / "snapshot").open("wb") as out:
        for version in ("3.9.2-abc", "3.9.5-abc"):
            admin.answers += [(200, {"version": version}), (200, b"data")]
            assert hook.snapshot(admin.address, out, 0.0)["bytes"] == 4
    (said,) = log.said
    assert admin.address in said and "3.9.2" in said
    admin.answers += [(200, {"version": "3.9.1"}), (200, {"last_zxid": "0x1"})]
    assert hook.restore(admin.address, lambda: iter([b"data"]), 0.0) == {"zxid": "0x1"}
    assert len(log.said) == 2
    paths = [path for _, path, _ in admin.asked]
    assert paths[0] == "/commands/server_stats" and paths[-1] == "/commands/restore"


class Warnings:
    """A log that keeps what it is warned of."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warning(self, message: str, *arguments: object) -> None:
        """Keeps it."""
        self.said.append(message % arguments)


def certified(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / f"{name}.pem", folder / f"{name}-key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


def test_words_go_by_tls_where_the_connection_does(
    speaks: Callable[..., tuple[str, int]], tmp_path: Path
) -> None:
    mine, other = certified(tmp_path, "mine"), certified(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*mine)
    context.load_verify_locations(other[0])
    context.verify_mode = ssl.CERT_REQUIRED
    host, port = speaks(srvr("standalone"), context=context)
    client = TlsFiles(str(mine[0]), str(other[0]), str(other[1]))
    look = looked(HealthGoal(((host, port),), 1, True, tls=client))
    assert look.met, look.result
    for wrong in (None, TlsFiles(str(other[0])), TlsFiles(str(tmp_path / "none.pem"))):
        assert not looked(HealthGoal(((host, port),), 1, True, tls=wrong)).met
    assert asyncio.run(_sessions(Settings(f"{host}:{port}", tls_files=client))) == ""

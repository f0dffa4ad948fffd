"""Every way in which the provider connects, by TLS and SASL, against Apache's secure port.

Usage: BELLWETHER_HOSTS=… BELLWETHER_KEYS=DIRECTORY BELLWETHER_STRICT=PLAIN:SECURE
BELLWETHER_LAX=PLAIN:SECURE pytest -s tests/secure.py

The stage makes the keys in the directory. A server is given as its two ports on 127.0.0.1. The
strict one wants a client certificate of the CA and knows the users of SASL; its plain port is
BELLWETHER_HOSTS. What is read is open to the identity alone that is to be proved.

Keeps true: its name is none that pytest looks for, so that a run without these servers does not
count tests that were not run.
"""

import asyncio
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bellwether import Acl, Client, Perms, Sasl
from conftest import WAIT_S, until
from launched import CLI, Stage

from bellwether_airflow.hooks.zookeeper import ZooKeeperHook
from bellwether_airflow.secrets.zookeeper import ZooKeeperSecretsBackend
from bellwether_airflow.triggers.zookeeper import ZNodeTrigger
from bellwether_airflow.version_compat import TaskFailedEvent, TaskSuccessEvent

KEYS = Path(os.environ["BELLWETHER_KEYS"])
STRICT_SECURE = "127.0.0.1:" + os.environ["BELLWETHER_STRICT"].split(":")[1]
CA, CERTIFICATE, KEY = (str(KEYS / name) for name in ("ca.pem", "client.pem", "client.key"))
TLS = {"use_ssl": True, "ca_cert": CA, "client_cert": CERTIFICATE, "client_key": KEY}
OPTIONS = ("--ca-cert", CA, "--client-cert", CERTIFICATE, "--client-key", KEY)


def connection(monkeypatch: pytest.MonkeyPatch, host: str, **fields: Any) -> str:
    """The connection `secure`, as the environment has it."""
    told = {"conn_type": "zookeeper", "host": host, **fields}
    monkeypatch.setenv("AIRFLOW_CONN_SECURE", json.dumps(told))
    return "secure"


@pytest.fixture
def certified(client: Client) -> Iterator[str]:
    """A node that whoever has the certificate may read, and nobody else."""
    path = "/certified-" + uuid.uuid4().hex
    client.create(path, b"for you", acl=[Acl(Perms.READ, "x509", "CN=client")])
    yield path
    client.delete(path)


def test_a_hook_is_known_by_its_certificate(
    monkeypatch: pytest.MonkeyPatch, certified: str
) -> None:
    extra = {**TLS, "auth_scheme": "x509"}
    with ZooKeeperHook(connection(monkeypatch, STRICT_SECURE, extra=extra)) as hook:
        assert hook.get_conn().get(certified)[0] == b"for you"
        works, said = hook.test_connection()
        assert works, said


def test_a_hook_is_known_by_sasl_with_and_without_tls(
    monkeypatch: pytest.MonkeyPatch, client: Client, hosts: str
) -> None:
    path = "/sasl-" + uuid.uuid4().hex
    client.create(path, b"for bob", acl=[Acl(Perms.ALL, "sasl", "bob")])
    bob: dict[str, Any] = {"login": "bob", "password": "builder"}
    for host, extra in ((hosts, {}), (STRICT_SECURE, TLS)):
        extra = {**extra, "auth_scheme": "sasl-digest"}
        with ZooKeeperHook(connection(monkeypatch, host, extra=extra, **bob)) as hook:
            assert hook.get_conn().get(path)[0] == b"for bob"
    wrong = {"auth_scheme": "sasl-digest", "connect_timeout": 3}
    bob["password"] = "destroyer"
    works, said = ZooKeeperHook(
        connection(monkeypatch, hosts, extra=wrong, **bob)
    ).test_connection()
    assert not works and "destroyer" not in said
    client.delete(path)


def test_a_server_that_is_not_trusted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {**TLS, "ca_cert": str(KEYS / "stranger.pem"), "connect_timeout": 3}
    works, said = ZooKeeperHook(
        connection(monkeypatch, STRICT_SECURE, extra=extra)
    ).test_connection()
    assert not works and "signed by none of the trusted ones" in said


def test_a_trigger_waits_by_tls(monkeypatch: pytest.MonkeyPatch, certified: str) -> None:
    waiting: dict[str, Any] = {"path": certified, "condition": "value", "expected": "for you"}

    def ends(**extra: Any) -> Any:
        conn_id = connection(monkeypatch, STRICT_SECURE, extra=extra)
        trigger = ZNodeTrigger(target={"conn_id": conn_id}, **waiting)
        return asyncio.run(asyncio.wait_for(anext(trigger.run()), WAIT_S))

    assert isinstance(ends(**TLS), TaskSuccessEvent)
    assert isinstance(ends(**{**TLS, "ca_cert": "/no/such.pem"}), TaskFailedEvent)


def test_secrets_are_read_by_tls(certified: str) -> None:
    root, _, name = certified.rpartition("/")
    given: dict[str, Any] = {
        "hosts": STRICT_SECURE,
        "ca_cert": CA,
        "client_cert": CERTIFICATE,
        "client_key": KEY,
        "variables_path": root or "/",
        "timeout": WAIT_S,
    }
    assert ZooKeeperSecretsBackend(**given).get_variable(name) == "for you"


def configured(client: Client, acl: list[Acl]) -> str:
    """A tree of configuration that only some may read."""
    root = "/configured-" + uuid.uuid4().hex
    for path, data in (("", b""), ("/core", b""), ("/core/parallelism", b"5")):
        client.create(root + path, data)
    for path in ("/core/parallelism", "/core", ""):
        client.set_acl(root + path, [*acl, Acl(Perms.ADMIN | Perms.DELETE, "world", "anyone")])
    return root


def test_a_launcher_connects_by_tls(stage: Stage, client: Client) -> None:
    root = configured(client, [Acl(Perms.READ, "x509", "CN=client")])
    stage.run("--hosts", STRICT_SECURE, *OPTIONS, "--config", root)
    until(lambda: stage.said("begin"), "the component")
    assert stage.said("begin")[0]["given"]["AIRFLOW__CORE__PARALLELISM"] == "5"


def test_a_launcher_connects_as_a_user(
    stage: Stage, client: Client, hosts: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("hush\n")
    owner = ("--user", "me", "--password-file", str(tmp_path / "password"))
    with Client.connect(hosts, auth=[("digest", "me:hush")]) as me:
        root = "/mine-" + uuid.uuid4().hex
        for path, data in (("", b""), ("/core", b""), ("/core/parallelism", b"6")):
            me.create(root + path, data, acl=[Acl(Perms.ALL, "auth", "")])
        stage.run("--hosts", hosts, *owner, "--config", root)
        until(lambda: stage.said("begin"), "the component")
        assert stage.said("begin")[0]["given"]["AIRFLOW__CORE__PARALLELISM"] == "6"
        command = [*CLI, "run", "--hosts", hosts, "--config", root, "--", "true"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and f"{root}: this user may not read it" in done.stderr
        me.delete(root, recursive=True)


def test_an_agent_of_the_launcher_reads_by_tls(
    stage: Stage, certified: str, tmp_path: Path
) -> None:
    socket = tmp_path / "agent.sock"
    stage.run("--hosts", STRICT_SECURE, *OPTIONS, "--agent", str(socket))
    root, _, name = certified.rpartition("/")
    backend = ZooKeeperSecretsBackend(
        agent_socket=str(socket), variables_path=root or "/", timeout=WAIT_S
    )
    until(socket.exists, "the agent")
    until(lambda: backend.get_variable(name) == "for you", "the secret")


def test_sasl_of_a_client_is_that_of_the_server(hosts: str) -> None:
    """That the server proves identities at all: what the tests above rely on."""
    with Client.connect(hosts, sasl=Sasl("bob", "builder")) as bob:
        assert ("sasl", "bob") in bob.whoami()

"""The secrets backend: by itself, in Airflow's programs, and in supervised tasks."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bellwether import Acl, Client, Perms
from bellwether_airflow.secrets import reading
from bellwether_airflow.secrets.reading import OPEN_S, Breaker, is_local
from bellwether_airflow.secrets.zookeeper import ZooKeeperSecretsBackend
from conftest import ROOT, WAIT_S, Ran
from cryptography.fernet import Fernet
from node_agent import NodeAgent

HERE = Path(__file__).parent
BACKEND = "bellwether_airflow.secrets.zookeeper.ZooKeeperSecretsBackend"
FAR_S = 30.0
"""A time limit that nothing on this machine comes near."""

Backend = Callable[..., ZooKeeperSecretsBackend]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No test knows what another has read."""
    yield
    for reader in reading._readers.values():
        if reader.session is not None:
            reader.session.abandon()
    reading._readers.clear()


@pytest.fixture
def backend(hosts: str, root: str) -> Backend:
    """A backend for the nodes of this test."""

    def make(**arguments: Any) -> ZooKeeperSecretsBackend:
        given: dict[str, Any] = {
            "hosts": hosts,
            "timeout": FAR_S,
            "connections_path": root + "/connections",
            "variables_path": root + "/variables",
            "config_path": root + "/config",
        }
        return ZooKeeperSecretsBackend(**(given | arguments))

    return make


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[NodeAgent]:
    """An agent, which knows nothing."""
    with NodeAgent(tmp_path / "agent.sock") as running:
        yield running


def put(client: Client, path: str, value: str | bytes) -> None:
    """Writes a secret."""
    data = value.encode() if isinstance(value, str) else value
    client.ensure_path(path)
    client.set(path, data)


def test_secrets_are_the_data_of_nodes(backend: Backend, client: Client, root: str) -> None:
    put(client, root + "/connections/db", "mysql://me:secret@db:3306/shop")
    put(client, root + "/connections/http", json.dumps({"conn_type": "http", "host": "web"}))
    put(client, root + "/variables/colour", "grün")
    put(client, root + "/variables/deep/er", "7")
    put(client, root + "/config/dsn", "sqlite://")
    put(client, root + "/variables/empty", "")
    secrets = backend()
    connection = secrets.get_connection("db")
    assert connection is not None
    assert (connection.host, connection.password, connection.port) == ("db", "secret", 3306)
    web = secrets.get_connection("http")
    assert web is not None and (web.conn_type, web.host) == ("http", "web")
    assert secrets.get_variable("colour") == "grün"
    assert secrets.get_variable("deep/er") == "7"
    assert secrets.get_variable("empty") == ""
    assert secrets.get_config("dsn") == "sqlite://"
    for missing in ("none", "", "../variables/colour", "a//b", ".", "no/such", "nul\0"):
        assert secrets.get_variable(missing) is None, missing
    put(client, root + "/variables/colour", "blau")
    client.sync(root)
    assert secrets.get_variable("colour") == "blau"


def test_what_is_switched_off_or_does_not_match_is_not_asked_for(
    backend: Backend, client: Client, root: str, agent: NodeAgent
) -> None:
    agent.nodes = {f"/{kind}/x_1": b"7" for kind in ("connections", "variables", "config")}
    only: dict[str, Any] = {"agent_socket": agent.path, "hosts": None}
    off = ZooKeeperSecretsBackend(
        connections_path=None, variables_path="", config_path=None, **only
    )
    assert [off.get_conn_value("x_1"), off.get_variable("x_1"), off.get_config("x_1")] == [None] * 3
    assert agent.asked == []
    some = ZooKeeperSecretsBackend(
        connections_lookup_pattern="x_",
        variables_lookup_pattern="y_",
        config_lookup_pattern="x_2",
        **only,
    )
    assert some.get_conn_value("x_1") == "7" and some.get_conn_value("ax_1") is None
    assert some.get_variable("x_1") is None and some.get_config("x_1") is None
    assert agent.asked == [("/connections/x_1", 200)]


def test_a_team_has_its_own_and_nobody_elses(
    backend: Backend, client: Client, root: str
) -> None:
    put(client, root + "/variables/red/colour", "red")
    put(client, root + "/variables/blue/colour", "blue")
    put(client, root + "/variables/colour", "any")
    put(client, root + "/variables/shape", "round")
    put(client, root + "/connections/red/db", "mysql://red")
    teams = backend(use_team_secrets_path="true")
    assert teams.get_variable("colour", team_name="red") == "red"
    assert teams.get_variable("colour", team_name="green") == "any"
    assert teams.get_variable("shape", team_name="red") == "round"
    assert teams.get_variable("colour") == "any"
    assert teams.get_variable("blue/colour", team_name="red") is None
    assert teams.get_variable("blue/colour") is None
    assert teams.get_variable("colour", team_name="..") == "any"
    assert teams.get_conn_value("db", "red") == "mysql://red"
    assert backend().get_variable("colour", team_name="red") == "any"


def test_encrypted_values_and_nothing_else(
    backend: Backend, client: Client, root: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    keys = tmp_path / "keys"
    keys.write_bytes(new + b"\n" + old + b"\n")
    keys.chmod(0o600)
    put(client, root + "/variables/old", Fernet(old).encrypt(b"hunter2"))
    put(client, root + "/variables/new", Fernet(new).encrypt(b"hunter3") + b"\n")
    put(client, root + "/variables/plain", "hunter4")
    put(client, root + "/variables/foreign", Fernet(Fernet.generate_key()).encrypt(b"hunter5"))
    secrets = backend(fernet_key_file=str(keys))
    assert [secrets.get_variable(name) for name in ("old", "new")] == ["hunter2", "hunter3"]
    assert caplog.messages == []
    for name in ("plain", "foreign"):
        assert secrets.get_variable(name) is None
        assert f"{root}/variables/{name} is not encrypted with a key of {keys}" in caplog.text
    keys.chmod(0o644)
    assert secrets.get_variable("old") == "hunter2"
    assert "is open to others (mode 644): chmod 600" in caplog.text
    for content, why in (("", "has no key"), ("x", "has a line that is no Fernet key")):
        keys.write_text(content)
        assert secrets.get_variable("old") is None and why in caplog.text
    keys.unlink()
    assert secrets.get_variable("old") is None
    assert "cannot be read: No such file or directory" in caplog.text
    assert "hunter" not in caplog.text


def test_a_root_that_everybody_can_read_is_said_once(
    backend: Backend, client: Client, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(client, root + "/variables/colour", "red")
    me = f"user-{os.getpid()}"
    for _ in range(2):
        assert backend().get_variable("colour") == "red"
    (said,) = caplog.messages
    assert said.startswith(root + "/variables can be read by everybody")
    caplog.clear()
    client.create(root + "/config")
    with Client.connect(client.server or "", auth=[("digest", me + ":pw")]) as owner:
        closed = [Acl(Perms.ALL, "auth", "")]
        owner.create(root + "/config/dsn", b"sqlite://", acl=closed)
        owner.set_acl(root + "/config", closed)
        assert backend().get_config("dsn") is None
        assert f"the secret {root}/config/dsn cannot be read: NoAuthError" in caplog.text
        caplog.clear()
        assert backend(user=me, password="pw").get_config("dsn") == "sqlite://"
        assert caplog.messages == []
        owner.delete(root + "/config", recursive=True)


def test_a_password_may_stand_in_a_file(
    backend: Backend, client: Client, root: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(client, root + "/variables/colour", "red")
    file = tmp_path / "password"
    secrets = backend(user="me", password_file=str(file))
    assert secrets.get_variable("colour") is None
    assert f"password_file {file} cannot be read: No such file" in caplog.text
    reading._readers.clear()
    file.write_text("pw\n")
    assert backend(user="me", password_file=str(file)).get_variable("colour") == "red"


def test_what_is_not_text_is_not_taken(
    backend: Backend, client: Client, root: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(client, root + "/variables/bytes", b"\xff")
    assert backend().get_variable("bytes") is None
    assert f"the secret {root}/variables/bytes is not text in UTF-8" in caplog.text


class Silent:
    """A server that takes connections and says nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.hosts = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            while True:
                self.accepted.append(self._listener.accept()[0])
        except OSError:
            pass

    def close(self) -> None:
        """Ends it."""
        self._listener.close()
        for stream in self.accepted:
            stream.close()


def test_a_server_that_is_silent_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    silent = Silent()
    try:
        secrets = ZooKeeperSecretsBackend(hosts=silent.hosts, timeout="0.3")
        assert secrets.get_variable("colour") is None
        reader = secrets._reader
        assert reader.breakers["session"].is_open
        asked = len(silent.accepted)
        assert asked > 0 and f"not asking again for {OPEN_S:.0f} s" in caplog.text
        caplog.clear()
        for _ in range(50):
            # A backend of its own for each, as Airflow makes them.
            again = ZooKeeperSecretsBackend(hosts=silent.hosts, timeout="0.3")
            assert again.get_variable("colour") is None and again.get_conn_value("db") is None
        assert caplog.messages == [] and again._reader is reader
    finally:
        silent.close()


def test_a_server_that_is_not_there_is_no_error(
    caplog: pytest.LogCaptureFixture, unused_port: int
) -> None:
    secrets = ZooKeeperSecretsBackend(hosts=f"localhost:{unused_port}", timeout=0.3)
    assert secrets.get_conn_value("db") is None
    assert secrets.get_variable("colour") is None and secrets.get_config("dsn") is None
    (said,) = caplog.messages
    assert f"secrets cannot be read from localhost:{unused_port}" in said


@pytest.fixture
def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_breaker_closes_again() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    assert not breaker.is_open
    breaker.trip()
    now[0] = OPEN_S - 0.1
    assert breaker.is_open
    now[0] = OPEN_S
    assert not breaker.is_open


def test_a_session_that_stalls_is_replaced(
    backend: Backend, client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, root + "/variables/colour", "red")
    secrets = backend()
    assert secrets.get_variable("colour") == "red"
    session = secrets._reader.session
    assert session is not None and session._client is not None
    first = session._client.session_id
    session._client.close()
    assert secrets.get_variable("colour") == "red"
    assert session._client is not None and session._client.session_id != first
    stalled = threading.Event()
    monkeypatch.setattr(session, "read", lambda *_arguments: stalled.wait())
    monkeypatch.setattr(secrets._reader, "_source", reading.Source(**{
        **vars(secrets._reader._source), "timeout": 0.2,
    }))
    assert secrets.get_variable("colour") is None
    stalled.set()
    assert secrets._reader.breakers["session"].is_open and session._client is None


def test_secrets_do_not_travel_in_plain_text(caplog: pytest.LogCaptureFixture) -> None:
    # An address of documentation, to which nothing is sent.
    secrets = ZooKeeperSecretsBackend(hosts="localhost:1,192.0.2.1:2181", timeout=FAR_S)
    assert secrets.get_variable("colour") is None
    assert "allow_plaintext=true has secrets travel unencrypted" in caplog.text
    # With TLS it would be asked, if the file were there.
    secrets = ZooKeeperSecretsBackend(
        hosts="192.0.2.1:2281", ca_cert="/no/such/ca.pem", timeout=FAR_S
    )
    assert secrets.get_variable("colour") is None
    assert "/no/such/ca.pem" in caplog.text


@pytest.mark.parametrize(
    ("hosts", "local"),
    [
        ("localhost", True),
        ("localhost:2181,127.0.0.1:2182/app", True),
        ("127.1.2.3", True),
        ("[::1]:2181", True),
        ("::1", True),
        ("localhost,db.example:2181", False),
        ("10.0.0.1:2181", False),
        ("[fe80::1]:2181", False),
        ("localhost.example", False),
        ("", False),
        ("/app", False),
    ],
)
def test_which_servers_are_on_this_machine(hosts: str, local: bool) -> None:
    assert is_local(hosts) is local


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "needs agent_socket or hosts"),
        ({"hosts": "h", "timeout": "soon"}, "timeout is 'soon'"),
        ({"hosts": "h", "timeout": 0}, "timeout is 0"),
        ({"hosts": "h", "allow_plaintext": "perhaps"}, "allow_plaintext is 'perhaps'"),
        ({"hosts": "h", "variables_path": "variables"}, "variables_path is 'variables'"),
        ({"hosts": "h", "config_lookup_pattern": "("}, "config_lookup_pattern is no regular"),
        ({"hosts": "h", "client_cert": "me.pem"}, "TLS, which needs ca_cert"),
        ({"hosts": "h", "ca_cert": "ca.pem", "client_key": "k"}, "without client_cert"),
        ({"hosts": "h", "password": "x"}, "a password is given without user"),
        ({"hosts": "h", "user": "u", "password": "x", "password_file": "f"}, "both given"),
    ],
)
def test_wrong_arguments_are_said_at_the_start(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ZooKeeperSecretsBackend(**arguments)


def test_the_agent_is_asked_first_and_with_what_is_known(agent: NodeAgent) -> None:
    secrets = ZooKeeperSecretsBackend(agent_socket=agent.path, timeout=FAR_S)
    agent.nodes["/variables/ä b"] = b"red"
    assert [secrets.get_variable("ä b") for _ in range(2)] == ["red", "red"]
    agent.nodes["/variables/ä b"] = b"blue"
    assert secrets.get_variable("ä b") == "blue" and secrets.get_variable("none") is None
    del agent.nodes["/variables/ä b"]
    assert secrets.get_variable("ä b") is None
    codes = [code for _, code in agent.asked]
    assert codes == [200, 304, 200, 404, 404]
    assert {node for node, _ in agent.asked} == {"/variables/ä b", "/variables/none"}


def test_without_the_agent_the_ensemble_is_asked(
    backend: Backend, client: Client, root: str, agent: NodeAgent, tmp_path: Path
) -> None:
    put(client, root + "/variables/colour", "red")
    agent.nodes[root + "/variables/colour"] = b"from the agent"
    secrets = backend(agent_socket=agent.path)
    assert secrets.get_variable("colour") == "from the agent"
    # What the agent says is missing is missing.
    assert secrets.get_variable("none") is None
    agent.stale = True
    assert secrets.get_variable("colour") == "red"
    assert secrets._reader.breakers["agent"].is_open
    before = len(agent.asked)
    assert secrets.get_variable("colour") == "red" and len(agent.asked) == before
    gone = backend(agent_socket=str(tmp_path / "none.sock"))
    assert gone.get_variable("colour") == "red"


def test_an_agent_that_is_stale_or_gone_is_no_error(
    agent: NodeAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    agent.stale = True
    stale = ZooKeeperSecretsBackend(agent_socket=agent.path, timeout=FAR_S)
    assert stale.get_variable("colour") is None and stale.get_variable("colour") is None
    (said,) = caplog.messages
    assert said == f"the agent at {agent.path}: it answers 503 with 0 bytes"
    caplog.clear()
    gone = ZooKeeperSecretsBackend(agent_socket=str(tmp_path / "none.sock"), timeout=FAR_S)
    assert gone.get_variable("colour") is None
    assert "No such file or directory" in caplog.text


def test_a_forked_child_reads_in_a_session_of_its_own(
    backend: Backend, client: Client, root: str
) -> None:
    put(client, root + "/variables/colour", "red")
    secrets = backend()
    assert secrets.get_variable("colour") == "red"
    child = os.fork()
    if child == 0:
        signal.alarm(int(WAIT_S))
        good = reading._readers == {} and backend().get_variable("colour") == "red"
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert secrets.get_variable("colour") == "red"


def test_backends_of_a_process_share_what_costs_something(backend: Backend, root: str) -> None:
    assert backend()._reader is backend()._reader
    assert backend()._reader is not backend(timeout=1.0)._reader


@pytest.fixture
def configured(hosts: str, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's programs have the backend."""
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", BACKEND)
    arguments = {"hosts": hosts, "timeout": FAR_S, "variables_path": root + "/variables"}
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(arguments))
    paths = {"connections": root + "/connections", "config": root + "/config"}
    for kind, path in paths.items():
        monkeypatch.setenv(f"AIRFLOW__SECRETS__BACKEND_KWARG__{kind.upper()}_PATH", path)


def test_options_of_airflow_come_from_nodes(
    configured: None, client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client, root + "/config/webserver-key", "of the node")
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY_SECRET", "webserver-key")
    command = [sys.executable, "-m", "airflow", "config", "get-value", "api", "secret_key"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=5 * WAIT_S)
    assert done.stdout.splitlines()[-1:] == ["of the node"], done.stdout + done.stderr


def test_a_change_is_seen_by_the_next_task(
    configured: None,
    client: Client,
    root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BELLWETHER_SHOWN", str(tmp_path / "shown"))
    put(client, root + "/connections/warehouse", "mysql://me:hunter2@one/shop")
    command = [sys.executable, "-B", "supervised.py", "test_secrets.py", "secrets", "show"]
    for colour in ("red", "blue"):
        put(client, root + "/variables/colour", colour)
        done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, timeout=5 * WAIT_S)
        assert done.returncode == 0, done.stdout + done.stderr
        shown = json.loads((tmp_path / "shown").read_text())
        expected = {"colour": colour, "missing": None, "host": "one", "password": "hunter2"}
        assert shown == expected
        assert "hunter2" not in done.stdout + done.stderr


def test_no_thread_is_started_by_an_import() -> None:
    code = f"import threading, {BACKEND.rpartition('.')[0]}; print(threading.active_count())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=5 * WAIT_S
    )
    assert done.stdout.split()[-1:] == ["1"], done.stderr


def test_the_documents_dag_stores_what_the_backend_reads(
    backend: Backend, run: Callable[..., Ran], client: Client
) -> None:
    assert run("doc_secrets").state == "success"
    client.sync("/")
    assert backend(variables_path="/docs/variables").get_variable("colour") == "red"


def test_the_documents_command_encrypts(
    backend: Backend, client: Client, root: str, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(Fernet.generate_key() + b"\n")
    keys.chmod(0o600)
    text = (ROOT / "docs/airflow/secrets.md").read_text()
    (code,) = re.findall(r"^    python -c '(.*?)' KEYS VALUE$", text, re.DOTALL | re.MULTILINE)
    command = [sys.executable, "-c", code.replace("\n    ", "\n"), str(keys), "red"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    put(client, root + "/variables/colour", done.stdout)
    assert backend(fernet_key_file=str(keys)).get_variable("colour") == "red"

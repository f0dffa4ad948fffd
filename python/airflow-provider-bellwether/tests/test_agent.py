"""The node agent as a process: what it serves, whom it registers, who takes over."""

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bellwether import Client
from conftest import until
from launched import CLI, Stage
from relay import Relay

from bellwether_airflow.announcing import announce, events_of
from bellwether_airflow.secrets.reading import UnixConnection
from bellwether_airflow.secrets.zookeeper import ZooKeeperSecretsBackend

TIMEOUT = ("--session-timeout", "4")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the agent serves."""
    return str(tmp_path / "agent.sock")


def ask(path: str, target: str, tag: str | None = None) -> tuple[int, bytes, str | None]:
    """The code, the body and the ETag of an answer; 0 if nobody is there."""
    connection = UnixConnection(path, 30.0)
    try:
        connection.request("GET", target, headers={} if tag is None else {"If-None-Match": tag})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("ETag")
    except (OSError, http.client.HTTPException):
        return 0, b"", None
    finally:
        connection.close()


def status(path: str) -> dict[str, Any]:
    """What the agent says of itself."""
    code, body, _ = ask(path, "/v1/status")
    return json.loads(body) if code == 200 else {}


def serve(stage: Stage, hosts: str, path: str, *more: str, name: str = "one") -> Any:
    """Starts an agent and waits for its session."""
    process = stage.start("agent", "--hosts", hosts, "--socket", path, *more, name=name)
    until(lambda: status(path).get("session") == "connected", "the agent")
    return process


def test_nodes_are_served_as_the_protocol_says(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    client.create(f"{root}/secret", b"red")
    client.create(f"{root}/größe 1%", b"\x00\xff")
    serve(stage, hosts, path)
    target = f"/v1/node{root}/secret"
    code, body, tag = ask(path, target)
    assert (code, body) == (200, b"red")
    assert ask(path, target, tag) == (304, b"", tag)
    client.set(f"{root}/secret", b"blue")
    code, body, other = ask(path, target, tag)
    assert (code, body) == (200, b"blue")
    assert other != tag
    assert ask(path, "/v1/node" + quote(f"{root}/größe 1%"))[:2] == (200, b"\x00\xff")
    assert ask(path, f"/v1/node{root}/nothing")[0] == 404
    assert ask(path, f"/v1/node{root}//nothing")[0] == 400
    assert ask(path, f"/v1/node{root}/%ff")[0] == 400
    assert ask(path, "/v2/anything")[0] == 404
    for socket_path in (path, events_of(path)):
        assert stat.S_IMODE(os.stat(socket_path).st_mode) == 0o600


def test_the_secrets_backend_reads_from_it(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    client.create(f"{root}/variables/colour", b"red", makepath=True)
    agent = serve(stage, hosts, path)
    backend = ZooKeeperSecretsBackend(agent_socket=path, variables_path=f"{root}/variables")
    assert backend.get_variable("colour") == "red"
    assert backend.get_variable("colour") == "red"
    assert backend.get_variable("taste") is None
    client.set(f"{root}/variables/colour", b"blue")
    assert backend.get_variable("colour") == "blue"
    assert status(path)["asked"] >= 4
    agent.terminate()
    assert agent.wait(60) == 0
    assert not os.path.exists(path)
    assert backend.get_variable("colour") is None


def test_an_agent_that_has_lost_the_ensemble_says_so_and_comes_back(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    client.create(f"{root}/secret", b"red")
    with Relay(hosts) as relay:
        serve(stage, relay.hosts, path, *TIMEOUT)
        target = f"/v1/node{root}/secret"
        _, _, tag = ask(path, target)
        relay.freeze()
        assert ask(path, target, tag)[0] == 503
        until(lambda: status(path)["session"] != "connected", "the agent to know")
        assert ask(path, target)[0] == 503
        assert ask(path, "/v1/registry")[0] == 503
        relay.thaw()
        until(lambda: ask(path, target)[:2] == (200, b"red"), "the agent to come back")


def test_a_node_that_it_may_not_read_is_no_secret_that_is_missing(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    from bellwether import digest_acl

    acl = [digest_acl("someone", "else")]
    client.create(f"{root}/closed", b"hidden-value", acl=acl)
    serve(stage, hosts, path)
    assert ask(path, f"/v1/node{root}/closed") == (403, b"", None)
    until(lambda: "may not read it" in stage.log(), "a word about it")


COMPONENT = (
    "import signal, sys\n"
    "from bellwether_airflow.announcing import announce\n"
    "def end(*_):\n"
    "    announce([sys.argv[1]], kind='stop')\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "for _ in range(2):\n"
    "    announce([sys.argv[1]], kind='start', component='scheduler',\n"
    "             deployment=sys.argv[2], version='3.3.2')\n"
    "while True: signal.pause()\n"
)


def component(path: str, deployment: str) -> subprocess.Popen[bytes]:
    """A process that announces itself twice, and that it ends."""
    return subprocess.Popen([sys.executable, "-c", COMPONENT, events_of(path), deployment])


def shown(path: str, deployment: str) -> list[dict[str, Any]]:
    """The schedulers that are registered."""
    code, body, _ = ask(path, f"/v1/registry?deployment={deployment}")
    return list(json.loads(body).get("scheduler", [])) if code == 200 else []


def test_an_agent_that_begins_anew_knows_who_is_up(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    deployment = root.removeprefix("/")
    first = serve(stage, hosts, path, *TIMEOUT)
    processes = [component(path, deployment) for _ in range(2)]
    try:
        until(lambda: len(shown(path, deployment)) == 2, "the registrations")
        first.kill()
        first.wait()
        # One ends while there is no agent; another's number is that of a process that began later.
        processes[0].kill()
        processes[0].wait()
        kept = Path(path + ".processes")
        known = json.loads(kept.read_text())
        kept.write_text(json.dumps([*known, {**known[0], "pid": os.getpid()}]))
        serve(stage, hosts, path, *TIMEOUT)
        alive = str(processes[1].pid)
        until(
            lambda: [each["pid"] for each in shown(path, deployment)] == [alive], "who is still up"
        )
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    finally:
        for process in processes:
            process.kill()
            process.wait()
    until(lambda: status(path).get("registered") == 0, "the end of the registration")
    client.sync("/")
    client.delete(f"/airflow/{deployment}", recursive=True)


def test_what_is_kept_and_cannot_be_read_is_no_obstacle(
    stage: Stage, hosts: str, path: str
) -> None:
    Path(path + ".processes").write_text("[{}]")
    serve(stage, hosts, path)
    assert "cannot be read, which says who is up" in stage.log()


def test_a_process_is_registered_until_it_is_gone(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    deployment = root.removeprefix("/")
    serve(stage, hosts, path)
    process = component(path, deployment)
    base = f"/airflow/{deployment}/registry"

    try:
        until(lambda: shown(path, deployment), "the registration")
        (found,) = shown(path, deployment)
        assert (found["pid"], found["health"]) == (str(process.pid), "up")
        assert client.get(f"{base}/scheduler/{found['id']}")[1].ephemeral_owner
        process.terminate()
        until(
            lambda: [each["health"] for each in shown(path, deployment)] == ["draining"],
            "it to end",
        )
    finally:
        process.kill()
        process.wait()
    until(lambda: not shown(path, deployment), "the end of the registration")
    client.delete(f"/airflow/{deployment}", recursive=True)


def test_the_last_state_of_a_dag_is_written(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    deployment = root.removeprefix("/")
    serve(stage, hosts, path)
    node = f"/airflow/{deployment}/state/report"
    for state in ("running", "success"):
        said = {"kind": "dag", "deployment": deployment, "dag": "report", "run_id": "r1"}
        announce([events_of(path)], **said, state=state, when_ms=5)

    def last() -> Any:
        return json.loads(client.get(node)[0]) if client.exists(node) else {}

    until(lambda: last().get("state") == "success", "the last state")
    assert last() == {"state": "success", "run_id": "r1", "when_ms": 5}
    client.delete(f"/airflow/{deployment}", recursive=True)


def test_what_is_no_announcement_is_not_taken(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    import socket

    serve(stage, hosts, path)
    deployment = root.removeprefix("/")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for data in (b"", b"\xff", b"[]", b"{}", b"{" * 9000):
            sender.sendto(data, events_of(path))
    announce([events_of(path)], kind="start", component="../x", deployment=deployment)
    announce([events_of(path)], kind="dag", deployment=deployment, dag="a/b")
    announce([events_of(path)], kind="dag", deployment=deployment, dag="good", state="success")
    until(lambda: client.exists(f"/airflow/{deployment}/state/good"), "what is one")
    assert client.children(f"/airflow/{deployment}") == ["state"]
    client.delete(f"/airflow/{deployment}", recursive=True)


def test_announcing_to_nobody_is_counted_and_nothing_else(path: str) -> None:
    from bellwether_airflow import announcing

    before = announcing.dropped()
    announce([path], kind="start")
    assert announcing.dropped() == before + 1


def test_another_agent_waits_and_takes_over(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    client.create(f"{root}/secret", b"red")
    first = serve(stage, hosts, path)
    refused = subprocess.run(
        [*CLI, "agent", "--hosts", hosts, "--socket", path],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 2
    assert "another agent serves" in refused.stderr
    stage.start("agent", "--hosts", hosts, "--socket", path, "--wait", name="second")
    first.kill()
    until(lambda: ask(path, f"/v1/node{root}/secret")[0] == 200, "the other agent")
    assert "the agent serves" in stage.log("second")


def test_a_launcher_keeps_an_agent_and_its_component_knows_it(
    stage: Stage, client: Client, hosts: str, root: str, path: str
) -> None:
    client.create(f"{root}/secret", b"red")
    launcher = stage.run("--hosts", hosts, "--agent", path)
    until(lambda: ask(path, f"/v1/node{root}/secret")[0] == 200, "the agent")
    until(lambda: stage.said("begin"), "the component")
    assert stage.said("begin")[0]["given"]["AIRFLOW__BELLWETHER__AGENT_SOCKET"] == path
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    until(lambda: ask(path, "/v1/status")[0] == 0, "the agent to go with its launcher")

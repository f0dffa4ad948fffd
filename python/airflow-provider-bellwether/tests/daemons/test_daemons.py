"""What only Airflow's own daemons can show, at both servers; the tests run in this order.

Keeps true: a test waits for states that the api-server or a server tells of, and asserts no times.
"""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from bellwether import Client
from bellwether.recipes import Queue

from daemons.deployment import DEPLOYMENT, SERVERS, Deployment, Run, awaited, kill, tree
from daemons.sessions import owners

Clients = dict[str, Client]
Words = Callable[[str, str], str]
Runs = dict[str, Run]

PACKAGE = "airflow-provider-bellwether"
WAITS = ("waits_in_trigger", "waits_and_resumes", "waits_in_process")
COLOUR = "/daemons/colour"
needs_harness = pytest.mark.skipif(
    "BELLWETHER_HARNESS" not in os.environ,
    reason="no harness that restarts the servers (cargo xtask test airflow)",
)


def started(airflow: Deployment, dag: str, **conf: str) -> Runs:
    """A run for each server."""
    return {name: airflow.run(dag, conn=f"zk_{name}", **conf) for name in SERVERS}


class Waiting:
    """Runs, one for each server, that wait for a node of their own to change."""

    def __init__(self, airflow: Deployment, clients: Clients, words: Words, dag: str) -> None:
        self._clients, self._words, self._dag = clients, words, dag
        self._path = f"/daemons/wait/{dag}-{time.monotonic_ns()}"
        for client in clients.values():
            client.create(self._path, b"old")
        self.runs = started(airflow, dag, path=self._path)

    def arrived(self) -> "Waiting":
        """Waits until they wait: those that are deferred in the triggerer."""
        state = "running" if self._dag == "waits_in_process" else "deferred"
        for server, run in self.runs.items():
            awaited(f"{run.address}: {state}", partial(run.is_at, "watch", state))
            awaited(f"a watch on {self._path}", partial(self._is_watched, server))
        return self

    def _is_watched(self, server: str) -> bool:
        return self._path in self._words(server, "wchp").splitlines()

    def changed(self) -> "Waiting":
        """Changes the nodes."""
        for client in self._clients.values():
            client.retrying.set(self._path, b"new", 0)
        return self

    def ended(self) -> None:
        """All have to end well, with what has become of the node."""
        for run in self.runs.values():
            run.succeeded()
            said = run.said("watch")
            if self._dag == "waits_in_trigger":
                # Whatever a trigger gives, Airflow 3.3 keeps it as text, and hands it on so.
                said = json.loads(said)
            assert (said["path"], said["version"], said["value"]) == (self._path, 1, "new")


@pytest.fixture
def waiting(airflow: Deployment, clients: Clients, words: Words) -> Callable[[str], Waiting]:
    """Begins with runs that wait."""
    return lambda dag: Waiting(airflow, clients, words, dag)


def test_a_change_ends_what_waits_in_the_trigger_or_resumes_or_waits_in_the_process(
    airflow: Deployment, waiting: Callable[[str], Waiting]
) -> None:
    begun = [waiting(dag) for dag in WAITS]
    for each in begun:
        each.arrived()
    for each in begun:
        each.changed()
    for each in begun:
        each.ended()
    for run in begun[0].runs.values():
        (link,) = airflow.get(f"{run.address}/taskInstances/watch/links")["extra_links"].items()
        path = airflow.get(run.address)["conf"]["path"]
        assert link == ("Znode", f"http://console/node?path={path}")


def test_a_schedule_fires_a_dag_whose_task_holds_a_lock(
    airflow: Deployment, clients: Clients
) -> None:
    for server, client in clients.items():
        (run,) = awaited("the night's run", partial(airflow.runs, f"nightly_{server}"))
        run.succeeded()
        about = airflow.get(run.address)
        assert about["run_type"] == "scheduled"
        assert about["logical_date"].startswith("2026-01-01T03:00:00")
        said = run.said("report")
        assert said["fence"] > 0 and said["node"].startswith("/daemons/nightly/")
        client.sync("/")
        assert client.children("/daemons/nightly") == []


def test_the_registry_has_the_components_that_listeners_and_launchers_told_of(
    airflow: Deployment, clients: Clients
) -> None:
    assert airflow.anonymous.get("/bellwether/registry").status_code == 401
    page = airflow.get("/bellwether/registry")
    # The scheduler and the api-server are there because the plugin has announced them to the agent.
    assert {name: len(found) for name, found in page.items()} == {
        "api-server": 1,
        "scheduler": 1,
        "triggerer": 1,
    }
    for name in ("api-server", "scheduler"):
        assert page[name][0]["pid"] == str(airflow.processes[name].pid)
    assert {found[0]["health"] for found in page.values()} == {"up"}
    registered = clients["apache"].children(f"/airflow/{DEPLOYMENT}/registry")
    assert registered == ["dag-processor"]


def test_the_last_state_of_a_dag_is_at_its_node(clients: Clients) -> None:
    path = f"/airflow/{DEPLOYMENT}/state/nightly_bellwether"
    client = clients["bellwether"]

    def state() -> bool:
        client.sync("/")
        said: dict[str, Any] = json.loads(client.get(path)[0])
        return str(said["state"]) == "success" and said["run_id"].startswith("scheduled__")

    awaited("the state of a DAG", lambda: client.exists(path) and state())


def test_what_airflow_lists_of_the_package(airflow: Deployment) -> None:
    for kind in ("providers", "plugins"):
        assert PACKAGE in json.dumps(airflow.get(f"/api/v2/{kind}?limit=100"))
    assert airflow.get("/api/v2/plugins/importErrors")["import_errors"] == []
    triggers = airflow.airflow("providers", "triggers", "--output", "json")
    assert "bellwether_airflow.triggers.queue" in triggers
    (form,) = [
        row
        for row in airflow.get("/ui/connections/hook_meta")
        if row["connection_type"] == "zookeeper"
    ]
    assert form["hook_name"] == "ZooKeeper"
    assert {"session_timeout", "auth_scheme", "use_ssl", "admin_url"} <= set(form["extra_fields"])


def test_a_changed_secret_is_seen_by_the_next_task(airflow: Deployment, clients: Clients) -> None:
    for age in ("old", "new"):
        if age == "new":
            for server, client in clients.items():
                client.set(f"/variables/secret_{server}", b"new")
            clients["bellwether"].set("/connections/secret_warehouse", b"http://new")
        run = airflow.run("reads_secrets")
        run.succeeded()
        assert run.said("read") == {"bellwether": age, "apache": age, "host": age}


def test_a_lock_is_free_when_its_task_was_marked(
    airflow: Deployment, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/daemons/lock"
    runs = started(airflow, "holds_a_lock", path=path)

    def is_held(server: str, wanted: bool) -> bool:
        client = clients[server]
        client.sync("/")
        return bool(client.exists(path) and client.children(path)) is wanted

    for server, run in runs.items():
        awaited("the lock", partial(is_held, server, True))
        assert run.state() == "running"
    for server, run in runs.items():
        run.mark_failed("hold")
        since = time.monotonic()
        awaited("a free lock", partial(is_held, server, False))
        with capsys.disabled():
            print(f"\nfigure: {server}: free {time.monotonic() - since:.1f} s after mark-failed")
        assert run.ended() == "failed"


class Orders:
    """The queue of a server, and what has become of its messages."""

    def __init__(self, airflow: Deployment, server: str, client: Client) -> None:
        self._airflow, self._dag, self._client = airflow, f"orders_{server}", client
        self._asset = airflow.asset(f"orders-{server}")

    def put(self, *values: str) -> None:
        """Puts messages."""
        Queue(self._client, "/daemons/orders").put_all([value.encode() for value in values])

    def told(self) -> list[dict[str, Any]]:
        """The messages that Airflow has in its database."""
        return [event["extra"]["payload"] for event in self._airflow.events(self._asset)]

    def shipped(self) -> list[str]:
        """Those that runs were given."""
        runs = [run for run in self._airflow.runs(self._dag) if run.state() == "success"]
        return sorted(value for run in runs for value in run.said("ship"))

    def left(self) -> list[str]:
        """What the queue still has."""
        self._client.sync("/")
        parts = [f"/daemons/orders/{part}" for part in ("entries", "taken")]
        return [name for part in parts for name in self._client.children(part)]


def test_every_message_starts_a_dag_once_and_is_removed(
    airflow: Deployment, clients: Clients
) -> None:
    queues = [Orders(airflow, server, client) for server, client in clients.items()]
    for queue in queues:
        queue.put("paper", "ink", "glue")
    for queue in queues:
        awaited("the events", lambda queue=queue: len(queue.told()) >= 3)  # type: ignore[misc]
        awaited("a run", queue.shipped)
    # Airflow gives a run the events up to the first that asked for it: those that came between that
    # and the run's making are the next one's, which needs an event of its own.
    for queue in queues:
        queue.put("string")
    wanted = ["glue", "ink", "paper", "string"]
    for queue in queues:
        awaited("all runs", lambda queue=queue: len(queue.shipped()) >= 4)  # type: ignore[misc]
        assert queue.shipped() == wanted
        assert sorted(message["value"] for message in queue.told()) == wanted
        assert {message["attempt"] for message in queue.told()} == {1}
        awaited("an empty queue", lambda queue=queue: not queue.left())  # type: ignore[misc]


def test_changes_while_a_killed_triggerer_is_away_are_not_lost(
    airflow: Deployment, clients: Clients, waiting: Callable[[str], Waiting]
) -> None:
    begun = waiting("waits_in_trigger")
    for server in SERVERS:
        asset = airflow.asset(f"colour-{server}")
        awaited("the cursor", partial(cursors, airflow, asset))
        assert airflow.runs(f"colour_{server}") == []
    begun.arrived()
    (registered,) = airflow.get("/bellwether/registry")["triggerer"]
    kill(tree(int(registered["pid"])))
    # Its launcher ends with it, as a shell tells of a process that was killed.
    assert airflow.processes.pop("triggerer").wait(60) == 128 + 9
    begun.changed()
    for client in clients.values():
        client.set(COLOUR, b"blue")
    airflow.start_triggerer()
    begun.ended()
    for server in SERVERS:
        run = awaited("a run", partial(airflow.runs, f"colour_{server}"))[0]
        run.succeeded()
        assert run.said("get")["value"] == "blue"


def cursors(airflow: Deployment, asset: int) -> list[str]:
    """What an asset's triggers have stored."""
    found = airflow.get(f"/api/v2/assets/{asset}/state-store")["asset_state_store"]
    return [entry["key"] for entry in found]


@needs_harness
def test_what_waits_lives_through_killed_servers(
    waiting: Callable[[str], Waiting], server: Callable[[str], None]
) -> None:
    begun = [waiting(dag).arrived() for dag in ("waits_in_trigger", "waits_and_resumes")]
    server("CRASH")
    for each in begun:
        each.changed().ended()


def test_the_sensor_waits_for_components_that_are_up(airflow: Deployment) -> None:
    runs = [
        airflow.run("waits_for_a_component", conn="zk_bellwether", component="triggerer"),
        airflow.run("waits_for_a_component", conn="zk_apache", component="dag-processor"),
    ]
    for run in runs:
        run.succeeded()
        assert run.said("wait")["count"] == 1


def is_owned_by(address: str, names: list[str]) -> bool:
    """Whether these and no others have sessions with a server."""
    found = owners(address)
    if found != names:
        # Shown if the test fails.
        print(found)
    return found == names


def test_no_session_is_left_but_those_of_programs_that_run(
    airflow: Deployment, addresses: dict[str, str]
) -> None:
    # The triggerer watches assets and takes messages; the api-server has looked up a secret; the
    # agent and each launcher have one; and so does the test.
    wanted = {
        "bellwether": ["agent", "launcher of triggerer", "pytest", "triggerer"],
        "apache": ["api-server", "launcher of dag-processor", "pytest", "triggerer"],
    }
    for server, address in addresses.items():
        awaited(f"only {wanted[server]}", partial(is_owned_by, address, wanted[server]))


def test_a_launcher_that_is_told_to_end_ends_its_daemon(
    airflow: Deployment, addresses: dict[str, str]
) -> None:
    # The scheduler is left to be killed: now and then its executor waits for good for a worker
    # that is idle. It has no session with a server.
    for name in ("dag-processor", "triggerer", "api-server"):
        below = tree(airflow.processes[name].pid)
        assert len(below) > 1 or name == "api-server"
        code = airflow.stop(name)
        assert code == 0 or name == "api-server", f"{name}: {code}"
        assert set(below).isdisjoint(airflow.left()), name
    for address in addresses.values():
        awaited("the end of the sessions", partial(is_owned_by, address, ["pytest"]))

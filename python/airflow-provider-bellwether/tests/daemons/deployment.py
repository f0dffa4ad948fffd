"""An Airflow of four daemons on loopback, with a database and a home of its own.

Keeps true: what was started is gone when it is closed, by process id, with whatever it has started;
nothing listens on other addresses than 127.0.0.1, for the servers of logs are switched off. The
triggerer and the dag-processor run behind launchers of ours, each registered with another server.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

import httpx

LIMIT_S = 120.0
"""What one state may take on a busy machine."""

AIRFLOW = (sys.executable, "-m", "airflow")
LAUNCHER = (sys.executable, "-m", "bellwether_airflow.launcher.cli")
DEPLOYMENT = "daemons"
SERVERS = ("bellwether", "apache")
BACKEND = "bellwether_airflow.secrets.zookeeper.ZooKeeperSecretsBackend"
FINAL = ("success", "failed")
DAGS = {
    "waits_in_trigger",
    "waits_and_resumes",
    "waits_in_process",
    "waits_for_a_component",
    "holds_a_lock",
    "reads_secrets",
    *(f"{name}_{server}" for name in ("nightly", "colour", "orders") for server in SERVERS),
}


def awaited(what: str, look: Callable[[], Any]) -> Any:
    """Waits for a state that nobody announces: until this is true; and gives it."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {LIMIT_S} s in vain for {what}"
        time.sleep(0.1)
    return found


def processes() -> dict[int, tuple[int, int]]:
    """The parent and the session of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    found[int(entry.name)] = int(stat[1]), int(stat[3])
    return found


def tree(root: int) -> list[int]:
    """A process and all below it, from above."""
    known, found = processes(), [root]
    for pid in found:
        found += [child for child, (parent, _) in known.items() if parent == pid]
    return found


def kill(pids: list[int]) -> None:
    """SIGKILL, to those that are left."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Loopback ports that were free a moment ago."""
    held = [socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


class Run:
    """A run of a DAG."""

    def __init__(self, airflow: "Deployment", dag: str, run_id: str) -> None:
        self._airflow = airflow
        self.dag = dag
        self.address = f"/api/v2/dags/{dag}/dagRuns/{run_id}"

    def state(self) -> str:
        """Its own."""
        return str(self._airflow.get(self.address)["state"])

    def task(self, task: str) -> str:
        """The state of a task."""
        return str(self._airflow.get(f"{self.address}/taskInstances/{task}")["state"])

    def is_at(self, task: str, state: str) -> bool:
        """Whether a task is in this state."""
        return self.task(task) == state

    def mark_failed(self, task: str) -> None:
        """What a user does who has seen enough."""
        address = f"{self.address}/taskInstances/{task}"
        self._airflow.change("PATCH", address, {"new_state": "failed"})

    def said(self, task: str) -> Any:
        """What a task returned."""
        address = f"{self.address}/taskInstances/{task}/xcomEntries/return_value"
        return self._airflow.get(f"{address}?stringify=false")["value"]

    def ended(self) -> str:
        """Waits for its end, and gives its state."""
        found = awaited(f"the end of {self.address}", lambda: (s := self.state()) in FINAL and s)
        return str(found)

    def succeeded(self) -> None:
        """Waits for its end, which has to be success."""
        ended = self.ended()
        assert ended == "success", f"{self.address}: {ended}\n{self._airflow.log_of(self.dag)}"


class Deployment:
    """Airflow's daemons, and how they are asked."""

    def __init__(self, home: Path, servers: dict[str, str]) -> None:
        self.home = home
        self.servers = servers
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._sessions: set[int] = set()
        # The name of a socket has to be short.
        self._sockets = tempfile.mkdtemp(prefix="bellwether-")
        self.port, *log_ports = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = self._environment(*log_ports)
        self.anonymous = httpx.Client(base_url=self.url, timeout=LIMIT_S, trust_env=False)
        self._http = httpx.Client(base_url=self.url, timeout=LIMIT_S, trust_env=False)

    @property
    def agent(self) -> str:
        """The socket of the node agent."""
        return f"{self._sockets}/agent.sock"

    def _environment(self, *log_ports: int) -> dict[str, str]:
        secrets = {"connections_lookup_pattern": "secret_", "variables_lookup_pattern": "secret_"}
        options: dict[str, dict[str, object]] = {
            "core": {
                "dags_folder": self.home / "dags",
                "load_examples": False,
                "executor": "LocalExecutor",
                "parallelism": 8,
                "dags_are_paused_at_creation": False,
                "execution_api_server_url": f"{self.url}/execution/",
                "simple_auth_manager_users": "admin:admin",
                "simple_auth_manager_passwords_file": self.home / "passwords.json",
            },
            "api": {"base_url": self.url, "secret_key": "daemons" * 10},
            "api_auth": {"jwt_secret": "daemons" * 10},
            "dag_processor": {"min_file_process_interval": 3600},
            "logging": dict(
                zip(("worker_log_server_port", "trigger_log_server_port"), log_ports, strict=True)
            ),
            "workers": {
                "min_heartbeat_interval": 1,
                "secrets_backend": BACKEND,
                "secrets_backend_kwargs": json.dumps({**secrets, "agent_socket": self.agent}),
            },
            "secrets": {
                "backend": BACKEND,
                "backend_kwargs": json.dumps({**secrets, "hosts": self.servers["apache"]}),
            },
            # When the triggers of one that was killed are another's.
            "triggerer": {"job_heartbeat_sec": 1, "triggerer_health_check_threshold": 8},
            "bellwether": {
                "deployment": DEPLOYMENT,
                "agent_socket": self.agent,
                "console_url": "http://console/node?path={path}",
                "state_dags": "nightly_*",
            },
        }
        made = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
        made |= {"AIRFLOW_HOME": str(self.home), "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        for section, values in options.items():
            for option, value in values.items():
                made[f"AIRFLOW__{section}__{option}".upper()] = str(value)
        for name, address in self.servers.items():
            connection = {"conn_type": "zookeeper", "host": address}
            made[f"AIRFLOW_CONN_ZK_{name.upper()}"] = json.dumps(connection)
        return made

    def start(self) -> None:
        """Starts all, and waits until they say that they are well."""
        self.home.mkdir()
        (self.home / "dags").mkdir()
        shutil.copy(Path(__file__).parent / "dagfile.py", self.home / "dags/daemons.py")
        (self.home / "passwords.json").write_text(json.dumps({"admin": "secret"}))
        self.airflow("db", "migrate")
        # The others announce themselves once, to an agent that has to be there.
        self.start_triggerer()
        awaited("the agent", Path(f"{self.agent}.events").exists)
        self.spawn("api-server", *AIRFLOW, "api-server", "-H", "127.0.0.1", "-p", str(self.port))
        self.spawn("scheduler", *AIRFLOW, "scheduler", "--skip-serve-logs")
        self.launch("dag-processor", "apache", (*AIRFLOW, "dag-processor"))
        awaited("an answer of the api-server", self._log_in)
        awaited("four daemons that are well", self._is_well)
        awaited("the DAGs", self._knows_its_dags)

    def start_triggerer(self) -> None:
        """Starts it, behind a launcher that keeps an agent."""
        triggerer = (*AIRFLOW, "triggerer", "--skip-serve-logs")
        self.launch("triggerer", "bellwether", triggerer, "--agent", self.agent)

    def launch(self, name: str, server: str, command: tuple[str, ...], *options: str) -> None:
        """Starts a daemon behind a launcher, which registers it with a server."""
        given = ("--hosts", self.servers[server], "--deployment", DEPLOYMENT, *options)
        self.spawn(name, *LAUNCHER, "run", *given, "--register", "--", *command)

    def spawn(self, name: str, *command: str) -> None:
        """Starts a process in a session of its own, with a log of that name."""
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._sessions.add(self.processes[name].pid)

    def airflow(self, *arguments: str) -> str:
        """What a command of Airflow prints."""
        done = subprocess.run(
            [*AIRFLOW, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _log_in(self) -> bool:
        self._assert_alive()
        with suppress(httpx.TransportError):
            given = {"username": "admin", "password": "secret"}
            answer = self.anonymous.post("/auth/token", json=given)
            assert answer.status_code == 201, answer.text
            self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            return True
        return False

    def _is_well(self) -> bool:
        self._assert_alive()
        return all(part["status"] == "healthy" for part in self.health().values())

    def _assert_alive(self) -> None:
        ended = {name: one.returncode for name, one in self.processes.items() if one.poll()}
        assert not ended, f"ended: {ended}"

    def _knows_its_dags(self) -> bool:
        errors = self.get("/api/v2/importErrors")["import_errors"]
        assert errors == [], errors
        return {dag["dag_id"] for dag in self.get("/api/v2/dags")["dags"]} == DAGS

    def health(self) -> dict[str, Any]:
        """What the api-server says of the daemons."""
        found: dict[str, Any] = self.get("/api/v2/monitor/health")
        return found

    def get(self, address: str) -> Any:
        """What the api-server answers to a user who is logged in."""
        answer = self._http.get(address)
        assert answer.status_code == 200, f"{address}: {answer.status_code} {answer.text}"
        return answer.json()

    def run(self, dag: str, **conf: str) -> Run:
        """Begins with a run of a DAG."""
        run_id = f"{dag}-{time.monotonic_ns()}"
        body = {"logical_date": None, "dag_run_id": run_id, "conf": conf}
        self.change("POST", f"/api/v2/dags/{dag}/dagRuns", body)
        return Run(self, dag, run_id)

    def change(self, method: str, address: str, body: Any) -> None:
        """Has the api-server do something."""

        def is_done() -> bool:
            answer = self._http.request(method, address, json=body)
            # SQLite has one writer at a time, and one of the daemons may be it for seconds. What
            # was done all the same is in conflict with the next attempt.
            busy = answer.status_code >= 500 and "Database error" in answer.text
            assert busy or answer.status_code in (200, 409), f"{address}: {answer.text}"
            return not busy

        awaited(f"{method} {address}", is_done)

    def runs(self, dag: str) -> list[Run]:
        """All runs of a DAG, the oldest first."""
        found = self.get(f"/api/v2/dags/{dag}/dagRuns?order_by=id")["dag_runs"]
        return [Run(self, dag, run["dag_run_id"]) for run in found]

    def asset(self, name: str) -> int:
        """The number of an asset."""
        (found,) = self.get(f"/api/v2/assets?name_pattern={name}")["assets"]
        return int(found["id"])

    def events(self, asset: int) -> list[dict[str, Any]]:
        """The events of an asset."""
        address = f"/api/v2/assets/events?asset_id={asset}"

        def found() -> Any:
            # As long as a run of one has not started, Airflow 3.3.2 fails to describe it.
            answer = self._http.get(address)
            assert answer.status_code in (200, 500), answer.text
            return answer.json() if answer.status_code == 200 else None

        told: list[dict[str, Any]] = awaited(address, found)["asset_events"]
        return told

    def tails(self) -> Iterator[tuple[str, str]]:
        """The ends of the daemons' logs: so much that all of them are seen in a stage's failure."""
        for path in sorted(self.home.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            told = [line for line in lines if line.strip() and "[http.access]" not in line]
            yield path.stem, "\n".join(told[-6:])

    def log_of(self, dag: str) -> str:
        """What the tasks of a DAG have told."""
        found = sorted(self.home.glob(f"logs/dag_id={dag}/**/*.log"))
        return "\n".join(f"{path}:\n{path.read_text()[-3000:]}" for path in found)

    def left(self) -> list[int]:
        """Every process of the sessions that were begun: none of the daemons begins its own."""
        return [pid for pid, (_, session) in processes().items() if session in self._sessions]

    def stop(self, name: str) -> int:
        """Tells one to end (SIGTERM), and waits until it has; its exit code."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(LIMIT_S)

    def close(self) -> None:
        """Kills all that are left, and whatever they have started."""
        while left := self.left():
            kill(left)
            for process in self.processes.values():
                process.wait(LIMIT_S)
            time.sleep(0.1)
        shutil.rmtree(self._sockets, ignore_errors=True)
        self._http.close()
        self.anonymous.close()

"""What the tests share: an Airflow of their own, its DAG files, and clients of the server.

Usage: BELLWETHER_HOSTS=HOST:PORT pytest

Every run has a new AIRFLOW_HOME below `BELLWETHER_SCRATCH` (or the system's temporary directory).
Its DAGs folder gets the files of `tests/dags`, of `examples/airflow`, the blocks of `docs/airflow`,
and the programs of the articles where these are present. At the end stands the line
`N passed, N failed`.

Keeps true: a test works below a node of its own, waits for states and never for a time, and asks
nothing of Bellwether that it does not ask of Apache ZooKeeper.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WAIT_S = 60.0
ROOT = Path(__file__).parents[3]
HOSTS = os.environ["BELLWETHER_HOSTS"]
HOME = Path(tempfile.mkdtemp(prefix="airflow-", dir=os.environ.get("BELLWETHER_SCRATCH")))
DAGS = HOME / "dags"
DUMPS = HOME / "dumps"

os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW__BELLWETHER__DUMP_ROOT": str(DUMPS),
    "AIRFLOW_CONN_ZOOKEEPER_DEFAULT": json.dumps({"conn_type": "zookeeper", "host": HOSTS}),
    "AIRFLOW_CONN_ADMIN": json.dumps(
        {
            "conn_type": "zookeeper",
            "host": HOSTS,
            "extra": {
                "admin_url": os.environ.get("BELLWETHER_ADMIN", ""),
                "admin_auth": "digest super:test",
            },
        }
    ),
    "NO_COLOR": "1",
}

from bellwether import Client  # noqa: E402
from dagfiles import install  # noqa: E402
from launched import Stage  # noqa: E402

install(DAGS)


def until(state: Callable[[], object], what: str) -> None:
    """Waits for a state that nobody announces."""
    deadline = time.monotonic() + WAIT_S
    while not state():
        assert time.monotonic() < deadline, "waited in vain for " + what
        time.sleep(0.02)


@pytest.fixture(scope="session")
def hosts() -> str:
    """The server under test."""
    return HOSTS


@pytest.fixture(scope="session")
def word() -> Callable[[str], str]:
    """Asks the server by a four-letter word."""
    host, port = HOSTS.split(":")

    def ask(name: str) -> str:
        with socket.create_connection((host, int(port)), timeout=WAIT_S) as stream:
            stream.sendall(name.encode())
            with stream.makefile("rb") as answer:
                return answer.read().decode()

    return ask


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of the test's own."""
    with Client.connect(HOSTS, session_timeout=10.0, connect_timeout=WAIT_S) as connected:
        yield connected


@pytest.fixture
def root(client: Client) -> Iterator[str]:
    """A node for this test alone."""
    path = "/air-" + uuid.uuid4().hex
    client.create(path)
    yield path
    client.delete(path, recursive=True)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """The metadata database, made by the program that users run."""
    command = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def server(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Has the harness do something with the server: RESTART or CRASH."""
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")

    def tell(command: str) -> None:
        capture.suspend(in_=True)
        try:
            print(f"\n{command}", flush=True)
            assert sys.stdin.readline() == "done\n", "no harness answers"
        finally:
            capture.resume()

    return tell


class Helper:
    """Something that a test does while a DAG waits; what goes wrong in it fails the test."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._problems: list[BaseException] = []

        def guarded() -> None:
            try:
                work()
            except BaseException as problem:
                self._problems.append(problem)

        self._thread = threading.Thread(target=guarded)
        self._thread.start()

    def join(self) -> None:
        """Waits for it."""
        self._thread.join(2 * WAIT_S)
        assert not self._thread.is_alive(), "the helper does not end"
        if self._problems:
            raise self._problems[0]


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Does something while the test goes on."""
    helpers: list[Helper] = []
    yield lambda work: helpers.append(Helper(work))
    for helper in helpers:
        helper.join()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Processes of this test."""
    made = Stage(tmp_path)
    yield made
    made.close()


class Ran:
    """A run of a DAG: its state, those of its tasks, and what they said."""

    def __init__(self, run: Any) -> None:
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        self.state = str(run.state)
        self.run_id: str = run.run_id
        self.tasks: dict[str, str] = {}
        self.xcoms: dict[str, Any] = {}
        with create_session() as session:
            for ti in run.get_task_instances(session=session):
                name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]"
                self.tasks[name] = str(ti.state)
                row = session.scalars(
                    XComModel.get_many(
                        run_id=run.run_id,
                        dag_ids=run.dag_id,
                        task_ids=ti.task_id,
                        map_indexes=ti.map_index,
                        key="return_value",
                    )
                ).first()
                if row is not None:
                    self.xcoms[name] = XComModel.deserialize_value(row)


@pytest.fixture(scope="session")
def dags(airflow_db: None) -> dict[str, Any]:
    """Every DAG of the folder."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(DAGS), bundle_name="dags-folder")
    assert bag.import_errors == {}, "\n".join(bag.import_errors.values())
    return dict(bag.dags)


@pytest.fixture
def run(dags: dict[str, Any]) -> Callable[..., Ran]:
    """Runs a DAG by `dag.test`, with the configuration of the run as arguments."""

    def of(dag_id: str, **conf: Any) -> Ran:
        return Ran(dags[dag_id].test(run_conf=conf))

    return of


@pytest.fixture
def succeeds(run: Callable[..., Ran]) -> Callable[..., dict[str, Any]]:
    """Runs a DAG, which has to succeed, and gives what its tasks said."""

    def of(dag_id: str, **conf: Any) -> dict[str, Any]:
        done = run(dag_id, **conf)
        assert done.state == "success", done.tasks
        return done.xcoms

    return of


_COUNTS = {"passed": 0, "failed": 0}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Counts tests; a skip is printed with its reason, and is neither."""
    if report.skipped:
        print(f"\nskip {report.nodeid}: {report.longrepr}", flush=True)
    elif report.failed:
        _COUNTS["failed"] += 1
    elif report.when == "call":
        _COUNTS["passed"] += 1


def pytest_unconfigure() -> None:
    """The line that the stage reads."""
    print(f"\n{_COUNTS['passed']} passed, {_COUNTS['failed']} failed", flush=True)

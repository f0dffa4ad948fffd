"""The tests against real engines: BELLWETHER_OPENSEARCH and BELLWETHER_ELASTICSEARCH say where.

Keeps true: without engines no test of this directory is collected, and this is said; each test has
an index of its own, and asks the same of both engines unless it says why not.
"""

import json
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from bellwether import Client
from conftest import DAGS, WAIT_S
from searchfiles import install

ADDRESSES = {
    name: os.environ[f"BELLWETHER_{name.upper()}"]
    for name in ("opensearch", "elasticsearch")
    if f"BELLWETHER_{name.upper()}" in os.environ
}
if not ADDRESSES:
    print("\nno engines: tests/engines is left out (cargo xtask test airflow starts them)")
    collect_ignore_glob = ["test_*.py"]
else:
    install(DAGS)

for _name, _address in ADDRESSES.items():
    os.environ[f"AIRFLOW_CONN_SEARCH_{_name.upper()}"] = json.dumps(
        {"conn_type": _name, "host": _address}
    )
os.environ["AIRFLOW_CONN_SEARCH_NOWHERE"] = json.dumps({"conn_type": "elasticsearch"})


class Engine:
    """An engine, and an index for one test."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.conn_id = f"search_{name}"
        self.address = ADDRESSES[name]
        self.index = "t-" + uuid.uuid4().hex
        self._http = httpx.Client(base_url=self.address, timeout=WAIT_S, trust_env=False)

    @property
    def conf(self) -> dict[str, str]:
        """The configuration of a run."""
        return {"engine": self.conn_id, "index": self.index}

    def ask(self, method: str, path: str, body: Any = None, missing_ok: bool = False) -> Any:
        """Asks without our own client."""
        answer = self._http.request(method, path, json=body)
        assert answer.is_success or (missing_ok and answer.status_code == 404), answer.text
        return answer.json()

    def document(self, identity: str, index: str | None = None) -> dict[str, Any] | None:
        """A document with its version."""
        found = self.ask("GET", f"/{index or self.index}/_doc/{identity}", missing_ok=True)
        return found if found.get("found") else None

    def source(self, identity: str, index: str | None = None) -> Any:
        """A document."""
        found = self.document(identity, index)
        return None if found is None else found["_source"]

    def put(self, identity: str, document: Any) -> None:
        """Writes a document, and has searches see it."""
        self.ask("PUT", f"/{self.index}/_doc/{identity}?refresh=true", document)

    def count(self, index: str | None = None) -> int:
        """How many documents an index has."""
        name = index or self.index
        self.ask("POST", f"/{name}/_refresh")
        return int(self.ask("GET", f"/{name}/_count")["count"])

    def tasks(self, action: str) -> list[str]:
        """The ids of the engine's tasks."""
        found = self.ask("GET", f"/_tasks?actions={action}")["nodes"]
        return [task for node in found.values() for task in node["tasks"]]

    def close(self) -> None:
        """Removes the index and what is named after it."""
        found = self._http.get(f"/_cat/indices/{self.index}*?h=index&format=json").json()
        for row in found:
            self.ask("DELETE", "/" + row["index"])
        self._http.request("DELETE", f"/_index_template/{self.index}")
        self._http.close()


@pytest.fixture(params=sorted(ADDRESSES))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Both engines, one after the other."""
    made = Engine(request.param)
    yield made
    made.close()


@pytest.fixture
def opensearch() -> Iterator[Engine]:
    """OpenSearch: the zip of Elasticsearch lacks the modules for reindex and for queries."""
    made = Engine("opensearch")
    yield made
    made.close()


@pytest.fixture
def repository(engine: Engine) -> None:
    """The repository `tests` for snapshots."""
    settings = {"type": "fs", "settings": {"location": "tests"}}
    engine.ask("PUT", "/_snapshot/tests", settings)


@pytest.fixture
def lock_node(client: Client) -> Iterator[Callable[[], str]]:
    """Makes paths of locks."""
    made: list[str] = []

    def make() -> str:
        made.append("/lock-" + uuid.uuid4().hex)
        return made[-1]

    yield make
    client.sync("/")
    for path in made:
        if client.exists(path):
            client.delete(path, recursive=True)

"""Article 000's block 4.2, taken out of it where it is present, and our example of the same."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bellwether import Client
from bellwether.recipes import Lock
from conftest import DAGS
from searchfiles import ARTICLE, article_block, can_import

Succeeds = Callable[..., dict[str, Any]]

needs_article = pytest.mark.skipif(
    not ARTICLE.is_file(), reason=f"article 000 is not beside this checkout ({ARTICLE.name})"
)


@pytest.fixture
def index(engine: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """The index that a program names itself."""
    name: str = request.param
    yield name
    engine.ask("DELETE", "/" + name, missing_ok=True)


def test_the_articles_import_can_be_made() -> None:
    from airflow.providers.elasticsearch.operators import elasticsearch  # type: ignore
    from bellwether_airflow.elasticsearch.operators import ElasticsearchOperator

    assert can_import() and elasticsearch.ElasticsearchOperator is ElasticsearchOperator


@needs_article
@pytest.mark.parametrize("index", ["my_index"], indirect=True)
def test_the_block_runs_as_it_stands_on_a_cron_schedule_under_a_lock(
    succeeds: Succeeds,
    dags: dict[str, Any],
    engine: Any,
    index: str,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block = article_block()
    assert block is not None and block in (DAGS / "article_000_4_2.py").read_text()
    dag = dags["article_000_4_2"]
    assert dag.timetable.expression == "*/5 * * * *"
    use(monkeypatch, "my_es_conn", engine)
    first = succeeds("article_000_4_2")["my_task"]
    again = succeeds("article_000_4_2")["my_task"]
    assert again["id"] == "my_id" and again["result"] == "updated"
    # The versions are the fences of the lock's holders.
    assert 1 < first["version"] < again["version"]
    assert engine.source("my_id", index)["title"] == "an article"
    client.sync("/article-000/lock")
    assert Lock(client, "/article-000/lock").contenders() == []


def use(monkeypatch: pytest.MonkeyPatch, conn_id: str, engine: Any) -> None:
    """Has a connection lead to an engine."""
    import json

    value = json.dumps({"conn_type": engine.name, "host": engine.address})
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)


@pytest.mark.parametrize("index", ["journeys"], indirect=True)
def test_the_example_does_the_same(
    succeeds: Succeeds,
    dags: dict[str, Any],
    engine: Any,
    index: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, "journeys", engine)
    said = succeeds("elasticsearch_journey")
    assert dags["elasticsearch_journey"].timetable.expression == "*/15 * * * *"
    assert said["record"]["version"] > 1 and said["seen"]["version"] == said["record"]["version"]
    assert said["how_many"]["count"] >= 1
    assert engine.source(said["record"]["id"], index)["from"] == "Delft"


PAGE = ("doc_search_document", "doc_search_fenced", "doc_search_rebuild", "doc_search_waiting")


def test_the_page_names_these_dags(dags: dict[str, Any]) -> None:
    assert tuple(sorted(name for name in dags if name.startswith("doc_search"))) == PAGE


@pytest.fixture
def pages_indices(engine: Any) -> Iterator[None]:
    """Removes them."""
    yield
    for name in engine.ask("GET", "/_cat/indices/doc-search-*?h=index&format=json"):
        engine.ask("DELETE", "/" + name["index"])


def test_the_page_runs(
    succeeds: Succeeds,
    engine: Any,
    pages_indices: None,
    meanwhile: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, "doc_search", engine)
    said = succeeds("doc_search_document")
    assert said["find"]["hits"][0]["source"] == {"name": "Delft", "seen_by": "write"}
    assert succeeds("doc_search_fenced")["count_up"]["version"] > 1
    if engine.name == "opensearch":
        # The zip of Elasticsearch has no reindex.
        succeeds("doc_search_rebuild")
        assert engine.count("doc-search-current") == 1
    ready = {"doc": {"ready": True}}
    meanwhile(lambda: engine.ask("POST", "/doc-search-state/_update/state", ready))
    assert succeeds("doc_search_waiting")["there"]["id"] == "state"

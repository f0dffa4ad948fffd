"""The DAGs of the documents and of `examples/airflow`, which are tests as they stand."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bellwether import Client
from conftest import ROOT, Ran, until
from dagfiles import document_blocks

from bellwether_airflow.operators import zookeeper as operators
from bellwether_airflow.sensors import zookeeper as sensors

PAGES = document_blocks()
EXAMPLES = sorted(path.stem for path in (ROOT / "examples/airflow").glob("*.py"))
# What needs Elasticsearch or OpenSearch is run by `engines`.
NEEDS_ENGINE = "elasticsearch"
# A server that stands alone has no members to change.
ENDS = {"doc_reconfig": "failed"}


@pytest.mark.parametrize("page", [page for page in PAGES if page != NEEDS_ENGINE])
def test_the_dag_of_a_page(page: str, run: Callable[..., Ran]) -> None:
    name = f"doc_{page.replace('-', '_')}"
    done = run(name)
    assert done.state == ENDS.get(name, "success"), done.tasks


def test_every_class_has_its_page() -> None:
    code = "\n".join(PAGES.values())
    bases = {"ZookeeperOperator"}
    names = set(operators.__all__) | set(sensors.__all__)
    assert {name for name in names - bases if f"{name}(" not in code} == set()


def test_the_index_leads_to_every_page() -> None:
    folder = ROOT / "docs/airflow"
    index = (folder / "README.md").read_text()
    pages = {path.name for path in folder.glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" not in index} == set()


def test_the_tests_that_show_a_claim_are_there() -> None:
    text = (ROOT / "docs/airflow/claims.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    named = [re.findall(r"`([\w/]+\.py)::(\w+)`", row) for row in rows if " claims |" not in row]
    assert len(named) > 30 and all(named), "a claim that nothing shows belongs into limits.md"
    for file, test in {one for row in named for one in row}:
        code = (Path(__file__).parent / file).read_text()
        assert f"\ndef {test}(" in code, f"{file}::{test}"


@pytest.mark.parametrize("example", [name for name in EXAMPLES if NEEDS_ENGINE not in name])
def test_an_example_runs(
    example: str,
    succeeds: Callable[..., dict[str, Any]],
    client: Client,
    word: Callable[[str], str],
    meanwhile: Callable[[Callable[[], object]], None],
) -> None:
    root = "/examples/airflow"
    client.retrying.ensure_path(root)
    if example == "monitor":

        def change() -> None:
            until(lambda: f"{root}/monitor" in word("wchp"), "the watch")
            client.set(f"{root}/monitor", b"changed")

        client.create(f"{root}/monitor")
        meanwhile(change)
    try:
        succeeds(f"example_{example}")
    finally:
        client.sync("/")
        client.delete("/examples", recursive=True)

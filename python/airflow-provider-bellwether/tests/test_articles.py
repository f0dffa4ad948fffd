"""The programs of article 002, taken out of it where it is present, and the examples that do the
same with better names.

Keeps true: the blocks of sections 4.1 to 4.5 run as they stand; that of 4.6 with its class renamed.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bellwether import Client
from conftest import DUMPS, Ran, until
from dagfiles import ARTICLE, SECTIONS, article_blocks

Succeeds = Callable[..., dict[str, Any]]

needs_article = pytest.mark.skipif(
    not ARTICLE.is_file(), reason=f"article 002 is not beside this checkout ({ARTICLE.name})"
)
ROOT = "/article-002"


@pytest.fixture
def node(client: Client) -> Iterator[Callable[[str, bytes], str]]:
    """Makes the node of a section."""

    def make(section: str, data: bytes) -> str:
        return client.create(f"{ROOT}/{section}", data, makepath=True).path

    yield make
    client.sync("/")
    client.delete(ROOT, recursive=True)


@needs_article
def test_every_section_has_its_block() -> None:
    blocks = article_blocks()
    assert [name for name, operator, _ in SECTIONS if f"class {operator}(" in blocks[name]] == [
        name for name, _, _ in SECTIONS
    ]


@needs_article
@pytest.mark.parametrize(
    ("section", "value"), [("4.2", b"airflow-service"), ("4.3", b"airflow-cluster")]
)
def test_creates(
    section: str,
    value: bytes,
    succeeds: Succeeds,
    client: Client,
    node: Callable[[str, bytes], str],
) -> None:
    path = node(section, b"as zkCli.sh made it")
    succeeds("article_002_" + section.replace(".", "_"))
    client.sync(path)
    data, stat = client.get(path)
    # The second task found what the first had written.
    assert (data, stat.version) == (value, 1)


@needs_article
def test_watches(
    succeeds: Succeeds,
    client: Client,
    node: Callable[[str, bytes], str],
    word: Callable[[str], str],
    meanwhile: Callable[[Callable[[], object]], None],
) -> None:
    path = node("4.5", b"0")

    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            until(lambda: done.is_set() or path in word("wchp"), "the watch")
            client.set(path, b"another")

    meanwhile(change)
    try:
        succeeds("article_002_4_5")
    finally:
        done.set()
    assert client.get(path)[1].version >= 2


@needs_article
@pytest.mark.parametrize("section", ["4.1", "4.4"])
def test_dumps(section: str, succeeds: Succeeds, node: Callable[[str, bytes], str]) -> None:
    path = node(section, b"kept")
    succeeds("article_002_" + section.replace(".", "_"))
    kept = kept_dumps(path)
    # Two tasks, a dump each.
    assert len(kept) == 2
    records = [json.loads(line) for line in kept[0].read_bytes().splitlines()]
    assert [record.get("path") for record in records] == [path, path, None]
    assert base64.b64decode(records[1]["data"]) == b"kept"
    assert records[2]["trailer"]["count"] == 1


@needs_article
def test_recovers_with_its_class_renamed(
    succeeds: Succeeds, run: Callable[..., Ran], client: Client, node: Callable[[str, bytes], str]
) -> None:
    path = node("4.6", b"kept")
    # There is no dump of it yet.
    assert set(run("article_002_4_6").tasks.values()) == {"failed"}
    succeeds("tree_dump", path=path)
    client.delete(path)
    succeeds("article_002_4_6")
    client.sync(path)
    assert client.get(path)[0] == b"kept"


def kept_dumps(path: str) -> list[Path]:
    """The dumps of a node."""
    return sorted(DUMPS.glob(f"*/{quote(path, safe='')}/*.jsonl"))

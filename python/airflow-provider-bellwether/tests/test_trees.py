"""Dumps and restores, in runs of DAGs."""

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bellwether import Acl, Client
from conftest import Ran

from bellwether_airflow import restores
from bellwether_airflow.dumps import Node, Place, verify
from bellwether_airflow.errors import Refused
from bellwether_airflow.restores import Restore, placed

Succeeds = Callable[..., dict[str, Any]]
Run = Callable[..., Ran]

READERS = [Acl(31, "world", "anyone")]


@pytest.fixture
def grown(client: Client, root: str) -> dict[str, bytes]:
    """A tree of some nodes, more than a transaction takes."""
    nodes = {f"{root}/n{number:03}": b"\xff%d" % number for number in range(130)}
    nodes |= {f"{root}/n000/deep/er": b"", f"{root}/n000/deep": b"x" * 1000}
    for path in sorted(nodes):
        client.create(path, nodes[path])
    client.create(f"{root}/gone-tomorrow", ephemeral=True)
    return nodes


def contents(client: Client, root: str) -> dict[str, bytes]:
    """What is below a node."""
    client.sync(root)
    found, waiting = {}, [root]
    while waiting:
        path = waiting.pop()
        found[path] = client.get(path)[0]
        waiting += [f"{path}/{name}" for name in client.children(path)]
    return found


def test_a_dump_has_every_node_and_proves_it(
    succeeds: Succeeds, client: Client, root: str, grown: dict[str, bytes], tmp_path: Path
) -> None:
    file = tmp_path / "below" / "dump.jsonl"
    said = succeeds("tree_dump_to", path=root, file=str(file))["dump"]
    assert said["dest"] == str(file) and said["count"] == len(grown) + 2
    assert said["bytes"] == file.stat().st_size and said["zxid_from"] <= said["zxid_to"]
    assert verify(Place(str(file)).lines(), "it") == root
    assert os.listdir(file.parent) == ["dump.jsonl"]
    lines = file.read_bytes().splitlines(keepends=True)
    for damaged in (lines[:-1], lines[:1] + lines[2:], [b"{}\n", *lines[1:]], [b"no\n"]):
        with pytest.raises(Refused):
            verify(iter(damaged), "it")


def test_merge_creates_what_is_missing_and_leaves_the_rest(
    succeeds: Succeeds, client: Client, root: str, grown: dict[str, bytes], tmp_path: Path
) -> None:
    file = str(tmp_path / "dump")
    succeeds("tree_dump_to", path=root, file=file)
    for number in range(120):
        client.delete(f"{root}/n{number:03}", recursive=True)
    client.set(f"{root}/n125", b"mine")
    client.create(f"{root}/other")
    said = succeeds("tree_merge", path=root, file=file)["merge"]
    assert (said["created"], said["different"], said["ephemeral"]) == (122, 1, 1)
    there = contents(client, root)
    assert there.pop(f"{root}/other") == b"" and there.pop(f"{root}/n125") == b"mine"
    assert {path: there[path] for path in grown if path in there} == {
        path: data for path, data in grown.items() if path != f"{root}/n125"
    }


def test_replace_makes_it_the_same_and_dry_run_only_tells(
    succeeds: Succeeds,
    run: Run,
    client: Client,
    hosts: str,
    root: str,
    grown: dict[str, bytes],
    tmp_path: Path,
) -> None:
    file = str(tmp_path / "dump")
    succeeds("tree_dump_to", path=root, file=file)
    before = contents(client, root)
    client.set(f"{root}/n125", b"mine")
    client.set_acl(f"{root}/n126", [Acl(31, "world", "anyone"), Acl(1, "ip", "127.0.0.1")])
    client.create(f"{root}/other/deep", makepath=True)
    client.delete(f"{root}/n001")
    changed = contents(client, root)
    counts = {"created": 1, "updated": 2, "deleted": 2}
    said = succeeds("tree_dry", path=root, file=file)["dry"]
    assert {name: said[name] for name in counts} == counts
    assert contents(client, root) == changed
    # Without the connect string nothing is replaced, and nothing is tried again.
    assert run("tree_replace", path=root, file=file, hosts="other:1").tasks["replace"] == "failed"
    assert contents(client, root) == changed
    assert run("tree_verify", path=root, file=file).tasks == {"verify": "failed"}
    said = succeeds("tree_replace", path=root, file=file, hosts=hosts)
    assert {name: said["replace"][name] for name in counts} == counts
    assert contents(client, root) == before
    assert client.get_acl(f"{root}/n126")[0] == READERS


def test_a_restore_that_was_interrupted_is_gone_on_with(
    client: Client, root: str, grown: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [Node(root + "-new", b"", tuple(READERS), False)]
    nodes += [
        Node(path.replace(root, root + "-new", 1), grown[path], tuple(READERS), False)
        for path in sorted(grown)
    ]
    monkeypatch.setattr(restores, "OPERATIONS_MAX", 7)
    try:
        half = Restore(client, "merge", False)
        half.run(nodes[:60], root + "-new")
        # Another has made some of what a transaction is about to make.
        both = Restore(client, "merge", False)
        raced = iter(nodes)

        def racing() -> Any:
            for number, node in enumerate(raced):
                if number == 65:
                    client.create(nodes[64].path, nodes[64].data)
                yield node

        report = both.run(racing(), root + "-new")
        assert report.same == 60
        assert contents(client, root + "-new").keys() == {node.path for node in nodes}
    finally:
        client.delete(root + "-new", recursive=True)


def test_the_result_of_a_dump_can_be_handed_on(
    succeeds: Succeeds, client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create(root + "/a", b"1")
    client.create(root + "/a/b", b"2")
    monkeypatch.setenv("AIRFLOW__BELLWETHER__DUMP_ROOT", "")
    said = succeeds("tree_handed_on", path=root + "/a")
    assert len(said["dump"]["inline"].splitlines()) == 4
    assert contents(client, root + "/a-copy") == {root + "/a-copy": b"1", root + "/a-copy/b": b"2"}


def test_what_is_too_large_for_a_result_needs_a_place(
    run: Run, client: Client, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.set(root, b"x" * 65536)
    monkeypatch.setenv("AIRFLOW__BELLWETHER__DUMP_ROOT", "")
    assert run("tree_dump", path=root).tasks == {"dump": "failed"}


def test_the_newest_dump_that_is_kept_is_taken(
    succeeds: Succeeds, client: Client, root: str
) -> None:
    for data in (b"old", b"new"):
        client.set(root, data)
        succeeds("tree_dump", path=root)
    client.set(root, b"lost")
    from bellwether_airflow.dumps import read, source_of
    from bellwether_airflow.settings import Settings

    source = source_of(None, Settings(os.environ["BELLWETHER_HOSTS"]), root)
    assert [node.data for node in read(source.lines())] == [b"new"]


def test_an_object_storage_holds_dumps(client: Client, root: str) -> None:
    from airflow.sdk.io import attach

    from bellwether_airflow import dumps

    attach("memory", fs=importlib.import_module("fsspec").filesystem("memory"))
    place = Place("memory://bucket/dumps/a.jsonl")
    said = place.fill(lambda out: dumps.write(out, client, root, None))
    assert verify(place.lines(), "it") == root and said["count"] == 1
    newest = Place("memory://bucket/dumps").newest()
    assert newest is not None and newest.name == "memory://bucket/dumps/a.jsonl"
    assert Place("memory://bucket/none").newest() is None


def test_sessions_are_dumped(succeeds: Succeeds, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "sessions"
    said = succeeds("tree_sessions", file=str(file))["dump"]
    assert said["bytes"] == file.stat().st_size
    assert f"0x{client.session_id:x}" in file.read_text()


def test_a_part_of_a_dump_and_another_place_for_it() -> None:
    nodes = [Node(path, b"", (), False) for path in ("/a", "/a/b", "/a/bc", "/a/b/c")]

    def paths(at: str) -> list[str]:
        return [node.path for node in placed(nodes, "/a", at)]

    assert paths("/a") == ["/a", "/a/b", "/a/bc", "/a/b/c"]
    assert paths("/a/b") == ["/a/b", "/a/b/c"]
    assert paths("/x") == ["/x", "/x/b", "/x/bc", "/x/b/c"]
    assert [node.path for node in placed(nodes, "/", "/a/b")] == ["/a/b", "/a/b/c"]


@pytest.mark.skipif(
    "BELLWETHER_ADMIN" not in os.environ, reason="this server's admin server has no snapshots"
)
def test_a_snapshot_goes_out_and_in_again(succeeds: Succeeds, hosts: str, tmp_path: Path) -> None:
    file, path = tmp_path / "snapshot", f"/air-{tmp_path.name}"
    with Client.connect(hosts) as before:
        before.create(path)
    said = succeeds("tree_snapshot", file=str(file), hosts=hosts)
    assert file.stat().st_size == said["dump"]["bytes"] > 0
    assert said["recover"]["servers"] == [os.environ["BELLWETHER_ADMIN"]]
    # The sessions from before may be over: the database is an earlier one.
    with Client.connect(hosts) as after:
        after.delete(path)

"""Create, get, set, delete and exists, in runs of DAGs."""

from collections.abc import Callable
from typing import Any

from bellwether import Client
from conftest import Ran, until

Succeeds = Callable[..., dict[str, Any]]
Run = Callable[..., Ran]


def test_the_life_of_a_node(succeeds: Succeeds, client: Client, root: str) -> None:
    path = root + "/deep/node"
    said = succeeds("nodes", path=path)
    assert said["create"].keys() == {"path", "version", "czxid", "mzxid", "dataLength"}
    assert said["create"]["version"] == 0 and said["create"]["dataLength"] == 16
    assert said["get"] == {**said["create"], "value": '{"colour":"red"}'}
    assert said["set"]["version"] == 1 and "value" not in said["set"]
    assert said["exists"] == {**said["set"], "exists": True}
    assert said["delete"] == {"path": path, "deleted": True}
    assert said["gone"] == {"path": path, "exists": False}
    client.sync(root)
    assert client.children(root + "/deep") == []


def test_a_node_that_is_missing(run: Run, root: str) -> None:
    path = root + "/missing"
    done = run("nodes_missing", path=path)
    assert done.tasks == {
        "get": "failed",
        "default": "success",
        "delete": "success",
        "must_delete": "failed",
        "only_if_there": "skipped",
    }
    assert done.xcoms["default"] == {"path": path, "default": True, "value": 7}
    assert done.xcoms["delete"] == {"path": path, "deleted": False}


def test_hosts_may_be_given_in_place_of_a_connection(succeeds: Succeeds, hosts: str) -> None:
    assert succeeds("nodes_by_arguments", hosts=hosts)["get"]["path"] == "/"


def test_a_sequential_node_has_its_owner_in_its_name(
    succeeds: Succeeds, client: Client, root: str
) -> None:
    names = {succeeds("nodes_sequential", path=root)["create"]["path"] for _ in range(2)}
    client.sync(root)
    assert names == {f"{root}/{name}" for name in client.children(root)} and len(names) == 2


def test_modes_and_access_lists(succeeds: Succeeds, client: Client, root: str) -> None:
    said = succeeds("nodes_modes", path=root)
    assert said["closed"]["value_base64"] == "/w=="
    client.sync(root)
    acl, _ = client.get_acl(root + "/r")
    assert [(entry.scheme, entry.id, entry.perms) for entry in acl] == [("world", "anyone", 1)]
    # Servers do not tell a container or a time-to-live in a node's stat.
    assert sorted(client.children(root)) == ["c", "r", "t"]


def test_what_no_retry_can_mend_is_not_retried(run: Run) -> None:
    done = run("nodes_refused")
    assert set(done.tasks.values()) == {"failed"}, done.tasks


def test_mapped_tasks(succeeds: Succeeds, client: Client, root: str) -> None:
    succeeds("nodes_mapped", path=root + "/m")
    client.sync(root)
    assert client.get(root + "/m")[0] == b"a"


def test_a_trigger_holds_an_ephemeral_node_until_it_is_told(
    succeeds: Succeeds,
    client: Client,
    root: str,
    meanwhile: Callable[[Callable[[], object]], None],
) -> None:
    seen: list[int] = []

    def release() -> None:
        until(lambda: client.exists(root + "/e"), "the held node")
        stat = client.exists(root + "/e")
        seen.append(stat.ephemeral_owner if stat else 0)
        client.create(root + "/stop")

    meanwhile(release)
    said = succeeds("nodes_held", path=root)
    assert said["held"] == {"path": root + "/e", "held": True}
    assert seen[0] not in (0, client.session_id)
    client.sync(root)
    assert client.children(root) == ["stop"]

"""Transactions, counters, claims, quotas and members, in runs of DAGs."""

from collections.abc import Callable
from typing import Any

import bellwether
import pytest
from bellwether import Client
from conftest import Ran, until

from bellwether_airflow.errors import Refused
from bellwether_airflow.operators.cluster import ZookeeperReconfigOperator, configuration
from bellwether_airflow.settings import Settings

Succeeds = Callable[..., dict[str, Any]]
Run = Callable[..., Ran]
Meanwhile = Callable[[Callable[[], object]], None]


def test_every_write_happens_once(succeeds: Succeeds, client: Client, root: str) -> None:
    said = succeeds("write_twice", path=root)["twice"]
    client.sync(root)
    assert client.get(root + "/count")[0] == b"5"
    assert [(one["value"], one["repeated"]) for one in said["counter"]] == [(5, False), (5, True)]
    assert [one["repeated"] for one in said["multi"]] == [False, True]
    assert client.get(root + "/made")[0] == b'{"a":1}'
    assert said["create"][0] == said["create"][1]
    assert said["sequential"][0] == said["sequential"][1]
    assert len(client.children(root + "/marks")) == 3
    assert len([name for name in client.children(root) if name.startswith("n-")]) == 1


def test_counters_of_several_tasks_and_runs(succeeds: Succeeds, client: Client, root: str) -> None:
    for _ in range(2):
        succeeds("write_count", path=root)
    client.sync(root)
    assert client.get(root + "/count")[0] == b"-4"


def test_a_node_that_holds_no_number_is_not_counted(run: Run, client: Client, root: str) -> None:
    client.create(root + "/count", b"many")
    assert set(run("write_count", path=root).tasks.values()) == {"failed"}
    assert client.get(root + "/count")[0] == b"many"


def test_transactions_that_are_not_possible(run: Run, root: str) -> None:
    assert set(run("write_refused", path=root).tasks.values()) == {"failed"}


def test_all_or_nothing(run: Run, client: Client, root: str) -> None:
    assert run("write_all_or_nothing", path=root).tasks == {"multi": "failed"}
    client.sync(root)
    assert client.children(root) == []


def test_one_run_goes_on_and_the_others_are_skipped(run: Run, root: str) -> None:
    key = "2026-11-22T00:00:00+00:00/a"
    first = run("once_skip", path=root, key=key)
    assert first.tasks == {"claim": "success", "done": "success"}
    assert run("once_skip", path=root, key=key).tasks == {"claim": "skipped", "done": "skipped"}
    assert run("once_fail", path=root, key=key).tasks["claim"] == "failed"
    assert run("once_wait", path=root, key=key).tasks["claim"] == "skipped"
    assert run("once_fail", path=root, key="another").tasks["claim"] == "success"


def test_a_run_waits_until_another_is_done(
    run: Run, client: Client, root: str, word: Callable[[str], str], meanwhile: Meanwhile
) -> None:
    from bellwether.recipes import Once

    other = Once(client, root, owner="other")
    assert other.claim("k").kind == "first"

    def finish() -> None:
        until(lambda: root + "/keys/k" in word("wchp"), "the watch")
        other.done("k", b"well")

    meanwhile(finish)
    assert run("once_wait", path=root, key="k").tasks == {"claim": "skipped", "done": "skipped"}


def test_quotas(run: Run, client: Client, root: str) -> None:
    client.create(root + "/below")
    done = run("quota", path=root)
    assert done.tasks == {"soft": "success", "hard": "success", "below": "failed"}
    limits = f"/zookeeper/quota{root}/zookeeper_limits"
    try:
        client.sync(limits)
        data = client.get(limits)[0]
        assert data == b"count=7,bytes=-1=;byteHardLimit=99;countHardLimit=-1"
        assert client.get(f"/zookeeper/quota{root}/zookeeper_stats")[0].startswith(b"count=2,")
    finally:
        client.delete(f"/zookeeper/quota{root}", recursive=True)


def test_a_server_that_stands_alone_has_no_members_to_change(run: Run) -> None:
    assert run("reconfig_alone").tasks == {"reconfig": "failed"}


class Ensemble:
    """The part of a client that changes members, with answers of an ensemble."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.version = 0x100000000
        self.calls: list[dict[str, Any]] = []
        self.losses = 0
        self.retrying = self

    def sync(self, path: str) -> None:
        """Nothing to wait for."""

    def config(self) -> tuple[bytes, None]:
        """The configuration, as servers write it."""
        return "\n".join([*self.lines, f"version={self.version:x}"]).encode(), None

    def reconfigure(self, **change: Any) -> tuple[bytes, None]:
        """Adds who joins; the first answers are lost."""
        self.calls.append(change)
        assert change["version"] == self.version
        self.version += 1
        self.lines = [*self.lines, change["joining"].replace(";", ":participant;0.0.0.0:")]
        if self.losses:
            self.losses -= 1
            raise bellwether.ConnectionLossError("lost")
        return self.config()


ONE = "server.1=a:2888:3888:participant;0.0.0.0:2181"


def reconfigured(ensemble: Ensemble, **arguments: Any) -> Any:
    """What the operator says."""
    made = ZookeeperReconfigOperator(task_id="t", **arguments)
    client: Any = ensemble
    context: Any = {}
    return made.work(context, client, Settings("a:1"))


def test_what_is_so_already_is_not_changed() -> None:
    ensemble = Ensemble([ONE])
    for arguments in (
        {"leaving": "9"},
        {"joining": "server.1=a:2888:3888;2181"},
        {"members": [ONE]},
    ):
        assert reconfigured(ensemble, **arguments)["changed"] is False
    assert ensemble.calls == []


def test_members_change_once_though_the_answer_is_lost() -> None:
    ensemble = Ensemble([ONE])
    ensemble.losses = 1
    said = reconfigured(ensemble, joining="server.2=b:2888:3888;2181")
    assert len(ensemble.calls) == 1 and ensemble.calls[0]["version"] == 0x100000000
    assert said["servers"].keys() == {"1", "2"}


@pytest.mark.parametrize(
    "arguments",
    [{}, {"members": "server.1=a", "leaving": "1"}, {"leaving": "me"}, {"joining": "b:2888"}],
)
def test_changes_of_members_that_are_not_possible(arguments: dict[str, str]) -> None:
    with pytest.raises(Refused):
        reconfigured(Ensemble([ONE]), **arguments)


def test_a_configuration_that_is_none() -> None:
    with pytest.raises(Refused, match="no ensemble"):
        configuration(b"")

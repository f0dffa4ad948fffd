"""Hosts: lost ones, and those that ZooKeeper knows of."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from bellwether import Client
from bellwether_airflow.elasticsearch.discovery import connected
from bellwether_airflow.elasticsearch.operators import ElasticsearchOperator
from bellwether_airflow.elasticsearch.settings import Registry, SearchSettings
from bellwether_airflow.hooks.search import SearchAsyncHook, SearchHook
from bellwether_airflow.settings import Settings
from bellwether_airflow.waiting import logger
from conftest import HOSTS, Ran
from scripted import Scripted, dead_address
from searching import context_of

Succeeds = Callable[..., dict[str, Any]]


def test_a_lost_host_is_passed_over(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = ",".join([dead_address(), engine.address, dead_address()])
    connection = {"conn_type": engine.name, "host": hosts}
    monkeypatch.setenv("AIRFLOW_CONN_SEARCH_LOST", json.dumps(connection))
    for number in range(3):
        task = ElasticsearchOperator(
            task_id="t", es_conn_id="search_lost", index=engine.index, id=number, doc={"n": number}
        )
        assert task.execute(context_of(task))["result"] == "created"
    assert engine.count() == 3


def test_which_engine_it_is(engine: Any) -> None:
    with SearchHook(engine.conn_id) as hook:
        assert hook.engine() == engine.name
    fine, said = SearchHook(engine.conn_id).test_connection()
    assert fine and engine.name in said and engine.address in said

    async def ask() -> Any:
        async with SearchAsyncHook(engine.conn_id).client() as client:
            return await client.ask("GET", "/_cluster/health")

    assert asyncio.run(ask()).engine == engine.name


def node(address: str, phase: str = "ready") -> bytes:
    """What an agent publishes about its node."""
    return json.dumps({"http": address.removeprefix("http://"), "phase": phase}).encode()


def test_hosts_are_found_in_zookeeper(
    succeeds: Succeeds, engine: Any, client: Client, root: str
) -> None:
    client.create(root + "/nodes")
    client.create(root + "/nodes/a", node(engine.address), ephemeral=True)
    client.create(root + "/nodes/b", node(dead_address(), "starting"), ephemeral=True)
    client.create(root + "/nodes/c", b"not JSON", ephemeral=True)
    said = succeeds("search_discovered", discovery=f"zk://{root}", **engine.conf)
    assert said["index"]["result"] == "created"


def test_without_a_node_that_is_ready(
    run: Callable[..., Ran], engine: Any, client: Client, root: str
) -> None:
    client.create(root + "/nodes")
    client.create(root + "/nodes/a", node(engine.address, "stopping"), ephemeral=True)
    discovery = f"zk://zookeeper_default{root}"
    assert run("search_discovered", discovery=discovery, **engine.conf).tasks == {"index": "failed"}


def test_discovery_is_followed(engine: Any, client: Client, root: str) -> None:
    """A client that lives on asks the nodes of this moment."""
    other = Scripted([], reply=lambda *_: (200, {"other": True}))
    client.create(root + "/nodes")
    client.create(root + "/nodes/a", node(engine.address), ephemeral=True)

    async def main() -> None:
        registry = Registry(Settings(HOSTS), root + "/nodes")
        settings = SearchSettings((), registry=registry)
        async with connected(settings, logger("test")) as search:

            async def hosts(*expected: str) -> None:
                for _ in range(3000):
                    if search.hosts.addresses == tuple(sorted(expected)):
                        return
                    await asyncio.sleep(0.02)
                raise AssertionError(f"{search.hosts.addresses} are asked")

            await hosts(engine.address)
            await asyncio.to_thread(client.create, root + "/nodes/b", node(other.address))
            await hosts(engine.address, other.address)
            await asyncio.to_thread(client.set, root + "/nodes/a", node(engine.address, "stopping"))
            await hosts(other.address)
            assert (await search.ask("GET", "/x", resend=True)).body == {"other": True}
            # None is ready: the last ones stay.
            await asyncio.to_thread(client.delete, root + "/nodes/b")
            await asyncio.to_thread(client.set, root + "/nodes/a", node(engine.address))
            await hosts(engine.address)

    asyncio.run(main())
    other.close()

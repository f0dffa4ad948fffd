"""Hooks: what programs of users do with the sessions of a connection."""

import asyncio

from bellwether import Client
from bellwether.recipes import Instance, Registry
from conftest import WAIT_S

from bellwether_airflow.hooks.zookeeper import ZooKeeperAsyncHook, ZooKeeperHook


def test_services_are_discovered(client: Client, root: str) -> None:
    async def elsewhere() -> list[tuple[str, int]]:
        async with ZooKeeperAsyncHook().discover(root, "search") as found:
            return [(one.address, one.port) for one in found.instances()]

    with Registry(client, root).register("search", Instance("a", "10.0.0.1", 9200)):
        client.sync(root)
        with ZooKeeperHook() as hook, hook.discover(root, "search") as found:
            assert [(one.address, one.port) for one in found.instances()] == [("10.0.0.1", 9200)]
            with found.watch() as watch:
                with Registry(client, root).register("search", Instance("b", "10.0.0.2", 9201)):
                    while len(instances := watch.next(WAIT_S)) < 2:
                        pass
                    assert {one.id for one in instances} == {"a", "b"}
        assert ("10.0.0.1", 9200) in asyncio.run(elsewhere())


def test_watches_and_locks_of_hooks(client: Client, root: str) -> None:
    async def elsewhere() -> None:
        hook = ZooKeeperAsyncHook()
        async with hook.watch(root, recursive=True) as watch:
            await asyncio.to_thread(client.create, root + "/b")
            assert (await watch.next(WAIT_S)).path == root + "/b"  # type: ignore[union-attr]
        async with hook.lock(root + "/lock") as lock, lock.acquire(WAIT_S):
            assert len(await asyncio.to_thread(client.children, root + "/lock")) == 1

    with ZooKeeperHook() as hook:
        with hook.watch(root, recursive=True) as watch:
            client.create(root + "/a")
            assert watch.next(WAIT_S).path == root + "/a"  # type: ignore[union-attr]
        with hook.lock(root + "/lock").acquire(WAIT_S):
            client.sync(root)
            assert len(client.children(root + "/lock")) == 1
    asyncio.run(elsewhere())

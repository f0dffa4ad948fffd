"""What only asyncio has: futures, cancellation, loops that come and go."""

import asyncio
import gc
import os
from collections.abc import Callable

import pytest
from bellwether import AsyncClient, BadVersionError, Client, NoNodeError, WatchEvent
from conftest import WAIT_S, run, until


def connecting(hosts: str) -> "asyncio.Future[AsyncClient]":
    """A client that begins; as a future, since Connecting can be awaited once only."""

    async def begin() -> AsyncClient:
        return await AsyncClient.connect(hosts, connect_timeout=WAIT_S)

    return asyncio.ensure_future(begin())


def test_operations_begin_with_their_call_and_keep_its_order(hosts: str, root: str) -> None:
    async def main() -> None:
        async with AsyncClient.connect(hosts) as client:
            sets = [client.set(root, b"%d" % number, number) for number in range(300)]
            last = client.get(root)
            assert (await last)[0] == b"299"
            assert [stat.version for stat in await asyncio.gather(*sets)] == list(range(1, 301))

    run(main)


def test_futures_are_those_of_asyncio(hosts: str, root: str) -> None:
    async def main() -> None:
        client = await AsyncClient.connect(hosts)
        future = client.exists(root)
        assert asyncio.isfuture(future) and future.get_loop() is asyncio.get_running_loop()
        results = await asyncio.gather(
            future, client.get("/missing"), client.set(root, b"", 77), return_exceptions=True
        )
        assert [type(result) for result in results[1:]] == [NoNodeError, BadVersionError]
        async with asyncio.TaskGroup() as group, client:
            watch = await client.watch(root)
            task = group.create_task(first(watch))
            await client.set(root, b"1")
        assert task.result().kind == "changed"

    async def first(watch: object) -> WatchEvent:
        async for event in watch:  # type: ignore[attr-defined]
            return event  # type: ignore[no-any-return]
        raise AssertionError("it ended")

    run(main)


def test_a_wait_that_is_cancelled_loses_no_event(hosts: str, root: str) -> None:
    async def main() -> None:
        async with AsyncClient.connect(hosts) as client:
            lasting = await client.watch(root)
            _, _, once = await client.get_and_watch(root)
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(lasting.next(), 0.02)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(once.wait(), 0.02)
                cancelled = lasting.next()
                cancelled.cancel()
            await client.set(root, b"1")
            event = await lasting.next(WAIT_S)
            assert event == await once.wait(WAIT_S) and isinstance(event, WatchEvent)

    run(main)


def test_a_request_that_is_cancelled_harms_nobody(hosts: str, root: str) -> None:
    async def main() -> None:
        async with AsyncClient.connect(hosts) as client:
            for _ in range(50):
                client.get(root).cancel()
                gone, kept = client.set(root, b"x"), client.get(root)
                gone.cancel()
                assert (await kept)[0] == b"x"

    run(main)


def test_to_cancel_connect_gives_it_up(hosts: str, word: Callable[[str], str]) -> None:
    async def main() -> None:
        beginning = asyncio.ensure_future(connecting("127.0.0.1:1"))
        await asyncio.sleep(0)
        beginning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beginning

    run(main)


def test_a_loop_may_be_closed_while_requests_are_under_way(hosts: str, root: str) -> None:
    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(connected(hosts))
    loop.run_until_complete(begun(client, root))
    loop.close()
    other = asyncio.new_event_loop()
    assert other.run_until_complete(read(client, root)) == b"99"
    other.run_until_complete(closed(client))
    other.close()


async def connected(hosts: str) -> AsyncClient:
    """A client of the running loop."""
    return await AsyncClient.connect(hosts)


async def begun(client: AsyncClient, root: str) -> None:
    """Requests that nobody awaits."""
    for number in range(100):
        client.set(root, b"%d" % number)
        client.get("/missing")


async def read(client: AsyncClient, root: str) -> bytes:
    """Data, by a loop that the client was not made in."""
    return (await client.get(root))[0]


async def closed(client: AsyncClient) -> None:
    """Ends the session."""
    await client.close()


def test_without_a_running_loop_there_is_an_error_and_no_request(hosts: str, root: str) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        AsyncClient.connect(hosts)
    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(connected(hosts))
    with pytest.raises(RuntimeError, match="no running event loop"):
        client.get(root)
    loop.run_until_complete(closed(client))
    loop.close()


def test_what_is_dropped_leaves_no_session_and_no_descriptor(
    hosts: str, root: str, client: Client
) -> None:
    async def main() -> None:
        async with AsyncClient.connect(hosts):
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(20):
                dropped = await AsyncClient.connect(hosts)
                await dropped.create(root + "/e-", ephemeral=True, sequential=True)
                watch = await dropped.watch(root)
                del dropped, watch
            gc.collect()
            while await_less := len(os.listdir("/proc/self/fd")) - before:
                assert await_less >= 0
                await asyncio.sleep(0.02)

    run(main)
    until(lambda: client.children(root) == [], "the end of the sessions")

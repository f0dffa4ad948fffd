"""What this client and kazoo cost their process: CPU per get, and the time of an import.

Usage: compare.py HOST:PORT [ROUNDS]

Both ask the same server for the same node of 100 bytes, in turn, each in a process of its own.
CPU is that of the whole client process, user and system, all threads (`time.process_time`).
Asynchronous gets keep 100 requests in flight: ours as 100 tasks that await one after the other,
kazoo's as a window of 100 `get_async`. The last line of standard output is JSON.

Keeps true: a figure is the median of the rounds. Leaves the verdict to the reader.
"""

import json
import statistics
import subprocess
import sys

NODE = "/compare"
SYNC_GETS = 5_000
ASYNC_GETS = 20_000
IN_FLIGHT = 100

PRELUDE = """
import sys, time
HOSTS, NODE, COUNT, IN_FLIGHT = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def cpu(work):
    work(COUNT // 10)
    start = time.process_time()
    work(COUNT)
    print((time.process_time() - start) / COUNT * 1e6)
"""

PROGRAMS = {
    ("sync get", "bellwether"): """
import bellwether
client = bellwether.Client.connect(HOSTS)
def work(count):
    for _ in range(count):
        client.get(NODE)
cpu(work)
client.close()
""",
    ("sync get", "kazoo"): """
from kazoo.client import KazooClient
client = KazooClient(HOSTS)
client.start()
def work(count):
    for _ in range(count):
        client.get(NODE)
cpu(work)
client.stop()
""",
    ("asynchronous get", "bellwether"): """
import asyncio, bellwether
async def main():
    async with bellwether.AsyncClient.connect(HOSTS) as client:
        async def run(count):
            for _ in range(count):
                await client.get(NODE)
        async def work(count):
            await asyncio.gather(*[run(count // IN_FLIGHT) for _ in range(IN_FLIGHT)])
        await work(COUNT // 10)
        start = time.process_time()
        await work(COUNT)
        print((time.process_time() - start) / COUNT * 1e6)
asyncio.run(main())
""",
    ("asynchronous get", "kazoo"): """
from collections import deque
from kazoo.client import KazooClient
client = KazooClient(HOSTS)
client.start()
def work(count):
    window = deque()
    for _ in range(count):
        if len(window) == IN_FLIGHT:
            window.popleft().get()
        window.append(client.get_async(NODE))
    while window:
        window.popleft().get()
cpu(work)
client.stop()
""",
    ("import", "bellwether"): """
start = time.perf_counter()
import bellwether
print((time.perf_counter() - start) * 1e6)
""",
    ("import", "kazoo"): """
start = time.perf_counter()
import kazoo.client
print((time.perf_counter() - start) * 1e6)
""",
}
MEASURES = {"sync get": SYNC_GETS, "asynchronous get": ASYNC_GETS, "import": 1}


def run(program: str, hosts: str, count: int) -> float:
    """What one program prints: microseconds."""
    arguments = [hosts, NODE, str(count), str(IN_FLIGHT)]
    command = [sys.executable, "-c", PRELUDE + program, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Measures in turn and prints a table, then the figures as JSON."""
    import bellwether

    hosts = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with bellwether.Client.connect(hosts) as client:
        try:
            client.create(NODE, bytes(100))
        except bellwether.NodeExistsError:
            client.set(NODE, bytes(100))
    figures: dict[tuple[str, str], list[float]] = {key: [] for key in PROGRAMS}
    for _ in range(rounds):
        for key, program in PROGRAMS.items():
            figures[key].append(run(program, hosts, MEASURES[key[0]]))
    with bellwether.Client.connect(hosts) as client:
        client.delete(NODE)
    medians = {}
    for measure in MEASURES:
        ours = statistics.median(figures[measure, "bellwether"])
        theirs = statistics.median(figures[measure, "kazoo"])
        medians[measure] = {"bellwether_us": ours, "kazoo_us": theirs}
        print(f"{measure:<17} {ours:9.1f} us   kazoo {theirs:9.1f} us   ratio {theirs / ours:5.1f}")
    print(json.dumps(medians))


if __name__ == "__main__":
    main()

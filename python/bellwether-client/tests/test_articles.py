"""The programs of `examples/articles`, and the articles' own words where those can work.

Keeps true: each program ends well and leaves no node behind.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bellwether import Client
from bellwether.articles import ACL_PERMISSIONS, ZooClient, ZooDefs, ZooKeeper, ZooServer

ROOT = Path(__file__).parents[3]
PROGRAMS = sorted((ROOT / "examples/articles").glob("a[0-9]*"))
LIMIT_S = 60


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: str(path.stem))
def test_the_program_runs(program: Path, client: Client, hosts: str) -> None:
    before = client.children("/")
    runner = {".py": [sys.executable, "-B"], ".sh": ["bash"]}[program.suffix]
    path = f"{ROOT / 'deploy/compat/bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*runner, str(program)],
        env={**os.environ, "ZOOKEEPER_HOST": hosts, "PATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    client.sync()
    assert client.children("/") == before


def test_every_article_has_its_programs() -> None:
    assert {program.stem[:4] for program in PROGRAMS} == {"a000", "a001", "a002", "a003", "a004"}


def test_the_server_of_article_003_in_its_own_words(hosts: str) -> None:
    class MyServer(ZooServer):
        def __init__(self, zk: ZooKeeper) -> None:
            self.zk = zk
            self.leader = None

        def on_leader_change(self, zk: ZooKeeper, path: str, state: str) -> None:
            if state == ZooKeeper.EVENT_STATE_CONNECTED:
                self.leader = path

        def acquire_lock(self) -> bool:
            if self.leader is None:
                return False
            self.zk.create(self.leader, b"", ZooDefs.Id.ephemeral, ACL_PERMISSIONS)
            return True

        def release_lock(self) -> bool:
            if self.leader is None:
                return False
            self.zk.delete(self.leader, -1)
            return True

    with ZooKeeper(hosts, 3000, None, leader_path="/article-003") as zk:
        server = MyServer(zk)
        server.start()
        assert server.acquire_lock()
        assert zk.exists("/article-003") is not None
        assert server.release_lock()
        assert zk.exists("/article-003") is None


def test_the_calls_of_the_articles(hosts: str, root: str) -> None:
    zk = ZooClient(hosts)
    lock_path = root + "/my_lock"
    zk.create(lock_path, b"", ZooDefs.OpenACL_SECURITY)
    existing = zk.exists(lock_path)
    assert existing is not None
    zk.delete(lock_path, existing[0])
    assert zk.get_children(root) == []
    numbered = zk.create(root + "/n-", "text", ZooDefs.Id.persistent_sequential)
    assert zk.get(numbered) == b"text"
    zk.close()

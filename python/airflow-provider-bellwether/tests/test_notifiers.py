"""The notifier, in runs of DAGs and by itself."""

import asyncio
import json
from collections.abc import Callable

from bellwether import Client
from bellwether_airflow.notifications.zookeeper import ZooKeeperNotifier
from conftest import Ran

Run = Callable[..., Ran]


def test_tasks_tell_how_they_end(run: Run, client: Client, root: str) -> None:
    for version in range(2):
        done = run("notifiers", path=root)
        assert done.tasks == {"well": "success", "unwell": "failed", "wrong": "success"}
        client.sync(root)
        data, stat = client.get(root + "/news")
        assert (data, stat.version) == (b"well is done", version)
        news = json.loads(client.get(root + "/deep/news")[0])
        assert news["task_id"] == "unwell" and news["run_id"] == done.run_id
        assert news["dag_id"] == "notifiers" and news["when"].endswith("+00:00")
        assert client.get(root + "/last")[0] == b'{"of":4}'


def test_in_a_triggerer(airflow_db: None, client: Client, root: str) -> None:
    async def tell() -> None:
        await ZooKeeperNotifier(root + "/a/b", "late", context={})
        await ZooKeeperNotifier(root + "/a/b", "later", context={})
        await ZooKeeperNotifier("relative", "never", context={})
        await ZooKeeperNotifier(root, "never", "no_such", context={})

    asyncio.run(tell())
    client.sync(root)
    data, stat = client.get(root + "/a/b")
    assert (data, stat.version) == (b"later", 1)
    assert client.get(root)[0] == b""


def test_the_documents_dag(run: Run, client: Client) -> None:
    assert run("doc_notifier").state == "success"
    client.sync("/")
    assert json.loads(client.get("/docs/news/load")[0])["dag_id"] == "doc_notifier"

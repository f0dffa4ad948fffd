"""A task in a process that Airflow's own supervisor forks and watches, without a deployment.

Usage: supervised.py FILE DAG TASK [MARK]

The supervisor and the task's process are those of a worker; the API server is a stand-in, which
says that the task may run, and from the moment that the file MARK exists that it may not: what a
worker is told whose task somebody has marked. It says `state STATE` for what is reported to it.
A SIGTERM of this process is what a worker gets that is told to stop.
"""

import json
import os
import sys
import uuid
from pathlib import Path

os.environ["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"] = "1"

import httpx  # noqa: E402
from airflow.executors.workloads.base import BundleInfo  # noqa: E402
from airflow.executors.workloads.task import TaskInstanceDTO  # noqa: E402
from airflow.sdk.api.client import Client  # noqa: E402
from airflow.sdk.execution_time.supervisor import supervise_task  # noqa: E402

WHEN = "2026-01-01T00:00:00Z"


class ApiServer:
    """Answers what a worker asks about one task."""

    def __init__(self, dag: str, mark: Path | None) -> None:
        self._dag = dag
        self._mark = mark

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """An answer."""
        path = request.url.path
        if path.endswith("/run"):
            return httpx.Response(200, json=self._context())
        if path.endswith("/state"):
            print("state", json.loads(request.content)["state"], flush=True)
            return httpx.Response(204)
        if path.endswith("/heartbeat") and self._mark is not None and self._mark.exists():
            return httpx.Response(409, json={"detail": {"reason": "not_running"}})
        if path.startswith(("/connections/", "/variables/")):
            return httpx.Response(404, json={"detail": {"reason": "not_found"}})
        return httpx.Response(200, json={})

    def _context(self) -> dict[str, object]:
        times = ("logical_date", "data_interval_start", "data_interval_end", "start_date")
        run: dict[str, object] = dict.fromkeys(times, WHEN)
        run |= {"dag_id": self._dag, "run_id": "run", "run_after": WHEN, "end_date": None}
        run |= {"run_type": "manual", "state": "running", "consumed_asset_events": []}
        run |= {"partition_key": None}
        return {"dag_run": run, "max_tries": 0, "should_retry": False}


def main() -> int:
    """The program."""
    file, dag, task, *marks = sys.argv[1:]
    ti = TaskInstanceDTO(
        id=uuid.uuid4(),
        dag_version_id=uuid.uuid4(),
        dag_id=dag,
        task_id=task,
        run_id="run",
        try_number=1,
        map_index=-1,
        pool_slots=1,
        queue="default",
        priority_weight=1,
    )
    server = httpx.MockTransport(ApiServer(dag, Path(marks[0]) if marks else None))
    return supervise_task(
        ti=ti,  # type: ignore[arg-type]
        bundle_info=BundleInfo(name="dags-folder", version=None),
        dag_rel_path=file,
        token="",
        client=Client(base_url=None, dry_run=True, token="", transport=server),
        subprocess_logs_to_stdout=True,
    )


if __name__ == "__main__":
    sys.exit(main())

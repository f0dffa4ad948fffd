"""The plugin: what listeners announce, the page of the registry, the sensor for components."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from bellwether import Client
from bellwether.recipes import Instance, Registration, Registry

from bellwether_airflow import announcing
from bellwether_airflow.launcher.datagrams import Announcement, Ear
from bellwether_airflow.plugins import listeners
from bellwether_airflow.plugins.registry import BellwetherPlugin
from bellwether_airflow.version_compat import AirflowFailException


class Job:
    """Stands for the job of a scheduler."""


class TaskRunnerMarker:
    """Has the name of what Airflow gives for a task's process."""


class Run:
    """Stands for a run of a DAG."""

    dag_id = "report_daily"
    run_id = "manual"


@pytest.fixture
def ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What an agent would hear."""
    agent = str(tmp_path / "agent.sock")
    monkeypatch.setenv("AIRFLOW__BELLWETHER__AGENT_SOCKET", agent)
    monkeypatch.setenv("AIRFLOW__BELLWETHER__DEPLOYMENT", "blue")
    made = Ear(announcing.events_of(agent))
    yield made
    made.close()


def heard(ear: Ear) -> Announcement:
    """The next announcement."""
    found = ear.hear()
    assert found is not None
    return found


def test_a_component_is_announced_and_a_tasks_process_is_not(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/venv/bin/airflow", "scheduler", "--pid", "x"])
    threads = threading.active_count()
    listeners.on_starting(TaskRunnerMarker())
    listeners.on_starting(Job())
    listeners.before_stopping(TaskRunnerMarker())
    listeners.before_stopping(Job())
    first, second = heard(ear), heard(ear)
    assert first.said["kind"] == "start"
    assert second.said["kind"] == "stop"
    assert (first.said["component"], first.said["deployment"]) == ("scheduler", "blue")
    assert threading.active_count() == threads


def test_only_runs_of_chosen_dags_are_announced(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners.on_dag_run_success(Run(), "")
    monkeypatch.setenv("AIRFLOW__BELLWETHER__STATE_DAGS", "load_*")
    listeners.on_dag_run_success(Run(), "")
    monkeypatch.setenv("AIRFLOW__BELLWETHER__STATE_DAGS", "load_*, report_*")
    listeners.on_dag_run_failed(Run(), "")
    said = heard(ear).said
    assert (said["dag"], said["state"], said["run_id"]) == ("report_daily", "failed", "manual")


def test_a_listener_never_blocks_and_never_raises(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = announcing.dropped()
    while announcing.dropped() == before:
        # Nobody reads: the kernel's queue fills up, and then announcements are dropped.
        listeners.on_starting(Job())
    monkeypatch.setenv("AIRFLOW__BELLWETHER__STATE_DAGS", "*")
    listeners.on_dag_run_running(object(), "")


def test_the_plugin_offers_what_airflow_looks_for() -> None:
    assert BellwetherPlugin.listeners == [listeners]
    (app,) = BellwetherPlugin.fastapi_apps
    assert app["url_prefix"] == "/bellwether"
    assert [route.path for route in app["app"].routes] == ["/registry"]


def test_the_page_is_for_users_who_are_logged_in(
    ear: Ear, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import create_app
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    create_app("core")
    (plugged,) = BellwetherPlugin.fastapi_apps
    app = FastAPI()
    app.mount(plugged["url_prefix"], plugged["app"])
    asked = TestClient(app, raise_server_exceptions=False)
    assert asked.get("/bellwether/registry").status_code == 401
    assert asked.get("/bellwether/docs").status_code == 404
    assert asked.get("/bellwether/openapi.json").status_code == 404
    plugged["app"].dependency_overrides[get_user] = lambda: "someone"
    try:
        answer = asked.get("/bellwether/registry")
    finally:
        plugged["app"].dependency_overrides.clear()
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["detail"]


def test_the_api_server_announces_itself_by_its_lifespan(ear: Ear) -> None:
    from fastapi.testclient import TestClient

    (plugged,) = BellwetherPlugin.fastapi_apps
    with TestClient(plugged["app"]):
        said = heard(ear).said
    assert (said["kind"], said["component"]) == ("start", "api-server")
    assert heard(ear).said["kind"] == "stop"


@pytest.mark.parametrize("dag", ["components_deferred", "components_asked"])
def test_the_sensor_waits_for_components_that_are_up(
    dag: str,
    client: Client,
    root: str,
    succeeds: Any,
    meanwhile: Any,
) -> None:
    deployment = root.removeprefix("/")
    registry = Registry(client, f"/airflow/{deployment}/registry")
    # A registration ends when nobody holds it any longer.
    held: list[Registration] = []

    def work() -> None:
        for name, health in (("a", "up"), ("b", "down")):
            instance = Instance(name, "host", 0, health=health)  # type: ignore[arg-type]
            held.append(registry.register("triggerer", instance))
        held[1].set_health("up")

    meanwhile(work)
    said = succeeds(dag, deployment=deployment)["wait"]
    assert said == {
        "path": f"/airflow/{deployment}/registry/triggerer",
        "count": 2,
        "instances": ["a", "b"],
    }
    for registration in held:
        registration.unregister()
    client.delete(f"/airflow/{deployment}", recursive=True)


def test_what_no_component_can_be_is_refused() -> None:
    from bellwether_airflow.sensors.component import AirflowComponentSensor

    for arguments, why in (
        ({"component": "a/b"}, "component is 'a/b'"),
        ({"component": "scheduler", "deployment": "x/y"}, "deployment is 'x/y'"),
        ({"component": "scheduler", "min_count": 0}, "min_count is 0"),
    ):
        sensor = AirflowComponentSensor(task_id="wait", **arguments)
        with pytest.raises(AirflowFailException, match=why):
            sensor.checked_goal()

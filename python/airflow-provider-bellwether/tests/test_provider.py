"""What Airflow sees of the package: metadata, connection form, links, configuration, the CLI."""

import importlib
import json
import subprocess
import sys
from importlib.metadata import entry_points, files
from importlib.resources import files as resources
from typing import Any

import pytest

from bellwether_airflow.get_provider_info import get_provider_info

PACKAGE = "airflow-provider-bellwether"


def airflow(*arguments: str) -> str:
    """What a command of Airflow prints."""
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_metadata_has_airflows_form() -> None:
    schema = json.loads(resources("airflow").joinpath("provider_info.schema.json").read_text())
    importlib.import_module("jsonschema").validate(get_provider_info(), schema)


def test_whatever_the_metadata_names_can_be_imported() -> None:
    info = get_provider_info()
    for part in ("hooks", "operators", "sensors", "triggers"):
        for row in info.get(part, []):
            for module in row["python-modules"]:
                assert module.startswith("bellwether_airflow."), module
                assert importlib.import_module(module).__all__
    links: list[str] = info["extra-links"]
    classes = [row["hook-class-name"] for row in info["connection-types"]]
    classes += [row["class-name"] for row in info["task-decorators"]]
    for path in [
        *links,
        *classes,
        *info["queues"],
        *info["secrets-backends"],
        *info["notifications"],
    ]:
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name)


def test_the_wheel_leaves_airflows_own_packages_alone() -> None:
    shipped = {str(path) for path in files(PACKAGE) or []}
    assert "bellwether_airflow/py.typed" in shipped
    assert "airflow/__init__.py" not in shipped
    assert "airflow/providers/__init__.py" not in shipped
    (found,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.dist is not None and entry.dist.name == PACKAGE
    ]
    assert found.load()() == get_provider_info()


@pytest.mark.parametrize("kind", ["hooks", "operators", "secrets", "sensors", "triggers"])
def test_the_names_of_the_articles_are_the_same_classes(kind: str) -> None:
    theirs = importlib.import_module(f"airflow.providers.zookeeper.{kind}.zookeeper")
    ours = importlib.import_module(f"bellwether_airflow.{kind}.zookeeper")
    assert ours.__all__ == theirs.__all__
    for name in ours.__all__:
        assert getattr(theirs, name) is getattr(ours, name)


@pytest.fixture(scope="module")
def manager(airflow_db: None) -> Any:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()  # type: ignore[no-untyped-call]
    manager.initialize_providers_configuration()
    return manager


def test_airflow_lists_the_connection_type_with_its_form(manager: Any) -> None:
    from bellwether_airflow.hooks.zookeeper import ZooKeeperHook

    assert PACKAGE in manager.providers
    hook = manager.hooks["zookeeper"]
    assert hook.hook_name == "ZooKeeper"
    assert hook.connection_id_attribute_name == ZooKeeperHook.conn_name_attr
    form = manager.connection_form_widgets
    fields = {name.removeprefix("extra__zookeeper__") for name in form if "__zookeeper__" in name}
    (row,) = get_provider_info()["connection-types"]
    assert fields == set(row["conn-fields"]) >= {"session_timeout", "auth_scheme", "admin_auth"}
    assert form["extra__zookeeper__admin_auth"].is_sensitive
    behaviour = manager.field_behaviours["zookeeper"]
    assert behaviour["relabeling"] == {"host": "Ensemble", "schema": "Chroot"}


def test_airflow_knows_the_link_and_the_options(manager: Any) -> None:
    from bellwether_airflow.version_compat import conf

    assert "bellwether_airflow.links.ZnodeLink" in manager.extra_links_class_names
    assert conf.get("bellwether", "marker_root") == "/airflow/markers"
    assert conf.get("bellwether", "deployment") == "default"


def test_airflow_knows_the_decorator_the_backend_and_the_notifier(manager: Any) -> None:
    from airflow.sdk import task
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
    from bellwether_airflow.decorators.locked import zookeeper_locked_task

    # The key that code reads is not the one of the schema.
    assert getattr(task, "zookeeper_locked") is zookeeper_locked_task  # noqa: B009
    runtime = ProvidersManagerTaskRuntime()  # type: ignore[no-untyped-call]
    assert "zookeeper_locked" in runtime.taskflow_decorators
    info = get_provider_info()
    assert set(info["secrets-backends"]) <= set(manager.secrets_backend_class_names)
    assert set(info["notifications"]) <= set(manager.notification)


def test_the_link_names_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    from bellwether_airflow.links import ZnodeLink
    from bellwether_airflow.operators.zookeeper import ZookeeperGetOperator

    task = ZookeeperGetOperator(task_id="get", path="/a b")
    assert ZnodeLink().get_link(task, ti_key=None) == ""
    monkeypatch.setenv("AIRFLOW__BELLWETHER__CONSOLE_URL", "http://console/node?path={path}&x=1")
    assert ZnodeLink().get_link(task, ti_key=None) == "http://console/node?path=/a%20b&x=1"
    monkeypatch.setenv("AIRFLOW__BELLWETHER__CONSOLE_URL", "http://console")
    assert ZnodeLink().get_link(task, ti_key=None) == "http://console/a%20b"


def test_the_command_line_lists_the_provider_and_its_hook() -> None:
    listed = json.loads(airflow("providers", "list", "--output", "json"))
    assert [row["version"] for row in listed if row["package_name"] == PACKAGE] == ["0.1.0"]
    hooks = json.loads(airflow("providers", "hooks", "--output", "json"))
    (hook,) = [row for row in hooks if row["connection_type"] == "zookeeper"]
    assert hook["class"] == "bellwether_airflow.hooks.zookeeper.ZooKeeperHook"
    assert "ImportError" not in json.dumps(hook)


def test_airflow_lists_the_plugin(airflow_db: None) -> None:
    listed = json.loads(airflow("plugins", "--output", "json").splitlines()[-1])
    (plugin,) = [row for row in listed if row["name"] == "bellwether"]
    assert plugin["listeners"] == ["bellwether_airflow.plugins.listeners"]
    assert [app["url_prefix"] for app in plugin["fastapi_apps"]] == ["/bellwether"]

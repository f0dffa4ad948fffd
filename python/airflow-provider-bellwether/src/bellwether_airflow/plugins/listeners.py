"""What Airflow calls when a component starts or stops, and when a run of a DAG changes its state.

Keeps true: each call sends at most one datagram to each that listens, and returns: no thread, no
session, no import, and never an exception. A task's process, which is told of too, is left alone.
"""

import os
import sys
import time
from fnmatch import fnmatchcase
from importlib import metadata
from typing import Any

from airflow.listeners import hookimpl

from .. import announcing
from ..owner import DEFAULT_DEPLOYMENT
from ..version_compat import conf

_MARKER = "TaskRunnerMarker"

try:
    _VERSION = metadata.version("apache-airflow")
except metadata.PackageNotFoundError:
    _VERSION = "unknown"


def this_component() -> str:
    """What this process is, by its command line: Airflow itself does not say."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    return words[0] if words else os.path.basename(sys.argv[0] or "airflow")


def _option(name: str, otherwise: str = "") -> str:
    return str(conf.get("bellwether", name, fallback=otherwise) or otherwise)


def _addresses() -> list[str]:
    agent = _option("agent_socket")
    return [announcing.events_of(agent)] if agent else []


def announce_component(kind: str, name: str) -> None:
    """Says that this process starts or stops."""
    try:
        notify = os.environ.get(announcing.NOTIFY)
        announcing.announce(
            [*_addresses(), *([notify] if notify else [])],
            kind=kind,
            component=name,
            deployment=_option("deployment", DEFAULT_DEPLOYMENT),
            version=_VERSION,
            registered=announcing.REGISTERED in os.environ,
        )
    except Exception:
        # Whatever is wrong with the configuration, a component starts without a registry.
        return


def _announce_run(dag_run: Any, state: str) -> None:
    try:
        addresses = _addresses()
        globs = [glob.strip() for glob in _option("state_dags").split(",")] if addresses else []
        dag = str(dag_run.dag_id)
        if not any(glob and fnmatchcase(dag, glob) for glob in globs):
            return
        announcing.announce(
            addresses,
            kind="dag",
            deployment=_option("deployment", DEFAULT_DEPLOYMENT),
            dag=dag,
            run_id=str(dag_run.run_id),
            state=state,
            when_ms=int(time.time() * 1000),
        )
    except Exception:
        return


@hookimpl
def on_starting(component: Any) -> None:
    """A scheduler, triggerer or dag-processor has started, or a task's process."""
    if type(component).__name__ != _MARKER:
        announce_component("start", this_component())


@hookimpl
def before_stopping(component: Any) -> None:
    """It stops."""
    if type(component).__name__ != _MARKER:
        announce_component("stop", this_component())


@hookimpl
def on_dag_run_running(dag_run: Any, msg: str) -> None:
    """A run has started; called by the scheduler, which waits."""
    _announce_run(dag_run, "running")


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """A run has succeeded."""
    _announce_run(dag_run, "success")


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A run has failed."""
    _announce_run(dag_run, "failed")

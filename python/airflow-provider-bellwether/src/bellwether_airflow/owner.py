"""The owner: who a task is, over all its tries.

Keeps true: every try of one task of one run is the same owner, and no other task is; so a try that
finds the mark of its owner knows that an earlier one did it. Deployments that share a ZooKeeper
have different names (`[bellwether] deployment`), or they would take each other for themselves.
"""

import hashlib
import json

from .version_compat import Context, conf

DEFAULT_DEPLOYMENT = "default"


def deployment() -> str:
    """The name of this Airflow among those that share a ZooKeeper."""
    return str(conf.get("bellwether", "deployment", fallback=DEFAULT_DEPLOYMENT))


def digest_of(*parts: object) -> str:
    """32 hexadecimal digits for who somebody is."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def owner_of(context: Context, within: str | None = None) -> str:
    """The owner that a task is; `within` names the operator that it executes inside itself."""
    ti = context["ti"]
    return digest_of(deployment(), ti.dag_id, ti.task_id, ti.run_id, ti.map_index, within)


def run_owner_of(context: Context) -> str:
    """The owner that a whole run is: all its tasks are one."""
    ti = context["ti"]
    return digest_of(deployment(), ti.dag_id, ti.run_id)


def member_of(context: Context) -> str:
    """The owner that a run's tasks of one map index are: they enter and leave as one."""
    ti = context["ti"]
    return digest_of(deployment(), ti.dag_id, ti.run_id, ti.map_index)


def about(context: Context) -> dict[str, object]:
    """Who it is, for people who read a mark."""
    ti = context["ti"]
    return {
        "deployment": deployment(),
        "dag_id": ti.dag_id,
        "task_id": ti.task_id,
        "run_id": ti.run_id,
        "map_index": ti.map_index,
    }

"""The registry of components: what is registered below `/airflow/<deployment>/registry`."""

from typing import Any

import bellwether
from bellwether import Client
from bellwether.recipes import Registry

from .registrar import described


def base_of(deployment: str) -> str:
    """The node above the components."""
    return f"/airflow/{deployment}/registry"


def registered(client: Client, deployment: str) -> dict[str, list[dict[str, Any]]]:
    """All instances by their components.

    Raises:
        bellwether.ZooKeeperError: they cannot be read.
    """
    registry = Registry(client, base_of(deployment))
    try:
        components = registry.services()
    except bellwether.NoNodeError:
        return {}
    found = {}
    for component in sorted(components):
        with registry.discover(component) as discovery:
            instances = sorted(discovery.instances(), key=lambda instance: instance.id)
        if instances:
            found[component] = [described(instance) for instance in instances]
    return found

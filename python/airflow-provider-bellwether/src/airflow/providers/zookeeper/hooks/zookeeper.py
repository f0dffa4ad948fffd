"""The hooks of `bellwether_airflow.hooks.zookeeper`, by the name that articles import."""

from bellwether_airflow.hooks.zookeeper import *  # noqa: F403
from bellwether_airflow.hooks.zookeeper import __all__ as __all__

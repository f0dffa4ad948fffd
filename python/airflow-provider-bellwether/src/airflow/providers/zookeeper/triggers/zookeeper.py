"""The triggers of `bellwether_airflow.triggers.zookeeper`, by the name that articles import."""

from bellwether_airflow.triggers.zookeeper import *  # noqa: F403
from bellwether_airflow.triggers.zookeeper import __all__ as __all__

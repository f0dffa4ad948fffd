"""The sensors of `bellwether_airflow.sensors.zookeeper`, by the name that articles import."""

from bellwether_airflow.sensors.zookeeper import *  # noqa: F403
from bellwether_airflow.sensors.zookeeper import __all__ as __all__

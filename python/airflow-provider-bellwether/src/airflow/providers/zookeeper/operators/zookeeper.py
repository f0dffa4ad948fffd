"""The operators of `bellwether_airflow.operators.zookeeper`, by the name that articles import."""

from bellwether_airflow.operators.zookeeper import *  # noqa: F403
from bellwether_airflow.operators.zookeeper import __all__ as __all__

"""The backend of `bellwether_airflow.secrets.zookeeper`, by the name that articles import."""

from bellwether_airflow.secrets.zookeeper import *  # noqa: F403
from bellwether_airflow.secrets.zookeeper import __all__ as __all__

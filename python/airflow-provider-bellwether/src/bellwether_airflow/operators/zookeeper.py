"""All operators of this package, by the names that a DAG imports."""

from .base import ZookeeperOperator
from .nodes import (
    ZookeeperCreateOperator,
    ZookeeperDeleteOperator,
    ZookeeperExistsOperator,
    ZookeeperGetOperator,
    ZookeeperSetOperator,
)
from .watch import ZookeeperWatchOperator

__all__ = [
    "ZookeeperCreateOperator",
    "ZookeeperDeleteOperator",
    "ZookeeperExistsOperator",
    "ZookeeperGetOperator",
    "ZookeeperOperator",
    "ZookeeperSetOperator",
    "ZookeeperWatchOperator",
]

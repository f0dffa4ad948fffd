"""All operators of this package, by the names that a DAG imports."""

from .base import ZookeeperOperator
from .nodes import (
    ZookeeperCreateOperator,
    ZookeeperDeleteOperator,
    ZookeeperExistsOperator,
    ZookeeperGetOperator,
    ZookeeperSetOperator,
)
from .trees import ZookeeperDumpOperator, ZookeeperRecoverOperator
from .watch import ZookeeperWatchOperator

__all__ = [
    "ZookeeperCreateOperator",
    "ZookeeperDeleteOperator",
    "ZookeeperDumpOperator",
    "ZookeeperExistsOperator",
    "ZookeeperGetOperator",
    "ZookeeperOperator",
    "ZookeeperRecoverOperator",
    "ZookeeperSetOperator",
    "ZookeeperWatchOperator",
]

"""All operators of this package, by the names that a DAG imports."""

from .base import ZookeeperOperator
from .cluster import ZookeeperQuotaOperator, ZookeeperReconfigOperator
from .nodes import (
    ZookeeperCreateOperator,
    ZookeeperDeleteOperator,
    ZookeeperExistsOperator,
    ZookeeperGetOperator,
    ZookeeperSetOperator,
)
from .trees import ZookeeperDumpOperator, ZookeeperRecoverOperator
from .watch import ZookeeperWatchOperator
from .writes import ZookeeperCounterOperator, ZookeeperMultiOperator, ZookeeperOnceOperator

__all__ = [
    "ZookeeperCounterOperator",
    "ZookeeperCreateOperator",
    "ZookeeperDeleteOperator",
    "ZookeeperDumpOperator",
    "ZookeeperExistsOperator",
    "ZookeeperGetOperator",
    "ZookeeperMultiOperator",
    "ZookeeperOnceOperator",
    "ZookeeperOperator",
    "ZookeeperQuotaOperator",
    "ZookeeperReconfigOperator",
    "ZookeeperRecoverOperator",
    "ZookeeperSetOperator",
    "ZookeeperWatchOperator",
]

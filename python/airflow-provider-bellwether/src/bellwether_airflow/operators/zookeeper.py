"""All operators of this package, by the names that a DAG imports."""

from .base import ZookeeperOperator
from .cluster import ZookeeperQuotaOperator, ZookeeperReconfigOperator
from .locks import ZookeeperAcquireLockOperator, ZookeeperReleaseLockOperator
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
    "ZookeeperAcquireLockOperator",
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
    "ZookeeperReleaseLockOperator",
    "ZookeeperSetOperator",
    "ZookeeperWatchOperator",
]

"""A client for ZooKeeper and Bellwether: `Client` for threads, `AsyncClient` for asyncio.

Both have the same methods with the same arguments, results and errors. Times are seconds, but for
the fields of `Stat`, which are ZooKeeper's own. Watches are values: whoever holds one is told.
Objects belong to the process that made them; in a forked child they raise `ForkedClientError`.

Keeps true: an import starts no thread and opens no connection.
"""

import os as _os

from . import _native
from ._native import (
    Acl,
    AsyncClient,
    AsyncOnceWatch,
    AsyncRetrying,
    AsyncSessionEvents,
    AsyncWatch,
    Certain,
    Client,
    Created,
    Gap,
    Multi,
    OnceWatch,
    Retrying,
    SessionEvent,
    SessionEvents,
    Stat,
    Watch,
    WatchEvent,
)
from .acl import CREATOR_ALL_ACL, OPEN_ACL, READ_ACL, Perms, digest_acl
from .errors import (
    APIError,
    AuthFailedError,
    BadArgumentsError,
    BadVersionError,
    ClosedError,
    ConnectionLossError,
    DataInconsistencyError,
    EphemeralOnLocalSessionError,
    ForkedClientError,
    InvalidACLError,
    InvalidCallbackError,
    LostError,
    MarshallingError,
    NewConfigNoQuorumError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NoServerError,
    NotEmptyError,
    NotReadOnlyError,
    NoWatcherError,
    OperationTimeoutError,
    QuotaExceededError,
    ReconfigDisabledError,
    ReconfigInProgressError,
    RequestTimeoutError,
    RequestTooLargeError,
    RuntimeInconsistencyError,
    SessionClosedRequireSaslAuthError,
    SessionExpiredError,
    SessionMovedError,
    SystemZooKeeperError,
    ThrottledOpError,
    TransactionError,
    UnimplementedError,
    UnknownSessionError,
    ZooKeeperError,
)

__all__ = [
    "APIError",
    "Acl",
    "AsyncClient",
    "AsyncOnceWatch",
    "AsyncRetrying",
    "AsyncSessionEvents",
    "AsyncWatch",
    "AuthFailedError",
    "BadArgumentsError",
    "BadVersionError",
    "CREATOR_ALL_ACL",
    "Certain",
    "Client",
    "ClosedError",
    "ConnectionLossError",
    "Created",
    "DataInconsistencyError",
    "EphemeralOnLocalSessionError",
    "ForkedClientError",
    "Gap",
    "InvalidACLError",
    "InvalidCallbackError",
    "LostError",
    "MarshallingError",
    "Multi",
    "NewConfigNoQuorumError",
    "NoAuthError",
    "NoChildrenForEphemeralsError",
    "NoNodeError",
    "NoServerError",
    "NoWatcherError",
    "NodeExistsError",
    "NotEmptyError",
    "NotReadOnlyError",
    "OPEN_ACL",
    "OnceWatch",
    "OperationTimeoutError",
    "Perms",
    "QuotaExceededError",
    "READ_ACL",
    "ReconfigDisabledError",
    "ReconfigInProgressError",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "Retrying",
    "RuntimeInconsistencyError",
    "SessionClosedRequireSaslAuthError",
    "SessionEvent",
    "SessionEvents",
    "SessionExpiredError",
    "SessionMovedError",
    "Stat",
    "SystemZooKeeperError",
    "ThrottledOpError",
    "TransactionError",
    "UnimplementedError",
    "UnknownSessionError",
    "Watch",
    "WatchEvent",
    "ZooKeeperError",
    "digest_acl",
]


def _close_the_parents_sockets() -> None:
    """In a forked child: without a word to the servers, for the parent's sessions live on."""
    for descriptor in _native.after_fork_in_child():
        _os.close(descriptor)


_os.register_at_fork(
    before=_native.before_fork,
    after_in_parent=_native.after_fork_in_parent,
    after_in_child=_close_the_parents_sockets,
)

"""Exceptions: one class per error code of the protocol, and some that only a client has.

Keeps true: every exception of this package that is about the service is a `ZooKeeperError`, and
`maybe_happened` says whether a failed write may have been done nevertheless.
"""

from . import _native

# No typing at run time: an import takes a tenth of what the module `typing` would.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar


class ZooKeeperError(Exception):
    """Anything that the service or the client refuses or cannot do."""

    code: "int | None" = None
    """The protocol's number for it; None if the protocol has none."""

    path: "str | None" = None
    """The node that it is about, as the caller named it; None if it is about none."""

    maybe_happened: bool = False
    """True if a write that failed with this may have happened, or may still: look before trying
    again. False if it certainly did not happen."""

    _name: "ClassVar[str]" = "Unknown"


class SystemZooKeeperError(ZooKeeperError):
    """The server failed in a way that it has no other code for."""

    code, _name = -1, "SYSTEMERROR"


class RuntimeInconsistencyError(ZooKeeperError):
    """The operation was not tried, because another one of the transaction failed."""

    code, _name = -2, "RUNTIMEINCONSISTENCY"


class DataInconsistencyError(ZooKeeperError):
    """Data does not fit together."""

    code, _name = -3, "DATAINCONSISTENCY"


class ConnectionLossError(ZooKeeperError, ConnectionError):
    """The connection was lost before the answer came. The session goes on, and the client connects
    again by itself; whether a write happened is for the caller to find out."""

    code, _name = -4, "CONNECTIONLOSS"


class MarshallingError(ZooKeeperError):
    """The server could not read the request."""

    code, _name = -5, "MARSHALLINGERROR"


class UnimplementedError(ZooKeeperError):
    """The server does not know or does not offer the operation, such as a TTL without
    `extendedTypesEnabled`."""

    code, _name = -6, "UNIMPLEMENTED"


class OperationTimeoutError(ZooKeeperError, TimeoutError):
    """The operation took too long."""

    code, _name = -7, "OPERATIONTIMEOUT"


class BadArgumentsError(ZooKeeperError, ValueError):
    """A path, a connect string, a flag or another argument is not possible."""

    code, _name = -8, "BADARGUMENTS"


class UnknownSessionError(ZooKeeperError):
    """The session is not known."""

    code, _name = -12, "UNKNOWNSESSION"


class NewConfigNoQuorumError(ZooKeeperError):
    """A new configuration has no quorum of connected, synced members."""

    code, _name = -13, "NEWCONFIGNOQUORUM"


class ReconfigInProgressError(ZooKeeperError):
    """Another reconfiguration is under way."""

    code, _name = -14, "RECONFIGINPROGRESS"


class APIError(ZooKeeperError):
    """An error of the interface; no server sends it."""

    code, _name = -100, "APIERROR"


class NoNodeError(ZooKeeperError):
    """The node does not exist; for a create: its parent."""

    code, _name = -101, "NONODE"


class NoAuthError(ZooKeeperError):
    """The access control list does not allow it."""

    code, _name = -102, "NOAUTH"


class BadVersionError(ZooKeeperError):
    """The node has another version."""

    code, _name = -103, "BADVERSION"


class NoChildrenForEphemeralsError(ZooKeeperError):
    """An ephemeral node cannot have children."""

    code, _name = -108, "NOCHILDRENFOREPHEMERALS"


class NodeExistsError(ZooKeeperError):
    """The node exists already."""

    code, _name = -110, "NODEEXISTS"


class NotEmptyError(ZooKeeperError):
    """The node has children."""

    code, _name = -111, "NOTEMPTY"


class SessionExpiredError(ZooKeeperError):
    """The session is over, and its ephemeral nodes with it. Connect anew."""

    code, _name = -112, "SESSIONEXPIRED"


class InvalidCallbackError(ZooKeeperError):
    """A callback cannot be called; no server sends it."""

    code, _name = -113, "INVALIDCALLBACK"


class InvalidACLError(ZooKeeperError):
    """The access control list of a create or set_acl is not possible."""

    code, _name = -114, "INVALIDACL"


class AuthFailedError(ZooKeeperError):
    """The server refused an identity; the session is over."""

    code, _name = -115, "AUTHFAILED"


class SessionMovedError(ZooKeeperError):
    """The session lives at another server."""

    code, _name = -118, "SESSIONMOVED"


class NotReadOnlyError(ZooKeeperError):
    """A write was sent to a server that has lost its ensemble and only reads."""

    code, _name = -119, "NOTREADONLY"


class EphemeralOnLocalSessionError(ZooKeeperError):
    """A local session cannot have ephemeral nodes."""

    code, _name = -120, "EPHEMERALONLOCALSESSION"


class NoWatcherError(ZooKeeperError):
    """There is no such watch."""

    code, _name = -121, "NOWATCHER"


class RequestTimeoutError(ZooKeeperError, TimeoutError):
    """The request took too long."""

    code, _name = -122, "REQUESTTIMEOUT"


class ReconfigDisabledError(ZooKeeperError):
    """Reconfiguration is switched off at the servers (`reconfigEnabled`)."""

    code, _name = -123, "RECONFIGDISABLED"


class SessionClosedRequireSaslAuthError(ZooKeeperError):
    """The server wants the session to authenticate first."""

    code, _name = -124, "SESSIONCLOSEDREQUIRESASLAUTH"


class QuotaExceededError(ZooKeeperError):
    """A hard quota would be exceeded."""

    code, _name = -125, "QUOTAEXCEEDED"


class ThrottledOpError(ZooKeeperError):
    """The server is too busy and did not try."""

    code, _name = -127, "THROTTLEDOP"


class TransactionError(ZooKeeperError):
    """A transaction was refused; none of its operations happened. `code` and `path` are those of
    the operation that was, and the cause (`__cause__`) is the error that it has alone."""

    _name = "Transaction"

    index: int = 0
    """Which operation was refused, from 0."""

    results: "tuple[int, ...]" = ()
    """A code per operation: 0 before the refused one, -2 after it."""


class RequestTooLargeError(ZooKeeperError):
    """The request is larger than the server accepts, and was not sent: the server would drop the
    connection without a word. See `max_request_bytes` of connect."""

    _name = "TooLarge"

    bytes: int = 0
    """The request's length."""

    limit_bytes: int = 0
    """What the server accepts (`jute.maxbuffer`)."""


class NoServerError(ZooKeeperError, TimeoutError):
    """No server could be reached within `connect_timeout`."""

    _name = "NoServer"


class ClosedError(ZooKeeperError):
    """The client or the watch was closed."""

    _name = "Closed"


class LostError(ZooKeeperError):
    """What was held (a lock, a lease, an office) is not held for certain any more."""

    _name = "Lost"

    reason: str = "doubt"
    """"doubt": no server has answered for so long that one may have given it to another; it may
    pass. "deleted": somebody has deleted its node. "time-over": it was taken for a time, and that
    is over. "released": by its holder. "closed", "expired" or "auth-failed": the session has
    ended."""


class ForkedClientError(ZooKeeperError, RuntimeError):
    """The object was made before this process was forked from its parent, which alone may use it.
    Connect anew in the child."""

    _name = "Forked"


_CLASSES: "list[type[ZooKeeperError]]" = [ZooKeeperError, *ZooKeeperError.__subclasses__()]
_BY_NAME = {cls._name: cls for cls in _CLASSES}
_BY_CODE = {cls.code: cls for cls in _CLASSES if cls.code is not None}


def _make(kind: str, message: str, **fields: "Any") -> ZooKeeperError:
    """The exception of a kind that the extension module names; called by it alone."""
    error = _BY_NAME.get(kind, ZooKeeperError)(message)
    for name, value in fields.items():
        setattr(error, name, value)
    if isinstance(error, TransactionError):
        error.results = tuple(error.results)
        cause = _BY_CODE.get(error.code or 0, ZooKeeperError)(message)
        cause.path = error.path
        error.__cause__ = cause
    return error


_native.make_errors_by(_make)

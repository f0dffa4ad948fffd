"""How failures of the service become failures of a task.

Keeps true: what another try cannot mend is an `AirflowFailException`, everything else an
`AirflowException`, which Airflow tries again. Both say what was done, on which node, with which
code of the protocol, and what to do about it. No value of a node is ever part of a message.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import bellwether

from .version_compat import AirflowException, AirflowFailException


class Refused(ValueError):
    """An argument is not possible: said before anything was sent to a server."""


class Trouble(Exception):
    """A service that is waited for could not do what it was asked."""

    hopeless: bool
    """Another try cannot mend it."""


_HOPELESS: tuple[type[bellwether.ZooKeeperError], ...] = (
    bellwether.AuthFailedError,
    bellwether.BadArgumentsError,
    bellwether.InvalidACLError,
    bellwether.MarshallingError,
    bellwether.NoAuthError,
    bellwether.NoChildrenForEphemeralsError,
    bellwether.ReconfigDisabledError,
    bellwether.RequestTooLargeError,
    bellwether.SessionClosedRequireSaslAuthError,
    bellwether.UnimplementedError,
)

_ADVICE: dict[type[bellwether.ZooKeeperError], str] = {
    bellwether.AuthFailedError: "the server refused the user or the password of the connection",
    bellwether.BadArgumentsError: "an argument is not possible; a path begins with / and has no "
    "empty part",
    bellwether.BadVersionError: "somebody else has written it meanwhile: read it again",
    bellwether.ClosedError: "the task was told to end",
    bellwether.ConnectionLossError: "the connection was lost before the answer came; whether a "
    "write happened is not known, and the next try looks before it writes",
    bellwether.InvalidACLError: "the access control list is not possible; creator needs a user",
    bellwether.NewConfigNoQuorumError: "the new configuration has no quorum of members that are "
    "up and synced: start the joining members first",
    bellwether.NoAuthError: "the node's access control list does not allow it to this user",
    bellwether.NoNodeError: "the node, or for a create its parent, is not there",
    bellwether.NoServerError: "no server of the connection could be reached",
    bellwether.NodeExistsError: "the node is there already",
    bellwether.NotEmptyError: "the node has children; recursive=True deletes them too",
    bellwether.QuotaExceededError: "a hard quota would be exceeded",
    bellwether.ReconfigDisabledError: "the servers need reconfigEnabled=true",
    bellwether.ReconfigInProgressError: "another reconfiguration is under way",
    bellwether.RequestTooLargeError: "more than the server takes at once (jute.maxbuffer)",
    bellwether.SessionExpiredError: "the session is over, and its ephemeral nodes with it",
    bellwether.UnimplementedError: "the server does not offer it; time-to-live needs "
    "extendedTypesEnabled=true, a reconfiguration an ensemble",
}


def _kind(error: bellwether.ZooKeeperError) -> type[bellwether.ZooKeeperError]:
    """The class that says what happened; for a transaction that of the operation refused."""
    cause = error.__cause__
    if isinstance(error, bellwether.TransactionError) and isinstance(
        cause, bellwether.ZooKeeperError
    ):
        return type(cause)
    return type(error)


def is_hopeless(error: bellwether.ZooKeeperError) -> bool:
    """Whether another try cannot mend it."""
    return issubclass(_kind(error), _HOPELESS)


def explained(error: bellwether.ZooKeeperError, doing: str) -> str:
    """What went wrong, for a person."""
    kind = _kind(error)
    code = "" if error.code is None else f", code {error.code}"
    at = f" at {error.path}" if error.path else ""
    part = ""
    if isinstance(error, bellwether.TransactionError):
        part = f", operation {error.index} of the transaction"
    advice = _ADVICE.get(kind)
    return f"{doing}: {kind.__name__}{at}{code}{part}" + (f": {advice}" if advice else "")


def failure(error: bellwether.ZooKeeperError, doing: str) -> AirflowException:
    """The exception of a task for an error of the service."""
    text = explained(error, doing)
    return AirflowFailException(text) if is_hopeless(error) else AirflowException(text)


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turns errors of the service, and refused arguments, into failures of the task.

    Raises:
        AirflowFailException: another try cannot mend it.
        AirflowException: another try may.
    """
    try:
        yield
    except bellwether.ZooKeeperError as error:
        raise failure(error, doing) from error
    except Refused as error:
        raise AirflowFailException(f"{doing}: {error}") from error

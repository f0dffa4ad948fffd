"""What can go wrong with an engine, and how it becomes a failure of a task.

Keeps true: what another try cannot mend is an `AirflowFailException`, everything else an
`AirflowException`, which Airflow tries again. No document is ever part of a message, nor the
preview of a value that engines put into theirs.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import Trouble
from ..errors import told as told_of_zookeeper
from ..version_compat import AirflowException, AirflowFailException

REASON_LENGTH_MAX = 300

_PREVIEW = re.compile(r"Preview of field's value: .*", re.DOTALL)


class SearchError(Trouble):
    """The base of what can go wrong."""

    hopeless = False
    """Whether another try cannot mend it."""


class Unreachable(SearchError):
    """No host took the request, or none that could serve it: nothing was done."""


class OutcomeUnknown(SearchError):
    """The request may have been executed: the answer did not come, and it is not one to repeat."""


class Malformed(SearchError):
    """An answer that no engine gives."""


class Partial(SearchError):
    """The answer leaves out documents: a shard failed, or the time was over."""


class StaleFence(SearchError):
    """A holder with a higher fence has written the document, or the lease is lost."""


class SpentFence(StaleFence):
    """As `StaleFence`, of a fence that was given as a number: no try will have another."""

    hopeless = True


class JobFailed(SearchError):
    """A task of the engine ended, and not well."""


class Answered(SearchError):
    """An error that the engine told."""

    def __init__(self, status: int, kind: str, reason: str, host: str) -> None:
        super().__init__(f"{host} answered {status} {kind}: {reason}")
        self.status = status
        self.kind = kind
        self.hopeless = 400 <= status < 500 and status not in (404, 408, 409, 429)


def answered(status: int, body: Any, host: str) -> Answered:
    """The error of an engine's answer, whatever its form."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(error, Mapping):
        kind, reason = told_by(error)
    else:
        kind, reason = "error", shortened(str(error or "no reason given"))
    return Answered(status, kind, reason, host)


def told_by(error: Mapping[str, Any]) -> tuple[str, str]:
    """Type and reason of an error in an answer, with that of its root where it says more."""
    kind, reason = str(error.get("type", "error")), str(error.get("reason", ""))
    cause = error.get("caused_by")
    if isinstance(cause, Mapping) and cause.get("reason"):
        reason = f"{reason} ({cause.get('type')}: {cause['reason']})"
    return kind, shortened(reason)


def shortened(reason: str) -> str:
    """A reason without the preview of a value, and not longer than a line or two."""
    reason = _PREVIEW.sub("(the value is not shown)", reason)
    if len(reason) > REASON_LENGTH_MAX:
        return reason[:REASON_LENGTH_MAX] + "…"
    return reason


_ADVICE: dict[type[SearchError], str] = {
    Unreachable: "nothing was written",
    OutcomeUnknown: "whether it was executed is not known; the next try looks before it writes",
    Partial: "no result is better than a part of one; allow_partial=True takes it all the same",
    StaleFence: "the lock has had another holder since",
}


def failure(error: SearchError, doing: str) -> AirflowException:
    """The exception of a task for an error of an engine."""
    advice = _ADVICE.get(type(error))
    text = f"{doing}: {error}" + (f": {advice}" if advice else "")
    return AirflowFailException(text) if error.hopeless else AirflowException(text)


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turns errors of an engine or of ZooKeeper, and refused arguments, into failures of the task.

    Raises:
        AirflowFailException: another try cannot mend it.
        AirflowException: another try may.
    """
    with told_of_zookeeper(doing):
        try:
            yield
        except SearchError as error:
            raise failure(error, doing) from error

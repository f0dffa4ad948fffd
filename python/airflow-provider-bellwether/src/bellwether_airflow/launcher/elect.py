"""The election: whether this launcher's component may run, and until when.

Keeps true: of all launchers at one path at most one has an office, and what runs under an office is
gone before another launcher can have it. The moments are fractions of the session timeout T since
the last answered write was sent: at T/2 the component is told to end, at 3/4 T it is killed, and
the servers give the office away at T at the earliest. Later offices have higher epochs.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import bellwether
from bellwether import Client
from bellwether.recipes import Election, Leadership

from .service import Ending, Link, Trouble, log, told

TERM_AFTER = 1 / 2
KILL_AFTER = 3 / 4
_CERTAIN_FOR = 2 / 3
"""The client is certain for so long after an answered write was sent."""

_STEPS = 12
"""How many times per session timeout the lease is looked after; the client writes six times."""


@dataclass(frozen=True)
class Lease:
    """How long the component may run, as moments of the monotonic clock."""

    term_at: float
    kill_at: float


def lease_of(certain_until: float, session_timeout: float) -> Lease:
    """What the certainty of a session allows."""
    contact = certain_until - _CERTAIN_FOR * session_timeout
    return Lease(contact + TERM_AFTER * session_timeout, contact + KILL_AFTER * session_timeout)


class Office:
    """What was won in an election: the right to run, for as long as `lease` says."""

    def __init__(self, client: Client, leadership: Leadership) -> None:
        self.client = client
        self.epoch = leadership.fence
        """The czxid of the candidate's node: a fencing token."""
        self._leadership = leadership
        self._given_up = threading.Event()

    def lease(self) -> Lease | None:
        """Until when the component may run as of now; None if the office is over."""
        certain_until = self.client.certain_until
        if certain_until is None or self._given_up.is_set():
            return None
        return lease_of(certain_until, self.client.session_timeout)

    def lost(self, timeout: float) -> str | None:
        """Why the office is over; None if it is not after so many seconds."""
        until = time.monotonic() + timeout
        try:
            reason: str = self._leadership.lost(timeout)
        except TimeoutError:
            return None
        except bellwether.ZooKeeperError as error:
            return told(error)
        if reason != "doubt":
            return reason
        self._given_up.wait(max(until - time.monotonic(), 0.0))
        return None

    def give_up(self) -> None:
        """Lets another one have it, at once if the servers can be reached."""
        self._given_up.set()
        if self._leadership.is_held:
            with contextlib.suppress(bellwether.ZooKeeperError):
                self._leadership.resign()
                return
        self.client.close()


class Campaign:
    """Runs for the office again and again, in a thread of its own.

    `elected` is called with each office, `lease` while it lasts, `lost` when it is over, with why.
    """

    def __init__(
        self,
        link: Link,
        path: str,
        data: bytes,
        elected: Callable[[Office], None],
        lease: Callable[[Lease], None],
        lost: Callable[[Office, str], None],
        failed: Callable[[Trouble], None],
    ) -> None:
        self._link = link
        self._path = path
        self._data = data
        self._elected = elected
        self._lease = lease
        self._lost = lost
        self._failed = failed

    def start(self) -> None:
        """Begins."""
        threading.Thread(target=self._run, name="election", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                client = self._link.client()
                log.info("waiting to be elected at %s", self._path)
                leadership = Election(client, self._path).campaign(self._data)
            except Ending:
                return
            except Trouble as trouble:
                self._failed(trouble)
                return
            except (bellwether.NoAuthError, bellwether.BadArgumentsError) as error:
                self._failed(Trouble(f"no election at {self._path}: {told(error)}"))
                return
            except bellwether.ZooKeeperError as error:
                if not self._link.ending.is_set():
                    self._link.tell(f"no election at {self._path} yet: {told(error)}")
                self._link.pause()
                continue
            self._hold(Office(client, leadership))

    def _hold(self, office: Office) -> None:
        self._elected(office)
        step = office.client.session_timeout / _STEPS
        while True:
            reason = office.lost(step)
            if reason is not None:
                break
            lease = office.lease()
            if lease is None:
                reason = "given up"
                break
            self._lease(lease)
        self._lost(office, reason)

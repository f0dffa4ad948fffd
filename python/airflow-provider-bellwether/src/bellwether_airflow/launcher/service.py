"""The ensemble as the launcher sees it: how to connect, and one session for all that it does.

Keeps true: whoever asks gets a session that lives; the one before is closed first, so that nothing
of it stays behind. A person is told of a trouble once, until it is another.
"""

import logging
import os
import threading
from dataclasses import dataclass, field

import bellwether
from bellwether import Client

from ..tls import tls_of

log = logging.getLogger("bellwether-airflow")

_OVER = ("closed", "expired", "auth-failed")
_PAUSE_S = 1.0


class Trouble(Exception):
    """Something that the user has to mend; the message says what."""


class Ending(Exception):
    """The program is about to end: whoever waits need not any longer."""


@dataclass(frozen=True)
class Ensemble:
    """What a session is opened with."""

    hosts: str
    """host:port, separated by commas, and a chroot behind the last."""
    user: str | None = None
    password_file: str | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    session_timeout: float = 30.0
    """Seconds."""
    connect_timeout: float = field(default=10.0, compare=False)
    """Seconds."""

    def connect(self) -> Client:
        """A session.

        Raises:
            bellwether.ZooKeeperError: there is none to be had now.
            Trouble: a file cannot be read.
        """
        credential = f"{self.user}:{self._password()}"
        return Client.connect(
            self.hosts,
            session_timeout=self.session_timeout,
            connect_timeout=self.connect_timeout,
            auth=[("digest", credential)] if self.user else [],
            tls=tls_of(self.ca_cert, self.client_cert, self.client_key),
        )

    def arguments(self) -> list[str]:
        """As options of the program; the password stays in its file."""
        given = {
            "--hosts": self.hosts,
            "--user": self.user,
            "--password-file": self.password_file,
            "--ca-cert": self.ca_cert,
            "--client-cert": self.client_cert,
            "--client-key": self.client_key,
            "--session-timeout": str(self.session_timeout),
        }
        return [word for name, value in given.items() if value for word in (name, value)]

    def _password(self) -> str:
        if self.password_file is None:
            return ""
        try:
            with open(self.password_file, encoding="utf-8") as file:
                return file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is not UTF-8"
            raise Trouble(f"--password-file {self.password_file} cannot be read: {why}") from None


class Link:
    """One session for all threads of the program, opened anew when it is over."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self.ending = threading.Event()
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._told = ""

    def client(self) -> Client:
        """The session; waits until there is one.

        Raises:
            Ending: the program ends.
            Trouble: what is wrong does not pass by waiting.
        """
        while not self.ending.is_set():
            with self._lock:
                if self._client is not None and self._client.state not in _OVER:
                    return self._client
                self._drop()
                try:
                    self._client = self.ensemble.connect()
                    self._told = ""
                    continue
                except bellwether.BadArgumentsError as error:
                    raise Trouble(f"no session with {self.ensemble.hosts}: {error}") from None
                except bellwether.ZooKeeperError as error:
                    self.tell(f"no session with {self.ensemble.hosts} yet: {told(error)}")
            self.pause()
        raise Ending

    def present(self) -> Client | None:
        """The session if there is one now; asks nobody, and waits for nothing."""
        client = self._client
        return None if client is None or client.state in _OVER else client

    def pause(self) -> None:
        """Before another try."""
        self.ending.wait(_PAUSE_S)

    def tell(self, text: str) -> None:
        """Says it, unless it was the last thing said."""
        if text != self._told:
            self._told = text
            log.warning("%s", text)

    def close(self) -> None:
        """Ends the session, and with it all that it holds."""
        self.ending.set()
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def told(error: BaseException) -> str:
    """What went wrong, for a person."""
    path = getattr(error, "path", None)
    at = f" at {path}" if path and path not in str(error) else ""
    return f"{type(error).__name__}{at}: {error}"


def part_of_path(name: str, value: str) -> str:
    """A name that can be one node's.

    Raises:
        Trouble: it cannot.
    """
    if not value or "/" in value or value in (".", "..") or not value.isprintable():
        raise Trouble(f"{name} is {value!r}: a name without / is expected")
    return value


def path_of(name: str, value: str) -> str:
    """The path of a node.

    Raises:
        Trouble: it is none.
    """
    if not value.startswith("/") or value == "/" or value.endswith("/") or "//" in value:
        raise Trouble(f"{name} is {value!r}: a path such as /airflow/config is expected")
    return value

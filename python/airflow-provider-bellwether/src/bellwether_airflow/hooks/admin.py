"""The hook of the HTTP admin server: snapshots, and restoring from them.

Keeps true: what the server refuses for good is told from what it may grant later; the header with
the password is in no message.
"""

import time
from collections.abc import Iterator
from typing import IO, Any

import httpx

from ..errors import Refused
from ..version_compat import AirflowException, AirflowFailException
from ..words import hole_of
from .zookeeper import ZooKeeperBaseHook

_REQUEST_S = 300.0
_PAUSE_S = 2.0
_PAUSE_S_MAX = 60.0


class ZooKeeperAdminHook(ZooKeeperBaseHook):
    """The admin servers of a connection, in the order of `admin_url`.

    :param zookeeper_conn_id: a connection of the type `zookeeper` that has `admin_url`
    :param settings: in place of a connection
    """

    def urls(self) -> list[str]:
        """The admin servers.

        Raises:
            Refused: the connection names none.
        """
        urls = self._target.resolve().admin_urls()
        if not urls:
            raise Refused("the connection has no admin_url, where a server takes its commands")
        return urls

    def get_conn(self) -> httpx.Client:
        """A client for requests."""
        settings = self._target.resolve()
        settings.hide_secrets()
        headers = {"Authorization": settings.admin_auth} if settings.admin_auth else {}
        return httpx.Client(headers=headers, timeout=_REQUEST_S)

    def monitor(self, url: str) -> dict[str, Any]:
        """What a server measures: `version`, `server_state`, `avg_latency`, `synced_followers`...

        Raises:
            AirflowFailException: the server does not offer it.
            AirflowException: it failed.
        """
        with self.get_conn() as client, _reached(url):
            answer = client.get(f"{url}/commands/monitor")
            _judge(answer, url, "monitor")
            return dict(answer.json())

    def _look_at(self, url: str) -> None:
        """Warns of a version with a known hole in what is about to be used."""
        with self.get_conn() as client, _reached(url):
            answer = client.get(f"{url}/commands/server_stats")
            hole = hole_of(url, answer.json()["version"]) if answer.status_code == 200 else None
        if hole is not None:
            self.log.warning("%s", hole)

    def snapshot(self, url: str, out: IO[bytes], wait: float) -> dict[str, Any]:
        """Has a server write a snapshot, and copies it; `wait` seconds if it was asked too often.

        Raises:
            AirflowFailException: the server does not offer it, or not to this user.
            AirflowException: it failed.
        """
        self._look_at(url)
        deadline, pause = time.monotonic() + wait, _PAUSE_S
        address = f"{url}/commands/snapshot?streaming=true"
        while True:
            with self.get_conn() as client, _reached(url), client.stream("GET", address) as answer:
                if not _is_too_often(answer, deadline):
                    _judge(answer, url, "snapshot")
                    size = 0
                    for chunk in answer.iter_bytes():
                        size += out.write(chunk)
                    if size != int(answer.headers.get("snapshot_size", size)):
                        raise AirflowException(f"{url}: the snapshot was cut off")
                    return {"bytes": size, "zxid": answer.headers.get("last_zxid")}
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE_S_MAX)

    def restore(self, url: str, content: Any, wait: float) -> dict[str, Any]:
        """Has a server take a snapshot for its database; `content` makes its pieces.

        Raises:
            AirflowFailException: the server does not offer it, or not to this user.
            AirflowException: it failed.
        """
        self._look_at(url)
        deadline, pause = time.monotonic() + wait, _PAUSE_S
        while True:
            pieces: Iterator[bytes] = content()
            with self.get_conn() as client, _reached(url):
                answer = client.post(
                    f"{url}/commands/restore",
                    content=pieces,
                    headers={"Content-Type": "application/octet-stream"},
                )
            if not _is_too_often(answer, deadline):
                _judge(answer, url, "restore")
                said = answer.json()
                return {"zxid": said.get("last_zxid")}
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE_S_MAX)


class _reached:  # noqa: N801 - used as a statement
    """Turns failures of the network into failures of the task."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
            raise AirflowException(f"{self._url}: {type(error).__name__}: {error}") from error


def _is_too_often(answer: httpx.Response, deadline: float) -> bool:
    return answer.status_code == 429 and time.monotonic() < deadline


def _judge(answer: httpx.Response, url: str, command: str) -> None:
    if answer.status_code == 200:
        return
    answer.read()
    text = answer.text.strip()[:300]
    if answer.status_code in (401, 403):
        raise AirflowFailException(
            f"{url} refuses {command}: admin_auth of the connection has to be "
            "'digest user:password' of a user with all permissions on /"
        )
    if answer.status_code == 404:
        raise AirflowFailException(f"{url} does not offer {command}")
    raise AirflowException(f"{url}: {command} failed with {answer.status_code}: {text}")


__all__ = ["ZooKeeperAdminHook"]

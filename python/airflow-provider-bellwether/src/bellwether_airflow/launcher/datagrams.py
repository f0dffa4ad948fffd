"""Where announcements arrive.

Keeps true: who has sent one is what the kernel says, not what the datagram says; what is no
announcement, or another user's, is not given on.
"""

import json
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any

from ..announcing import BYTES_MAX

_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Announcement:
    """What a process said of itself."""

    pid: int
    said: dict[str, Any]


class Ear:
    """A socket at a path, which only its user may send to."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        before = os.umask(0o177)
        try:
            self._socket.bind(path)
        finally:
            os.umask(before)

    def hear(self) -> Announcement | None:
        """The next one; None if it was none.

        Raises:
            OSError: the ear is closed.
        """
        space = socket.CMSG_SPACE(_CREDENTIALS.size)
        data, ancillary, flags, _ = self._socket.recvmsg(BYTES_MAX, space)
        if not data and not ancillary:
            # It was shut down, rather than sent nothing.
            raise OSError("closed")
        if flags & socket.MSG_TRUNC:
            return None
        for level, kind, credentials in ancillary:
            if level != socket.SOL_SOCKET or kind != socket.SCM_CREDENTIALS:
                continue
            pid, uid, _ = _CREDENTIALS.unpack(credentials[: _CREDENTIALS.size])
            try:
                said = json.loads(data)
            except ValueError:
                return None
            if uid in (0, os.getuid()) and pid > 0 and isinstance(said, dict):
                return Announcement(pid, said)
        return None

    def close(self) -> None:
        """Ends it, and whoever hears."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass

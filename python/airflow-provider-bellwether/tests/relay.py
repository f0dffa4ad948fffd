"""A relay of TCP between clients and the server under test, whose network can fail.

Keeps true: while it is frozen nothing arrives at either side, and no connection is closed: as if a
switch had lost its power.
"""

import selectors
import socket
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Listens on a port of its own; `hosts` is what clients connect to."""

    def __init__(self, hosts: str) -> None:
        host, port = hosts.split(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.hosts = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._others: dict[socket.socket, socket.socket] = {}
        self._frozen = False
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def freeze(self) -> None:
        """From here on nothing arrives."""
        self._frozen = True
        self._wake.send(b"x")

    def thaw(self) -> None:
        """From here on everything arrives, what was sent meanwhile included."""
        self._frozen = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over = True
        self._wake.send(b"x")
        self._thread.join()
        for stream in (self._listener, self._wake, self._woken, *self._others):
            stream.close()

    def _run(self) -> None:
        while not self._over:
            ready = self._selector.select(0.02)
            if self._frozen:
                threading.Event().wait(0.02)
                continue
            for key, _ in ready:
                stream = key.fileobj
                assert isinstance(stream, socket.socket)
                if stream is self._listener:
                    self._accept()
                elif stream is self._woken:
                    stream.recv(1)
                elif stream in self._others:
                    # Not if its other end has just closed both.
                    self._move(stream)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        self._others |= {client: server, server: client}
        for stream in (client, server):
            self._selector.register(stream, selectors.EVENT_READ)

    def _move(self, stream: socket.socket) -> None:
        other = self._others.get(stream)
        try:
            data = stream.recv(1 << 16)
            if other is not None and data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (stream, other):
            if end is not None and self._others.pop(end, None) is not None:
                self._selector.unregister(end)
                end.close()

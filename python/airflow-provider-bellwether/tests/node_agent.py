"""A stand-in of the machine's agent: `GET /v1/node<path>` over a Unix socket, from a dictionary.

Keeps true: it answers as `docs/airflow/secrets.md` says, and remembers what it was asked.
"""

import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote


class NodeAgent:
    """Serves `nodes` at `path` while a block lasts."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.nodes: dict[str, bytes] = {}
        self.stale = False
        self.asked: list[tuple[str, int]] = []
        """Nodes that were asked for, and the answers' codes."""
        agent = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            def do_GET(self) -> None:  # noqa: N802
                """Answers."""
                agent._answer(self)

            def address_string(self) -> str:
                """Who asks; a Unix socket has no address."""
                return "local"

            def log_message(self, *_arguments: Any) -> None:
                """Nothing."""

        class Server(socketserver.ThreadingUnixStreamServer):
            """Requests in threads."""

            daemon_threads = True

        self._server = Server(self.path, Handler)
        os.chmod(self.path, 0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        prefix = "/v1/node"
        assert request.path.startswith(prefix), request.path
        node = unquote(request.path.removeprefix(prefix))
        data = self.nodes.get(node)
        tag = None if data is None else f'"{hash(data):x}"'
        if self.stale:
            code, body = 503, b""
        elif data is None:
            code, body = 404, b""
        elif request.headers["If-None-Match"] == tag:
            code, body = 304, b""
        else:
            code, body = 200, data
        self.asked.append((node, code))
        request.send_response(code)
        if tag is not None and code in (200, 304):
            request.send_header("ETag", tag)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

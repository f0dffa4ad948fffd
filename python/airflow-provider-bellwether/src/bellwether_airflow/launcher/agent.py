"""The agent of a machine: one session that serves nodes, registers processes and writes states.

Keeps true: its sockets are its user's alone. What it answers is what a server of the ensemble says
at that moment, or that it cannot say (503); it never answers from memory. It registers processes
that announce themselves, by the kernel's word for who they are.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import signal
import socketserver
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import bellwether

from ..announcing import events_of
from .datagrams import Announcement, Ear
from .processes import Processes
from .registrar import Registrar
from .registry import registered
from .service import Ending, Ensemble, Link, Trouble, log, part_of_path, told

ANSWER_S = 1.0
"""What takes longer to read is answered by 503."""

IDLE_S = 5.0
"""A connection that says nothing for so long is closed."""

READS_MAX = 64
STATES_MAX = 4096
_PATH_BYTES_MAX = 8192
_PR_SET_PDEATHSIG = 1
_STATE_ROOT = "/airflow/{}/state"


class States:
    """Writes the last state of each DAG to its node, in a thread of its own."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._changed = threading.Condition()
        self._pending: dict[str, bytes] = {}
        self.dropped = 0
        """States of DAGs that were too many to be kept until they could be written."""
        threading.Thread(target=self._run, name="states", daemon=True).start()

    def put(self, path: str, data: bytes) -> None:
        """To be written; only the last of a path is."""
        with self._changed:
            if path not in self._pending and len(self._pending) >= STATES_MAX:
                self.dropped += 1
                return
            self._pending[path] = data
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending)
                path = next(iter(self._pending))
                data = self._pending.pop(path)
            try:
                self._write(path, data)
            except (Ending, Trouble):
                return
            except (bellwether.NoAuthError, bellwether.BadArgumentsError) as error:
                self._link.tell(f"a state cannot be written: {told(error)}")
            except bellwether.ZooKeeperError as error:
                self._link.tell(f"states cannot be written yet: {told(error)}")
                with self._changed:
                    self._pending.setdefault(path, data)
                self._link.pause()

    def _write(self, path: str, data: bytes) -> None:
        client = self._link.client()
        try:
            client.set(path, data)
        except bellwether.NoNodeError:
            try:
                client.create(path, data, makepath=True)
            except bellwether.NodeExistsError:
                client.set(path, data)


class Agent:
    """Serves at a socket, and hears announcements beside it."""

    def __init__(self, ensemble: Ensemble, path: str) -> None:
        self.path = path
        self.link = Link(ensemble)
        self._registrar = Registrar(self.link)
        self._processes = Processes(self._registrar, path + ".processes")
        self._states = States(self.link)
        self._key = os.urandom(16)
        self._reads = ThreadPoolExecutor(READS_MAX, "read")
        self._free = threading.BoundedSemaphore(READS_MAX)
        self._asked = 0
        self._heard = 0
        for stale in (path, events_of(path)):
            if os.path.lexists(stale):
                os.unlink(stale)
        self._ear = Ear(events_of(path))
        self._server = _serve(self)
        for name, work in (("session", self._keep_session), ("events", self._hear)):
            threading.Thread(target=work, name=name, daemon=True).start()
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Ends it; what it has registered goes with its session."""
        self._server.shutdown()
        self._server.server_close()
        self._ear.close()
        os.unlink(self.path)
        closing = threading.Thread(target=self.link.close, daemon=True)
        closing.start()
        closing.join(IDLE_S)

    def answer(self, target: str, tag: str | None) -> tuple[int, bytes, str | None]:
        """The code, the body and the ETag for `GET target`."""
        self._asked += 1
        parts = urlsplit(target)
        if parts.path.startswith("/v1/node/"):
            return self._node(parts.path.removeprefix("/v1/node"), tag)
        if parts.path == "/v1/registry":
            asked = parse_qs(parts.query).get("deployment", ["default"])[0]
            return self._registry(asked)
        if parts.path == "/v1/status":
            return 200, json.dumps(self.status(), sort_keys=True).encode(), None
        return 404, b"", None

    def status(self) -> dict[str, object]:
        """What it does, for people."""
        client = self.link.present()
        return {
            "session": "none" if client is None else client.state,
            "asked": self._asked,
            "heard": self._heard,
            "states_dropped": self._states.dropped,
            "registered": len(self._registrar.wanted()),
        }

    def _node(self, quoted: str, tag: str | None) -> tuple[int, bytes, str | None]:
        try:
            path = unquote(quoted, errors="strict")
        except UnicodeDecodeError:
            return 400, b"the path is not UTF-8", None
        client = self.link.present()
        if client is None or client.state != "connected":
            return 503, b"", None
        try:
            data, _ = self._within(lambda: client.get(path))
        except bellwether.NoNodeError:
            return 404, b"", None
        except bellwether.NoAuthError:
            self.link.tell(f"{path} was asked for, and this agent's user may not read it")
            return 403, b"", None
        except bellwether.BadArgumentsError:
            return 400, b"no node can have this path", None
        except (bellwether.ZooKeeperError, TimeoutError):
            return 503, b"", None
        mine = f'"{hashlib.blake2b(data, key=self._key, digest_size=16).hexdigest()}"'
        return (304, b"", mine) if tag == mine else (200, data, mine)

    def _registry(self, deployment: str) -> tuple[int, bytes, str | None]:
        client = self.link.present()
        if client is None or client.state != "connected":
            return 503, b"", None
        try:
            part_of_path("deployment", deployment)
            found = self._within(lambda: registered(client, deployment))
        except Trouble as trouble:
            return 400, str(trouble).encode(), None
        except (bellwether.ZooKeeperError, TimeoutError):
            return 503, b"", None
        return 200, json.dumps(found, sort_keys=True).encode(), None

    def _within(self, work: Any) -> Any:
        """Asks the ensemble, for so long as somebody may wait."""
        if not self._free.acquire(blocking=False):
            raise TimeoutError
        future: Future[Any] = self._reads.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        return future.result(timeout=ANSWER_S)

    def _keep_session(self) -> None:
        while True:
            try:
                self.link.client()
            except Ending:
                return
            except Trouble as trouble:
                self.link.tell(str(trouble))
            self.link.pause()

    def _hear(self) -> None:
        while True:
            try:
                heard = self._ear.hear()
            except OSError:
                return
            if heard is None:
                continue
            self._heard += 1
            try:
                self._take(heard)
            except Trouble as trouble:
                self.link.tell(f"an announcement of process {heard.pid} is not taken: {trouble}")

    def _take(self, heard: Announcement) -> None:
        kind = heard.said.get("kind")
        if kind == "start" and not heard.said.get("registered"):
            self._processes.add(heard.pid, heard.said)
        elif kind == "stop":
            self._processes.drain(heard.pid)
        elif kind == "dag":
            deployment = part_of_path("deployment", str(heard.said.get("deployment", "")))
            dag = part_of_path("dag", str(heard.said.get("dag", "")))
            state = {name: heard.said.get(name) for name in ("state", "run_id", "when_ms")}
            data = json.dumps(state, sort_keys=True).encode()
            self._states.put(f"{_STATE_ROOT.format(deployment)}/{dag}", data)


def _serve(agent: Agent) -> socketserver.ThreadingUnixStreamServer:
    class Handler(BaseHTTPRequestHandler):
        """One request."""

        timeout = IDLE_S

        def do_GET(self) -> None:  # noqa: N802
            """Answers."""
            if len(self.path) > _PATH_BYTES_MAX:
                code, body, tag = 414, b"", None
            else:
                code, body, tag = agent.answer(self.path, self.headers["If-None-Match"])
            self.send_response(code)
            if tag is not None:
                self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            """Who asks; a Unix socket has no address."""
            return "local"

        def log_message(self, *_arguments: Any) -> None:
            """Nothing: a path may tell the name of a secret."""

    class Server(socketserver.ThreadingUnixStreamServer):
        """Requests in threads."""

        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_arguments: Any) -> None:
            """Whoever asks has gone away."""

    before = os.umask(0o177)
    try:
        return Server(agent.path, Handler)
    finally:
        os.umask(before)


def serve(ensemble: Ensemble, path: str, waits: bool, parent: int | None) -> int:
    """The command `agent`: until it is told to end, or its parent has ended.

    Raises:
        Trouble: another agent serves there, or the socket cannot be made.
    """
    if parent is not None:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            return 0
    lock = path + ".lock"
    try:
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Trouble(f"{lock} cannot be made: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        raise Trouble(f"another agent serves at {path}; --wait waits for its end") from None
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        agent = Agent(ensemble, path)
    except OSError as error:
        raise Trouble(f"no socket at {path}: {error.strerror or error}") from None
    log.info("the agent serves at %s", path)
    over.wait()
    agent.close()
    return 0

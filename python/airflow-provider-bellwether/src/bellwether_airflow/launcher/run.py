"""`bellwether-airflow run`: a component of Airflow, elected, configured and registered.

One loop takes the events of all threads and decides; nothing else starts or ends the component.

Keeps true: with an election the component runs only under an office (see `elect`). A changed
configuration restarts it, one component of the deployment at a time, and if it does not come up it
gets the configuration of before. When the component ends by itself the launcher ends too, with its
exit code; when the launcher is told to end, so is the component.
"""

import json
import os
import queue
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import bellwether
from bellwether.recipes import Held, Instance, Lock, Snapshot, Subtree

from .. import announcing
from . import render
from .child import Child
from .datagrams import Ear
from .elect import Campaign, Lease, Office
from .keeper import AgentKeeper
from .registrar import Registrar
from .service import Ensemble, Link, Trouble, log, told

_QUIET_S = 0.5
"""A tree that has changed is read when nothing has changed for so long."""

_CLOSE_S = 5.0
_REFUSED = 2


@dataclass(frozen=True)
class Plan:
    """What is to be run, and how."""

    ensemble: Ensemble
    command: tuple[str, ...]
    component: str
    deployment: str = "default"
    register: bool = False
    ports: tuple[int, ...] = ()
    config: str | None = None
    election: str | None = None
    restart_lock: str | None = None
    """By default `/airflow/<deployment>/restart`."""
    agent_socket: str | None = None
    grace: float = 60.0
    """Seconds from the request to end to the killing."""
    settle: float = 10.0
    """Seconds after which a component that runs is taken for up, if it has not said so."""


class Launcher:
    """Runs a component until it ends or is told to."""

    def __init__(self, plan: Plan, known: Callable[[], render.Known] = render.known) -> None:
        self._plan = plan
        self._known = known
        self._link = Link(plan.ensemble)
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._office: Office | None = None
        self._doubted: Office | None = None
        self._child: Child | None = None
        self._configured: dict[str, str] | None = None if plan.config else {}
        self._rendered: dict[str, str] = {}
        self._before: dict[str, str] | None = None
        self._bad: dict[str, str] | None = None
        self._stopping: str | None = None
        self._is_waiting_for_turn = False
        self._turn: Held | None = None
        self._settles_at: float | None = None
        self._signals = 0
        self._code: int | None = None
        self._directory = tempfile.mkdtemp(prefix="bellwether-airflow-")
        self._registrar: Registrar | None = None
        self._instance: Instance | None = None
        self._overridden: set[str] = set()

    def run(self) -> int:
        """Until the component has ended; its exit code, or 2 if something is to be mended first."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._events.put(self._on_signal))
        ear = Ear(os.path.join(self._directory, "notify"))
        keeper = None
        try:
            threading.Thread(target=self._hear, args=(ear,), name="notify", daemon=True).start()
            if self._plan.agent_socket:
                keeper = AgentKeeper(self._plan.ensemble, self._plan.agent_socket)
            if self._plan.register:
                self._registrar = Registrar(self._link)
            if self._plan.config:
                self._in_thread("configuration", self._watch_config)
            if self._plan.election:
                self._campaign(self._plan.election)
            self._events.put(self._consider)
            while self._code is None:
                self._next()
            return self._code
        finally:
            self._close(ear, keeper)

    def _next(self) -> None:
        timeout = None
        if self._settles_at is not None:
            timeout = max(self._settles_at - time.monotonic(), 0)
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            self._on_settled("it has run for a while")
            return
        event()

    def _close(self, ear: Ear, keeper: AgentKeeper | None) -> None:
        if self._child is not None:
            # Something went wrong in here; the component must not outlive its launcher.
            self._child.kill()
            self._child.wait()
        if keeper is not None:
            keeper.close()
        ear.close()
        # The servers may be out of reach; the session then ends by itself.
        closing = threading.Thread(target=self._link.close, name="close", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _in_thread(self, name: str, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except Trouble as trouble:
                text = str(trouble)
                self._events.put(lambda: self._on_trouble(text))

        threading.Thread(target=run, name=name, daemon=True).start()

    # What is decided here.

    def _consider(self) -> None:
        """Starts the component, if it may run and does not."""
        if self._child is not None or self._signals or self._code is not None:
            return
        if self._configured is None:
            return
        lease = None
        if self._plan.election:
            lease = None if self._office is None else self._office.lease()
            if lease is None or lease.term_at <= time.monotonic():
                return
        wanted = self._configured
        if wanted == self._bad and self._before is not None:
            wanted = self._before
        self._rendered = wanted
        self._stopping = None
        log.info("starting %s", " ".join(self._plan.command))
        self._child = Child(self._plan.command, self._environment(wanted), self._tell, lease)

    def _environment(self, rendered: dict[str, str]) -> dict[str, str]:
        environment = dict(os.environ)
        for name, value in rendered.items():
            if name not in environment:
                environment[name] = value
            elif environment[name] != value and name not in self._overridden:
                self._overridden.add(name)
                log.warning("%s is set in the environment, which wins over the tree", name)
        environment["AIRFLOW__BELLWETHER__DEPLOYMENT"] = self._plan.deployment
        environment[announcing.NOTIFY] = os.path.join(self._directory, "notify")
        if self._plan.agent_socket:
            environment["AIRFLOW__BELLWETHER__AGENT_SOCKET"] = self._plan.agent_socket
        if self._plan.register:
            environment[announcing.REGISTERED] = "1"
        if self._office is not None:
            environment["BELLWETHER_EPOCH"] = str(self._office.epoch)
        return environment

    def _on_signal(self) -> None:
        self._signals += 1
        if self._child is None:
            self._code = 0
        elif self._signals == 1:
            log.info("told to end: so is the component")
            self._stopping = "signal"
            self._show("draining")
            self._child.stop(self._plan.grace)
        else:
            self._child.kill()

    def _on_trouble(self, text: str) -> None:
        log.error("%s", text)
        if self._child is None:
            self._code = _REFUSED

    # The component.

    def _tell(self, child: Child, word: str, number: int) -> None:
        self._events.put(lambda: self._on_told(child, word, number))

    def _on_told(self, child: Child, word: str, number: int) -> None:
        if child is not self._child:
            return
        if word == "started":
            self._settles_at = time.monotonic() + self._plan.settle
            self._begin_to_show(child)
        elif word == "term":
            log.warning("no server has answered for half of the session timeout: ending it")
            self._doubted = self._office
            self._stopping = "office"
            self._show("draining")
            child.stop(self._plan.grace)
        else:
            self._child = None
            self._settles_at = None
            self._hide()
            self._on_ended(number)

    def _on_ended(self, code: int) -> None:
        why, self._stopping = self._stopping, None
        log.info("the component has ended with %d", code)
        if self._signals:
            self._code = 0 if code in (0, -signal.SIGTERM) else _exit_code(code)
        elif why == "office":
            self._end_turn()
            office = self._office
            if office is not None and office is self._doubted:
                self._office = None
                threading.Thread(target=office.give_up, name="give-up", daemon=True).start()
        elif why == "restart":
            pass
        elif self._turn is not None and self._before is not None and self._bad is None:
            log.error("it does not come up with the changed configuration: going back to the other")
            self._bad = self._rendered
        else:
            self._code = _exit_code(code)
        self._consider()

    def _on_settled(self, why: str) -> None:
        if self._settles_at is None:
            return
        self._settles_at = None
        log.info("the component is up: %s", why)
        self._show("up")
        self._end_turn()
        self._want_turn()

    def _hear(self, ear: Ear) -> None:
        while True:
            try:
                heard = ear.hear()
            except OSError:
                return
            if heard is not None and heard.said.get("kind") == "start":
                pid = heard.pid
                self._events.put(lambda pid=pid: self._on_announced(pid))  # type: ignore[misc]

    def _on_announced(self, pid: int) -> None:
        try:
            is_ours = self._child is not None and os.getpgid(pid) == self._child.pid
        except ProcessLookupError:
            return
        if is_ours:
            self._on_settled(f"process {pid} says so")

    # The election.

    def _campaign(self, path: str) -> None:
        words: dict[str, object] = {"host": socket.gethostname(), "pid": os.getpid()}
        words["component"] = self._plan.component

        def elected(office: Office) -> None:
            self._events.put(lambda: self._on_elected(office))

        def lease(lease: Lease) -> None:
            child = self._child
            if child is not None:
                child.lease(lease)
            else:
                # What was left of the first may have been too short to start.
                self._events.put(self._consider)

        def lost(office: Office, reason: str) -> None:
            self._events.put(lambda: self._on_lost(office, reason))

        def failed(trouble: Trouble) -> None:
            self._events.put(lambda: self._on_trouble(str(trouble)))

        data = json.dumps(words, sort_keys=True).encode()
        Campaign(self._link, path, data, elected, lease, lost, failed).start()

    def _on_elected(self, office: Office) -> None:
        log.info("elected, epoch %d", office.epoch)
        self._office = office
        self._consider()

    def _on_lost(self, office: Office, reason: str) -> None:
        if office is not self._office:
            return
        log.warning("the office of epoch %d is lost: %s", office.epoch, reason)
        self._office = None
        if self._child is not None:
            self._stopping = self._stopping or "office"
            self._child.kill()

    # The configuration, and whose turn it is to restart.

    def _watch_config(self) -> None:
        root = self._plan.config or ""
        known = self._known()
        while not self._link.ending.is_set():
            client = self._link.client()
            try:
                with Subtree.open(client, root) as tree, tree.watch() as watch:
                    self._read(client, known, root, tree.snapshot())
                    while True:
                        _, snapshot = watch.next()
                        try:
                            while True:
                                _, snapshot = watch.next(_QUIET_S)
                        except TimeoutError:
                            pass
                        if snapshot.is_settled:
                            self._read(client, known, root, snapshot)
            except (bellwether.NoAuthError, bellwether.BadArgumentsError) as error:
                raise Trouble(f"--config {root} cannot be read: {told(error)}") from None
            except bellwether.ZooKeeperError as error:
                if not self._link.ending.is_set():
                    self._link.tell(f"--config {root} cannot be read now: {told(error)}")
            self._link.pause()

    def _read(
        self, client: bellwether.Client, known: render.Known, root: str, tree: Snapshot
    ) -> None:
        nodes = {path: node.data for path, node in tree.items()}
        problems = render.unreadable(client, root, nodes)
        if root not in nodes and not problems:
            log.warning("--config %s: there is no such node; waiting for it", root)
            return
        rendering = render.render(root, nodes, known)
        problems += rendering.problems
        if problems:
            lines = "\n".join(f"  {problem}" for problem in problems)
            text = f"--config {root} is refused:\n{lines}"
            self._events.put(lambda: self._on_bad_tree(text))
            return
        environment = rendering.environment()
        self._events.put(lambda: self._on_configured(environment))

    def _on_bad_tree(self, text: str) -> None:
        """Who has a configuration goes on with it, also one that waits to be elected."""
        log.error("%s", text)
        if self._configured is None:
            self._code = _REFUSED

    def _on_configured(self, environment: dict[str, str]) -> None:
        log.info("the configuration has %d options", len(environment))
        self._configured = environment
        if environment != self._bad:
            self._bad = None
        if self._child is None:
            self._consider()
        else:
            self._want_turn()

    def _want_turn(self) -> None:
        """Asks for the right to restart, if there is something to restart for."""
        is_asking = self._is_waiting_for_turn or self._turn is not None
        if is_asking or self._child is None or self._stopping:
            return
        if self._configured in (self._rendered, self._bad):
            return
        self._is_waiting_for_turn = True
        self._in_thread("turn", self._take_turn)

    def _take_turn(self) -> None:
        path = self._plan.restart_lock or f"/airflow/{self._plan.deployment}/restart"
        data = f"{self._plan.component} on {socket.gethostname()}".encode()
        log.info("the configuration has changed: waiting for the turn to restart at %s", path)
        while True:
            client = self._link.client()
            try:
                held = Lock(client, path, data=data).acquire()
            except (bellwether.NoAuthError, bellwether.BadArgumentsError) as error:
                raise Trouble(f"no turn to restart at {path}: {told(error)}") from None
            except bellwether.ZooKeeperError as error:
                self._link.tell(f"no turn to restart at {path} yet: {told(error)}")
                self._link.pause()
                continue
            self._events.put(lambda: self._on_turn(held))
            return

    def _on_turn(self, held: Held) -> None:
        self._is_waiting_for_turn = False
        self._turn = held
        if self._child is None or self._stopping or self._configured == self._rendered:
            self._end_turn()
            return
        log.info("restarting")
        self._before = self._rendered
        self._stopping = "restart"
        self._show("draining")
        self._child.stop(self._plan.grace)

    def _end_turn(self) -> None:
        held, self._turn = self._turn, None
        if held is not None:
            threading.Thread(target=_release, args=(held,), name="turn", daemon=True).start()

    # The registry.

    def _begin_to_show(self, child: Child) -> None:
        host = socket.gethostname()
        said = {"pid": str(child.pid), "version": _version()}
        if self._plan.ports:
            said["ports"] = ",".join(map(str, self._plan.ports))
        if self._office is not None:
            said["epoch"] = str(self._office.epoch)
        self._instance = Instance(
            f"{host}-{child.pid}",
            host,
            self._plan.ports[0] if self._plan.ports else 0,
            metadata=said,
            registered_ms=int(time.time() * 1000),
        )
        self._show("down")

    def _show(self, health: str) -> None:
        before = self._instance
        if self._registrar is None or before is None:
            return
        self._instance = Instance(
            before.id,
            before.address,
            before.port,
            health=health,  # type: ignore[arg-type]
            metadata=before.metadata,
            registered_ms=before.registered_ms,
        )
        self._registrar.show(self._base(), self._plan.component, self._instance)

    def _hide(self) -> None:
        instance, self._instance = self._instance, None
        if self._registrar is not None and instance is not None:
            self._registrar.hide(self._base(), self._plan.component, instance.id)

    def _base(self) -> str:
        return f"/airflow/{self._plan.deployment}/registry"


def _release(held: Held) -> None:
    try:
        held.release()
    except bellwether.ZooKeeperError as error:
        log.warning("the turn to restart is given back with the session: %s", told(error))


def _exit_code(code: int) -> int:
    """As a shell has it: a signal is 128 and its number."""
    return code if code >= 0 else 128 - code


def _version() -> str:
    try:
        return metadata.version("apache-airflow")
    except metadata.PackageNotFoundError:
        return "unknown"


def component_of(command: list[str]) -> str:
    """What a command line starts: the command of airflow, or the program."""
    words = [os.path.basename(word) for word in command]
    if "airflow" in words[:3]:
        later = [word for word in words[words.index("airflow") + 1 :] if not word.startswith("-")]
        if later:
            return later[0]
    return words[0]


__all__ = ["Launcher", "Plan", "component_of"]

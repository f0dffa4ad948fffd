"""Keeps instances registered: ephemeral nodes `BASE/<component>/<id>`, in a thread of its own.

Keeps true: what is shown is registered as long as a session lives, and again after one has ended;
whoever shows something waits for no server.
"""

import threading
from dataclasses import dataclass
from typing import Any

import bellwether
from bellwether import Client
from bellwether.recipes import Instance, Registration, Registry

from .service import Ending, Link, Trouble, log, told

_LOOK_S = 1.0


@dataclass
class _Shown:
    client: Client
    instance: Instance
    registration: Registration


class Registrar:
    """Shows instances; each is known by its component and its id."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._changed = threading.Condition()
        self._wanted: dict[tuple[str, str, str], Instance] = {}
        self._shown: dict[tuple[str, str, str], _Shown] = {}
        threading.Thread(target=self._run, name="registrar", daemon=True).start()

    def show(self, base: str, component: str, instance: Instance) -> None:
        """Registers it, or changes what it says."""
        with self._changed:
            self._wanted[base, component, instance.id] = instance
            self._changed.notify()

    def hide(self, base: str, component: str, identity: str) -> None:
        """Takes it away."""
        with self._changed:
            self._wanted.pop((base, component, identity), None)
            self._changed.notify()

    def wanted(self) -> dict[tuple[str, str, str], Instance]:
        """What is shown, or shall be."""
        with self._changed:
            return dict(self._wanted)

    def _run(self) -> None:
        while not self._link.ending.is_set():
            with self._changed:
                self._changed.wait_for(self._is_due, _LOOK_S)
                wanted = dict(self._wanted)
            try:
                self._follow(wanted)
            except Ending:
                return
            except Trouble as trouble:
                log.error("%s", trouble)
                self._link.pause()
            except bellwether.ZooKeeperError as error:
                if not self._link.ending.is_set():
                    self._link.tell(f"not registered yet: {told(error)}")
                self._link.pause()

    def _is_due(self) -> bool:
        return {key: shown.instance for key, shown in self._shown.items()} != self._wanted

    def _follow(self, wanted: dict[tuple[str, str, str], Instance]) -> None:
        for key in [key for key in self._shown if key not in wanted]:
            self._shown.pop(key).registration.unregister()
        if not wanted:
            return
        client = self._link.client()
        for key, instance in wanted.items():
            shown = self._shown.get(key)
            if shown is None or shown.client is not client:
                self._shown.pop(key, None)
                registration = Registry(client, key[0]).register(key[1], instance)
                self._shown[key] = _Shown(client, instance, registration)
            elif shown.instance != instance:
                shown.registration.update(instance)
                shown.instance = instance


def described(instance: Instance) -> dict[str, Any]:
    """An instance as JSON, for people and for the page of the registry."""
    return {
        "id": instance.id,
        "host": instance.address,
        "health": instance.health,
        "registered_ms": instance.registered_ms,
        **instance.metadata,
    }

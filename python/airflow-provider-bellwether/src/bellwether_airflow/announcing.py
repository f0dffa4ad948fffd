"""Announcements: what Airflow's processes say of themselves, as single datagrams of JSON.

Keeps true: an announcement never blocks, never raises, starts no thread and opens no session: it is
sent, or dropped and counted. It imports nothing of Airflow's, nor of the client's. Who listens are
the node agent, at its socket's name with `.events` behind it, and the launcher.
"""

import json
import socket

NOTIFY = "BELLWETHER_NOTIFY"
"""In the environment of a component: where its launcher listens."""

REGISTERED = "BELLWETHER_REGISTERED"
"""In the environment of a component that its launcher registers, so that the agent need not."""

BYTES_MAX = 8192

_dropped = 0


def events_of(agent_socket: str) -> str:
    """Where the agent listens for announcements."""
    return agent_socket + ".events"


def dropped() -> int:
    """How many announcements of this process nobody took."""
    return _dropped


def announce(addresses: list[str], **said: object) -> None:
    """Tells whoever listens at these paths."""
    global _dropped
    for address in addresses:
        try:
            message = json.dumps({**said, "dropped": _dropped}).encode()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message, address)
        except (OSError, TypeError, ValueError):
            _dropped += 1

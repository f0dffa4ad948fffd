"""Which engine a task talks to: a connection of Airflow's types `elasticsearch` or `opensearch`.

Keeps true: those types belong to other providers, and are read here as these write them; a secret
is in no text that this module makes.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import urlsplit

from ..errors import Refused
from ..paths import checked, child_of
from ..settings import DEFAULT_CONN_ID as ZOOKEEPER_DEFAULT
from ..settings import ConnectionLike, Settings, Target, seconds_of
from ..version_compat import BaseHook, mask_secret

DEFAULT_CONN_ID = "elasticsearch_default"
DEFAULT_PORT = 9200
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_CONNECT_TIMEOUT_S = 5.0

CONNECTION_TYPES = ("elasticsearch", "opensearch", "http", "https")

_YES = (True, "true", "True", 1, "1")
_NO = (False, "false", "False", 0, "0", None, "")


@dataclass(frozen=True)
class Place:
    """Where an engine's nodes are registered, as `zk://CONN_ID/ROOT` says it."""

    conn_id: str
    nodes: str
    """The node whose children they are."""


def place_of(discovery: str) -> Place:
    """The place that `zk://CONN_ID/ROOT` names; without CONN_ID by the default connection.

    Raises:
        Refused: it is no such address.
    """
    parts = urlsplit(discovery)
    if parts.scheme != "zk" or parts.query or parts.fragment:
        raise Refused(f"discovery is {discovery!r}; zk://CONN_ID/ROOT is expected")
    root = checked(parts.path.rstrip("/") or "/")
    return Place(parts.netloc or ZOOKEEPER_DEFAULT, child_of(root, "nodes"))


@dataclass(frozen=True)
class Registry:
    """Where an engine's nodes are registered, and how that is reached."""

    zookeeper: Settings
    nodes: str


@dataclass(frozen=True)
class SearchSettings:
    """How an engine is reached."""

    hosts: tuple[str, ...]
    """Addresses such as `http://one:9200`, without a path."""
    scheme: str = "http"
    """For addresses that discovery finds."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT_S
    """Seconds that an answer may take."""
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT_S
    """Seconds that connecting to a host may take."""
    verify: bool = True
    ca_certs: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    registry: Registry | None = None
    """Where more hosts are found."""

    def headers(self) -> dict[str, str]:
        """What goes with every request besides the user."""
        return {"Authorization": f"ApiKey {self.api_key}"} if self.api_key else {}

    def tls(self) -> ssl.SSLContext | bool:
        """What certificates are checked with; reading those of the system takes a while.

        Raises:
            Refused: a file of the connection cannot be read.
        """
        if self.scheme == "http" and not any(host.startswith("https:") for host in self.hosts):
            return False
        if not self.ca_certs and not self.client_cert:
            return self.verify
        try:
            context = ssl.create_default_context(cafile=self.ca_certs)
            if not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.client_cert:
                context.load_cert_chain(self.client_cert, self.client_key)
        except (OSError, ssl.SSLError) as error:
            raise Refused(f"the certificates of the connection cannot be used: {error}") from None
        return context

    def hide_secrets(self) -> None:
        """Has Airflow mask the secrets wherever they come up in logs."""
        for secret in (self.password, self.api_key):
            if secret:
                mask_secret(secret)
        if self.registry is not None:
            self.registry.zookeeper.hide_secrets()


@dataclass(frozen=True)
class SearchTarget:
    """Where a task's engine is: told to a trigger, which looks it up itself."""

    es_conn_id: str | None = None
    discovery: str | None = None

    def resolve(self) -> SearchSettings:
        """The settings, by asking Airflow.

        Raises:
            Refused: the connection is not possible.
        """
        connection = BaseHook.get_connection(self.es_conn_id or DEFAULT_CONN_ID)
        settings = from_connection(connection, discovered=self.discovery is not None)
        if self.discovery is None:
            return settings
        place = place_of(self.discovery)
        zookeeper = Target(conn_id=place.conn_id).resolve()
        return replace(settings, registry=Registry(zookeeper, place.nodes))

    async def aresolve(self) -> SearchSettings:
        """As `resolve`, without blocking the event loop of a triggerer."""
        connection = await BaseHook.aget_connection(self.es_conn_id or DEFAULT_CONN_ID)
        settings = from_connection(connection, discovered=self.discovery is not None)
        if self.discovery is None:
            return settings
        place = place_of(self.discovery)
        zookeeper = await Target(conn_id=place.conn_id).aresolve()
        return replace(settings, registry=Registry(zookeeper, place.nodes))

    def serialize(self) -> dict[str, Any]:
        """As arguments of a trigger."""
        return {"es_conn_id": self.es_conn_id, "discovery": self.discovery}

    @classmethod
    def deserialize(cls, stored: Mapping[str, Any]) -> Self:
        """The opposite of `serialize`."""
        return cls(stored.get("es_conn_id"), stored.get("discovery"))


def from_connection(connection: ConnectionLike, *, discovered: bool = False) -> SearchSettings:
    """The settings of a connection. With discovery it may do without a host.

    Raises:
        Refused: a field of the connection is not possible; it names the connection and the field.
    """
    try:
        return _read(connection, discovered)
    except Refused as error:
        raise Refused(f"connection {connection.conn_id!r}: {error}") from None


def _read(connection: ConnectionLike, discovered: bool) -> SearchSettings:
    if connection.conn_type not in CONNECTION_TYPES:
        expected = ", ".join(CONNECTION_TYPES)
        raise Refused(f"its type is {connection.conn_type!r}; one of {expected} is expected")
    extra = connection.extra_dejson
    scheme = _scheme(connection, extra)
    hosts = addresses(str(connection.host or ""), scheme, connection.port)
    if not hosts and not discovered:
        raise Refused("it has no host")
    api_key = extra.get("api_key") or None
    if api_key and connection.login:
        raise Refused("it has both a login and an api_key")
    return SearchSettings(
        hosts=hosts,
        scheme=scheme,
        user=connection.login or None,
        password=connection.password or None,
        api_key=api_key,
        timeout=seconds_of(extra, "timeout", DEFAULT_TIMEOUT_S),
        connect_timeout=seconds_of(extra, "connect_timeout", DEFAULT_CONNECT_TIMEOUT_S),
        verify=_flag(extra, "verify_certs", True),
        ca_certs=extra.get("ca_certs") or None,
        client_cert=extra.get("client_cert") or None,
        client_key=extra.get("client_key") or None,
    )


def _scheme(connection: ConnectionLike, extra: Mapping[str, Any]) -> str:
    if _flag(extra, "use_ssl", False):
        return "https"
    # Upstream's type has the scheme in the schema, and what is neither is an index of the article.
    if connection.schema in ("http", "https"):
        return str(connection.schema)
    return "https" if connection.conn_type == "https" else "http"


def addresses(hosts: str, scheme: str, port: object = None) -> tuple[str, ...]:
    """Addresses of a comma list of hosts, host:port, or URLs.

    Raises:
        Refused: an entry is none of these.
    """
    found = (entry.strip() for entry in hosts.split(","))
    return tuple(address(entry, scheme, port) for entry in found if entry)


def address(entry: str, scheme: str, port: object = None) -> str:
    """The address of a host, a host:port, or a URL.

    Raises:
        Refused: it is none of these.
    """
    url = entry if "://" in entry else f"{scheme}://{entry}"
    try:
        parts = urlsplit(url)
        number = parts.port or int(str(port or DEFAULT_PORT))
    except ValueError:
        raise Refused(f"the host {entry!r} has no possible port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"the host {entry!r} is neither host, host:port nor an http address")
    if parts.username or parts.password:
        raise Refused("a host has a user in it: login and password are for that")
    if parts.path not in ("", "/") or parts.query:
        raise Refused(f"the host {entry!r} has a path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{number}"


def _flag(extra: Mapping[str, Any], name: str, otherwise: bool) -> bool:
    value = extra.get(name, otherwise)
    if value in _YES:
        return True
    if value in _NO:
        return False
    raise Refused(f"{name} is {value!r}; true or false is expected")

"""Which service a task talks to: a connection of Airflow, or the arguments that articles use.

Keeps true: a secret is in no text that this module makes, and whoever is given both a connection
and arguments is told so. Leaves opening a session to `sessions`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypedDict

from bellwether import Sasl, Tls

from .errors import Refused
from .tls import TlsFiles
from .version_compat import BaseHook, mask_secret

DEFAULT_CONN_ID = "zookeeper_default"
DEFAULT_PORT = 2181
DEFAULT_SESSION_TIMEOUT_S = 10.0
DEFAULT_CONNECT_TIMEOUT_S = 10.0

_SCHEMES = ("none", "digest", "sasl-digest", "x509")
_OF_TLS = ("ca_cert", "client_cert", "client_key", "key_password")


class Opening(TypedDict):
    """Arguments of the client's `connect`."""

    session_timeout: float
    connect_timeout: float
    read_only: bool
    auth: list[tuple[str, str]]
    tls: Tls | None
    sasl: Sasl | None


class ConnectionLike(Protocol):
    """The part of an Airflow connection that is read here."""

    conn_id: Any
    conn_type: Any
    host: Any
    port: Any
    schema: Any
    login: Any
    password: Any

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The fields of the form that are this type's own."""


@dataclass(frozen=True)
class Settings:
    """What a session is opened with. Two that are equal share one."""

    hosts: str
    """The connect string: host:port, separated by commas, and a chroot behind the last."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    session_timeout: float = DEFAULT_SESSION_TIMEOUT_S
    """Seconds."""
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT_S
    """Seconds."""
    read_only: bool = False
    admin_url: str | None = None
    """Addresses of the HTTP admin servers, separated by commas, in the order of the hosts."""
    admin_auth: str | None = field(default=None, repr=False)
    """The header Authorization for the admin servers: `digest user:password`."""
    tls_files: TlsFiles | None = None
    """`None`: no TLS."""
    uses_sasl: bool = False
    """User and password are proved by SASL DIGEST-MD5 in place of the scheme digest."""

    def opening(self) -> Opening:
        """What the client's `connect` takes besides the hosts."""
        proved = self.uses_sasl and self.user is not None
        return {
            "session_timeout": self.session_timeout,
            "connect_timeout": self.connect_timeout,
            "read_only": self.read_only,
            "auth": self.auth(),
            "tls": self.tls_files.tls() if self.tls_files else None,
            "sasl": Sasl(self.user or "", self.password or "") if proved else None,
        }

    def auth(self) -> list[tuple[str, str]]:
        """The identities of the session, as the client takes them."""
        if not self.user or self.uses_sasl:
            return []
        return [("digest", f"{self.user}:{self.password or ''}")]

    def servers(self) -> list[tuple[str, int]]:
        """Host and port of every server."""
        return [_split(server, DEFAULT_PORT) for server in _servers_and_chroot(self.hosts)[0]]

    def admin_urls(self) -> list[str]:
        """The admin servers, each without a slash at its end."""
        return [url.strip().rstrip("/") for url in (self.admin_url or "").split(",") if url.strip()]

    def hide_secrets(self) -> None:
        """Has Airflow mask the secrets wherever they come up in logs."""
        key_password = self.tls_files.key_password if self.tls_files else None
        for secret in (self.password, self.admin_auth, key_password):
            if secret:
                mask_secret(secret)


@dataclass(frozen=True)
class Target:
    """Where a task's settings come from: told to a trigger, which looks them up itself."""

    conn_id: str | None = None
    given: Settings | None = None

    def resolve(self) -> Settings:
        """The settings, by asking Airflow if there is a connection to ask for."""
        if self.given is not None:
            return self.given
        return from_connection(BaseHook.get_connection(self.conn_id or DEFAULT_CONN_ID))

    async def aresolve(self) -> Settings:
        """As `resolve`, without blocking the event loop of a triggerer."""
        if self.given is not None:
            return self.given
        return from_connection(await BaseHook.aget_connection(self.conn_id or DEFAULT_CONN_ID))

    def serialize(self) -> dict[str, Any]:
        """As arguments of a trigger, which Airflow stores encrypted."""
        if self.given is None:
            return {"conn_id": self.conn_id or DEFAULT_CONN_ID}
        return {"hosts": self.given.hosts, "user": self.given.user, "password": self.given.password}

    @classmethod
    def deserialize(cls, stored: Mapping[str, Any]) -> Self:
        """The opposite of `serialize`."""
        if "hosts" not in stored:
            return cls(conn_id=stored["conn_id"])
        return cls(given=Settings(stored["hosts"], stored.get("user"), stored.get("password")))


def from_arguments(
    hosts: str | Sequence[str],
    port: int | str | None = None,
    user: str | None = None,
    password: str | None = None,
) -> Settings:
    """The settings of `zookeeper_hosts` and its relatives.

    Raises:
        Refused: there is no host, or the port is no port.
    """
    if not isinstance(hosts, str):
        hosts = ",".join(str(host) for host in hosts)
    if password and not user:
        raise Refused("zookeeper_passwd is given without zookeeper_user")
    return Settings(_with_ports(hosts, _port(port)), user or None, password or None)


def from_connection(connection: ConnectionLike) -> Settings:
    """The settings of a connection of the type `zookeeper`.

    Raises:
        Refused: a field of the connection is not possible; it names the connection and the field.
    """
    try:
        return _read(connection)
    except Refused as error:
        raise Refused(f"connection {connection.conn_id!r}: {error}") from None


def _read(connection: ConnectionLike) -> Settings:
    extra = connection.extra_dejson
    scheme = extra.get("auth_scheme") or ("digest" if connection.login else "none")
    if scheme not in _SCHEMES:
        raise Refused(f"auth_scheme {scheme!r}; one of {', '.join(_SCHEMES)} is expected")
    if extra.get("sasl_service"):
        raise Refused("sasl_service is Kerberos's, which bellwether-client does not have")
    by_name = scheme in ("digest", "sasl-digest")
    if by_name and not connection.login:
        raise Refused(f"auth_scheme {scheme} needs a login and a password")
    tls_files = _tls_files(extra)
    if scheme == "x509" and not (tls_files and tls_files.client_cert):
        raise Refused("auth_scheme x509 needs use_ssl and client_cert")
    hosts = _with_ports(str(connection.host or "localhost"), _port(connection.port))
    chroot = str(connection.schema or "").strip("/")
    if chroot and _servers_and_chroot(hosts)[1]:
        raise Refused("a chroot stands both behind the hosts and in the field for it")
    return Settings(
        hosts=f"{hosts}/{chroot}" if chroot else hosts,
        user=connection.login if by_name else None,
        password=connection.password if by_name else None,
        session_timeout=seconds_of(extra, "session_timeout", DEFAULT_SESSION_TIMEOUT_S),
        connect_timeout=seconds_of(extra, "connect_timeout", DEFAULT_CONNECT_TIMEOUT_S),
        read_only=_flag(extra, "read_only"),
        admin_url=extra.get("admin_url") or None,
        admin_auth=extra.get("admin_auth") or None,
        tls_files=tls_files,
        uses_sasl=scheme == "sasl-digest",
    )


def _tls_files(extra: Mapping[str, Any]) -> TlsFiles | None:
    given = {name: str(extra[name]) for name in _OF_TLS if extra.get(name)}
    verify_hostname = _flag(extra, "verify_hostname", otherwise=True)
    if not _flag(extra, "use_ssl"):
        if given:
            raise Refused(f"{', '.join(given)} without use_ssl: nothing would be encrypted")
        return None
    if "ca_cert" not in given:
        raise Refused("use_ssl needs ca_cert: nobody is trusted by default")
    if "client_key" in given and "client_cert" not in given:
        raise Refused("client_key is given without client_cert")
    return TlsFiles(**given, verify_hostname=verify_hostname)


def seconds_of(extra: Mapping[str, Any], name: str, otherwise: float) -> float:
    """A time of a connection's form, in seconds.

    Raises:
        Refused: it is none.
    """
    value = extra.get(name)
    if value is None or value == "":
        return otherwise
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds < 1e9:
        raise Refused(f"{name} is {value!r}; a positive number of seconds is expected")
    return seconds


def _flag(extra: Mapping[str, Any], name: str, otherwise: bool = False) -> bool:
    value = extra.get(name)
    if value is None or value == "":
        return otherwise
    if value in (False, "false", "False"):
        return False
    if value in (True, "true", "True"):
        return True
    raise Refused(f"{name} is {json.dumps(value)}; true or false is expected")


def _port(port: int | str | None) -> int:
    if port is None or port == "":
        return DEFAULT_PORT
    try:
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise Refused(f"the port {port!r} is not between 1 and 65535")
    return number


def _servers_and_chroot(hosts: str) -> tuple[list[str], str]:
    servers, slash, chroot = hosts.partition("/")
    return [server.strip() for server in servers.split(",") if server.strip()], slash + chroot


def _with_ports(hosts: str, port: int) -> str:
    servers, chroot = _servers_and_chroot(hosts)
    if not servers:
        raise Refused(f"there is no host in {hosts!r}")
    return ",".join(":".join(map(str, _split(server, port))) for server in servers) + chroot


def _split(server: str, port: int) -> tuple[str, int]:
    """Host and port; an IPv6 address with a port stands in brackets."""
    closing = server.rfind("]")
    host, colon, given = server.rpartition(":")
    bare_ipv6 = closing < 0 and server.count(":") > 1
    if bare_ipv6:
        return f"[{server}]", port
    if colon and len(host) > closing and given:
        return host, _port(given)
    return server.rstrip(":"), port

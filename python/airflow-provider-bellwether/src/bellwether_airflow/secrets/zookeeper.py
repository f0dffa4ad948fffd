"""The secrets backend: connections, variables and sensitive options of Airflow from znodes.

Keeps true: a lookup never raises, and takes no longer than `timeout`: what cannot be read is not
there, and Airflow asks its next backend. No value is ever part of a message. Airflow makes a
backend for every lookup of an option, and forks a process for every task: what costs something (a
session, what the agent said) belongs to the process, not to the backend.

Airflow reads its configuration through this module before it is ready itself: nothing is imported
here that needs it to be.
"""

import logging
import os
import re
import stat

from airflow.secrets.base_secrets import BaseSecretsBackend

from .reading import Reader, Source, Unreadable, reader_of

_log = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S = 2.0


class ZooKeeperSecretsBackend(BaseSecretsBackend):
    """Reads a secret from the node of its name, as `<path>/<name>`.

    :param agent_socket: a Unix socket at which the node agent answers; asked first
    :param hosts: the ensemble, as host:port separated by commas, and a chroot behind the last
    :param user: of the scheme digest
    :param password: the user's
    :param password_file: a file that has the password alone, in place of `password`
    :param connections_path: node above the connections; None: there are none
    :param variables_path: node above the variables; None: there are none
    :param config_path: node above the values of `*_secret` options; None: there are none
    :param connections_lookup_pattern: a regular expression; what it does not match at its
        beginning is not asked for
    :param variables_lookup_pattern: likewise
    :param config_lookup_pattern: likewise
    :param use_team_secrets_path: a team's secrets are below `<path>/<team>`, and asked for first
    :param timeout: seconds that a lookup may take
    :param ca_cert: a PEM file: connect by TLS, and trust these
    :param client_cert: a PEM file, for servers that want a client's certificate
    :param client_key: a PEM file with its key, if that is not in the same file
    :param allow_plaintext: also servers outside of this machine without TLS, though secrets travel
        unencrypted
    :param fernet_key_file: a file of Fernet keys, one per line: values are encrypted with the first
        or one of the others, and nothing else is taken
    """

    def __init__(
        self,
        agent_socket: str | None = None,
        hosts: str | list[str] | None = None,
        user: str | None = None,
        password: str | None = None,
        password_file: str | None = None,
        connections_path: str | None = "/connections",
        variables_path: str | None = "/variables",
        config_path: str | None = "/config",
        connections_lookup_pattern: str | None = None,
        variables_lookup_pattern: str | None = None,
        config_lookup_pattern: str | None = None,
        use_team_secrets_path: bool | str = False,
        timeout: float | str = DEFAULT_TIMEOUT_S,
        ca_cert: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        allow_plaintext: bool | str = False,
        fernet_key_file: str | None = None,
    ) -> None:
        super().__init__()
        if not agent_socket and not hosts:
            raise ValueError("ZooKeeperSecretsBackend needs agent_socket or hosts, or both")
        if password and password_file:
            raise ValueError("password and password_file are both given; one of them is expected")
        if (password or password_file) and not user:
            raise ValueError("a password is given without user")
        if (client_cert or client_key) and not ca_cert:
            raise ValueError("client_cert and client_key are for TLS, which needs ca_cert")
        if client_key and not client_cert:
            raise ValueError("client_key is given without client_cert")
        self.connections_path = _root("connections_path", connections_path)
        self.variables_path = _root("variables_path", variables_path)
        self.config_path = _root("config_path", config_path)
        self._connections = _pattern("connections_lookup_pattern", connections_lookup_pattern)
        self._variables = _pattern("variables_lookup_pattern", variables_lookup_pattern)
        self._config = _pattern("config_lookup_pattern", config_lookup_pattern)
        self.use_team_secrets_path = _flag("use_team_secrets_path", use_team_secrets_path)
        self.fernet_key_file = fernet_key_file
        source = Source(
            agent_socket=agent_socket or None,
            hosts=",".join(hosts) if isinstance(hosts, list) else hosts or None,
            user=user,
            password=password,
            password_file=password_file,
            timeout=_seconds("timeout", timeout),
            allow_plaintext=_flag("allow_plaintext", allow_plaintext),
            ca_cert=ca_cert or None,
            client_cert=client_cert or None,
            client_key=client_key or None,
        )
        self._reader: Reader = reader_of(source)

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """The connection as a URI or as JSON; None if it is not to be had."""
        return self._lookup(self.connections_path, self._connections, conn_id, team_name)

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        """The variable; None if it is not to be had."""
        return self._lookup(self.variables_path, self._variables, key, team_name)

    def get_config(self, key: str) -> str | None:
        """What an option `*_secret` names; None if it is not to be had."""
        return self._lookup(self.config_path, self._config, key, None)

    def _lookup(
        self, root: str | None, pattern: re.Pattern[str] | None, name: str, team: str | None
    ) -> str | None:
        if root is None or (pattern is not None and not pattern.match(name)):
            return None
        try:
            for path in self._paths(root, name, team):
                data = self._reader.read(path, root, is_encrypted=self.fernet_key_file is not None)
                if data is not None:
                    return self._text(path, data)
        except Unreadable as error:
            _log.warning("%s", error)
        except Exception as error:
            # The message of an error that is not ours might have a value in it.
            _log.warning("a secret below %s cannot be read: %s", root, type(error).__name__)
        return None

    def _paths(self, root: str, name: str, team: str | None) -> list[str]:
        parts = name.split("/")
        if "" in parts or "." in parts or ".." in parts:
            return []
        shared = f"{root.rstrip('/')}/{name}"
        if not self.use_team_secrets_path:
            return [shared]
        if "/" in name:
            # It would name another team's secret.
            return []
        if not team or "/" in team or team in (".", ".."):
            return [shared]
        return [f"{root.rstrip('/')}/{team}/{name}", shared]

    def _text(self, path: str, data: bytes) -> str | None:
        if self.fernet_key_file is not None:
            data = _decrypted(path, data, self.fernet_key_file)
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise Unreadable(f"the secret {path} is not text in UTF-8") from None


def _decrypted(path: str, data: bytes, key_file: str) -> bytes:
    from cryptography.fernet import Fernet, InvalidToken, MultiFernet

    try:
        with open(key_file, encoding="ascii") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            keys = file.read().split()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise Unreadable(f"fernet_key_file {key_file} cannot be read: {why}") from None
    if mode & 0o077:
        _log.warning("fernet_key_file %s is open to others (mode %03o): chmod 600", key_file, mode)
    try:
        fernets = [Fernet(key) for key in keys]
    except ValueError:
        raise Unreadable(f"fernet_key_file {key_file} has a line that is no Fernet key") from None
    if not fernets:
        raise Unreadable(f"fernet_key_file {key_file} has no key")
    try:
        return MultiFernet(fernets).decrypt(data.strip())
    except InvalidToken:
        raise Unreadable(
            f"the secret {path} is not encrypted with a key of {key_file}, and not taken"
        ) from None


def _root(name: str, path: str | None) -> str | None:
    """A node above secrets; what makes none of it is refused when Airflow starts."""
    if path is None or path == "":
        return None
    if not path.startswith("/") or "//" in path:
        raise ValueError(f"{name} is {path!r}: a path that begins with / is expected, or None")
    return path.rstrip("/") or "/"


def _pattern(name: str, pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{name} is no regular expression: {error}") from None


def _flag(name: str, value: bool | str) -> bool:
    """A flag; from the environment it comes as text."""
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError(f"{name} is {value!r}; true or false is expected")
    return text == "true"


def _seconds(name: str, value: float | str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 3600:
        raise ValueError(f"{name} is {value!r}; a positive number of seconds is expected")
    return seconds


__all__ = ["ZooKeeperSecretsBackend"]

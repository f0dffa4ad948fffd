"""How to connect by TLS, by PEM files: for sessions, and for what needs none.

Keeps true: nobody is trusted by default. Imports nothing of Airflow: the launcher and the secrets
backend, which come before it, connect in the same way.
"""

import ssl
from dataclasses import dataclass, field

from bellwether import Tls


@dataclass(frozen=True)
class TlsFiles:
    """Paths of PEM files on this machine."""

    ca_cert: str
    client_cert: str | None = None
    client_key: str | None = None
    key_password: str | None = field(default=None, repr=False)
    verify_hostname: bool = True

    def tls(self) -> Tls:
        """As the client takes it, which reads the files with each connection."""
        return Tls(
            trust_pem=self.ca_cert,
            identity_pem=self.client_cert,
            identity_key=self.client_key or self.client_cert,
            key_password=self.key_password,
            verify_host_name=self.verify_hostname,
        )

    def context(self) -> ssl.SSLContext:
        """As Python's own connections take it.

        Raises:
            OSError: a file cannot be read, or is no PEM file of its kind.
        """
        context = ssl.create_default_context(cafile=self.ca_cert)
        context.check_hostname = self.verify_hostname
        if self.client_cert is not None:
            # An empty password fails; without one OpenSSL would ask at the terminal.
            password = self.key_password or ""
            context.load_cert_chain(self.client_cert, self.client_key, password)
        return context


def tls_of(ca_cert: str | None, client_cert: str | None, client_key: str | None) -> Tls | None:
    """The client's argument for options that may all be missing; without `ca_cert` no TLS."""
    return TlsFiles(ca_cert, client_cert, client_key).tls() if ca_cert else None

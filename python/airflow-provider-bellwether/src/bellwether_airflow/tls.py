"""How to connect by TLS, by PEM files.

Keeps true: nobody is trusted by default. Imports nothing of Airflow: the launcher and the secrets
backend, which come before it, connect in the same way.
"""

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


def tls_of(ca_cert: str | None, client_cert: str | None, client_key: str | None) -> Tls | None:
    """The client's argument for options that may all be missing; without `ca_cert` no TLS."""
    return TlsFiles(ca_cert, client_cert, client_key).tls() if ca_cert else None

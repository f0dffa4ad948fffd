"""Access control lists: permissions, the usual lists, and entries for a user and a password."""

from ._native import Acl


class Perms:
    """Permissions; add them up."""

    READ = 1
    """May read the data and list the children."""
    WRITE = 2
    """May set the data."""
    CREATE = 4
    """May create a child."""
    DELETE = 8
    """May delete a child."""
    ADMIN = 16
    """May set the access control list."""
    ALL = 31
    """All five."""


OPEN_ACL = (Acl(Perms.ALL, "world", "anyone"),)
"""Everything to everybody; what a node gets if nothing else is said."""

READ_ACL = (Acl(Perms.READ, "world", "anyone"),)
"""Everybody may read, and nobody anything else."""

CREATOR_ALL_ACL = (Acl(Perms.ALL, "auth", ""),)
"""Everything to the identities of the session that creates the node."""


def digest_acl(user: str, password: str, perms: int = Perms.ALL) -> Acl:
    """An entry for whoever adds the identity "digest" with `user:password`."""
    # At the first use: an import of the package should not pay for them.
    import base64
    import hashlib

    secret = hashlib.sha1(f"{user}:{password}".encode()).digest()
    return Acl(perms, "digest", f"{user}:{base64.b64encode(secret).decode()}")

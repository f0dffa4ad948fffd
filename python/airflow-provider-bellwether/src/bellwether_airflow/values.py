"""What goes into nodes and what comes out: data, modes, access control lists, and results.

Keeps true: a result is small JSON; the data of a node is part of it only if it was asked for.
"""

import ast
import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bellwether import CREATOR_ALL_ACL, OPEN_ACL, READ_ACL, Acl, Perms, Stat, digest_acl

from .errors import Refused
from .settings import Settings

AclLike = str | Sequence[Any] | None


def to_bytes(value: object) -> bytes:
    """The data of a node: bytes as they are, text in UTF-8, nothing as nothing, the rest as JSON.

    Raises:
        Refused: it cannot be written as JSON.
    """
    if value is None:
        return b""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, str):
        return value.encode()
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        raise Refused(f"value is a {kind}: bytes, text or JSON is expected ({error})") from None


def shown(data: bytes) -> dict[str, str]:
    """Data as JSON: `value` if it is text, `value_base64` if it is not."""
    try:
        return {"value": data.decode()}
    except UnicodeDecodeError:
        return {"value_base64": base64.b64encode(data).decode()}


def described(path: str, stat: Stat) -> dict[str, Any]:
    """What a task tells the tasks behind it about a node."""
    return {
        "path": path,
        "version": stat.version,
        "czxid": stat.czxid,
        "mzxid": stat.mzxid,
        "dataLength": stat.data_length,
    }


def given_back(result: Any) -> Any:
    """The result of an earlier task, of which something may have made text.

    A template makes a Python literal of it; of what ended in the trigger Airflow 3.3 makes JSON.
    Text that is neither is given as it is.
    """
    if isinstance(result, str):
        for parse in (json.loads, ast.literal_eval):
            try:
                return parse(result)
            except (ValueError, SyntaxError):
                continue
    return result


@dataclass(frozen=True)
class Mode:
    """How a node is created."""

    ephemeral: bool = False
    sequential: bool = False
    container: bool = False
    ttl: bool = False


_MODES: dict[str, Mode] = {
    "persistent": Mode(),
    "sequential": Mode(sequential=True),
    "persistent_sequential": Mode(sequential=True),
    "ephemeral": Mode(ephemeral=True),
    "ephemeral_sequential": Mode(ephemeral=True, sequential=True),
    "container": Mode(container=True),
    "ttl": Mode(ttl=True),
    "persistent_with_ttl": Mode(ttl=True),
    "ttl_sequential": Mode(ttl=True, sequential=True),
    "persistent_sequential_with_ttl": Mode(ttl=True, sequential=True),
}


def mode_of(name: str) -> Mode:
    """The mode of a name, in any case; Java's names are known too.

    Raises:
        Refused: there is no such mode.
    """
    mode = _MODES.get(name.lower().replace("-", "_"))
    if mode is None:
        raise Refused(f"mode is {name!r}; one of {', '.join(_MODES)} is expected")
    return mode


_LETTERS = {
    "r": Perms.READ,
    "w": Perms.WRITE,
    "c": Perms.CREATE,
    "d": Perms.DELETE,
    "a": Perms.ADMIN,
}


def acl_of(acl: AclLike, settings: Settings) -> list[Acl] | None:
    """An access control list: `open`, `creator`, `read_only`, `digest`, or a list of entries.

    An entry is `scheme:id:perms` as zkCli writes it, or a mapping with these three names.

    Raises:
        Refused: it is none of these, or needs the user that the connection does not have.
    """
    if acl is None:
        return None
    if isinstance(acl, str):
        return list(_named(acl, settings))
    if not acl:
        raise Refused("acl is an empty list, with which nobody could do anything")
    return [_entry(entry) for entry in acl]


def _named(name: str, settings: Settings) -> Sequence[Acl]:
    fixed = {"open": OPEN_ACL, "read_only": READ_ACL}.get(name)
    if fixed is not None:
        return fixed
    if name not in ("creator", "digest"):
        raise Refused(f"acl is {name!r}; open, creator, read_only, digest or a list is expected")
    if not settings.user:
        raise Refused(f"acl {name!r} needs a user and a password in the connection")
    if name == "creator":
        return CREATOR_ALL_ACL
    return [digest_acl(settings.user, settings.password or "")]


def _entry(entry: object) -> Acl:
    if isinstance(entry, Acl):
        return entry
    if isinstance(entry, str):
        scheme, _, rest = entry.partition(":")
        identity, _, perms = rest.rpartition(":")
        return Acl(_perms(perms), scheme, identity)
    if isinstance(entry, Mapping) and {"scheme", "id", "perms"} <= entry.keys():
        return Acl(_perms(entry["perms"]), str(entry["scheme"]), str(entry["id"]))
    raise Refused("an entry of acl is neither scheme:id:perms nor a mapping of these names")


def _perms(perms: object) -> int:
    if isinstance(perms, int) and 0 < perms <= Perms.ALL:
        return perms
    if isinstance(perms, str) and perms and set(perms) <= _LETTERS.keys():
        return sum(_LETTERS[letter] for letter in set(perms))
    raise Refused(f"the permissions {perms!r} are not made of the letters of cdrwa")

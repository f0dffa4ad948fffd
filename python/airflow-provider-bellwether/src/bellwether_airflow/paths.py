"""Paths of nodes."""

from .errors import Refused


def checked(path: object) -> str:
    """A path that the service can have.

    Raises:
        Refused: it is none.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise Refused(f"the path {path!r} does not begin with /")
    if path != "/" and (path.endswith("/") or "//" in path):
        raise Refused(f"the path {path!r} has an empty part")
    return path


def parent_of(path: str) -> str:
    """The node above."""
    return path.rpartition("/")[0] or "/"


def child_of(path: str, name: str) -> str:
    """A node below."""
    return f"/{name}" if path == "/" else f"{path}/{name}"


def is_reserved(path: str) -> bool:
    """Whether it is the service's own."""
    return path == "/zookeeper" or path.startswith("/zookeeper/")

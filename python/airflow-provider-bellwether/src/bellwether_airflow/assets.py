"""Assets that are nodes: `zk://ensemble/path`.

Keeps true: one node has one address, however it was written.
"""

from typing import Any
from urllib.parse import SplitResult

from airflow.sdk import Asset, AssetWatcher

from .paths import checked
from .settings import DEFAULT_CONN_ID
from .triggers.events import ZNodeEventTrigger

SCHEME = "zk"


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """The address in its normal form: lower-case ensemble, no slash at the end.

    Raises:
        ValueError: it names no ensemble or no node, or has a query.
    """
    if not uri.netloc:
        raise ValueError("URI format zk://ensemble/path must name an ensemble")
    if uri.query or uri.fragment:
        raise ValueError("URI format zk://ensemble/path has no query and no fragment")
    path = uri.path.rstrip("/") or "/"
    checked(path)
    return uri._replace(scheme=SCHEME, netloc=uri.netloc.lower(), path=path)


def create_asset(*, ensemble: str, path: str, extra: Any = None) -> Asset:
    """The asset of a node, by the name that it has in an address."""
    return Asset(uri=f"{SCHEME}://{ensemble}{checked(path)}", extra=extra)


def watched_asset(
    name: str,
    *,
    path: str,
    root: str | None = None,
    zookeeper_conn_id: str = DEFAULT_CONN_ID,
) -> Asset:
    """An asset for `schedule=`, with a watcher: a run for every change of the node.

    Changes that come close together may be one run. The connection's name is the ensemble's.
    """
    trigger = ZNodeEventTrigger(
        path=path, root=root, zookeeper_conn_id=zookeeper_conn_id, asset=name
    )
    ensemble = zookeeper_conn_id.replace("_", "-")
    return Asset(
        name=name,
        uri=f"{SCHEME}://{ensemble}{path}",
        watchers=[AssetWatcher(name=f"{name}-watcher", trigger=trigger)],
    )


__all__ = ["create_asset", "sanitize_uri", "watched_asset"]

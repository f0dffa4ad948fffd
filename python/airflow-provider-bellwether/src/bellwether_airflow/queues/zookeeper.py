"""The provider of message queues: `zk-queue://CONN_ID/PATH` for Airflow's `MessageQueueTrigger`.

Keeps true: it needs the extra `common-messaging`, and nothing else in the package needs it.
"""

from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.messaging.providers.base_provider import BaseMessageQueueProvider

from ..errors import Refused
from ..paths import checked
from ..settings import DEFAULT_CONN_ID
from ..triggers.queue import ZooKeeperQueueTrigger

SCHEME = "zk-queue"


class ZooKeeperMessageQueueProvider(BaseMessageQueueProvider):
    """Queues of ZooKeeper: `MessageQueueTrigger(scheme="zk-queue", path="/orders")`."""

    scheme = SCHEME

    def queue_matches(self, queue: str) -> bool:
        """Whether it is an address of ours."""
        return queue.lower().startswith(f"{SCHEME}://")

    def trigger_class(self) -> type[ZooKeeperQueueTrigger]:
        """The trigger of a queue."""
        return ZooKeeperQueueTrigger

    def trigger_kwargs(self, queue: str, **kwargs: Any) -> dict[str, Any]:
        """The arguments of the trigger that an address stands for.

        Raises:
            Refused: it is no such address.
        """
        parts = urlsplit(queue)
        if parts.scheme != SCHEME or parts.query or parts.fragment or not parts.path.strip("/"):
            raise Refused(f"the queue is {queue!r}; {SCHEME}://CONN_ID/PATH is expected")
        path = checked(parts.path.rstrip("/"))
        return {"path": path, "zookeeper_conn_id": parts.netloc or DEFAULT_CONN_ID}


__all__ = ["ZooKeeperMessageQueueProvider"]

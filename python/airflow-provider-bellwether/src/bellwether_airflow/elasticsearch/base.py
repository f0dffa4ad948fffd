"""What the operators and sensors for Elasticsearch and OpenSearch share.

Keeps true: requests run in an event loop of their own, which `on_kill` can end at any moment; what
holds for the operators of nodes (nested execution, owners, given-back sessions) holds here.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

from ..errors import Refused
from ..operators.base import ZookeeperOperator
from ..version_compat import Context
from ..waiting import logger
from .client import SearchClient
from .discovery import connected
from .errors import told
from .settings import DEFAULT_CONN_ID, SearchSettings, SearchTarget, place_of

_Result = TypeVar("_Result")


class SearchOperator(ZookeeperOperator):
    """The base. Locks are taken with the arguments that start with `zookeeper_`.

    :param es_conn_id: a connection of the type `elasticsearch` or `opensearch`
    :param discovery: `zk://CONN_ID/ROOT`: the hosts are the nodes registered below `ROOT/nodes`,
        and the connection may do without any
    """

    template_fields: Sequence[str] = ("es_conn_id", "discovery")
    operator_extra_links: Collection[Any] = ()
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        es_conn_id: str = DEFAULT_CONN_ID,
        discovery: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.es_conn_id = es_conn_id
        self.discovery = discovery

    def search_target(self) -> SearchTarget:
        """Where the engine is.

        Raises:
            Refused: `discovery` is no such address.
        """
        if self.discovery is not None:
            place_of(self.discovery)
        return SearchTarget(self.es_conn_id, self.discovery)

    def search_settings(self) -> SearchSettings:
        """How the engine is reached, with the secrets masked from here on."""
        settings = self.search_target().resolve()
        settings.hide_secrets()
        self.mask_values()
        return settings

    def ask(
        self, context: Context, work: Callable[[SearchClient], Awaitable[_Result]], doing: str
    ) -> _Result:
        """Does something with a client; its errors become failures of the task.

        Raises:
            AirflowFailException: another try cannot mend it.
            AirflowException: another try may, or the task was told to end.
        """
        with told(f"task {self.task_id!r}: {doing}"):
            settings = self.search_settings()

            async def inside() -> _Result:
                async with connected(settings, logger("search")) as client:
                    return await work(client)

            return self.to_end(context, inside)


def parsed(given: Any, name: str) -> Any:
    """A value; from text that a template made the JSON that it is.

    Raises:
        Refused: it is text, and no JSON.
    """
    if not isinstance(given, str):
        return given
    if not given.strip():
        return None
    try:
        return json.loads(given)
    except ValueError as error:
        raise Refused(f"{name} is text that is no JSON: {error}") from None


def number(given: Any, name: str) -> int | None:
    """A number; from text that a template made the one that it is.

    Raises:
        Refused: it is none.
    """
    if given is None or given in ("", "None"):
        return None
    try:
        return int(given)
    except (TypeError, ValueError):
        raise Refused(f"{name} is {given!r}; a number is expected") from None

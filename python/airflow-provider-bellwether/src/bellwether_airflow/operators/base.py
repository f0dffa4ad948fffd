"""What all operators and sensors share: the arguments, the session, the owner, and the end.

Keeps true: a session is given back whatever happens, and closed when the task is killed; secrets
are masked before anything is sent. An operator may be built and executed inside another one's
`execute`: it then belongs to no DAG, renders no templates, and never defers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from bellwether import Client

from .. import sessions
from ..errors import told
from ..kills import more_on_kill
from ..links import ZnodeLink
from ..owner import owner_of
from ..settings import DEFAULT_CONN_ID, Settings, Target, from_arguments
from ..version_compat import (
    AirflowException,
    AirflowFailException,
    BaseOperator,
    Context,
    get_current_context,
)
from ..version_compat import mask_secret as mask
from ..waiting import run_to_end

_Result = TypeVar("_Result")


def _inside_a_task() -> bool:
    """Whether this is built by the `execute` of another operator."""
    try:
        get_current_context()
    except RuntimeError:
        return False
    return True


class ZookeeperOperator(BaseOperator):
    """The base of this package's operators.

    :param zookeeper_conn_id: a connection of the type `zookeeper`, by default `zookeeper_default`
    :param zookeeper_hosts: in place of a connection: a list, or host:port separated by commas
    :param zookeeper_port: for the hosts that name none, by default 2181
    :param zookeeper_user: a user of the scheme digest
    :param zookeeper_passwd: the user's password; whoever reads the DAG's file sees it
    :param sensitive: the values of this task are secrets: they are masked in logs
    """

    template_fields: Sequence[str] = ("path", "zookeeper_conn_id", "zookeeper_hosts")
    operator_extra_links: Collection[Any] = (ZnodeLink(),)
    ui_color = "#d9ead3"

    path: str
    _VALUES: ClassVar[tuple[str, ...]] = ("value",)

    def __init__(
        self,
        *,
        zookeeper_conn_id: str | None = None,
        zookeeper_hosts: str | Sequence[str] | None = None,
        zookeeper_port: int | str | None = None,
        zookeeper_user: str | None = None,
        zookeeper_passwd: str | None = None,
        sensitive: bool = False,
        **kwargs: Any,
    ) -> None:
        # A mapped operator is made while its task runs, and belongs to its DAG all the same.
        mapped = getattr(self, "_BaseOperator__from_mapped", False)
        if _inside_a_task() and not mapped:
            # A second operator of the same name in one run would be a duplicate in its DAG.
            kwargs.pop("dag", None)
            kwargs.pop("task_group", None)
        super().__init__(**kwargs)
        given = zookeeper_port, zookeeper_user, zookeeper_passwd
        if zookeeper_hosts is not None and zookeeper_conn_id is not None:
            raise ValueError(
                f"task {self.task_id!r}: zookeeper_conn_id and zookeeper_hosts are both given; "
                "one of them says where the service is"
            )
        if zookeeper_hosts is None and any(given):
            raise ValueError(
                f"task {self.task_id!r}: zookeeper_port, zookeeper_user and zookeeper_passwd "
                "belong to zookeeper_hosts, which is not given"
            )
        self.zookeeper_conn_id = zookeeper_conn_id or DEFAULT_CONN_ID
        self.zookeeper_hosts = zookeeper_hosts
        self.zookeeper_port = zookeeper_port
        self.zookeeper_user = zookeeper_user
        self.zookeeper_passwd = zookeeper_passwd
        self.sensitive = sensitive

    # The session of this task, while it has one; `on_kill` closes it.
    _client: Client | None = None
    _killed: bool = False
    _stop: Callable[[], None] | None = None

    def target(self) -> Target:
        """Where the settings come from.

        Raises:
            Refused: the arguments name no service.
        """
        if self.zookeeper_hosts is None:
            return Target(conn_id=self.zookeeper_conn_id)
        if self.zookeeper_passwd:
            self.log.warning(
                "zookeeper_passwd stands in the DAG's file, where many can read it; "
                "a connection keeps it secret"
            )
        return Target(
            given=from_arguments(
                self.zookeeper_hosts,
                self.zookeeper_port,
                self.zookeeper_user,
                self.zookeeper_passwd,
            )
        )

    def settings(self) -> Settings:
        """What sessions are opened with, with the secrets masked from here on."""
        settings = self.target().resolve()
        settings.hide_secrets()
        self.mask_values()
        return settings

    def mask_values(self) -> None:
        """Has Airflow mask the values of a task that calls them sensitive."""
        if not self.sensitive:
            return
        for name in self._VALUES:
            value = getattr(self, name, None)
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            if value:
                mask(value)

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """As Airflow's, and masks what is sensitive before it is shown as rendered."""
        super().render_template_fields(context, jinja_env)
        self.mask_values()

    def is_nested(self, context: Context) -> bool:
        """Whether another operator executes this one inside itself."""
        return context.get("task") is not self

    def task_owner(self, context: Context) -> str:
        """The owner that this operator is, the same in every try."""
        return owner_of(context, self.task_id if self.is_nested(context) else None)

    @contextmanager
    def session(self, context: Context) -> Iterator[tuple[Client, Settings]]:
        """The process's session, for as long as the block lasts or until the task is killed."""
        with self.killable(context), told(f"task {self.task_id!r}: connect"):
            settings = self.settings()
            client = sessions.acquire(settings)
        self._client = client
        try:
            with self.killable(context):
                yield client, settings
        finally:
            self._client = None
            sessions.release(settings, client)

    @contextmanager
    def killable(self, context: Context) -> Iterator[None]:
        """Has the outer operator's `on_kill` call this one's, while the block lasts."""
        outer = context.get("task")
        if outer is None or outer is self:
            yield
            return
        undo = more_on_kill(outer, before=self.on_kill)
        try:
            yield
        finally:
            undo()

    def to_end(self, context: Context, main: Callable[[], Awaitable[_Result]]) -> _Result:
        """Runs a coroutine, which `on_kill` ends.

        Raises:
            AirflowException: it was ended so.
        """

        async def awaited() -> _Result:
            return await main()

        try:
            with self.killable(context):
                return run_to_end(awaited, self._stoppable)
        except asyncio.CancelledError:
            raise AirflowException(f"task {self.task_id!r} was told to end") from None

    def _stoppable(self, stop: Callable[[], None] | None) -> None:
        self._stop = stop
        if stop is not None and self._killed:
            stop()

    def on_kill(self) -> None:
        """Closes the session: what waits for it ends, and its ephemeral nodes go at once."""
        self._killed = True
        stop, client = self._stop, self._client
        if stop is not None:
            stop()
        if client is not None:
            client.close()

    def refused(self, why: str) -> AirflowFailException:
        """A failure that another try cannot mend."""
        return AirflowFailException(f"task {self.task_id!r}: {why}")


class ZookeeperNodeOperator(ZookeeperOperator):
    """The base of the operators that are done at once: a session, the work, a result."""

    def __init__(self, *, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path

    def execute(self, context: Context) -> Any:
        """Does the work in the process's session."""
        doing = f"task {self.task_id!r}: {self.doing()}"
        with self.session(context) as (client, settings), told(doing):
            return self.work(context, client, settings)

    def doing(self) -> str:
        """What the work is, for messages."""
        return f"{type(self).__name__} of {self.path}"

    def work(self, context: Context, client: Client, settings: Settings) -> Any:
        """What the operator does; errors of the service may leave it."""
        raise NotImplementedError

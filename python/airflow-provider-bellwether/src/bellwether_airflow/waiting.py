"""Waiting for a goal in a session of asyncio: in a trigger, and in the process of a task.

Keeps true: watches are armed before a goal is looked at, so that no change is lost between; an
error that may pass is never raised: the session is opened again and the goal looked at again.
"""

import abc
import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

import bellwether
from bellwether import AsyncClient, AsyncOnceWatch

from . import sessions
from .errors import Refused, Trouble, explained, is_hopeless
from .settings import Settings, Target
from .version_compat import AirflowNotFoundException

RELOOK_S = 60.0
"""How often a goal is looked at without an event: a server that was restored from a copy may not
know of a change that it had told others of."""

_PAUSE_S = 1.0
_PAUSE_S_MAX = 30.0
"""The longest pause between attempts to reach a service that cannot be reached."""

_Result = TypeVar("_Result")
_Settings = TypeVar("_Settings")


class Log(Protocol):
    """What is needed of a logger, Airflow's or Python's."""

    def info(self, message: str, /, *arguments: Any) -> Any:
        """Says something that a person may want to know."""

    def warning(self, message: str, /, *arguments: Any) -> Any:
        """Says something that a person should know."""


class Pauses:
    """Pauses between attempts, each longer than the one before, until a deadline.

    `first` and `longest` are in seconds, `deadline` in seconds since 1970.
    """

    def __init__(
        self,
        log: Log,
        first: float = _PAUSE_S,
        longest: float = _PAUSE_S_MAX,
        deadline: float | None = None,
    ) -> None:
        self._log = log
        self._first = self._next = first
        self._longest = longest
        self._deadline = deadline

    def reset(self) -> None:
        """The service was reached."""
        self._next = self._first

    async def wait(self, problem: str) -> None:
        """Says what was wrong, and pauses.

        Raises:
            TimeoutError: the deadline has come first; it says what was wrong.
        """
        self._log.warning("%s; trying again in %.1f s", problem, self._next)
        await self.pause(f"{problem}, until the end")

    async def pause(self, late: str = "") -> None:
        """Pauses.

        Raises:
            TimeoutError: the deadline has come first; it says `late`.
        """
        left = _left(self._deadline)
        if left is not None and left <= self._next:
            await asyncio.sleep(max(left, 0.0))
            raise TimeoutError(late)
        await asyncio.sleep(self._next)
        self._next = min(2 * self._next, self._longest)


@dataclass
class Look:
    """What a goal looked like, and the watches that tell of changes since just before."""

    met: bool
    result: dict[str, Any]
    watches: list[AsyncOnceWatch] = field(default_factory=list)
    again_s: float = RELOOK_S
    """After how many seconds it is looked at again if no watch tells of anything."""


class Goal(abc.ABC):
    """A state of the service that is waited for."""

    needs_session: ClassVar[bool] = True
    """Without one, it is looked at again and again, and given no client."""

    def check(self) -> None:
        """Refuses what can never be met.

        Raises:
            Refused: and it says why.
        """

    @abc.abstractmethod
    async def look(self, client: Any) -> Look:
        """Arms watches, then reads."""

    @abc.abstractmethod
    def __str__(self) -> str:
        """What is waited for, for messages."""


@dataclass(frozen=True)
class Outcome:
    """How waiting ended: `fatal` is what another try cannot mend."""

    status: Literal["met", "failed", "lost", "timeout", "fatal"]
    result: dict[str, Any] = field(default_factory=dict)
    message: str = ""

    def told(self) -> dict[str, Any]:
        """As an event of a trigger."""
        return dict(vars(self))

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Self:
        """The opposite of `told`."""
        return cls(event["status"], event.get("result", {}), event.get("message", ""))


async def look_once(goal: Goal, settings: Settings) -> Look:
    """A look without waiting; the watches are closed again.

    Raises:
        bellwether.ZooKeeperError: the service could not be asked.
    """
    if not goal.needs_session:
        return await goal.look(None)
    async with sessions.aleased(settings) as client:
        look = await goal.look(client)
        await _close(look.watches)
        return look


async def reach(
    goal: Goal,
    target: Target,
    *,
    deadline: float | None,
    pause: float,
    log: Log,
) -> Outcome:
    """Waits until a goal is met, a deadline passes, or no waiting can help.

    `deadline` is in seconds since 1970. `pause` is, in seconds, the first pause before another
    attempt to reach the service; it doubles up to half a minute.
    """
    longest = _PAUSE_S_MAX if goal.needs_session else pause
    pauses = Pauses(log, pause, longest, deadline)

    async def attempt(settings: Settings) -> Outcome:
        if not goal.needs_session:
            return await _asking(goal, pauses)
        async with sessions.aleased(settings) as client:
            pauses.reset()
            return await _within_session(goal, client, deadline)

    return await until_over(str(goal), target.aresolve, attempt, pauses)


async def until_over(
    doing: str,
    resolve: Callable[[], Awaitable[_Settings]],
    attempt: Callable[[_Settings], Awaitable[Outcome]],
    pauses: Pauses,
) -> Outcome:
    """Tries something again and again: until it has an outcome, the deadline of the pauses passes,
    or no other try can help."""
    try:
        settings = await resolve()
    except (Refused, AirflowNotFoundException) as error:
        return Outcome("fatal", message=str(error))
    try:
        while True:
            try:
                return await attempt(settings)
            except Refused as error:
                return Outcome("fatal", message=f"{doing}: {error}")
            except bellwether.ZooKeeperError as error:
                problem, hopeless = explained(error, doing), is_hopeless(error)
            except Trouble as error:
                problem, hopeless = f"{doing}: {error}", error.hopeless
            if hopeless:
                return Outcome("fatal", message=problem)
            await pauses.wait(problem)
    except TimeoutError as error:
        return Outcome("timeout", message=str(error) or f"{doing}: not within the time given")


async def _asking(goal: Goal, pauses: Pauses) -> Outcome:
    while True:
        look = await goal.look(None)
        if look.met:
            return Outcome("met", look.result)
        try:
            await pauses.pause()
        except TimeoutError:
            return Outcome("timeout", look.result, f"{goal}: {look.result}")


async def _within_session(goal: Goal, client: AsyncClient, deadline: float | None) -> Outcome:
    """Waits as long as the session lives.

    Raises:
        TimeoutError: the deadline has passed.
        bellwether.ZooKeeperError: the session is over, or the service refused something.
    """
    while True:
        try:
            look = await goal.look(client)
        except bellwether.ConnectionLossError:
            # The client connects again by itself; this waits until it has, or the session is over.
            await client.retrying.exists("/")
            continue
        if look.met:
            await _close(look.watches)
            return Outcome("met", look.result)
        try:
            await _any_event(look.watches, _left(deadline), look.again_s)
        finally:
            await _close(look.watches)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else deadline - time.time()


async def _any_event(watches: list[AsyncOnceWatch], left: float | None, again_s: float) -> None:
    if left is not None and left <= 0:
        raise TimeoutError
    again_s = min(again_s, RELOOK_S)
    limit = again_s if left is None else min(left, again_s)
    waits = [asyncio.ensure_future(watch.wait()) for watch in watches]
    try:
        done, _ = await asyncio.wait(waits, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    for wait in done:
        wait.result()


async def _close(watches: list[AsyncOnceWatch]) -> None:
    for watch in watches:
        try:
            await watch.close()
        except bellwether.ZooKeeperError:
            pass


def run_to_end(
    main: Callable[[], Coroutine[Any, Any, _Result]],
    stoppable: Callable[[Callable[[], None] | None], None] | None = None,
) -> _Result:
    """Runs a coroutine in the process of a task, whether or not its thread has an event loop.

    `stoppable` is given a function that ends it from a signal handler, and None when it is over.

    Raises:
        asyncio.CancelledError: it was ended so.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_stoppable(main, stoppable))
    outcome: list[_Result] = []
    problem: list[BaseException] = []

    def elsewhere() -> None:
        try:
            outcome.append(asyncio.run(_stoppable(main, stoppable)))
        except BaseException as error:
            problem.append(error)

    thread = Thread(target=elsewhere, name="bellwether-wait")
    thread.start()
    thread.join()
    if problem:
        raise problem[0]
    return outcome[0]


async def _stoppable(
    main: Callable[[], Coroutine[Any, Any, _Result]],
    stoppable: Callable[[Callable[[], None] | None], None] | None,
) -> _Result:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if stoppable is not None and task is not None:
        ending = task

        def stop() -> None:
            loop.call_soon_threadsafe(ending.cancel)

        stoppable(stop)
    try:
        return await main()
    finally:
        if stoppable is not None:
            stoppable(None)


def logger(name: str) -> logging.Logger:
    """A logger whose lines Airflow shows with those of the task."""
    return logging.getLogger(f"airflow.task.bellwether.{name}")

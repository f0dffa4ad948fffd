"""What a task does when Airflow ends it, besides what its operator does.

Keeps true: whatever is added runs however the rest ends, and is taken away again alone.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any


def more_on_kill(
    task: Any,
    *,
    before: Callable[[], None] | None = None,
    after: Callable[[], None] | None = None,
) -> Callable[[], None]:
    """Has the `on_kill` of a task do something more; gives what undoes it."""
    own, original = vars(task).get("on_kill"), task.on_kill

    def chained() -> None:
        with ExitStack() as steps:
            for step in (after, original, before):
                if step is not None:
                    steps.callback(step)

    def undo() -> None:
        if vars(task).get("on_kill") is not chained:
            return
        if own is None:
            del vars(task)["on_kill"]
        else:
            vars(task)["on_kill"] = own

    vars(task)["on_kill"] = chained
    return undo

"""What the tests of searching share: tasks that run without a DAG, and their state store."""

from types import SimpleNamespace
from typing import Any


class Store:
    """A task's state store."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """What is kept."""
        return self.kept.get(key, default)

    def set(self, key: str, value: Any, **_: Any) -> None:
        """Keeps it."""
        self.kept[key] = value


def context_of(
    task: Any, *, number: int = 1, max_tries: int = 1, store: Store | None = None
) -> Any:
    """The context of a try of a task."""
    ti = SimpleNamespace(
        dag_id="of-a-test",
        task_id=task.task_id,
        run_id="run",
        map_index=-1,
        try_number=number,
        max_tries=max_tries,
    )
    return {"task": task, "ti": ti, "task_state_store": store}

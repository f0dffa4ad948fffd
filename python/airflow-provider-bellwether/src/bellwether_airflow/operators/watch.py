"""The operator that waits for a state of a node.

Keeps true: a change is not lost between the first look and the trigger's, nor, with `retries`,
between a try and the next: the first try's baseline is kept in the task's state store.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..goals import NodeGoal, baseline_of
from ..triggers.znode import ZNodeTrigger
from ..version_compat import AirflowRuntimeError, Context
from ..waiting import Goal, Look
from .waits import Waits

_KEPT = "bellwether_baseline"


class WatchesNode(Waits):
    """The part of an operator or sensor that waits for a state of a node."""

    template_fields: Sequence[str] = (
        "path",
        "expected",
        "baseline",
        "zookeeper_conn_id",
        "zookeeper_hosts",
    )

    def __init__(
        self,
        *,
        path: str,
        condition: str = "changed",
        expected: Any = None,
        baseline: Any = None,
        push_value: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.condition = condition
        self.expected = expected
        self.baseline = baseline
        self.push_value = push_value

    # Inside another operator the value is given back: what becomes of it is that one's affair.
    _with_value = False

    def goal(self) -> NodeGoal:
        """The state of the node."""
        baseline = None if self.baseline is None else baseline_of(self.baseline)
        return NodeGoal(
            self.path, self.condition, self.expected, baseline, self.push_value or self._with_value
        )

    def trigger(self, goal: Goal, **common: Any) -> ZNodeTrigger:
        """The trigger that waits for it."""
        assert isinstance(goal, NodeGoal)
        return ZNodeTrigger(
            path=goal.path,
            condition=goal.condition,
            expected=goal.expected,
            baseline=None if goal.baseline is None else dict(goal.baseline),
            with_value=goal.with_value,
            **common,
        )

    def remembered(self, goal: Goal, look: Look, context: Context) -> Goal:
        """With the node's state as the baseline; that of the first try, if there was one."""
        assert isinstance(goal, NodeGoal)
        if goal.condition != "changed" or goal.baseline is not None:
            return goal
        seen = baseline_of(look.result)
        if not self.is_nested(context) and self.retries:
            seen = self._of_the_first_try(seen, context)
        return replace(goal, baseline=seen)

    def _of_the_first_try(self, seen: dict[str, int], context: Context) -> dict[str, int]:
        store = context.get("task_state_store")
        if store is None:
            return seen
        try:
            kept = store.get(_KEPT) if context["ti"].try_number > 1 else None
            if isinstance(kept, dict):
                return baseline_of(kept)
            store.set(_KEPT, {**seen, "exists": bool(seen)})
        except AirflowRuntimeError as error:
            self.log.warning(
                "the task's state store cannot be used (%s): after a failure the next "
                "try may miss what changes in between",
                error,
            )
        return seen


class ZookeeperWatchOperator(WatchesNode):
    """Waits for a state of a node.

    :param path: the node
    :param condition: exists, deleted, changed, value, regex, json, or children
    :param expected: of value the data; of regex the pattern; of json a mapping of JSON pointers to
        values; of children a number, at least, or such as `== 3`
    :param baseline: of changed: the result of an earlier task, from which on changes count; by
        default what the node is when the task begins
    :param timeout: seconds until the task fails, by default seven days
    :param soft_fail: skip the task then, in place of failing it
    :param deferrable: wait in the triggerer; if not, in the task's process
    :param end_in_trigger: end the task there too; by default unless it has outlets or a subclass
        has an `execute_complete` of its own
    :param poke_interval: seconds before another attempt to reach the service
    :param push_value: put the value into XCom too
    """

    def __init__(self, *, path: str, soft_fail: bool = False, **kwargs: Any) -> None:
        super().__init__(path=path, **kwargs)
        self.soft_fail = soft_fail

    def execute(self, context: Context) -> Any:
        """Looks, and waits unless it is so already."""
        self._with_value = self.is_nested(context)
        return self.wait(context)

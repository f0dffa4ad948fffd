"""`@task.zookeeper_locked(path=…)`: a Python task whose function runs under a lock.

Keeps true: the function runs only while the lock is held; it is told of a loss as `ZooKeeperLock`
tells it, and the lock is free when the task ends, however it does.
"""

from collections.abc import Callable, Sequence
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator

from ..locks import Mode, OnLost, ZooKeeperLock, check_modes
from ..settings import DEFAULT_CONN_ID
from ..version_compat import Context, DecoratedOperator, TaskDecorator, task_decorator_factory



class LockedPythonOperator(DecoratedOperator, PythonOperator):
    """Calls a function while a lock is held; a parameter `lease=None` of it is given the lease.

    :param path: the lock's node
    :param zookeeper_conn_id: a connection of the type `zookeeper`
    :param lock_timeout: seconds to wait for the lock, in the worker, by default without end
    :param mode: exclusive, read, write, or semaphore
    :param leases: of a semaphore: how many may hold it at a time
    :param on_lost: terminate, raise, or ignore, as `ZooKeeperLock` has them
    """

    template_fields: Sequence[str] = (
        *PythonOperator.template_fields,
        "path",
        "zookeeper_conn_id",
    )
    custom_operator_name: str = "@task.zookeeper_locked"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        path: str,
        zookeeper_conn_id: str = DEFAULT_CONN_ID,
        lock_timeout: float | None = None,
        mode: Mode = "exclusive",
        leases: int | None = None,
        on_lost: OnLost = "terminate",
        op_args: Any = None,
        op_kwargs: Any = None,
        **kwargs: Any,
    ) -> None:
        check_modes(mode, leases, on_lost)
        super().__init__(
            kwargs_to_upstream={
                "python_callable": python_callable,
                "op_args": op_args,
                "op_kwargs": op_kwargs,
            },
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            **kwargs,
        )
        self.path = path
        self.zookeeper_conn_id = zookeeper_conn_id
        self.lock_timeout = lock_timeout
        self.mode = mode
        self.leases = leases
        self.on_lost = on_lost

    def execute(self, context: Context) -> Any:
        """Waits for the lock, and calls the function."""
        lock = ZooKeeperLock(
            self.path,
            self.zookeeper_conn_id,
            self.lock_timeout,
            mode=self.mode,
            leases=self.leases,
            on_lost=self.on_lost,
        )
        with lock as lease:
            given: Any = {**context, "lease": lease}
            return super().execute(given)


def zookeeper_locked_task(
    python_callable: Callable[..., Any] | None = None,
    multiple_outputs: bool | None = None,
    **kwargs: Any,
) -> TaskDecorator:
    """Makes a task of a function, which runs while a lock is held.

    :param python_callable: the function
    :param multiple_outputs: each entry of a mapping that it returns becomes an XCom of its own
    :param kwargs: those of `LockedPythonOperator`, and of every operator
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=LockedPythonOperator,
        **kwargs,
    )


__all__ = ["LockedPythonOperator", "zookeeper_locked_task"]

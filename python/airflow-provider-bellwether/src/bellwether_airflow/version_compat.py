"""What is taken from Airflow, in one place: the names of 3.3 that another version may move.

Keeps true: nothing else in the package imports these names from Airflow itself.
"""

from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, task_decorator_factory
from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.definitions.asset import AssetNameRef
from airflow.sdk.definitions.context import Context, get_current_context
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowRuntimeError,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from airflow.sdk.log import mask_secret
from airflow.triggers.base import (
    BaseEventTrigger,
    BaseTrigger,
    TaskFailedEvent,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)
from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome, SharedStreamProducer

__all__ = [
    "AdvanceItem",
    "AdvanceOutcome",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRuntimeError",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AssetNameRef",
    "BaseEventTrigger",
    "BaseHook",
    "BaseNotifier",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "BaseTrigger",
    "Context",
    "DecoratedOperator",
    "SharedStreamProducer",
    "TaskDecorator",
    "TaskFailedEvent",
    "TaskSkippedEvent",
    "TaskSuccessEvent",
    "TriggerEvent",
    "conf",
    "get_current_context",
    "mask_secret",
    "task_decorator_factory",
]

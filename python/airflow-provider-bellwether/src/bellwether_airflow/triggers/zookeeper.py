"""All triggers of this package, by the names that are imported."""

from .events import ZNodeEventTrigger
from .health import HealthTrigger
from .hold import HoldTrigger
from .lock import LockTrigger
from .znode import GoalTrigger, ZNodeBarrierTrigger, ZNodeTrigger

__all__ = [
    "GoalTrigger",
    "HealthTrigger",
    "HoldTrigger",
    "LockTrigger",
    "ZNodeBarrierTrigger",
    "ZNodeEventTrigger",
    "ZNodeTrigger",
]

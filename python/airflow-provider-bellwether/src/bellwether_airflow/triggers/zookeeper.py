"""All triggers of this package, by the names that are imported."""

from .events import ZNodeEventTrigger
from .health import HealthTrigger
from .hold import HoldTrigger
from .znode import GoalTrigger, ZNodeBarrierTrigger, ZNodeTrigger

__all__ = [
    "GoalTrigger",
    "HealthTrigger",
    "HoldTrigger",
    "ZNodeBarrierTrigger",
    "ZNodeEventTrigger",
    "ZNodeTrigger",
]

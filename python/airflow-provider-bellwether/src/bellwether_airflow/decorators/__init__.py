"""Decorators: functions as tasks."""

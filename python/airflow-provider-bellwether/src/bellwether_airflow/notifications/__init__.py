"""Notifiers: what a task or DAG tells others when it ends."""

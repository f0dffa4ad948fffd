"""Operators: what a task does with a ZooKeeper service."""

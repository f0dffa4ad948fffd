"""Hooks: sessions with a ZooKeeper service, and its words and its admin server."""

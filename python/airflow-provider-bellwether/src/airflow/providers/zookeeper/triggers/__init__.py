"""ZooKeeper's triggers, by the names that articles use."""

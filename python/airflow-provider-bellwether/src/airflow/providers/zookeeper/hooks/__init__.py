"""ZooKeeper's hooks, by the names that articles use."""

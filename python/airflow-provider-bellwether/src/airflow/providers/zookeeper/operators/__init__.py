"""ZooKeeper's operators, by the names that articles use."""

"""ZooKeeper's sensors, by the names that articles use."""

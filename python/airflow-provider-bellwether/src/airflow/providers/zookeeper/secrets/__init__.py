"""ZooKeeper's secrets backend, by the names that articles use."""

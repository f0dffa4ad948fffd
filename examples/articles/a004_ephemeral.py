"""Article 004: `/config` and `/cluster`, two ephemeral nodes of an application on Kubernetes.

Wanted: a container writes two nodes at the server that the environment's ZOOKEEPER_HOST names.
Wrong: `zookeeper` does not exist; `localhost` is not the server inside of a container; both nodes
vanish when the container ends, configuration too.
Differs: the import, and the address, which is the environment's. Text is stored as UTF-8.
"""

from bellwether.articles import ZooKeeper

zk = ZooKeeper()
zk.create('/config', 'config_data', ephemeral=True)
zk.create('/cluster', 'cluster_data', ephemeral=True)

with ZooKeeper() as other:
    print(sorted(other.client.get(path)[0] for path in ('/config', '/cluster')))
    gone = [other.get_watches(path) for path in ('/config', '/cluster')]
    zk.close()
    assert [watch.wait(30).kind for watch in gone] == ["deleted", "deleted"]

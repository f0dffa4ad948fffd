"""Article 001: a cluster node, `/cluster`.

Wanted: say that a cluster is there, and read what it says.
Wrong: `zoo_client` does not exist; one ephemeral node says only that its one writer lives.
Differs: the import. For who is there, since when, see the recipe `Group`: it is used at the end.
"""

from bellwether.articles import ZooClient
from bellwether.recipes import Group

zk = ZooClient()

zk.create('/cluster', b'cluster_data', ephemeral=True)

cluster_data = zk.get('/cluster')
print(cluster_data)
assert cluster_data == b'cluster_data'

with ZooClient() as node_1, ZooClient() as node_2:
    one = Group(node_1.client, '/cluster-members').join(b'node-1')
    two = Group(node_2.client, '/cluster-members').join(b'node-2')
    members = Group(zk.client, '/cluster-members').members()
    print([bytes(member.data) for member in members])
    assert [bytes(member.data) for member in members] == [b'node-1', b'node-2']
    one.leave()
    two.leave()
zk.delete('/cluster-members')
zk.close()

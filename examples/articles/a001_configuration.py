"""Article 001: a configuration node, `/config`.

Wanted: store configuration in a node and read it.
Wrong: `zoo_client` does not exist; an ephemeral node vanishes with the program that wrote it,
which is not what configuration should do.
Differs: the import. The node is ephemeral as in the article; the recipe `Setting` keeps a value,
its version and the values before it.
"""

from bellwether.articles import ZooClient

zk = ZooClient()

zk.create('/config', b'config_data', ephemeral=True)

config_data = zk.get('/config')
print(config_data)
assert config_data == b'config_data'

with ZooClient() as other:
    assert other.get('/config') == b'config_data'
    gone = other.get_watches('/config')
    zk.close()
    assert gone.wait(30).kind == "deleted", "an ephemeral node goes with its session"
    assert other.exists('/config') is None

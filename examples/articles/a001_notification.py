"""Article 001: a notification by a watch on `/notify`.

Wanted: register for notifications of a node, then cause one.
Wrong: `zoo_client` does not exist; the node exists already when it is created to cause the
notification, which is NodeExists; nothing waits for the notification.
Differs: the watch is a value that is waited for, and the second creation is a set.
"""

from bellwether import NodeExistsError
from bellwether.articles import ZooClient

zk = ZooClient()

zk.create('/notify', b'notify_data', ephemeral=True)

notification = zk.get_watches('/notify')

try:
    zk.create('/notify', b'notify_data', ephemeral=True)
except NodeExistsError:
    zk.set('/notify', b'notify_data')

event = notification.wait(30)
print(event.kind, event.path)
assert (event.kind, event.path) == ("changed", '/notify')
zk.close()

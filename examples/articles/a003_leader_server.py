"""Article 003: a server that knows its leader, takes the lock of the leader and gives it back.

Wanted: a subclass of `ZooServer` that listens for the leader's path and leads if it can.
Wrong: `zoo.server` does not exist; a session's state says nothing of who leads; `acquire_lock`
creates a node that another may hold, which is NodeExists and not False; deleting the node with
version -1 deletes another's as well.
Differs: `MyServer` keeps the article's shape. Leading is the recipe `Lock` at the leader's path,
which only its holder lets go of.
"""

from bellwether.articles import ZooKeeper, ZooServer


class MyServer(ZooServer):
    def __init__(self, zk: ZooKeeper) -> None:
        self.zk = zk
        self.leader = None

    def start(self) -> None:
        self.zk.register_listener(self.on_leader_change)
        self.zk.start()

    def on_leader_change(self, zk: ZooKeeper, path: str, state: str) -> None:
        if state == ZooKeeper.EVENT_STATE_CONNECTED:
            self.leader = path

    def acquire_lock(self) -> bool:
        if self.leader is None:
            return False
        return self.zk.try_lock(self.leader) is not None

    def release_lock(self) -> bool:
        if self.leader is None:
            return False
        return self.zk.release_lock(self.leader)


zk, zk_2 = ZooKeeper(), ZooKeeper()
server, standby = MyServer(zk), MyServer(zk_2)
server.start()
standby.start()
print("leaders take", server.leader)
assert server.acquire_lock()
assert not standby.acquire_lock(), "two lead"
assert not standby.release_lock(), "what another holds is not let go of"
assert server.release_lock()
assert standby.acquire_lock()
zk_2.close()
assert server.acquire_lock(), "the lock goes with its holder's session"
server.release_lock()
zk.delete('/leader')
zk.close()

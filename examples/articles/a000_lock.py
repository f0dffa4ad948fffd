"""Article 000, section 4.1: a distributed lock at `/my_lock` around some work.

Wanted: `acquire_lock` and `release_lock`, so that one process at a time does the work.
Wrong: `zookeeper` and `ZooDefs` do not exist; whoever comes second gets NodeExists instead of
waiting; `acquire_lock` reads children of children's names and then deletes the lock it has just
made; `release_lock` creates it.
Differs: the lock is the recipe `Lock` at the same path: contenders stand in a line, the lock ends
with its holder's session, and its fencing token grows from holder to holder.
"""

from bellwether.articles import ZooKeeper


def acquire_lock(zk: ZooKeeper, lock_path: str) -> int:
    return zk.acquire_lock(lock_path).fence


def release_lock(zk: ZooKeeper, lock_path: str) -> None:
    zk.release_lock(lock_path)


zk = ZooKeeper()
other = ZooKeeper()
token = acquire_lock(zk, '/my_lock')
# The work, and meanwhile somebody else who wants to do it.
assert other.try_lock('/my_lock') is None
release_lock(zk, '/my_lock')

later = acquire_lock(other, '/my_lock')
assert later > token
release_lock(other, '/my_lock')
print("the lock was held twice, one after the other; tokens", token, later)
zk.delete('/my_lock')
other.close()
zk.close()

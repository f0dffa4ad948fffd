#!/usr/bin/env python3
"""Fills a server with every kind of node that a data directory can hold.

Usage: populate.py HOST:PORT ROOT

Keeps true: the same arguments make the same tree, times and session ids aside, and what was made is
enough for several logs and snapshots when the server rolls them every few hundred transactions.
The session of the ephemeral nodes is left open: the process ends without closing it.
Leaves to the server everything about files.
"""

import os
import sys

from kazoo.exceptions import BadVersionError, RolledBackError, RuntimeInconsistency
from kazoo.security import ACL, Id, Permissions, make_digest_acl

import raw_ops

WORLD = [ACL(Permissions.ALL, Id("world", "anyone"))]
ACLS = {
    "open": WORLD,
    "read-only": [ACL(Permissions.READ, Id("world", "anyone"))],
    "digest": [make_digest_acl("user", "secret", all=True)],
    "ip": [ACL(Permissions.ALL, Id("ip", "127.0.0.1"))],
    "several": [
        ACL(Permissions.READ, Id("world", "anyone")),
        ACL(Permissions.READ | Permissions.WRITE, Id("ip", "10.0.0.0/8")),
        make_digest_acl("other", "secret", create=True, delete=True),
    ],
}
# Long enough that no node of a run expires while its directory is compared.
TTL_MS = 24 * 60 * 60 * 1000
SESSION_S = 3600.0
# Enough transactions to roll log and snapshot several times.
BULK = 1500


def kinds(client, root):
    """One node of each kind, and what a sequence leaves in its parent's counter."""
    parent = root + "/kinds"
    raw_ops.create(client, parent, b"", WORLD, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/persistent", b"data", WORLD, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/null-data", None, WORLD, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/empty-data", b"", WORLD, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/binary", bytes(range(256)), WORLD, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/large", b"x" * 500_000, WORLD, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/ünïcode-名", "é".encode(), WORLD, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/a b.c-d_e", b"", WORLD, raw_ops.PERSISTENT)
    for _ in range(3):
        raw_ops.create(client, parent + "/seq-", b"", WORLD, raw_ops.SEQUENTIAL)
    raw_ops.create(client, parent + "/ephemeral", b"e", WORLD, raw_ops.EPHEMERAL)
    raw_ops.create(client, parent + "/eseq-", b"e", WORLD, raw_ops.EPHEMERAL_SEQUENTIAL)
    raw_ops.create(client, parent + "/container", b"", WORLD, raw_ops.CONTAINER)
    raw_ops.create(client, parent + "/container/child", b"", WORLD, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/ttl", b"t", WORLD, raw_ops.TTL, TTL_MS)
    raw_ops.create(client, parent + "/ttl-seq-", b"t", WORLD, raw_ops.TTL_SEQUENTIAL, TTL_MS)


def acls(client, root):
    """Every scheme, a list of several, and lists that were changed."""
    parent = root + "/acls"
    raw_ops.create(client, parent, b"", WORLD, raw_ops.PERSISTENT)
    for name, acl in ACLS.items():
        raw_ops.create(client, f"{parent}/{name}", b"", acl, raw_ops.PERSISTENT)
    raw_ops.create(client, parent + "/changed", b"", WORLD, raw_ops.PERSISTENT)
    client.set_acls(parent + "/changed", ACLS["several"])
    client.set_acls(parent + "/changed", ACLS["digest"], version=1)


def transactions(client, root):
    """A multi that commits, two that fail, and single requests that fail: each consumes a zxid."""
    parent = root + "/multi"
    raw_ops.create(client, parent, b"", WORLD, raw_ops.PERSISTENT)
    good = client.transaction()
    good.create(parent + "/a", b"1")
    good.create(parent + "/b-", b"2", sequence=True)
    good.set_data(parent + "/a", b"3")
    good.check(parent + "/a", 1)
    good.create(parent + "/gone", b"")
    good.delete(parent + "/gone")
    results = good.commit()
    assert not any(isinstance(result, Exception) for result in results), results
    bad = client.transaction()
    bad.create(parent + "/never", b"")
    bad.check(parent + "/a", 7)
    bad.delete(parent + "/a")
    kinds_of_failure = [type(result) for result in bad.commit()]
    expected = [RolledBackError, BadVersionError, RuntimeInconsistency]
    assert kinds_of_failure == expected, kinds_of_failure
    try:
        client.set(parent + "/a", b"", version=7)
    except BadVersionError:
        return
    raise AssertionError("a wrong version was accepted")


def quotas(client, root):
    """A quota and the statistics that the server keeps for it."""
    limited = root + "/limited"
    raw_ops.create(client, limited, b"12345", WORLD, raw_ops.PERSISTENT)
    quota = "/zookeeper/quota" + limited
    client.ensure_path(quota)
    client.create(quota + "/zookeeper_limits", b"count=1000,bytes=100000")
    client.create(quota + "/zookeeper_stats", b"count=1,bytes=5")
    for number in range(5):
        client.create(f"{limited}/child-{number}", b"x" * number)
    client.set(limited + "/child-0", b"longer")
    client.delete(limited + "/child-4")


def bulk(client, root):
    """Many small transactions: creates, changes and deletes that depend on each other."""
    parent = root + "/bulk"
    raw_ops.create(client, parent, b"", WORLD, raw_ops.PERSISTENT)
    waiting = []
    for number in range(BULK):
        path = f"{parent}/n{number % 400:03}"
        step = number // 400
        if step == 0:
            waiting.append(client.create_async(path, b"0"))
        elif step == 3 or number % 7 == 0:
            waiting.append(client.set_async(path, str(number).encode()))
        elif number % 11 == 0 and step == 2:
            waiting.append(client.delete_async(path))
        else:
            waiting.append(client.set_async(path, b"v" * (number % 50)))
    failures = 0
    for result in waiting:
        result.wait(timeout=60)
        failures += result.exception is not None
    # Changes of nodes that were deleted one round earlier fail, and are part of the log.
    assert 0 < failures < BULK // 4, failures


def main():
    """Populates, prints the count of nodes, and leaves the session open."""
    hosts, root = sys.argv[1], sys.argv[2]
    client = raw_ops.connect(hosts, timeout_s=SESSION_S)
    raw_ops.create(client, root, b"root", WORLD, raw_ops.PERSISTENT)
    for part in (kinds, acls, transactions, quotas, bulk):
        part(client, root)
    print("populated", root, flush=True)
    # Closing would delete the ephemeral nodes.
    os._exit(0)


if __name__ == "__main__":
    main()

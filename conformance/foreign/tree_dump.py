#!/usr/bin/env python3
"""Prints the whole tree of a server: one JSON object per node, sorted by path.

Usage: tree_dump.py HOST:PORT

Keeps true: everything that a client can read of a node is in its line (data, ACL, every member of
the stat, the children), so that equal dumps mean equal trees.
Leaves out what belongs to the run and not to the tree: sessions without nodes, watches, counters.
The statistics of quotas are in it: each server keeps them for itself, and both count alike.
"""

import base64
import json
import sys

import raw_ops


def node(client, path):
    """Everything that can be read of one node, and its children's names."""
    data, stat = client.get(path)
    acl, acl_stat = client.get_acls(path)
    children = sorted(client.get_children(path))
    assert acl_stat == stat, path
    line = {
        "path": path,
        "data": None if data is None else base64.b64encode(data).decode(),
        "acl": [[entry.perms, entry.id.scheme, entry.id.id] for entry in acl],
        "stat": stat._asdict(),
        "children": children,
    }
    return line, children


def main():
    """Walks the tree and prints it."""
    client = raw_ops.connect(sys.argv[1])
    lines, waiting = [], ["/"]
    while waiting:
        path = waiting.pop()
        line, children = node(client, path)
        lines.append((path, json.dumps(line, sort_keys=True, ensure_ascii=True)))
        waiting.extend(f"{path.rstrip('/')}/{child}" for child in children)
    for _, line in sorted(lines):
        print(line)
    client.stop()


if __name__ == "__main__":
    main()

"""Requests that kazoo has no call for, and the connection that the scripts here share.

Keeps true: a node created here is what the server was asked for, flag by flag.
Leaves to kazoo the session and the framing.
"""

from collections import namedtuple

from kazoo.client import KazooClient
from kazoo.protocol.serialization import (
    int_struct,
    long_struct,
    read_string,
    write_buffer,
    write_string,
)

# Flags of a create request, as the wire has them.
PERSISTENT, EPHEMERAL, SEQUENTIAL, EPHEMERAL_SEQUENTIAL = 0, 1, 2, 3
CONTAINER, TTL, TTL_SEQUENTIAL = 4, 5, 6

# The super user that the harness configures by its digest.
SUPER = ("digest", "super:test")


def connect(hosts, timeout_s=30.0, auth=(SUPER,)):
    """A started client that speaks for the super user."""
    client = KazooClient(hosts=hosts, timeout=timeout_s, auth_data=list(auth))
    client.start(timeout=30)
    return client


def _acl_bytes(acl):
    packed = bytearray(int_struct.pack(len(acl)))
    for entry in acl:
        packed.extend(int_struct.pack(entry.perms))
        packed.extend(write_string(entry.id.scheme))
        packed.extend(write_string(entry.id.id))
    return packed


class CreateRequest(namedtuple("CreateRequest", "type path data acl flags ttl")):
    """Any create request; `ttl` is sent only by the operation that has one."""

    def serialize(self):
        """The request's body."""
        body = bytearray(write_string(self.path))
        body.extend(write_buffer(self.data))
        body.extend(_acl_bytes(self.acl))
        body.extend(int_struct.pack(self.flags))
        if self.ttl is not None:
            body.extend(long_struct.pack(self.ttl))
        return body

    @classmethod
    def deserialize(cls, body, offset):
        """The reply begins with the path that was created."""
        return read_string(body, offset)[0]


def create(client, path, data, acl, flags, ttl_ms=None):
    """Creates one node with exactly these flags and gives its path."""
    if ttl_ms is not None:
        opcode = 21
    elif flags == CONTAINER:
        opcode = 19
    else:
        opcode = 1
    request = CreateRequest(opcode, path, data, acl, flags, ttl_ms)
    result = client.handler.async_result()
    # kazoo's public calls know neither containers nor TTLs, and refuse null data.
    client._call(request, result)  # pylint: disable=protected-access
    return result.get(timeout=30)

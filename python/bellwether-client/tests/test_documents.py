"""The documents: the tour's code runs, and each row of the table for users of kazoo is true."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bellwether
import pytest
from bellwether import Acl, AsyncClient, Client, Created, Stat
from conftest import WAIT_S
from kazoo.client import KazooClient  # type: ignore[import-untyped]
from kazoo.exceptions import KazooException  # type: ignore[import-untyped]

DOCUMENTS = Path(__file__).parents[3] / "docs" / "python"
TOUR = (DOCUMENTS / "tour.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \|", re.MULTILINE)
OPEN, SECURE = (DOCUMENTS / "kazoo.md").read_text().split("\n## TLS and SASL\n")
ROWS = ROW.findall(OPEN)
# These need a secure port: secure.py has them.
SECURE_ROWS = ROW.findall(SECURE)


def test_the_tour_runs(hosts: str, root: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", TOUR, re.DOTALL)
    assert len(blocks) >= 6
    program = "\n".join(blocks).replace('"127.0.0.1:2181"', repr(hosts + root))
    assert program.count(hosts) >= 2
    exec(compile(program, "tour.md", "exec"), {"__name__": "tour"})


def names_of_rows() -> tuple[dict[str, Any], dict[str, Any]]:
    """The names that the rows of either side may use."""
    theirs: dict[str, Any] = {}
    exec("from kazoo import client as kazoo_client, exceptions, security", theirs)
    exec("from kazoo.client import KazooClient; from kazoo.security import *", theirs)
    exec("from kazoo.exceptions import *; from kazoo.protocol.states import *", theirs)
    mine: dict[str, Any] = {"bellwether": bellwether}
    exec("from bellwether import *", mine)
    return theirs, mine


@pytest.fixture
def both(hosts: str, client: Client) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The names that the rows use, for each side below a node of its own with the same children."""
    roots = [f"/{side}-{uuid.uuid4().hex}" for side in ("kazoo", "ours")]
    for root in roots:
        client.create(root + "/app/task", b"1", makepath=True)
        client.set(root + "/app", b"data")
        client.create(root + "/empty")
    zk = KazooClient(hosts + roots[0], timeout=10.0)
    zk.start(timeout=WAIT_S)
    theirs, mine = names_of_rows()
    theirs |= {"zk": zk, "HOSTS": hosts + roots[0], "SERVER": hosts}
    mine["HOSTS"] = hosts + roots[1]
    with Client.connect(hosts + roots[1], session_timeout=10.0) as session:
        mine["client"] = session
        yield theirs, mine
    zk.stop()
    zk.close()
    for root in roots:
        client.delete(root, recursive=True)


def plain(value: Any) -> Any:
    """A result of either side without what differs from node to node or from class to class."""
    if isinstance(value, Created):
        return value.path
    if isinstance(value, Stat):
        return ["stat", value.version, value.cversion, value.data_length, value.num_children]
    if type(value).__name__ == "ZnodeStat":
        return ["stat", value.version, value.cversion, value.dataLength, value.numChildren]
    if isinstance(value, Acl):
        return ["acl", value.perms, value.scheme, value.id]
    if type(value).__name__ == "ACL":
        return ["acl", value.perms, value.id.scheme, value.id.id]
    if value is True:
        return None  # Where kazoo says True, there is nothing to say.
    if isinstance(value, (list, tuple)):
        items = [plain(item) for item in value]
        return sorted(items) if all(isinstance(item, str) for item in items) else items
    return value


def outcome(code: str, names: dict[str, Any]) -> Any:
    """The value of the last expression, or the exception's name."""
    *statements, last = code.split("; ")
    try:
        for statement in statements:
            exec(statement, names)
        return plain(eval(last, names))
    except (KazooException, bellwether.ZooKeeperError) as error:
        known = error.__cause__ if isinstance(error, bellwether.TransactionError) else error
        return type(known).__name__


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_row_for_users_of_kazoo_is_true(
    row: tuple[str, str], both: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    theirs, mine = both
    assert outcome(row[0], theirs) == outcome(row[1], mine)


def test_the_table_covers_what_kazoo_clients_have() -> None:
    assert len(ROWS) >= 40 and len(SECURE_ROWS) >= 5
    for keyword in ("use_ssl", "ca", "certfile", "keyfile", "keyfile_password", "sasl_options"):
        assert any(f"{keyword}=" in theirs for theirs, _ in SECURE_ROWS), keyword
    used = " ".join(theirs for theirs, _ in ROWS)
    ours = " ".join(mine for _, mine in ROWS)
    public = [name for name in dir(Client) if not name.startswith("_")]
    mentioned = [name for name in public if re.search(rf"\b{name}\b", ours)]
    beyond_kazoo = {
        "all_children_number",
        "certain_until",
        "confirm",
        "is_certain",
        "keep_certain",
        "metrics",
        "multi_read",
        "retrying",
        "session_timeout",
        "whoami",
    }
    assert set(public) - set(mentioned) <= beyond_kazoo
    for name in ("create", "ensure_path", "get", "set", "delete", "exists", "transaction"):
        assert re.search(rf"zk\.{name}\(", used), name
    assert {name for name in dir(AsyncClient) if not name.startswith("_")} == set(public)

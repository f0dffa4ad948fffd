"""Values, exceptions, names and signatures: what needs no server but the installed package."""

import asyncio
import copy
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import bellwether
import pytest
from bellwether import (
    Acl,
    BadArgumentsError,
    Created,
    Gap,
    Metrics,
    Multi,
    MultiRead,
    OperationMetrics,
    Sasl,
    SessionEvent,
    Stat,
    Tls,
    WatchEvent,
    _native,
    errors,
)

STAT = Stat(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
VALUES = [
    STAT,
    Created("/a", STAT),
    Acl(31, "world", "anyone"),
    WatchEvent("created", "/a", 7),
    Gap(),
    SessionEvent("connected", "a:1", None, True, False),
    OperationMetrics(1, 2, 3, 4, 0.5),
    Metrics({"getData": OperationMetrics(1, 2, 3, 4, 0.5)}, {"NONODE": 2}, 3, 4, 5, 1, 0, 0),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_compare_by_their_fields_and_cannot_be_changed(value: object) -> None:
    other = pickle.loads(pickle.dumps(value))
    assert other == value and hash(other) == hash(value) and copy.copy(value) == value
    assert repr(value).startswith(type(value).__name__ + "(")
    assert all(value != unlike for unlike in VALUES if unlike is not value)
    for name in type(value).__match_args__:  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            setattr(value, name, 1)


def test_values_are_shown_with_their_fields_and_matched_by_position() -> None:
    assert repr(Acl(1, "ip", "::1")) == "Acl(perms=1, scheme='ip', id='::1')"
    match WatchEvent("created", "/a", 7):
        case WatchEvent(kind, path, zxid):
            assert (kind, path, zxid) == ("created", "/a", 7)
    assert STAT != Stat(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12)


def test_every_code_of_the_protocol_has_a_class_and_no_class_another_code() -> None:
    codes = {(code, name) for code, name in _native.error_codes() if code != 0}
    classes = {(cls.code, cls._name) for cls in errors._BY_CODE.values()}
    assert codes == classes
    for name, cls in vars(errors).items():
        if isinstance(cls, type) and issubclass(cls, errors.ZooKeeperError):
            assert getattr(bellwether, name) is cls and name in bellwether.__all__ and cls.__doc__


def test_exceptions_survive_pickling() -> None:
    error = errors._make("NONODE", "get /a: NONODE", path="/a", maybe_happened=False)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.path, str(again)) == (errors.NoNodeError, "/a", "get /a: NONODE")
    assert isinstance(errors._make("NoServer", "none"), TimeoutError)
    assert type(errors._make("Unknown", "?", code=-9)) is errors.ZooKeeperError


@pytest.mark.parametrize(
    "pair",
    [
        ("Client", "AsyncClient"),
        ("OnceWatch", "AsyncOnceWatch"),
        ("Watch", "AsyncWatch"),
        ("SessionEvents", "AsyncSessionEvents"),
    ],
)
def test_both_kinds_have_the_same_documented_methods(pair: tuple[str, str]) -> None:
    waiting, asynchronous = (getattr(bellwether, name) for name in pair)
    public = [name for name in dir(waiting) if not name.startswith("_")]
    assert public == [name for name in dir(asynchronous) if not name.startswith("_")]
    for name in public:
        ours, theirs = getattr(waiting, name), getattr(asynchronous, name)
        assert ours.__doc__ and theirs.__doc__
        if callable(ours):
            assert inspect.signature(ours) == inspect.signature(theirs), name


def test_everything_public_is_documented() -> None:
    for name in bellwether.__all__:
        assert getattr(bellwether, name).__doc__, name
    for cls in (Multi, MultiRead, Sasl):
        for name in (name for name in dir(cls) if not name.startswith("_")):
            assert getattr(cls, name).__doc__, name


def test_secrets_are_shown_by_nothing_and_not_pickled() -> None:
    sasl = Sasl("bob", "builder")
    assert repr(sasl) == str(sasl) == 'Sasl(username="bob", password=...)'
    assert (sasl.username, sasl.mechanism) == ("bob", "DIGEST-MD5")
    assert not hasattr(sasl, "password")
    tls = Tls(
        trust_pem=["ca.pem", Path("other.pem"), b"12345"],
        trust_pkcs12="trust.p12",
        trust_password="builder",
        identity_pem="client.pem",
        key_password="builder",
        server_name="zk.example",
        verify_host_name=False,
    )
    assert repr(tls) == (
        'Tls(trust_pem=["ca.pem", "other.pem", <5 bytes>], trust_pkcs12="trust.p12", '
        'trust_password=..., identity_pem="client.pem", key_password=..., '
        'server_name="zk.example", verify_host_name=False)'
    )
    store = Tls(trust_pem=bytearray(b"1"), identity_pkcs12="me.p12", identity_password="builder")
    assert "builder" not in repr(store) and "<1 bytes>" in repr(store)
    for secret in (sasl, tls):
        with pytest.raises(TypeError):
            pickle.dumps(secret)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, "nothing is trusted by default"),
        ({"trust_pkcs12": "t"}, "trust_pkcs12 and trust_password"),
        ({"trust_pem": "t", "trust_password": "t"}, "trust_pkcs12 and trust_password"),
        ({"trust_pem": "t", "identity_key": "k"}, "identity_key goes with identity_pem"),
        ({"trust_pem": "t", "key_password": "k"}, "key_password goes with identity_pem"),
        ({"trust_pem": "t", "identity_pkcs12": "k"}, "identity_pkcs12 and identity_password"),
        (
            {"trust_pem": "t", "identity_pem": "c", "identity_pkcs12": "k"},
            "identity_pem and identity_pkcs12 exclude",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    keywords: dict[str, str], expected: str
) -> None:
    with pytest.raises(BadArgumentsError, match=expected):
        Tls(**keywords)  # type: ignore[arg-type]


def test_settings_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(BadArgumentsError, match="GSSAPI"):
        Sasl("bob", "builder", mechanism="GSSAPI")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Tls(trust_pem=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        bellwether.Client.connect("127.0.0.1:1", tls="ca.pem")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        bellwether.Client.connect("127.0.0.1:1", sasl=("bob", "builder"))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_a_file_that_cannot_be_used_is_named_before_anything_is_connected(kind: str) -> None:
    async def connect() -> None:
        await bellwether.AsyncClient.connect("127.0.0.1:1", tls=missing)

    missing = Tls(trust_pem="/no/such.pem")
    with pytest.raises(BadArgumentsError, match=r"trusted certificates \(/no/such.pem\)"):
        if kind == "threads":
            bellwether.Client.connect("127.0.0.1:1", tls=missing)
        else:
            asyncio.run(connect())


def test_an_import_starts_no_thread_opens_nothing_and_imports_little() -> None:
    program = """
import os, sys, threading
files, modules = set(os.listdir("/proc/self/fd")), set(sys.modules)
import bellwether
assert len(os.listdir("/proc/self/task")) == 1, "a thread"
assert set(os.listdir("/proc/self/fd")) == files, "a file"
ours = {name for name in sys.modules if name.startswith("bellwether")}
assert set(sys.modules) - modules == ours, set(sys.modules) - modules - ours
"""
    subprocess.run([sys.executable, "-c", program], check=True)

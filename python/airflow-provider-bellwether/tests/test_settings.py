"""Connections, the arguments of articles, values, lists, errors: what needs no server."""

import dataclasses
import json
import os
import warnings
from typing import Any

import bellwether
import pytest
from airflow.sdk import DAG, Connection
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from bellwether_airflow.errors import Refused, failure, told
from bellwether_airflow.operators.zookeeper import (
    ZookeeperCreateOperator,
    ZookeeperGetOperator,
    ZookeeperSetOperator,
)
from bellwether_airflow.settings import (
    Settings,
    Target,
    from_arguments,
    from_connection,
)
from bellwether_airflow.tls import TlsFiles
from bellwether_airflow.values import acl_of, mode_of, shown, to_bytes


def connection(**fields: Any) -> Connection:
    extra = fields.pop("extra", {})
    made = Connection(conn_id="zk", conn_type="zookeeper", **fields)
    if extra:

        made.extra = json.dumps(extra)
    return made


@pytest.mark.parametrize(
    ("hosts", "port", "expected"),
    [
        ("one", None, "one:2181"),
        ("one,two:99", "2182", "one:2182,two:99"),
        (["one", "two"], 2182, "one:2182,two:2182"),
        ("one:1, two:2/app", None, "one:1,two:2/app"),
        ("::1", None, "[::1]:2181"),
        ("[::1]:99,[::2]", 7, "[::1]:99,[::2]:7"),
    ],
)
def test_hosts_and_ports_in_every_spelling(hosts: Any, port: Any, expected: str) -> None:
    assert from_arguments(hosts, port).hosts == expected


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("",), "no host"),
        (([],), "no host"),
        (("one", "no"), "port 'no'"),
        (("one", 65536), "port 65536"),
        (("one:0",), "port '0'"),
        (("one", None, None, "secret"), "without zookeeper_user"),
    ],
)
def test_arguments_that_are_not_possible(arguments: Any, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        from_arguments(*arguments)
    assert "secret" not in str(refused.value)


def test_a_connection_with_everything() -> None:
    settings = from_connection(
        connection(
            host="one,two:99",
            port=7,
            schema="/app/",
            login="bob",
            password="builder",
            extra={"session_timeout": "4.5", "read_only": "true", "admin_url": "http://a/, b"},
        )
    )
    assert dataclasses.replace(settings, password=None) == Settings(
        "one:7,two:99/app", "bob", None, 4.5, 10.0, True, "http://a/, b"
    )
    assert settings.auth() == [("digest", "bob:builder")]
    assert settings.admin_urls() == ["http://a", "b"]
    assert settings.servers() == [("one", 7), ("two", 99)]
    assert "builder" not in repr(settings)


def test_a_connection_by_tls_and_sasl() -> None:
    settings = from_connection(
        connection(
            login="bob",
            password="builder",
            extra={
                "auth_scheme": "sasl-digest",
                "use_ssl": True,
                "ca_cert": "ca.pem",
                "client_cert": "me.pem",
                "key_password": "hush",
                "verify_hostname": "false",
            },
        )
    )
    assert settings.tls_files == TlsFiles("ca.pem", "me.pem", None, "hush", False)
    assert settings.auth() == [], "SASL proves who it is"
    said = repr(settings.opening())
    assert "Tls" in said and "Sasl" in said and "bob" in said
    assert not any(secret in said + repr(settings) for secret in ("builder", "hush"))
    plain = from_connection(connection()).opening()
    assert (plain["tls"], plain["sasl"]) == (None, None)


def test_a_connection_with_nothing() -> None:
    assert from_connection(connection()) == Settings("localhost:2181")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"extra": {"session_timeout": "soon"}}, "'zk': session_timeout is 'soon'"),
        ({"extra": {"connect_timeout": 0}}, "connect_timeout is 0"),
        ({"extra": {"read_only": "perhaps"}}, "read_only"),
        ({"extra": {"auth_scheme": "digest"}}, "needs a login"),
        ({"extra": {"auth_scheme": "sasl-digest"}}, "needs a login"),
        ({"extra": {"auth_scheme": "gssapi"}}, "one of none, digest, sasl-digest, x509"),
        ({"extra": {"sasl_service": "zookeeper"}}, "Kerberos"),
        ({"extra": {"auth_scheme": "x509", "use_ssl": True, "ca_cert": "ca.pem"}}, "client_cert"),
        ({"extra": {"use_ssl": True}}, "needs ca_cert"),
        ({"extra": {"ca_cert": "ca.pem", "client_cert": "me.pem"}}, "without use_ssl"),
        ({"extra": {"use_ssl": "perhaps"}}, "use_ssl is \"perhaps\"; true or false"),
        (
            {"extra": {"use_ssl": True, "ca_cert": "ca.pem", "client_key": "k.pem"}},
            "without client_cert",
        ),
        ({"host": "one/a", "schema": "b"}, "a chroot stands both"),
    ],
)
def test_connections_that_are_not_possible(fields: Any, why: str) -> None:
    with pytest.raises(Refused, match=why):
        from_connection(connection(**fields))


def test_a_target_goes_through_a_trigger_and_back() -> None:
    for target in (Target("zk"), Target(given=from_arguments("one", None, "bob", "builder"))):
        assert Target.deserialize(target.serialize()) == target


def test_a_connection_and_hosts_are_not_both_taken() -> None:
    with pytest.raises(ValueError, match="both given"):
        ZookeeperGetOperator(task_id="t", path="/", zookeeper_conn_id="a", zookeeper_hosts="b")
    with pytest.raises(ValueError, match="belong to zookeeper_hosts"):
        ZookeeperGetOperator(task_id="t", path="/", zookeeper_user="bob")


@pytest.mark.parametrize(
    ("value", "data"),
    [(None, b""), ("ü", b"\xc3\xbc"), (b"\xff", b"\xff"), ({"b": 1, "a": [2]}, b'{"a":[2],"b":1}')],
)
def test_values_become_data(value: object, data: bytes) -> None:
    assert to_bytes(value) == data


def test_data_becomes_json() -> None:
    assert shown(b"a") == {"value": "a"}
    assert shown(b"\xff") == {"value_base64": "/w=="}
    with pytest.raises(Refused, match="a set"):
        to_bytes({1, 2})


def test_modes_in_any_case_and_javas() -> None:
    assert mode_of("PERSISTENT") == mode_of("persistent")
    assert mode_of("Persistent-Sequential") == mode_of("sequential")
    assert mode_of("PERSISTENT_WITH_TTL") == mode_of("ttl")
    with pytest.raises(Refused, match="forever"):
        mode_of("forever")


def test_access_lists() -> None:
    bob = Settings("h:1", "bob", "builder")
    digest = bellwether.digest_acl("bob", "builder")
    assert acl_of(None, bob) is None
    assert acl_of("open", bob) == list(bellwether.OPEN_ACL)
    assert acl_of("creator", bob) == list(bellwether.CREATOR_ALL_ACL)
    assert acl_of("digest", bob) == [digest]
    expected = [bellwether.Acl(3, "ip", "::1"), bellwether.Acl(31, "world", "anyone")]
    assert acl_of(["ip:::1:rw", {"scheme": "world", "id": "anyone", "perms": 31}], bob) == expected
    for wrong in ("shut", [], [1], ["world:anyone:rx"], "creator"):
        with pytest.raises(Refused):
            acl_of(wrong, Settings("h:1"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"mode": "ephemeral"}, "hold=True"),
        ({"mode": "ephemeral", "hold": True}, "needs an end"),
        ({"hold": True, "hold_for": 1}, "hold is for"),
        ({"mode": "ttl"}, "ttl"),
        ({"ttl": 5}, "ttl"),
        ({"if_exists": "perhaps"}, "if_exists"),
        ({"marker": "/m"}, "marker"),
    ],
)
def test_creates_that_are_not_possible(arguments: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ZookeeperCreateOperator(task_id="t", path="/a", **arguments)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (bellwether.NoAuthError, AirflowFailException),
        (bellwether.BadArgumentsError, AirflowFailException),
        (bellwether.UnimplementedError, AirflowFailException),
        (bellwether.NoNodeError, AirflowException),
        (bellwether.BadVersionError, AirflowException),
        (bellwether.ConnectionLossError, AirflowException),
        (bellwether.SessionExpiredError, AirflowException),
    ],
)
def test_what_is_tried_again(error: type[bellwether.ZooKeeperError], kind: type) -> None:
    made = error("boom")
    made.path = "/a"
    found = failure(made, "doing")
    assert type(found) is kind
    assert "doing" in str(found) and "/a" in str(found) and str(error.code) in str(found)


def test_a_transaction_is_judged_by_the_operation_that_was_refused() -> None:
    made = bellwether.TransactionError("boom")
    made.__cause__ = bellwether.NoAuthError("boom")
    assert type(failure(made, "doing")) is AirflowFailException
    with pytest.raises(AirflowFailException), told("doing"):
        raise Refused("no")


def test_secrets_are_in_no_serialized_dag() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("secret") as dag, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ZookeeperSetOperator(
            task_id="t",
            path="/",
            value="v",
            zookeeper_hosts="h",
            zookeeper_user="bob",
            zookeeper_passwd="builder",
        )
    stored = str(DagSerialization.serialize_dag(dag))
    assert "builder" not in stored and "ZookeeperSetOperator" in stored


def test_a_session_of_a_parent_is_not_used_in_its_child(hosts: str) -> None:
    from bellwether_airflow import sessions

    settings = Settings(hosts)
    with sessions.leased(settings) as client, sessions.leased(settings) as same:
        assert client is same
        child = os.fork()
        if child == 0:
            ours = True
            try:
                with sessions.leased(settings) as other:
                    ours = other is client
                    other.children("/")
            finally:
                os._exit(int(ours))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.children("/")
    assert client.state == "closed"


def test_the_connection_can_be_tested(hosts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from bellwether_airflow.hooks.zookeeper import ZooKeeperHook

    works, said = ZooKeeperHook("zookeeper_default").test_connection()
    assert works and hosts in said
    monkeypatch.setenv("AIRFLOW_CONN_BAD", '{"conn_type": "zookeeper", "extra": {"use_ssl": true}}')
    works, said = ZooKeeperHook("bad").test_connection()
    assert not works and "use_ssl needs ca_cert" in said
    extra = {"use_ssl": True, "ca_cert": "/no/such/ca.pem"}
    lost = json.dumps({"conn_type": "zookeeper", "host": hosts, "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_LOST", lost)
    works, said = ZooKeeperHook("lost").test_connection()
    assert not works and "/no/such/ca.pem" in said


def test_what_is_sensitive_is_masked_when_it_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    from bellwether_airflow.operators import base

    masked: list[object] = []
    monkeypatch.setattr(base, "mask", masked.append)
    with DAG("masks"):
        loud = ZookeeperSetOperator(task_id="loud", path="/", value="{{ 'spo' + 'ken' }}")
        quiet = ZookeeperSetOperator(
            task_id="quiet", path="/", value="{{ 'hid' + 'den' }}", sensitive=True
        )
    context: Any = {}
    for task in (loud, quiet):
        task.render_template_fields(context)
    assert (loud.value, quiet.value) == ("spoken", "hidden")
    assert masked == ["hidden"]

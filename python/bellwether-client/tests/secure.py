"""TLS and SASL, against Apache's secure port and JAAS set-up; the stage `secure` runs it.

Usage: BELLWETHER_HOSTS=… BELLWETHER_KEYS=DIRECTORY BELLWETHER_STRICT=PLAIN:SECURE
BELLWETHER_LAX=PLAIN:SECURE pytest -s tests/secure.py

The stage makes the keys in the directory. A server is given as its two ports on 127.0.0.1. The
strict one wants a client certificate of the CA, carries `localhost` and `127.0.0.1`, and knows the
users of SASL; its plain port is BELLWETHER_HOSTS. The lax one wants no certificate, has one that
signed itself and carries `localhost` alone, and takes no part in SASL.

Keeps true: its name is none that pytest looks for, so that a run without these servers does not
count tests that were not run.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bellwether import (
    Acl,
    AuthFailedError,
    BadArgumentsError,
    Client,
    NoAuthError,
    NoServerError,
    Perms,
    Sasl,
    Tls,
)
from conftest import WAIT_S, Connect
from test_documents import DOCUMENTS, SECURE_ROWS, names_of_rows, outcome

PASSWORD = "secret 1"
KEYS = Path(os.environ["BELLWETHER_KEYS"])
STRICT, STRICT_SECURE = (f"127.0.0.1:{p}" for p in os.environ["BELLWETHER_STRICT"].split(":"))
LAX, LAX_SECURE = (f"127.0.0.1:{p}" for p in os.environ["BELLWETHER_LAX"].split(":"))
LOOP = Path(__file__).with_name("fork_loop.py")
TRUST: dict[str, Any] = {"trust_pem": [KEYS / "ca.pem", KEYS / "lax.pem"]}
KNOWN: dict[str, Any] = {
    **TRUST,
    "identity_pkcs12": KEYS / "client.p12",
    "identity_password": PASSWORD,
}
# How long one is tried that must fail: at least one attempt has ended by then.
REFUSED_S = 5.0


@pytest.fixture
def hosts() -> str:
    """Nothing: tests say to which port of which server `connect` connects."""
    return ""


@pytest.mark.parametrize(
    ("keywords", "name"),
    [
        ({"identity_pem": KEYS / "client.pem", "identity_key": KEYS / "client.key"}, "client"),
        ({"identity_pem": str(KEYS / "both.pem")}, "client"),
        (
            {
                "identity_pem": (KEYS / "client.pem").read_bytes(),
                "identity_key": (KEYS / "encrypted.key").read_bytes(),
                "key_password": PASSWORD,
            },
            "client",
        ),
        ({"identity_pkcs12": KEYS / "client.p12", "identity_password": PASSWORD}, "client"),
        ({"identity_pkcs12": KEYS / "rsa.p12", "identity_password": PASSWORD}, "rsa"),
    ],
    ids=["pem", "one-file", "encrypted-key", "pkcs12-ec", "pkcs12-rsa"],
)
def test_the_server_knows_the_client_by_its_certificate(
    connect: Connect, keywords: dict[str, Any], name: str
) -> None:
    tls = Tls(trust_pkcs12=KEYS / "trust.p12", trust_password=PASSWORD, **keywords)
    client = connect(STRICT_SECURE, tls=tls)
    assert ("x509", f"CN={name}") in client.whoami()
    data = bytes(range(250)) * 4000  # It does not leave in one write.
    path = client.create("/large", data, ephemeral=True).path
    assert client.get(path)[0] == data
    metrics = client.metrics()
    assert metrics.connections == 1 and metrics.sent_bytes > len(data)
    client.close()


def test_names_are_verified_as_far_as_asked_for(connect: Connect) -> None:
    by_name = LAX_SECURE.replace("127.0.0.1", "localhost")
    assert connect(by_name, tls=Tls(**TRUST)).state == "connected"
    assert connect(LAX_SECURE, tls=Tls(**TRUST, verify_host_name=False)).state == "connected"
    assert connect(LAX_SECURE, tls=Tls(**TRUST, server_name="localhost")).state == "connected"


STRANGER = {"trust_pem": KEYS / "stranger.pem"}
UNKNOWN = {"identity_pkcs12": KEYS / "stranger.p12", "identity_password": PASSWORD}


REFUSED = [
    (STRANGER, STRICT_SECURE, "signed by none of the trusted ones"),
    ({**STRANGER, "verify_host_name": False}, STRICT_SECURE, "signed by none of the trusted ones"),
    (TRUST, STRICT_SECURE, "it may want a client certificate"),
    ({**TRUST, **UNKNOWN}, STRICT_SECURE, "another one that it trusts"),
    (TRUST, LAX_SECURE, 'not valid for name "127.0.0.1"'),
    (KNOWN, STRICT, "secureClientPort"),
]


def test_whoever_cannot_be_trusted_is_refused() -> None:
    def refusal(row: tuple[dict[str, Any], str, str]) -> str:
        with pytest.raises(NoServerError) as refused:
            Client.connect(row[1], tls=Tls(**row[0]), connect_timeout=REFUSED_S)
        return str(refused.value)

    # All at once, since each is tried for a while.
    with ThreadPoolExecutor(len(REFUSED)) as pool:
        for (_, _, expected), told in zip(REFUSED, pool.map(refusal, REFUSED), strict=True):
            assert expected in told


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({**KNOWN, "identity_password": "builder"}, r"client\.p12\): the password is wrong"),
        (
            {**TRUST, "identity_pem": KEYS / "client.pem", "identity_key": KEYS / "encrypted.key"},
            r"encrypted\.key\): the private key is encrypted; give key_password",
        ),
        (
            {
                **TRUST,
                "identity_pem": KEYS / "client.pem",
                "identity_key": KEYS / "encrypted.key",
                "key_password": "builder",
            },
            r"encrypted\.key\): the password is wrong",
        ),
        ({"trust_pem": KEYS / "trust.p12"}, r"trust\.p12\): there is no certificate"),
    ],
    ids=["store", "no-key-password", "key-password", "kind"],
)
def test_a_file_that_cannot_be_used_is_named(
    connect: Connect, keywords: dict[str, Any], expected: str
) -> None:
    with pytest.raises(BadArgumentsError, match=expected) as refused:
        connect(STRICT_SECURE, tls=Tls(**keywords))
    assert "builder" not in str(refused.value)


@pytest.mark.parametrize(
    ("username", "password"), [("bob", "builder"), ("jörg", "pässwort")], ids=["ascii", "beyond"]
)
def test_sasl_proves_who_the_client_is(connect: Connect, username: str, password: str) -> None:
    client = connect(STRICT, sasl=Sasl(username, password))
    assert ("sasl", username) in client.whoami()
    acl = [Acl(Perms.ALL, "sasl", username)]
    path = client.create("/own", b"mine", ephemeral=True, acl=acl).path
    assert client.get(path)[0] == b"mine"
    with pytest.raises(NoAuthError):
        connect(STRICT).get(path)
    client.close()


@pytest.mark.parametrize(
    ("server", "sasl", "expected"),
    [
        (STRICT, Sasl("bob", "wrong"), "refused the SASL user or password"),
        (STRICT, Sasl("eve", "builder"), "refused the SASL user or password"),
        (LAX, Sasl("bob", "builder"), "takes no part in SASL"),
    ],
    ids=["password", "user", "server"],
)
def test_whoever_asks_for_sasl_gets_it_or_no_session(
    connect: Connect, server: str, sasl: Sasl, expected: str
) -> None:
    with pytest.raises(AuthFailedError, match=expected) as refused:
        connect(server, sasl=sasl)
    assert "builder" not in str(refused.value) and "wrong" not in str(refused.value)


def test_both_together_survive_a_restart(connect: Connect, server: Callable[[str], None]) -> None:
    client = connect(STRICT_SECURE, tls=Tls(**KNOWN), sasl=Sasl("bob", "builder"))
    before = client.whoami()
    assert {("sasl", "bob"), ("x509", "CN=client")} <= set(before)
    acl = [Acl(Perms.ALL, "sasl", "bob")]
    path = client.create("/kept", ephemeral=True, acl=acl).path
    events = client.session_events()
    server("RESTART")
    while events.next(WAIT_S).kind != "connected":
        pass
    client.set(path, b"on")
    assert client.whoami() == before and client.metrics().connections == 2
    client.close()


@pytest.mark.parametrize(("kind", "forks"), [("idle", 40), ("threads", 80), ("asyncio", 40)])
def test_forks_do_no_harm_to_connections_by_tls(kind: str, forks: int) -> None:
    with Client.connect(STRICT) as client:
        client.create("/forks", makepath=True)
        command = [sys.executable, str(LOOP), STRICT_SECURE, "/forks", str(forks), kind, str(KEYS)]
        loop = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=5 * WAIT_S)
        client.delete("/forks", recursive=True)
    assert loop.returncode == 0, loop.stderr


def shell(*words: str, typed: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Runs the mini shell."""
    command = [sys.executable, "-m", "bellwether", "-t", "5", *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=WAIT_S)


def test_the_shell_connects_by_tls_and_sasl(tmp_path: Path) -> None:
    store, sasl = tmp_path / "store", tmp_path / "sasl"
    store.write_text(PASSWORD + "\n")
    sasl.write_text("builder")
    trust = ["--trust-pem", str(KEYS / "ca.pem"), "--trust-pem", str(KEYS / "lax.pem")]
    identity = ["--identity-pkcs12", str(KEYS / "client.p12")]
    identity += ["--identity-password-file", str(store)]
    bob = ["--sasl-user", "bob", "--sasl-password-file", str(sasl)]
    done = shell("-s", STRICT_SECURE, *trust, *identity, *bob, "ls", "/zookeeper")
    assert (done.returncode, done.stdout) == (0, "config\nquota\n"), done.stderr
    pem = ["--identity-pem", str(KEYS / "client.pem")]
    pem += ["--identity-key", str(KEYS / "encrypted.key"), "--key-password-file", str(store)]
    assert shell("-s", STRICT_SECURE, *trust, *pem, "ls", "/").returncode == 0
    trust_store = ["--trust-pkcs12", str(KEYS / "trust.p12"), "--trust-password-file", str(store)]
    lax = ["-s", LAX_SECURE, *trust_store]
    assert shell(*lax, "--server-name", "localhost", "ls", "/").returncode == 0
    assert shell(*lax, "--no-verify-host-name", "ls", "/").returncode == 0
    unnamed = shell(*lax, "ls", "/")
    assert unnamed.returncode == 1 and "not valid for name" in unnamed.stderr
    sasl.write_text("wrong\n")
    refused = shell("-s", STRICT, *bob, "ls", "/")
    assert refused.returncode == 1 and "refused the SASL user" in refused.stderr
    for words, expected in [
        (["--sasl-user", "bob"], "--sasl-password-file"),
        (["--sasl-password-file", str(sasl)], "--sasl-user"),
        (["--identity-pem", "x"], "--trust-pem"),
        (["--no-verify-host-name"], "--trust-pem"),
        ([*trust, "--identity-pkcs12", "x"], "--identity-password-file"),
        ([*trust, "--identity-key", "x"], "identity_pem"),
        (["--trust-pem", str(KEYS / "none.pem")], "none.pem"),
        (["--trust-pkcs12", "x", "--trust-password-file", str(tmp_path / "none")], "none"),
    ]:
        wrong = shell("-s", STRICT, *words, "ls", "/", typed="")
        assert wrong.returncode in (1, 2) and expected in wrong.stderr, (words, wrong.stderr)
        assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize("row", SECURE_ROWS, ids=lambda row: row[0][:40])
def test_a_row_on_security_for_users_of_kazoo_is_true(row: tuple[str, str]) -> None:
    own = {"HOSTS": STRICT, "SECURE": STRICT_SECURE, "LAX": LAX_SECURE}
    own |= {"KEYS": str(KEYS), "PASSWORD": PASSWORD}
    theirs, mine = names_of_rows()
    assert outcome(row[0], {**theirs, **own}) == outcome(row[1], {**mine, **own})


def test_the_examples_of_the_page_on_security_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(KEYS)
    page = (DOCUMENTS / "security.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    program = "\n".join(blocks).replace("one:2281", STRICT_SECURE).replace("one:2181", STRICT)
    assert len(blocks) >= 4 and program.count(STRICT_SECURE) >= 3
    exec(compile(program, "security.md", "exec"), {"__name__": "security"})

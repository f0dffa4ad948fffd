//! Checks TLS and SASL against real servers: `secure_check DIRECTORY STRICT LAX`.
//!
//! The stage `secure` of `cargo xtask` makes the keys in the directory, starts the servers, and
//! restarts the strict one when it reads the line `RESTART`. A server is given as the two
//! ports `PLAIN:SECURE` on 127.0.0.1. The strict one wants a client certificate of the CA, speaks
//! TLS 1.3, carries `localhost` and `127.0.0.1`, and knows the users of SASL. The lax one wants no
//! certificate, speaks TLS 1.2, has a certificate that signed itself and carries `localhost` alone,
//! and takes no part in SASL.
//!
//! It prints a line per check, and last the line `N passed, N failed`.
#![expect(clippy::print_stdout, reason = "what it finds is for standard output")]

use bellwether_client::{
    Acl, AuthFailure, Client, Connector, Create, CreateMode, Error, ErrorCode, Perms, SessionEnd,
    SessionEvent, SessionState, Tls, TlsBuilder,
};
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The password of every key store.
const PASSWORD: &str = "secret 1";
/// What a connection may take that has to succeed.
const CONNECT: Duration = Duration::from_secs(20);
/// How long one is tried that must not: at least one attempt has ended by then.
const REFUSED: Duration = Duration::from_secs(5);

/// What a check found out, or what was wrong.
type Checked = Result<String, String>;

struct Server {
    plain: u16,
    secure: u16,
}

struct World {
    keys: PathBuf,
    strict: Server,
    lax: Server,
}

#[derive(Default)]
struct Counts {
    passed: u32,
    failed: u32,
}

impl Counts {
    fn count(&mut self, name: &str, checked: Checked) {
        match checked {
            Ok(found) => {
                self.passed += 1;
                println!("ok   {name}: {found}");
            }
            Err(why) => {
                self.failed += 1;
                println!("FAIL {name}: {why}");
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(world) = World::from_arguments() else {
        println!("usage: secure_check DIRECTORY STRICT_PLAIN:SECURE LAX_PLAIN:SECURE");
        return ExitCode::from(2);
    };
    let mut counts = Counts::default();
    identities(&world, &mut counts).await;
    names(&world, &mut counts).await;
    refusals(&world, &mut counts).await;
    sasl(&world, &mut counts).await;
    counts.count("SASL and TLS together, over a restart", restart(&world).await);
    println!("{} passed, {} failed", counts.passed, counts.failed);
    if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl World {
    fn from_arguments() -> Option<World> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let [keys, strict, lax] = words.as_slice() else { return None };
        let server = |word: &str| {
            let (plain, secure) = word.split_once(':')?;
            Some(Server { plain: plain.parse().ok()?, secure: secure.parse().ok()? })
        };
        Some(World { keys: Path::new(keys).into(), strict: server(strict)?, lax: server(lax)? })
    }

    fn key(&self, name: &str) -> PathBuf {
        self.keys.join(name)
    }

    /// Trusts the CA, and the certificate of the lax server.
    fn trusting(&self) -> TlsBuilder {
        Tls::builder().trust_pem(self.key("ca.pem")).trust_pem(self.key("lax.pem"))
    }

    /// With what the strict server wants.
    fn known(&self) -> TlsBuilder {
        self.trusting().identity_pkcs12(self.key("client.p12"), PASSWORD)
    }
}

fn connector() -> Connector {
    Connector::new().session_timeout(Duration::from_secs(20)).connect_timeout(CONNECT)
}

async fn connect(connector: Connector, tls: TlsBuilder, server: &str) -> Result<Client, String> {
    let tls = tls.build().map_err(|error| error.to_string())?;
    connector.connect_over(tls, server).await.map_err(|error| error.to_string())
}

/// The identities that a server knows a client by.
async fn identities_of(client: &Client) -> Result<String, String> {
    let found = client.whoami().await.map_err(|error| error.to_string())?;
    let mut named: Vec<String> =
        found.iter().map(|info| format!("{}:{}", info.scheme, info.user)).collect();
    named.sort();
    Ok(named.join(" "))
}

/// Connects, and has the server name these identities and keep a node of almost a megabyte, which
/// does not leave in one write.
async fn use_session(client: Client, wanted: &str) -> Checked {
    let identities = identities_of(&client).await?;
    if !wanted.is_empty() && !identities.split(' ').any(|identity| identity == wanted) {
        return Err(format!("whoami says {identities}, not {wanted}"));
    }
    let data: Vec<u8> = (0..1_000_000u32).map(|place| place.to_le_bytes()[0]).collect();
    let failed = |error: Error| error.to_string();
    let create = Create::new("/large", CreateMode::Ephemeral).data(&data);
    client.create(create).await.map_err(failed)?;
    let (read, _) = client.get_data("/large").await.map_err(failed)?;
    client.close().await;
    match read {
        Some(read) if read[..] == data[..] => Ok(identities),
        Some(_) | None => Err("the data that was read is not what was written".into()),
    }
}

async fn works(tls: TlsBuilder, server: &str, wanted: &str) -> Checked {
    use_session(connect(connector(), tls, server).await?, wanted).await
}

/// No connection comes about, and the reason says `expected`.
async fn refused(tls: TlsBuilder, server: &str, expected: &str) -> Checked {
    match connect(connector().connect_timeout(REFUSED), tls, server).await {
        Ok(client) => {
            client.close().await;
            Err("it was accepted".into())
        }
        Err(why) if why.contains(expected) => Ok(why),
        Err(why) => Err(format!("the reason does not say {expected:?}: {why}")),
    }
}

/// Whom the strict server takes a client for.
async fn identities(world: &World, counts: &mut Counts) {
    let server = format!("127.0.0.1:{}", world.strict.secure);
    let pem = world.trusting().identity_pem(world.key("client.pem"), world.key("client.key"));
    counts.count("PEM", works(pem, &server, "x509:CN=client").await);
    let file = world.key("both.pem");
    let pem = world.trusting().identity_pem(file.clone(), file);
    counts.count("PEM, one file", works(pem, &server, "x509:CN=client").await);
    let stores = Tls::builder().trust_pkcs12(world.key("trust.p12"), PASSWORD);
    let ec = stores.clone().identity_pkcs12(world.key("client.p12"), PASSWORD);
    counts.count("PKCS12, a key of EC", works(ec, &server, "x509:CN=client").await);
    let rsa = stores.identity_pkcs12(world.key("rsa.p12"), PASSWORD);
    counts.count("PKCS12, a key of RSA", works(rsa, &server, "x509:CN=rsa").await);
}

/// Which names of servers are accepted. The lax one also stands for TLS 1.2, for a certificate
/// that signed itself, and for clients that have none.
async fn names(world: &World, counts: &mut Counts) {
    let by_name = format!("localhost:{}", world.lax.secure);
    let by_address = format!("127.0.0.1:{}", world.lax.secure);
    counts.count("a name that is carried", works(world.trusting(), &by_name, "").await);
    let unverified = world.trusting().verify_host_name(false);
    counts.count("verify_host_name(false)", works(unverified, &by_address, "").await);
    let named = world.trusting().server_name("localhost");
    counts.count("server_name", works(named, &by_address, "").await);
}

/// What is refused, by either side; all at once, since each is tried for a while.
async fn refusals(world: &World, counts: &mut Counts) {
    let strict = &*format!("127.0.0.1:{}", world.strict.secure);
    let plain = &*format!("127.0.0.1:{}", world.strict.plain);
    let lax = &*format!("127.0.0.1:{}", world.lax.secure);
    let stranger = Tls::builder().trust_pem(world.key("stranger.pem"));
    let unknown = world.trusting().identity_pkcs12(world.key("stranger.p12"), PASSWORD);
    let closed = world.trusting().identity_pkcs12(world.key("client.p12"), "secret");
    let other_ca = "signed by none of the trusted ones";
    let rows = [
        ("another CA", stranger.clone(), strict, other_ca),
        ("another CA, names ignored", stranger.verify_host_name(false), strict, other_ca),
        ("no client certificate", world.trusting(), strict, "it may want a client certificate"),
        ("another CA's client certificate", unknown, strict, "another one that it trusts"),
        ("an address not carried", world.trusting(), lax, "not valid for name \"127.0.0.1\""),
        ("a plain port", world.known(), plain, "secureClientPort"),
        ("another password", closed, strict, "client.p12): the password is wrong"),
    ];
    let tried = rows.map(|(name, tls, server, why)| {
        let server = server.to_owned();
        (name, tokio::spawn(async move { refused(tls, &server, why).await }))
    });
    for (name, checked) in tried {
        let checked = checked.await.unwrap_or_else(|panic| Err(panic.to_string()));
        counts.count(name, checked);
    }
}

async fn sasl(world: &World, counts: &mut Counts) {
    let strict = format!("127.0.0.1:{}", world.strict.plain);
    counts.count("SASL", sasl_rights(&strict).await);
    let latin = connector().sasl_digest_md5("jörg", "pässwort").connect(&strict).await;
    let checked = match latin {
        Ok(client) => use_session(client, "sasl:jörg").await,
        Err(error) => Err(error.to_string()),
    };
    counts.count("SASL, a user beyond ASCII", checked);
    let code = ErrorCode::AuthFailed.code();
    for (name, user, password, server, expected) in [
        ("a wrong password", "bob", "wrong", &world.strict, AuthFailure::SaslRefused(code)),
        ("a wrong user", "eve", "builder", &world.strict, AuthFailure::SaslRefused(code)),
        ("a server without", "bob", "builder", &world.lax, AuthFailure::SaslNotOffered),
    ] {
        let connector = connector().sasl_digest_md5(user, password);
        let checked = match connector.connect(&format!("127.0.0.1:{}", server.plain)).await {
            Err(Error::SessionEnded(SessionEnd::AuthFailed(failure), _)) if failure == expected => {
                Ok(failure.to_string())
            }
            Err(other) => Err(format!("expected {expected:?}, not {other}")),
            Ok(_) => Err("it was accepted".into()),
        };
        counts.count(&format!("SASL, {name}"), checked);
    }
}

/// A node of bob's is bob's alone.
async fn sasl_rights(server: &str) -> Checked {
    let failed = |error: Error| error.to_string();
    let bob = connector().sasl_digest_md5("bob", "builder").connect(server).await;
    let bob = bob.map_err(failed)?;
    let acl = vec![Acl { perms: Perms::ALL, scheme: "sasl".into(), id: "bob".into() }];
    let create = Create::new("/bobs", CreateMode::Ephemeral).data(b"his").acl(acl);
    bob.create(create).await.map_err(failed)?;
    let (data, _) = bob.get_data("/bobs").await.map_err(failed)?;
    if data.as_deref() != Some(b"his") {
        return Err("bob does not read what he wrote".into());
    }
    let other = connector().connect(server).await.map_err(failed)?;
    match other.get_data("/bobs").await {
        Err(Error::Refused { code: ErrorCode::NoAuth, .. }) => {}
        told => return Err(format!("another client is told {told:?}")),
    }
    other.close().await;
    use_session(bob, "sasl:bob").await
}

/// The server ends and comes back: the session goes on, and the server knows its client again.
async fn restart(world: &World) -> Checked {
    let failed = |error: Error| error.to_string();
    let server = format!("127.0.0.1:{}", world.strict.secure);
    let proving = connector().sasl_digest_md5("bob", "builder");
    let client = connect(proving, world.known(), &server).await?;
    let before = identities_of(&client).await?;
    let acl = vec![Acl { perms: Perms::ALL, scheme: "sasl".into(), id: "bob".into() }];
    let create = Create::new("/kept", CreateMode::Ephemeral).acl(acl);
    client.create(create).await.map_err(failed)?;
    let mut events = client.session_events();
    println!("RESTART");
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next()).await;
    if !matches!(&line, Ok(Some(Ok(word))) if word == "done") {
        return Err(format!("the server was not restarted: {line:?}"));
    }
    let back = async {
        let mut lost = false;
        while let Some(event) = events.next().await {
            match event {
                SessionEvent::Disconnected { .. } => lost = true,
                SessionEvent::Connected { .. } if lost => return Ok(()),
                SessionEvent::Connected { .. } | SessionEvent::AttemptFailed { .. } => {}
                SessionEvent::Ended(end) => return Err(end.to_string()),
            }
        }
        Err("the events ended".into())
    };
    match tokio::time::timeout(CONNECT, back).await {
        Ok(back) => back?,
        Err(_) => return Err(format!("after the restart: {:?}", client.state())),
    }
    client.set_data("/kept", b"on", None).await.map_err(failed)?;
    let after = identities_of(&client).await?;
    if before != after || !after.contains("sasl:bob") || !after.contains("x509:CN=client") {
        return Err(format!("whoami said {before}, and then {after}"));
    }
    if client.state() != SessionState::Connected {
        return Err(format!("the session is {:?}", client.state()));
    }
    use_session(client, "sasl:bob").await
}

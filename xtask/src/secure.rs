//! The stage `secure`: TLS and SASL of our clients, in Rust and in Python, and of the shell,
//! against Apache's secure port and JAAS set-up.
//!
//! Keeps true: keys and stores are made by `keytool`, as users make them, and servers are Apache's
//! alone: Bellwether's own server has neither TLS nor SASL yet, and is asked once it does. The
//! Python package is the wheel, as in the stage `python`.
//! Leaves the checks to `crates/client/examples/secure_check.rs` and to
//! `python/bellwether-client/tests/secure.py`; the stage `airflow` has checks of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::kazoo::judge;
use crate::process::{Scratch, converse, free_port, make_dir, read, run, write};
use crate::python::Installed;
use crate::report::{Failure, Passed, Report};
use crate::server::{Flavour, Launch, Server};
use crate::workspace::Workspace;

mod shell;

/// Builds the client with rustls, which may have to be fetched.
const BUILD_LIMIT: Duration = Duration::from_mins(10);
/// What a program of the JDK may take.
const KEYTOOL_LIMIT: Duration = Duration::from_mins(1);
/// What the checks of a client may take in all; their own waits are shorter.
const LIMIT: Duration = Duration::from_mins(5);
/// Where the keys are, below the directory of the servers.
const KEYS: &str = "keys";
/// The password of every key store; the programs know it.
const PASSWORD: &str = "secret 1";
/// Writes a key as PEM.
const PEM_KEY: &str = "conformance/foreign/secure/PemKey.java";

/// The users of SASL; the programs know them.
const JAAS: &str = "Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n  \
    user_bob=\"builder\"\n  user_jörg=\"pässwort\";\n};\n";

/// Another key, whose certificate it signs itself.
const KEY_OF_EC: &[&str] = &["-keyalg", "EC", "-groupname", "secp256r1"];
const KEY_OF_RSA: &[&str] = &["-keyalg", "RSA", "-keysize", "2048"];

/// The stage `secure`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    let mut servers = None;
    report.check("keys are made by keytool, and Apache serves by TLS", || {
        servers = Some(Servers::start(workspace)?);
        Ok(Passed::one())
    });
    let Some(mut servers) = servers else { return };
    report.check("TLS and SASL of our client against Apache", || check(workspace, &mut servers));
    report.check("TLS and SASL of our shell against Apache", || shell::check(workspace, &servers));
    report.check("TLS and SASL of the Python package against Apache", || {
        let installed = Installed::make(workspace)?;
        let mut pytest = installed.python(workspace);
        pytest.args(["-m", "pytest", "-s", "-q", "tests/secure.py"]);
        servers.judge(&mut pytest)
    });
    report.check("they end when they are asked to", || servers.stop());
}

fn check(workspace: &Workspace, servers: &mut Servers<'_>) -> Result<Passed, Failure> {
    let arguments = ["build", "-q", "-p", "bellwether-client", "--example", "secure_check"];
    let mut cargo = workspace.cargo(&arguments);
    cargo.args(["--features", "sasl,tls"]);
    run(&mut cargo, BUILD_LIMIT)?.success()?;
    let mut program = workspace.command(workspace.built("debug/examples", "secure_check"));
    program.arg(servers.keys()).args([&servers.strict_ports, &servers.lax_ports]);
    servers.judge(&mut program)
}

/// Two of Apache's servers with secure ports: a strict and a lax one. Also for other stages.
pub(crate) struct Servers<'a> {
    workspace: &'a Workspace,
    home: Scratch,
    /// Gone only if it did not come back after a restart.
    strict: Option<Server>,
    strict_launch: Launch,
    lax: Server,
    /// The plain port and the secure one, with a colon between them.
    strict_ports: String,
    lax_ports: String,
}

impl<'a> Servers<'a> {
    /// Makes the keys, and starts both.
    pub(crate) fn start(workspace: &'a Workspace) -> Result<Self, String> {
        let home = workspace.scratch("secure")?;
        let directory = home.path().join(KEYS);
        let keys = Keys { workspace, home: &directory };
        keys.make()?;
        let (strict_port, lax_port) = (free_port()?, free_port()?);
        let strict_launch = strict(&keys, home.path(), strict_port)?;
        let lax = lax(&keys, home.path(), lax_port)?.start(workspace)?;
        let strict = strict_launch.start(workspace)?;
        let strict_ports = format!("{}:{strict_port}", strict.port());
        let lax_ports = format!("{}:{lax_port}", lax.port());
        let strict = Some(strict);
        Ok(Self { workspace, home, strict, strict_launch, lax, strict_ports, lax_ports })
    }

    fn keys(&self) -> PathBuf {
        self.home.path().join(KEYS)
    }

    /// Runs a program that is told of both by variables, and may have the strict one restarted.
    pub(crate) fn judge(&mut self, program: &mut Command) -> Result<Passed, Failure> {
        let address = self.strict.as_ref().map(Server::address).unwrap_or_default();
        program.env("BELLWETHER_HOSTS", address).env("BELLWETHER_KEYS", self.keys());
        program.env("BELLWETHER_STRICT", &self.strict_ports);
        program.env("BELLWETHER_LAX", &self.lax_ports);
        let done = converse(program, LIMIT, |line| {
            // Behind the marks of the tests before it, if it is pytest that runs them.
            if line.trim_start_matches(['.', 'F', 'E']) != "RESTART" {
                return Ok(None);
            }
            let running = self.strict.take().ok_or("the server did not come back")?;
            self.strict = Some(running.restart(self.workspace, &self.strict_launch)?);
            Ok(Some("done\n"))
        })?;
        judge(&done)
    }

    /// Ends both.
    pub(crate) fn stop(self) -> Result<Passed, Failure> {
        self.lax.stop()?;
        self.strict.ok_or("the server did not come back")?.stop()?;
        Ok(Passed::one())
    }
}

/// A server with a secure port beside the plain one.
fn launch(keys: &Keys<'_>, home: &Path, port: u16, store: &str) -> Launch {
    let file = |name: &str| keys.home.join(name).display().to_string();
    Launch::new(Flavour::Apache, home)
        .line("serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory")
        .line("secureClientPortAddress=127.0.0.1")
        .line(&format!("secureClientPort={port}"))
        .line(&format!("ssl.keyStore.location={}", file(store)))
        .line(&format!("ssl.keyStore.password={PASSWORD}"))
        .line(&format!("ssl.trustStore.location={}", file("trust.p12")))
        .line(&format!("ssl.trustStore.password={PASSWORD}"))
        .line("authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider")
}

/// It wants certificates of clients and knows the users of SASL.
fn strict(keys: &Keys<'_>, home: &Path, port: u16) -> Result<Launch, String> {
    let home = home.join("strict");
    make_dir(&home)?;
    let jaas = home.join("jaas.conf");
    write(&jaas, JAAS)?;
    Ok(launch(keys, &home, port, "server.p12")
        .line("ssl.clientAuth=need")
        .line("authProvider.sasl=org.apache.zookeeper.server.auth.SASLAuthenticationProvider")
        .bare_property("java.security.auth.login.config", &jaas.display().to_string()))
}

/// It takes any client, by the older protocol, and has no SASL.
fn lax(keys: &Keys<'_>, home: &Path, port: u16) -> Result<Launch, String> {
    let home = home.join("lax");
    make_dir(&home)?;
    Ok(launch(keys, &home, port, "lax.p12")
        .line("ssl.clientAuth=none")
        .line("ssl.protocol=TLSv1.2")
        .line("ssl.enabledProtocols=TLSv1.2"))
}

/// The directory of keys, certificates and stores.
struct Keys<'a> {
    workspace: &'a Workspace,
    home: &'a Path,
}

impl Keys<'_> {
    fn make(&self) -> Result<(), String> {
        make_dir(self.home)?;
        self.generate("ca", KEY_OF_EC, "bc:c")?;
        self.generate("stranger", KEY_OF_EC, "ku:c=dig")?;
        self.generate("lax", KEY_OF_RSA, "san=dns:localhost")?;
        for (name, key, extension) in [
            ("server", KEY_OF_RSA, "san=dns:localhost,ip:127.0.0.1"),
            ("client", KEY_OF_EC, "ku:c=dig"),
            ("rsa", KEY_OF_RSA, "ku:c=dig"),
        ] {
            self.generate(name, key, extension)?;
            self.sign(name, extension)?;
        }
        for name in ["ca", "lax"] {
            let file = self.file(&format!("{name}.pem"));
            let import = ["-importcert", "-noprompt", "-alias", name, "-file", &file];
            self.keytool("trust", &import)?;
        }
        let mut java = self.workspace.command("java");
        java.arg(self.workspace.root().join(PEM_KEY)).arg(self.home.join("client.p12"));
        java.arg(PASSWORD).args(["client.key", "encrypted.key"].map(|name| self.file(name)));
        run(&mut java, KEYTOOL_LIMIT)?.success().map_err(|e| format!("{PEM_KEY}: {e}"))?;
        let text = |name: &str| read(&self.home.join(name));
        let both = [text("client.key")?, text("client.pem")?].concat();
        write(&self.home.join("both.pem"), both)
    }

    fn file(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }

    /// Makes `NAME.p12` with a key, and `NAME.pem` with its certificate, which it signed itself.
    fn generate(&self, name: &str, key: &[&str], extension: &str) -> Result<(), String> {
        let subject = format!("CN={name}");
        let start = ["-genkeypair", "-alias", name, "-dname", &subject, "-ext", extension];
        self.keytool(name, &[&start, key].concat())?;
        let file = self.file(&format!("{name}.pem"));
        self.keytool(name, &["-exportcert", "-rfc", "-alias", name, "-file", &file])
    }

    /// Has the CA sign the certificate, and puts the chain into store and PEM file.
    fn sign(&self, name: &str, extension: &str) -> Result<(), String> {
        let (asked, signed) = (self.file("asked.csr"), self.file("signed.pem"));
        self.keytool(name, &["-certreq", "-alias", name, "-file", &asked])?;
        let files = ["-infile", &asked, "-outfile", &signed, "-rfc"];
        self.keytool(
            "ca",
            &[&["-gencert", "-alias", "ca", "-ext", extension], &files[..]].concat(),
        )?;
        let chain = [read(Path::new(&signed))?, read(&self.home.join("ca.pem"))?].concat();
        let file = self.file(&format!("{name}.pem"));
        write(Path::new(&file), chain)?;
        self.keytool(name, &["-importcert", "-noprompt", "-alias", name, "-file", &file])
    }

    fn keytool(&self, store: &str, arguments: &[&str]) -> Result<(), String> {
        let mut keytool = self.workspace.command("keytool");
        keytool.args(arguments).args(["-storetype", "PKCS12", "-storepass", PASSWORD]);
        keytool.arg("-keystore").arg(self.home.join(format!("{store}.p12")));
        let done = run(&mut keytool, KEYTOOL_LIMIT)?.success();
        done.map(drop).map_err(|e| format!("keytool {}: {e}", arguments.join(" ")))
    }
}

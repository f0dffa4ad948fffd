//! The stage `secure`: our client's and our shell's TLS and SASL against Apache's secure port and
//! JAAS set-up.
//!
//! Keeps true: keys and stores are made by `keytool`, as users make them, and servers are Apache's
//! alone: Bellwether's own server has neither TLS nor SASL yet, and is asked once it does.
//! Leaves the checks to `crates/client/examples/secure_check.rs`.

use std::path::Path;
use std::time::Duration;

use crate::kazoo::judge;
use crate::process::{converse, free_port, make_dir, read, run, write};
use crate::report::{Failure, Passed, Report};
use crate::server::{Flavour, Launch, Server};
use crate::workspace::Workspace;

mod shell;

/// Builds the client with rustls, which may have to be fetched.
const BUILD_LIMIT: Duration = Duration::from_mins(10);
/// What a program of the JDK may take.
const KEYTOOL_LIMIT: Duration = Duration::from_mins(1);
/// What the checks may take in all; their own waits are shorter.
const LIMIT: Duration = Duration::from_mins(3);
/// The password of every key store; the program knows it.
const PASSWORD: &str = "secret 1";
/// Writes a key as PEM.
const PEM_KEY: &str = "conformance/foreign/secure/PemKey.java";

/// The users of SASL; the program knows them.
const JAAS: &str = "Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n  \
    user_bob=\"builder\"\n  user_jörg=\"pässwort\";\n};\n";

/// Another key, whose certificate it signs itself.
const KEY_OF_EC: &[&str] = &["-keyalg", "EC", "-groupname", "secp256r1"];
const KEY_OF_RSA: &[&str] = &["-keyalg", "RSA", "-keysize", "2048"];

/// The stage `secure`.
pub(crate) fn stage(workspace: &Workspace, report: &mut Report) {
    report.check("TLS and SASL of our client against Apache", || check(workspace));
}

fn check(workspace: &Workspace) -> Result<Passed, Failure> {
    let arguments = ["build", "-q", "-p", "bellwether-client", "--example", "secure_check"];
    let mut cargo = workspace.cargo(&arguments);
    cargo.args(["--features", "sasl,tls"]);
    run(&mut cargo, BUILD_LIMIT)?.success()?;
    let home = workspace.scratch("secure")?;
    let keys = Keys { workspace, home: &home.path().join("keys") };
    keys.make()?;
    let (strict_port, lax_port) = (free_port()?, free_port()?);
    let strict = strict(&keys, home.path(), strict_port)?;
    let lax = lax(&keys, home.path(), lax_port)?;
    let lax_server = lax.start(workspace)?;
    let mut strict_server = Some(strict.start(workspace)?);
    let plain = strict_server.as_ref().map(Server::port).unwrap_or_default();
    let mut program = workspace.command(workspace.built("debug/examples", "secure_check"));
    program.arg(keys.home).arg(format!("{plain}:{strict_port}"));
    program.arg(format!("{}:{lax_port}", lax_server.port()));
    let done = converse(&mut program, LIMIT, |line| {
        if line != "RESTART" {
            return Ok(None);
        }
        let running = strict_server.take().ok_or("the server did not come back")?;
        strict_server = Some(running.restart(workspace, &strict)?);
        Ok(Some("done\n"))
    })?;
    let passed = judge(&done)?.and(shell::check(workspace, keys.home, (plain, strict_port))?);
    lax_server.stop()?;
    if let Some(server) = strict_server {
        server.stop()?;
    }
    Ok(passed)
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
        java.arg(PASSWORD).arg(self.home.join("client.key"));
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

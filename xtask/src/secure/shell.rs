//! `bellwether cli` by TLS and SASL: with the settings that zkCli takes, by both of its ways.
//!
//! Keeps true: what the server calls the client is what is compared, as `whoami` prints it.

use std::path::Path;
use std::time::Duration;

use super::Servers;
use crate::process::{run, write};
use crate::report::{Failure, Passed};
use crate::server::bellwether_debug;
use crate::workspace::Workspace;

/// What a shell may take that has to give up after ten seconds.
const LIMIT: Duration = Duration::from_mins(1);

/// A way to start the shell, and what it prints.
struct Case<'a> {
    name: &'static str,
    options: Vec<String>,
    port: &'a str,
    prints: &'static str,
}

/// Runs each case against the strict server.
pub(super) fn check(workspace: &Workspace, servers: &Servers<'_>) -> Result<Passed, Failure> {
    let program = bellwether_debug(workspace)?;
    let ports = servers.strict_ports.split_once(':').ok_or("expected two ports")?;
    let cases = cases(&servers.keys(), ports)?;
    let count = u64::try_from(cases.len()).map_err(|error| error.to_string())?;
    let mut wrong = Vec::new();
    for case in cases {
        let mut shell = workspace.command(&program);
        shell.args(["cli", "-server", &format!("127.0.0.1:{}", case.port)]);
        let printed = run(shell.args(&case.options).arg("whoami"), LIMIT)?.output();
        if !printed.contains(case.prints) {
            wrong.push(format!("{}: expected {:?} in\n{printed}", case.name, case.prints));
        }
    }
    let failed = u64::try_from(wrong.len()).map_err(|error| error.to_string())?;
    match failed {
        0 => Ok(Passed::many(count, "ways to connect")),
        _ => Err(Failure::many(count - failed, failed, wrong.join("\n"))),
    }
}

fn cases<'a>(keys: &Path, (plain, secure): (&'a str, &'a str)) -> Result<Vec<Case<'a>>, String> {
    let file = |name: &str| keys.join(name).display().to_string();
    let define = |key: &str, value: &str| format!("-D{key}={value}");
    let login = |user: &str, password: &str| -> Result<String, String> {
        let path = file(&format!("client-{password}.jaas"));
        let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
        let login = format!("username=\"{user}\" password=\"{password}\"");
        write(Path::new(&path), format!("Client {{\n  {module} required\n  {login};\n}};\n"))?;
        Ok(define("java.security.auth.login.config", &path))
    };
    let trusting = [
        define("zookeeper.client.secure", "true"),
        define("zookeeper.ssl.trustStore.location", &file("ca.pem")),
    ];
    let identified =
        [&trusting[..], &[define("zookeeper.ssl.keyStore.location", &file("both.pem"))]].concat();
    write(&keys.join("password"), format!("{}\n", super::PASSWORD))?;
    let settings = [
        "zookeeper.client.secure=true".to_owned(),
        "zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty".to_owned(),
        format!("zookeeper.ssl.keyStore.location={}", file("client.p12")),
        format!("zookeeper.ssl.keyStore.passwordPath={}", file("password")),
        format!("zookeeper.ssl.trustStore.location={}", file("trust.p12")),
        format!("zookeeper.ssl.trustStore.password={}", super::PASSWORD),
    ];
    write(&keys.join("client.properties"), settings.join("\n"))?;
    let from_file = vec!["-client-configuration".to_owned(), file("client.properties")];
    let case = |name, options: Vec<String>, port, prints| Case { name, options, port, prints };
    Ok(vec![
        case("PEM files", identified.clone(), secure, "x509: CN=client"),
        case("PKCS12 stores", from_file.clone(), secure, "x509: CN=client"),
        case("no identity", trusting.to_vec(), secure, "the server refused the connection"),
        case("a login", vec![login("bob", "builder")?], plain, "sasl: bob"),
        case("a wrong login", vec![login("bob", "burglar")?], plain, "SASL"),
        case("both", [from_file, vec![login("bob", "builder")?]].concat(), secure, "sasl: bob"),
    ])
}

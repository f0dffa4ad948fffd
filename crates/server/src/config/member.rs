//! A single server line in a zoo.cfg, which Apache does not take for an ensemble.
//!
//! With standaloneEnabled, one participant's line alone starts a standalone server; tools write
//! such files for single servers (the official container image does, with the client port in that
//! line only). What it keeps true: exactly these files are taken, and their client port is.
//!
//! What it leaves to others: refusing every other server line (`table`).

use super::report::Findings;
use super::sources::Given;
use super::values::Values;
use std::path::Path;

/// Where a server line sends clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientPart {
    pub(super) host: Option<String>,
    pub(super) port: u16,
}

/// The name of the one server line of a file, where it may be taken.
pub(super) fn lone(given: &Given) -> Option<String> {
    let lines: Vec<&String> =
        given.iter().filter(|(_, a)| a.row.key == "server.N").map(|(name, _)| name).collect();
    let standalone =
        given.get("standaloneEnabled").is_none_or(|a| !a.raw.eq_ignore_ascii_case("false"));
    match lines.as_slice() {
        [one] if standalone => Some((*one).clone()),
        [..] => None,
    }
}

/// The client part of the lone line, where the file `myid` says that the line is this server's.
pub(super) fn client_part(
    name: &str,
    data_dir: Option<&Path>,
    values: &Values,
    findings: &mut Findings,
) -> Option<ClientPart> {
    let written = values.written(name);
    let line = values.text(name);
    let id = name.strip_prefix("server.").and_then(|id| id.parse::<i64>().ok());
    let part = match (id, parse(&line)) {
        (Some(_), Ok(part)) => part,
        (Some(_), Err(wrong)) => {
            findings.broken_rule(written.into_iter().collect(), wrong);
            return None;
        }
        (None, Ok(_) | Err(_)) => {
            findings.broken_rule(
                written.into_iter().collect(),
                "expected server.N, where N is the number in the server's file myid",
            );
            return None;
        }
    };
    let mine = my_id(data_dir?, findings);
    let text = match (&part, mine == id) {
        (Some(_), true) => {
            "one server alone is no ensemble: it runs standalone, and only the client port of this \
             line counts"
        }
        (Some(_), false) => {
            "without effect: one server alone is no ensemble, and the file myid in dataDir does \
             not hold this line's number, so its client port does not count either"
        }
        (None, true | false) => "without effect: one server alone is no ensemble",
    };
    findings.warn(written, text);
    part.filter(|_| mine == id)
}

/// The number in the file `myid`. Apache reads the file in any mode, and stops where it holds
/// something else.
pub(super) fn my_id(data_dir: &Path, findings: &mut Findings) -> Option<i64> {
    let path = data_dir.join("myid");
    if !path.is_file() {
        return None;
    }
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(source) => {
            findings.errors.push(super::ConfigError::Unreadable { path, source });
            return None;
        }
    };
    let first = text.lines().next().unwrap_or_default().trim();
    let id = first.parse().ok();
    if id.is_none() {
        let shown: String = first.chars().take(40).collect();
        findings.broken_rule(
            Vec::new(),
            format!("{}: `{shown}` is no number: expected the server's number", path.display()),
        );
    }
    id
}

/// `host:port:port[:role][;[host:]clientPort]`, with `|` between several addresses.
fn parse(line: &str) -> Result<Option<ClientPart>, String> {
    let (servers, client) = match line.split_once(';') {
        Some((servers, client)) => (servers, Some(client.trim())),
        None => (line, None),
    };
    for server in servers.split('|') {
        check_server(server.trim())?;
    }
    client.map(parse_client).transpose()
}

fn check_server(server: &str) -> Result<(), String> {
    let (host, rest) = split_host(server);
    let mut parts = rest.split(':');
    let ports = [parts.next(), parts.next()];
    let good = !host.is_empty()
        && ports.into_iter().all(|port| port.is_some_and(|port| port.parse::<u16>().is_ok()));
    match (good, parts.next().map(str::to_ascii_lowercase).as_deref(), parts.next()) {
        (true, None | Some("participant"), None) => Ok(()),
        (true, Some("observer"), None) => {
            Err("an observer alone is no ensemble: expected a participant".to_owned())
        }
        _ => Err("expected host:port:port[:participant][;[host:]clientPort]".to_owned()),
    }
}

/// `[address]` or everything up to the first colon, and what is behind its colon.
fn split_host(text: &str) -> (&str, &str) {
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match bracketed {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or(rest)),
        None => text.split_once(':').unwrap_or((text, "")),
    }
}

fn parse_client(client: &str) -> Result<ClientPart, String> {
    let (host, port) = match client.rsplit_once(':') {
        Some((host, port)) => {
            (Some(host.trim_start_matches('[').trim_end_matches(']').to_owned()), port)
        }
        None => (None, client),
    };
    match port.parse() {
        Ok(port) => Ok(ClientPart { host, port }),
        Err(_) => Err(format!("`{client}` behind the semicolon: expected [host:]clientPort")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_line_names_two_ports_a_role_and_where_clients_connect() {
        let part =
            |host: Option<&str>, port| Ok(Some(ClientPart { host: host.map(str::to_owned), port }));
        for (line, expected) in [
            ("localhost:2888:3888", Ok(None)),
            ("localhost:2888:3888:participant", Ok(None)),
            ("localhost:2888:3888;2181", part(None, 2181)),
            ("localhost:2888:3888:PARTICIPANT;0.0.0.0:2181", part(Some("0.0.0.0"), 2181)),
            ("[::1]:2888:3888;[::1]:2181", part(Some("::1"), 2181)),
            ("a:1:2|b:3:4;5", part(None, 5)),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
        for line in [
            "",
            "host",
            "host:1",
            "host:1:x",
            ":1:2",
            "h:1:2:boss",
            "h:1:2:observer",
            "h:1:2;x",
            "h:1:2;",
            "h:1:2:participant:3",
            "h:1:70000",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

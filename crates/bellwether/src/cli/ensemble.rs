//! The commands on the ensemble: `config` and `reconfig`.

use super::failure::Failed;
use super::shell::Shell;
use super::watches::Watched;
use super::words::Words;
use super::{format, json, table};
use bellwether_client::{Data, Reconfiguration, Stat};
use serde_json::json;

/// The largest file of members that is read; a line of it is some 60 bytes.
const MEMBERS_BYTES_MAX: u64 = 1 << 20;

const CONFIG_NODE: &str = "/zookeeper/config";

pub(super) async fn config(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let client = shell.client()?;
    let (data, stat) = if words.has("w") {
        let (data, stat, watcher) = client.get_config_and_watch().await?;
        shell.watches.keep(CONFIG_NODE, Watched::Data(watcher));
        (data, stat)
    } else {
        client.get_config().await?
    };
    let text = text_of(data);
    let text = if words.has("c") { connect_string(&text) } else { text };
    shell.out.value(&json!({ "config": text, "stat": json::stat(&stat) }));
    shell.out.text(&text);
    print_stat(shell, words, &stat);
    Ok(())
}

fn text_of(data: Option<Data>) -> String {
    data.map_or_else(|| "null".to_owned(), |data| String::from_utf8_lossy(&data).into_owned())
}

fn print_stat(shell: &Shell, words: &Words, stat: &Stat) {
    if words.has("s") {
        shell.out.text(format::stat(stat));
    }
}

/// The configuration's version and the servers' client addresses, for a connect string.
fn connect_string(config: &str) -> String {
    let (mut version, mut servers) = ("", Vec::new());
    for line in config.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        if key.trim() == "version" {
            version = value.trim();
        } else if key.trim().starts_with("server.") {
            // host:port:port[:role];[client address:]port
            let client = value.split_once(';').map_or("", |(_, client)| client);
            match client.trim().rsplit_once(':') {
                Some((address, port)) => servers.push(format!("{address}:{port}")),
                None if client.is_empty() => {} // It has no client port, as an old configuration.
                // It listens on every address of its host, which Apache writes so.
                None => servers.push(format!("0.0.0.0:{}", client.trim())),
            }
        }
    }
    format!("{version} {}", servers.join(","))
}

pub(super) async fn reconfig(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let change = change(words)?;
    let wrong = "-v must be followed by a long (configuration version)";
    let version = match words.value("v").map(|text| i64::from_str_radix(text, 16)) {
        None | Some(Ok(-1)) => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => return Err(Failed::usage(wrong)),
    };
    let (data, stat) = shell.client()?.reconfigure(change, version).await?;
    let text = text_of(data);
    shell.out.value(&json!({ "config": text, "stat": json::stat(&stat) }));
    shell.out.text(format_args!("Committed new configuration:\n{text}"));
    print_stat(shell, words, &stat);
    Ok(())
}

fn change(words: &Words) -> Result<Reconfiguration, Failed> {
    let lower = |option| words.value(option).map(|text| text.to_lowercase().into_boxed_str());
    let whole = words.has("file") || words.has("members");
    let steps = words.has("add") || words.has("remove");
    match (whole, steps) {
        (false, false) => {
            let row = table::find("reconfig").expect("it is this command's own row");
            Err(Failed::usage(row.usage()))
        }
        (true, true) => Err(Failed::usage(
            "Can't use -file or -members together with -add or -remove (mixing incremental and \
             non-incremental modes is not allowed)",
        )),
        (true, false) if words.has("file") && words.has("members") => Err(Failed::usage(
            "Can't use -file and -members together (conflicting non-incremental modes)",
        )),
        (true, false) => match words.value("file") {
            Some(file) => Ok(Reconfiguration::Members(members(file)?)),
            None => Ok(Reconfiguration::Members(lower("members").unwrap_or_default())),
        },
        (false, true) => {
            Ok(Reconfiguration::Incremental { joining: lower("add"), leaving: lower("remove") })
        }
    }
}

/// The lines of a file that name servers.
fn members(file: &str) -> Result<Box<str>, Failed> {
    let failed = |why: String| Failed::usage(format!("Error processing {file}: {why}"));
    let size = std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.len();
    if size > MEMBERS_BYTES_MAX {
        return Err(failed(format!("it has {size} bytes, expected at most {MEMBERS_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    let kept = |line: &&str| line.starts_with("server.") || line.starts_with("group.");
    let kept = |line: &&str| kept(line) || line.starts_with("weight.");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(kept).collect();
    if lines.is_empty() {
        return Err(failed("expected lines server.ID=host:port:port;port".to_owned()));
    }
    Ok(lines.join("\n").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::words::split;

    #[test]
    fn a_configuration_becomes_a_connect_string() {
        let config = "server.1=one:2888:3888:participant;0.0.0.0:2181\n\
                      server.2=two:2888:3888;2182\nversion=100000000";
        assert_eq!(connect_string(config), "100000000 0.0.0.0:2181,0.0.0.0:2182");
        assert_eq!(connect_string(""), " ");
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let row = table::find("reconfig").expect("it is there");
        let got = match row.parse(&split(line)).and_then(|words| change(&words)) {
            Ok(change) => format!("{change:?}"),
            Err(failed) => failed.text.lines().next().unwrap_or_default().to_owned(),
        };
        assert!(got.starts_with(expected), "{line}: {got}");
    }

    #[test]
    fn members_are_given_whole_or_step_by_step() {
        check("", "reconfig [-s] [-v version] [[-file path] | [-members ");
        check("-members A=B", "Members(\"a=b\")");
        check("-add x -remove 3", "Incremental { joining: Some(\"x\"), leaving: Some(\"3\") }");
        check("-add x -members y", "Can't use -file or -members together with -add or -remove");
        check("-file x -members y", "Can't use -file and -members together");
        check("-file /does/not/exist", "Error processing /does/not/exist: ");
    }
}

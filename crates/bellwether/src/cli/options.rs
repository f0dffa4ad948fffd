//! What stands before the command, in zkCli's form: `-server host:port`, `-timeout ms`, `-r`.

use super::out::Style;
use super::properties::Properties;
use bellwether_client::Access;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

pub(super) const USAGE: &str = "\
Usage: bellwether cli [OPTION ...] [COMMAND ...]

  -server HOST:PORT[,HOST:PORT...][/CHROOT]
                            where to connect to; localhost:2181 if left out
  -timeout MS               the session timeout in milliseconds; 30000 if left out
  -r                        accept a server that has lost its ensemble and only reads
  -client-configuration FILE
                            a client's settings, as Java properties: TLS, SASL, jute.maxbuffer
  -Dname=value              one of these settings
  --json                    print JSON, a value per line

Without a command, commands are read from stdin; help lists them.";

/// The options of the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) servers: String,
    pub(super) timeout: Duration,
    pub(super) access: Access,
    pub(super) style: Style,
    /// A client's settings in Apache's names.
    pub(super) properties: Properties,
    /// The words of the command; empty for the prompt.
    pub(super) command: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Run(Box<Options>),
    Help,
}

impl Options {
    /// Options end with the first word that is none. Both `-server` and `--server` are taken.
    pub(super) fn parse(args: Vec<OsString>) -> Result<Wish, String> {
        let mut args = args
            .into_iter()
            .map(|arg| arg.into_string().map_err(|arg| format!("{} is not UTF-8", arg.display())));
        let mut options = Options {
            servers: "localhost:2181".into(),
            timeout: Duration::from_secs(30),
            access: Access::ReadWrite,
            style: Style::Text,
            properties: Properties::default(),
            command: Vec::new(),
        };
        let mut file = None;
        while let Some(arg) = args.next() {
            let arg = arg?;
            if let Some(property) = arg.strip_prefix("-D") {
                options.properties.define(property)?;
                continue;
            }
            let mut value = || {
                let missing = || format!("{arg} has no value.\n{USAGE}");
                args.next().unwrap_or_else(|| Err(missing()))
            };
            match arg.trim_start_matches('-') {
                "server" if arg.starts_with('-') => options.servers = value()?,
                "timeout" if arg.starts_with('-') => {
                    let text = value()?;
                    let ms = text.parse().ok().filter(|ms| *ms > 0);
                    let ms = ms.ok_or(format!("-timeout {text}: expected milliseconds above 0"))?;
                    options.timeout = Duration::from_millis(ms);
                }
                "client-configuration" if arg.starts_with('-') => file = Some(value()?),
                "json" if arg.starts_with('-') => options.style = Style::Json,
                "r" if arg.starts_with('-') => options.access = Access::ReadOnlyAllowed,
                // This shell always waits for its connection.
                "waitforconnection" if arg.starts_with('-') => {}
                "h" | "help" if arg.starts_with('-') => return Ok(Wish::Help),
                _ if arg.starts_with('-') => {
                    return Err(format!("there is no option {arg}.\n{USAGE}"));
                }
                _ => {
                    options.command.push(arg);
                    for word in args.by_ref() {
                        options.command.push(word?);
                    }
                }
            }
        }
        if let Some(file) = file {
            options.properties.read(Path::new(&file))?;
        }
        Ok(Wish::Run(Box::new(options)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wish, String> {
        Options::parse(
            line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect(),
        )
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let Ok(Wish::Run(options)) = parse("-server a:1/x -timeout 500 -r ls -s /") else {
            panic!("these are good options")
        };
        assert_eq!(options.servers, "a:1/x");
        assert_eq!(options.timeout, Duration::from_millis(500));
        assert_eq!(options.access, Access::ReadOnlyAllowed);
        assert_eq!(options.command, ["ls", "-s", "/"]);
        let Ok(Wish::Run(options)) = parse("--server a") else { panic!("so are these") };
        assert_eq!((options.servers.as_str(), options.command.len()), ("a", 0));
    }

    #[test]
    fn wrong_options_are_named() {
        let first = |line| parse(line).unwrap_err().lines().next().unwrap_or_default().to_owned();
        assert_eq!(first("-server"), "-server has no value.");
        assert_eq!(first("-timeout x ls"), "-timeout x: expected milliseconds above 0");
        assert_eq!(first("-frob"), "there is no option -frob.");
        assert_eq!(parse("--help"), Ok(Wish::Help));
    }
}

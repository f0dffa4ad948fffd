//! `bellwether loglevel`: tells or changes the log's level of a running server.

use crate::say;
use bellwether_server::config::{self, Args};
use bellwether_server::control;
use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: bellwether loglevel [LEVEL] [OPTION]

Prints the level of a running server's log; with LEVEL it is changed first. LEVEL is error, warn,
info, debug, trace, off, or target=level,… as for `bellwether server --log-level`. The change lasts
until the server ends. It is for the user that the server runs as, and for root.

  -c, --config ZOO_CFG   the server with this configuration
  -d, --data-dir DIR     the server of this data directory
                         (neither: the server that was started without a file)

SIGUSR1 and SIGUSR2 do without it: one level louder or quieter.
";

/// The command line is wrong.
const EXIT_USAGE: u8 = 2;

/// Which server.
enum Server {
    Config(Option<PathBuf>),
    DataDir(PathBuf),
}

pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let (server, level) = match parse(args) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => {
            say::line(USAGE.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say::error(format!("bellwether loglevel: {error}\n\n{}", USAGE.trim_end()));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let told = data_dir(server).and_then(|dir| {
        control::log_level(&dir, level.as_deref()).map_err(|error| error.to_string())
    });
    match told {
        Ok(level) => {
            say::line(level);
            ExitCode::SUCCESS
        }
        Err(why) => {
            say::error(format!("bellwether loglevel: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn data_dir(server: Server) -> Result<PathBuf, String> {
    match server {
        Server::DataDir(dir) => Ok(dir),
        Server::Config(zoo_cfg) => {
            let loaded = config::load(&Args { zoo_cfg, properties: Vec::new() });
            let (config, _) = loaded.map_err(|errors| {
                let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
                format!("the configuration: {}", lines.join("; "))
            })?;
            Ok(config.data_dir)
        }
    }
}

/// `None`: the usage was asked for.
fn parse(args: Vec<OsString>) -> Result<Option<(Server, Option<String>)>, lexopt::Error> {
    let (mut server, mut level) = (Server::Config(None), None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('c') | Long("config") => server = Server::Config(Some(parser.value()?.into())),
            Short('d') | Long("data-dir") => server = Server::DataDir(parser.value()?.into()),
            Short('h') | Long("help") => return Ok(None),
            Value(text) if level.is_none() => level = Some(text.string()?),
            Short(_) | Long(_) | Value(_) => return Err(arg.unexpected()),
        }
    }
    Ok(Some((server, level)))
}

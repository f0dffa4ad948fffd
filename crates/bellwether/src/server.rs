//! `bellwether server`: the command line of the server, and what it prints where a person starts
//! it.

use bellwether_server::config::exit::ExitCode;
use bellwether_server::config::{self, Args, Checked, ConfigError, Severity, Warning};
use bellwether_server::logging::{self, Format};
use bellwether_server::{Listening, serve};
use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use tracing::{info, warn};

const USAGE: &str = "\
usage: bellwether server [ZOO_CFG] [-Dname=value …] [OPTION …]

Runs a ZooKeeper server with the settings of a zoo.cfg, as Apache's does. Without a file: a server
on 127.0.0.1, port 2181, with a data directory of its own.

  -Dname=value           a property, as Java takes it; a line of the file outranks it
  --check-config         checks the configuration, prints what is in effect, and ends
  --help-config          prints every setting, and ends
  --log-format FORMAT    text (default) or json
  --log-level FILTER     error, warn, info (default), debug, trace, or target=level,…;
                         while it runs, `bellwether loglevel` changes it, and SIGUSR1 and SIGUSR2
                         make it one level louder or quieter
";

/// What the command line asks for.
#[derive(Default)]
struct Options {
    args: Args,
    check_config: bool,
    help: Option<String>,
    format: Format,
    filter: Option<String>,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks there")]
pub(crate) fn run(args: Vec<OsString>) -> std::process::ExitCode {
    let options = match parse(args) {
        Ok(options) => options,
        Err(error) => {
            eprint!("bellwether server: {error}\n\n{USAGE}");
            return ExitCode::InvalidInvocation.into();
        }
    };
    if let Some(text) = options.help {
        print!("{text}");
        return ExitCode::Finished.into();
    }
    let given = options.args.zoo_cfg.is_some() || !options.args.properties.is_empty();
    let embedded = options.args.zoo_cfg.is_none();
    let Checked { config, errors, warnings } = config::check(&options.args);
    let Some(config) = config.filter(|_| errors.is_empty()) else {
        return refuse(&errors, &warnings).into();
    };
    if options.check_config {
        for warning in &warnings {
            eprintln!("warning: {warning}");
        }
        print!("{}", config.effective_text());
        return ExitCode::Finished.into();
    }
    let levels = match logging::install(options.format, options.filter.as_deref()) {
        Ok(levels) => levels,
        Err(error) => {
            eprintln!("bellwether server: {error}");
            return ExitCode::InvalidInvocation.into();
        }
    };
    for remark in warnings {
        match remark.severity {
            Severity::Note => info!("{remark}"),
            Severity::Warning => warn!("{remark}"),
        }
    }
    let data_dir = config.data_dir.display().to_string();
    let for_a_person = embedded && (!given || std::io::stdout().is_terminal());
    serve(config, levels, move |listening| {
        if for_a_person {
            print!("{}", greeting(listening, &data_dir));
        }
    })
    .into()
}

fn greeting(listening: &Listening, data_dir: &str) -> String {
    let clients = listening.clients;
    format!(
        "Bellwether serves ZooKeeper clients on {clients}\n\
         data:  {data_dir}\n\
         try:   bellwether cli -server {clients} ls /     (from a checkout: cargo run --release -- cli …)\n\
         stop:  Ctrl-C\n"
    )
}

#[expect(clippy::print_stderr, reason = "a command line tool speaks there")]
fn refuse(errors: &[ConfigError], warnings: &[Warning]) -> ExitCode {
    // A misspelt key often explains what is missing.
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    for error in errors {
        eprintln!("error: {error}");
    }
    let s = if errors.len() == 1 { "" } else { "s" };
    eprintln!(
        "bellwether server: {} error{s} in the configuration; nothing was started",
        errors.len()
    );
    ExitCode::InvalidInvocation
}

fn parse(args: Vec<OsString>) -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Short('D') => {
                let property = parser.value()?.string()?;
                let added = options.args.add_property(&property);
                added.map_err(|error| lexopt::Error::Custom(Box::new(error)))?;
            }
            Long("check-config") => options.check_config = true,
            Long("help-config") => options.help = Some(config::render::help()),
            Long("help") | Short('h') => options.help = Some(USAGE.to_owned()),
            Long("log-format") => {
                let format = parser.value()?.string()?;
                options.format =
                    format.parse().map_err(|error| lexopt::Error::from(format!("{error}")))?;
            }
            Long("log-level") => options.filter = Some(parser.value()?.string()?),
            Value(file) if options.args.zoo_cfg.is_none() => {
                options.args.zoo_cfg = Some(file.into());
            }
            Short(_) | Long(_) | Value(_) => return Err(arg.unexpected()),
        }
    }
    Ok(options)
}

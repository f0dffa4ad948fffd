//! The one binary: `server` and `loglevel`, `cli`, `ensemble`, `quickstart`, `bench`, and `log`,
//! `snapshot` and `purge` for directories. Any other name runs the program `bellwether-NAME` that
//! stands beside this one or on PATH.

mod bench;
mod calendar;
mod cli;
mod ensemble;
mod four_letters;
mod loglevel;
mod offline;
mod quickstart;
mod say;
mod server;

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// The log's thread frees what the core allocated, which glibc's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
usage: bellwether COMMAND [ARGUMENT …]

  server [ZOO_CFG] [-Dname=value …]   run a server; without a file one on loopback, for trying
  server --help-config                every setting
  cli [-server HOST:PORT] [COMMAND]   the shell: zkCli's commands, and more
  ensemble status --servers LIST      every member at one glance; may one be taken down?
  quickstart ensemble                 three members in one terminal, to see an election
  loglevel [LEVEL] [-c ZOO_CFG]       the level of a running server's log
  bench --help                        the load generator
  log dump|verify|recover|cut         transaction logs, while no server runs
  snapshot dump|verify|compare|summary  snapshots
  purge DATADIR -n N                  removes what the newest N snapshots do not need
  NAME …                              run the program bellwether-NAME
  version                             what this is
";

/// The command line is wrong.
const EXIT_USAGE: u8 = 2;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks there")]
fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    match command.to_str() {
        Some("server") => server::run(rest),
        Some("cli") => cli::run(rest),
        Some("ensemble") => ensemble::run(rest),
        Some("quickstart") => quickstart::run(rest),
        Some("bench") => bench::run(rest),
        Some("loglevel") => loglevel::run(rest),
        Some("log") => offline::run("log", rest),
        Some("snapshot") => offline::run("snapshot", rest),
        Some("purge") => offline::run("purge", rest),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some("version" | "--version" | "-V") => {
            println!("bellwether {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some("") | None => {
            eprint!("{USAGE}");
            ExitCode::from(EXIT_USAGE)
        }
        Some(_) => run_other(&command, &rest),
    }
}

/// Becomes `bellwether-NAME`, beside this program or on PATH.
#[expect(clippy::print_stderr, reason = "a command line tool speaks there")]
fn run_other(name: &OsStr, args: &[OsString]) -> ExitCode {
    let mut program = OsString::from("bellwether-");
    program.push(name);
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(&program));
    let path = beside.filter(|path| path.is_file()).unwrap_or_else(|| program.clone().into());
    let error = Command::new(path).args(args).exec();
    eprintln!("bellwether: no command {}: {}: {error}", name.display(), program.display());
    eprint!("{USAGE}");
    ExitCode::from(EXIT_USAGE)
}

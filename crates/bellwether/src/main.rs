//! The one binary: each subcommand lives in a file of its own name.

use std::process::ExitCode;

mod bench;
mod cli;
mod say;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let name = args.next().unwrap_or_default();
    let rest = args.collect();
    match name.to_str() {
        Some("cli") => cli::run(rest),
        Some("bench") => bench::run(rest),
        Some(_) | None => {
            say::error("usage: bellwether cli|bench ...");
            ExitCode::from(2)
        }
    }
}

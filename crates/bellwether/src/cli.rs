//! `bellwether cli`: the shell of zkCli, with its commands, options and output, and what people
//! miss there.
//!
//! With a command on the command line that one is run, nothing but its result is printed, and the
//! exit code says how it went. Without, lines are read: from a terminal with a prompt, from
//! anything else as a script. Watch events are printed as they come. Dates are in UTC.

use crate::say;
use options::{Options, Wish};
use reporter::Reporter;
use shell::{Mode, Shell};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use tokio::sync::mpsc;

mod acls;
mod ensemble;
mod failure;
mod format;
mod history;
mod json;
mod nodes;
mod options;
mod out;
mod properties;
mod quotas;
mod reporter;
mod session;
mod shell;
mod table;
mod walk;
mod watches;
mod words;

/// Lines that are read ahead from stdin.
const LINES_WAITING: usize = 16;

/// The exit code of a wrong command line, as other programs have it.
const EXIT_USAGE: u8 = 2;

/// Runs the shell with the arguments after `cli`.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(Wish::Run(options)) => options,
        Ok(Wish::Help) => {
            say::line(options::USAGE);
            say::line(session::overview());
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            say::error(what);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    for warning in &options.warnings {
        say::error(warning);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run_options(options)),
        Err(error) => {
            say::error(format!("the runtime could not be started: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run_options(options: Options) -> ExitCode {
    let mode = match (options.command.is_empty(), std::io::stdin().is_terminal()) {
        (false, _) => Mode::Once,
        (true, false) => Mode::Script,
        (true, true) => Mode::Prompt,
    };
    let mut shell = Shell::new(options, mode);
    let mut reporter = Reporter::new(&shell);
    match mode {
        Mode::Once => once(&mut shell, &mut reporter).await,
        Mode::Script => lines(&mut shell, &mut reporter).await,
        Mode::Prompt => lines(&mut shell, &mut reporter).await,
    }
    reporter.during(shell.disconnect()).await;
    ExitCode::from(shell.exit_code())
}

/// Runs the command of the command line. What is wrong with it is said without a server.
async fn once(shell: &mut Shell, reporter: &mut Reporter) {
    let words = shell.options.command.clone();
    let ready = match shell.prepare(&words) {
        Ok((row, _)) if row.needs == table::Needs::Session => shell.connect().await,
        Ok(_) => Ok(()),
        Err(failed) => Err(failed),
    };
    if ready.is_err() {
        return shell.settle(ready);
    }
    reporter.settle(shell).await;
    reporter.during(shell.perform(&words)).await;
    reporter.settle(shell).await;
}

/// Runs the lines of stdin.
async fn lines(shell: &mut Shell, reporter: &mut Reporter) {
    if shell.mode == Mode::Prompt {
        say::line(format_args!("Connecting to {}", shell.options.servers));
        say::line("Welcome to Bellwether!");
    }
    let connected = shell.connect().await;
    shell.settle(connected);
    reporter.settle(shell).await;
    let mut lines = read_lines();
    while !shell.is_leaving() {
        if shell.mode == Mode::Prompt {
            let (servers, state) = (&shell.options.servers, shell.session_state());
            say::prompt(format_args!("[zk: {servers}({state}) {}] ", shell.history.next()));
        }
        let line = loop {
            tokio::select! {
                biased;
                told = reporter.next() => {
                    if let Some(text) = reporter.text_of(&told) {
                        say::line(text);
                    }
                    reporter::settle(shell, &told);
                }
                line = lines.recv() => break line,
            }
        };
        let Some(line) = line else { break };
        reporter.during(shell.line(&line)).await;
        reporter.settle(shell).await;
    }
}

/// Lines of stdin, read by a thread: it cannot be waited for in another way. The thread ends with
/// stdin or with the process.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(LINES_WAITING);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            match line {
                Ok(line) => {
                    if sender.blocking_send(line).is_err() {
                        return; // The shell has ended.
                    }
                }
                Err(error) => return say::error(format!("stdin: {error}")),
            }
        }
    });
    lines
}

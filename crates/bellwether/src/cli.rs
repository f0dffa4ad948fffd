//! `bellwether cli`: the shell of zkCli, with its commands, options and output, and what people
//! miss there.
//!
//! With a command on the command line that one is run, nothing but its result is printed, and the
//! exit code says how it went. Without, lines are read: from a terminal with a prompt, from
//! anything else as a script. Watch events are printed as they come. Dates are in UTC.

use crate::say;
use failure::Failed;
use input::{Input, Read};
use options::{Options, Wish};
use reporter::Reporter;
use shell::{Mode, Shell};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

mod acls;
mod complete;
mod ensemble;
mod failure;
mod format;
mod history;
mod input;
mod jaas;
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
mod top;
mod transfer;
mod tree;
mod walk;
mod watches;
mod words;

/// The exit code of a wrong command line, as other programs have it.
const EXIT_USAGE: u8 = 2;

/// Runs the shell with the arguments after `cli`.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(Wish::Run(options)) => options,
        Ok(Wish::Help) => {
            say::line(options::USAGE);
            say::line(format_args!("\nCommands:\n{}", session::overview()));
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            say::error(what);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    for warning in &options.properties.warnings {
        say::error(warning);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run_options(*options)),
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
        Mode::Script => lines(&mut shell, &mut reporter, Input::script()).await,
        Mode::Prompt => match Input::terminal() {
            Ok(input) => lines(&mut shell, &mut reporter, input).await,
            Err(error) => {
                say::error(format_args!("the terminal: {error}"));
                return ExitCode::FAILURE;
            }
        },
    }
    // What the end of the session tells is not printed: who leaves knows.
    shell.disconnect().await;
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

/// Runs line by line.
async fn lines(shell: &mut Shell, reporter: &mut Reporter, mut input: Input) {
    if shell.mode == Mode::Prompt {
        say::line(format_args!("Connecting to {}", shell.options.servers));
        say::line("Welcome to Bellwether! help lists the commands.");
    }
    let connected = shell.connect().await;
    shell.settle(connected);
    reporter.settle(shell).await;
    while !shell.is_leaving() {
        let (servers, state) = (&shell.options.servers, shell.session_state());
        input.prompt(format!("[zk: {servers}({state}) {}] ", shell.history.next()));
        let Some(line) = next_line(shell, reporter, &mut input).await else { break };
        run_line(shell, reporter, &line).await;
        reporter.settle(shell).await;
    }
}

/// Waits for a line, printing what is told and completing words meanwhile; `None` at the end.
async fn next_line(
    shell: &mut Shell,
    reporter: &mut Reporter,
    input: &mut Input,
) -> Option<String> {
    loop {
        tokio::select! {
            biased;
            told = reporter.next() => {
                if let Some(text) = reporter.text_of(&told) {
                    input.print(text);
                }
                reporter::settle(shell, &told);
            }
            read = input.next() => match read {
                Read::Line(line) => return Some(line),
                Read::End => return None,
                Read::Children(path, reply) => {
                    if let Ok(client) = shell.client() {
                        tokio::spawn(async move {
                            // Nothing to complete is no failure: the person sees that.
                            let names = client.get_children(&path).await.unwrap_or_default();
                            reply.send(names.into_iter().map(String::from).collect()).ok();
                        });
                    }
                }
            },
        }
    }
}

/// Runs a line. A person who is tired of waiting ends the command, not the shell.
async fn run_line(shell: &mut Shell, reporter: &mut Reporter, line: &str) {
    if shell.mode != Mode::Prompt {
        return reporter.during(shell.line(line)).await;
    }
    let interrupted = tokio::select! {
        () = reporter.during(shell.line(line)) => false,
        Ok(()) = tokio::signal::ctrl_c() => true,
    };
    if interrupted {
        let what = "Interrupted: what was sent to the server may still happen";
        shell.settle(Err(Failed::local(what)));
    }
}

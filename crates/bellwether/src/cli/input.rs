//! Where lines come from: a terminal with an editor, or a file or pipe.
//!
//! A thread reads, since neither can be waited for in another way; it hands lines over one by one.
//! The editor's thread waits for the next prompt before it reads on, so that a command's output and
//! the line that is being typed never mix. It asks for the children of a node to complete a path.

use super::complete::{self, Want};
use super::out::colours_forbidden;
use crate::say;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{ColorMode, CompletionType, Config, Context, Editor, ExternalPrinter, Helper};
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::time::Duration;
use tokio::sync::mpsc;

/// Lines that are read ahead from a script.
const LINES_WAITING: usize = 16;

/// Lines that the history file keeps.
const HISTORY_LINES_MAX: usize = 10_000;

/// How long a person is kept waiting for the completion of a path.
const COMPLETION_LIMIT: Duration = Duration::from_secs(1);

/// What the reading thread says.
#[derive(Debug)]
pub(super) enum Read {
    Line(String),
    /// The children of this node, for a completion.
    Children(String, blocking::Sender<Vec<String>>),
    End,
}

/// Prints above the line that is being edited.
type Printer = Box<dyn FnMut(String) + Send>;

/// See the module's own words.
pub(super) struct Input {
    read: mpsc::Receiver<Read>,
    /// `None` where nobody sees a prompt.
    prompts: Option<blocking::Sender<String>>,
    printer: Option<Printer>,
}

impl Input {
    /// Lines of a script on stdin.
    pub(super) fn script() -> Input {
        let (sender, read) = mpsc::channel(LINES_WAITING);
        std::thread::spawn(move || {
            for line in std::io::stdin().lines() {
                let line = match line {
                    Ok(line) => line,
                    Err(error) => {
                        say::error(format_args!("stdin: {error}"));
                        break;
                    }
                };
                if sender.blocking_send(Read::Line(line)).is_err() {
                    return; // The shell has ended.
                }
            }
            sender.blocking_send(Read::End).ok(); // Without a shell nobody has to know.
        });
        Input { read, prompts: None, printer: None }
    }

    /// Lines that a person types.
    pub(super) fn terminal() -> Result<Input, ReadlineError> {
        let (sender, read) = mpsc::channel(1);
        let (prompts, to_show) = blocking::channel();
        let (printer_sender, printer) = blocking::channel();
        // An editor stays in the thread that reads by it.
        std::thread::spawn(move || {
            let mut editor = match Reading::new(sender) {
                Ok(editor) => editor,
                Err(error) => return printer_sender.send(Err(error)).unwrap_or_default(),
            };
            if printer_sender.send(Ok(editor.printer())).is_ok() {
                editor.run(&to_show);
            }
        });
        let ended = |_| ReadlineError::Io(std::io::Error::other("the editor has ended"));
        let printer = printer.recv().map_err(ended)??;
        Ok(Input { read, prompts: Some(prompts), printer })
    }

    /// Asks for the next line. A script has no prompt.
    pub(super) fn prompt(&self, text: String) {
        if let Some(prompts) = &self.prompts {
            prompts.send(text).ok(); // An editor that has ended is seen at the next read.
        }
    }

    /// What is read next.
    pub(super) async fn next(&mut self) -> Read {
        self.read.recv().await.unwrap_or(Read::End)
    }

    /// Prints while a line is waited for.
    pub(super) fn print(&mut self, text: String) {
        match &mut self.printer {
            Some(printer) => printer(text + "\n"),
            None => say::line(text),
        }
    }
}

/// The editor, in its thread.
struct Reading {
    editor: Editor<Completing, FileHistory>,
    sender: mpsc::Sender<Read>,
    /// `None` where there is no home.
    history: Option<PathBuf>,
}

impl Reading {
    fn new(sender: mpsc::Sender<Read>) -> Result<Reading, ReadlineError> {
        let colours = if colours_forbidden() { ColorMode::Disabled } else { ColorMode::Enabled };
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(HISTORY_LINES_MAX)?
            .color_mode(colours)
            .build();
        let mut editor = Editor::with_config(config)?;
        editor.set_helper(Some(Completing { sender: sender.clone() }));
        let history = history_file();
        if let Some(path) = &history {
            if let Some(directory) = path.parent() {
                // Without it there is no file either, which is said when the first line is kept.
                std::fs::create_dir_all(directory).ok();
            }
            // The first run has none.
            editor.load_history(path).ok();
        }
        Ok(Reading { editor, sender, history })
    }

    /// `None` on a terminal that cannot move its cursor.
    fn printer(&mut self) -> Option<Printer> {
        let mut printer = self.editor.create_external_printer().ok()?;
        Some(Box::new(move |text| {
            if let Err(error) = printer.print(text) {
                say::error(format_args!("the terminal: {error}"));
            }
        }))
    }

    fn run(&mut self, prompts: &blocking::Receiver<String>) {
        while let Ok(prompt) = prompts.recv() {
            let read = loop {
                match self.editor.readline(&(prompt.clone(), coloured(&prompt))) {
                    Ok(line) => break Read::Line(line),
                    Err(ReadlineError::Interrupted) => {} // The line is given up, not the shell.
                    Err(ReadlineError::Eof) => break Read::End,
                    Err(error) => {
                        say::error(format_args!("the terminal: {error}"));
                        break Read::End;
                    }
                }
            };
            if let Read::Line(line) = &read {
                self.keep(line);
            }
            let ended = matches!(read, Read::End);
            if self.sender.blocking_send(read).is_err() || ended {
                return;
            }
        }
    }

    /// Keeps a line, unless it has a secret.
    fn keep(&mut self, line: &str) {
        if super::words::split(line).first().is_none_or(|name| name == "addauth") {
            return;
        }
        let Ok(true) = self.editor.add_history_entry(line) else { return };
        let Some(path) = &self.history else { return };
        if let Err(error) = self.editor.append_history(path) {
            say::error(format_args!("{}: {error}; lines are not kept", path.display()));
            self.history = None;
        }
    }
}

/// The prompt in green with a session and in red without.
fn coloured(prompt: &str) -> String {
    let colour = if prompt.contains("(CONNECTED") { 32 } else { 31 };
    format!("\x1b[{colour}m{prompt}\x1b[0m")
}

/// Where lines are kept: below the user's directory for state, by the rules of the desktop.
fn history_file() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("bellwether").join("cli_history"))
}

/// Completes words, asking the shell for the children of nodes.
struct Completing {
    sender: mpsc::Sender<Read>,
}

impl Completing {
    /// None if the shell is busy or the server does not answer soon.
    fn children(&self, parent: &str) -> Vec<String> {
        let (reply, children) = blocking::channel();
        if self.sender.blocking_send(Read::Children(parent.to_owned(), reply)).is_err() {
            return Vec::new(); // The shell has ended.
        }
        children.recv_timeout(COMPLETION_LIMIT).unwrap_or_default()
    }
}

impl Completer for Completing {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> Result<(usize, Vec<Pair>), ReadlineError> {
        let line = line.get(..pos).unwrap_or(line);
        let (begin, want) = complete::want(line);
        let pairs = match want {
            Want::Words(words) => words
                .into_iter()
                .map(|word| complete::replacement(line, begin, word))
                .map(|word| Pair { display: word.clone(), replacement: word })
                .collect(),
            Want::Child { parent, prefix } => {
                let mut names = self.children(&parent);
                names.retain(|name| name.starts_with(&prefix));
                names.sort();
                let pair = |name: String| Pair {
                    replacement: complete::child_path(&parent, &name),
                    display: name,
                };
                names.into_iter().map(pair).collect()
            }
        };
        Ok((begin, pairs))
    }
}

impl Hinter for Completing {
    type Hint = String;
}

impl Highlighter for Completing {}

impl Validator for Completing {}

impl Helper for Completing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_shows_whether_there_is_a_session() {
        assert!(coloured("[zk: a(CONNECTED) 0] ").starts_with("\x1b[32m"));
        assert!(coloured("[zk: a(CONNECTEDREADONLY) 0] ").starts_with("\x1b[32m"));
        assert!(coloured("[zk: a(CONNECTING) 0] ").starts_with("\x1b[31m"));
        assert!(coloured("[zk: a(CLOSED) 0] ").starts_with("\x1b[31m"));
    }
}

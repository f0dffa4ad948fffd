//! `bellwether cli`: the shell of zkCli, with its commands, its output and its exit codes.
//!
//! With a command on the command line that one is run, nothing but its result is printed, and the
//! exit code says how it went. Without, lines are read from stdin; watch events are printed as they
//! come. Dates are in UTC.

use crate::say;
use bellwether_client::{Change, Client, Connector, KeeperState, SessionEnd, SessionEvent};
use bellwether_client::{OneshotWatcher, PersistentWatcher, SessionEvents, SessionState};
use command::{Command, Problem};
use options::{Options, Wish};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;

mod command;
mod execute;
mod format;
mod options;
mod words;

const NOT_CONNECTED: &str = "Not connected: `connect host:port` begins a session.";

/// Events that wait to be printed. More are not read from the client until these are.
const EVENTS_WAITING: usize = 256;

/// Lines that are read ahead from stdin.
const LINES_WAITING: usize = 16;

/// How long to look for a server, at most. A person waits for it.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// Runs the shell with the arguments after `cli`.
pub(crate) fn run(args: Vec<OsString>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(Wish::Run(options)) => options,
        Ok(Wish::Help) => {
            say::line(options::USAGE);
            execute::help();
            return ExitCode::SUCCESS;
        }
        Err(what) => {
            say::error(what);
            return ExitCode::from(2);
        }
    };
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
    let (mut shell, events) = Shell::new(options);
    if shell.options.command.is_empty() { shell.prompt(events).await } else { shell.once().await }
}

struct Shell {
    options: Options,
    /// `None` while there is no session.
    client: Option<Client>,
    /// Takes the text of events, ready to print.
    events: mpsc::Sender<String>,
    /// What the last command ended with; the exit code at the end.
    exit_code: u8,
}

impl Shell {
    fn new(options: Options) -> (Shell, mpsc::Receiver<String>) {
        let (events, waiting) = mpsc::channel(EVENTS_WAITING);
        (Shell { options, client: None, events, exit_code: 0 }, waiting)
    }

    /// Runs the command of the command line.
    async fn once(&mut self) -> ExitCode {
        match Command::parse(&self.options.command) {
            Ok(Command::Watch { path, mode, count }) => {
                self.connect().await;
                if let Some(client) = &self.client {
                    let followed = execute::follow(client, &path, mode, count).await;
                    self.exit_code = if followed { 0 } else { 1 };
                }
            }
            Ok(Command::Ask(ask)) => {
                self.connect().await;
                if self.client.is_some() {
                    self.execute(Command::Ask(ask)).await;
                }
            }
            Ok(command @ (Command::Connect { .. } | Command::Help | Command::Quit)) => {
                self.execute(command).await;
            }
            Err(problem) => self.refuse(&problem),
        }
        self.leave().await
    }

    /// Reads commands from stdin until its end or `quit`.
    async fn prompt(&mut self, mut events: mpsc::Receiver<String>) -> ExitCode {
        let interactive = std::io::stdin().is_terminal();
        say::line(format_args!("Connecting to {}", self.options.servers));
        say::line("Welcome to Bellwether!");
        self.connect().await;
        let mut lines = read_lines();
        let mut count = 0;
        loop {
            if interactive {
                say::prompt(self.prompt_text(count));
            }
            let Some(line) = printing(&mut events, lines.recv()).await else { break };
            let words = words::split(&line);
            if words.is_empty() {
                continue;
            }
            count += 1;
            match Command::parse(&words) {
                Ok(Command::Quit) => break,
                Ok(command) => printing(&mut events, self.execute(command)).await,
                Err(problem) => self.refuse(&problem),
            }
            while let Ok(event) = events.try_recv() {
                say::line(event);
            }
        }
        self.leave().await
    }

    /// zkCli's prompt.
    fn prompt_text(&self, count: u64) -> String {
        let state = match self.client.as_ref().map(Client::state) {
            Some(SessionState::Connected) => "CONNECTED",
            Some(SessionState::ConnectedReadOnly) => "CONNECTEDREADONLY",
            Some(SessionState::Connecting) => "CONNECTING",
            Some(SessionState::Ended(SessionEnd::AuthFailed)) => "AUTH_FAILED",
            Some(SessionState::Ended(SessionEnd::Closed | SessionEnd::Expired)) | None => "CLOSED",
        };
        format!("[zk: {}({state}) {count}] ", self.options.servers)
    }

    fn refuse(&mut self, problem: &Problem) {
        say::error(problem);
        self.exit_code = problem.exit_code();
    }

    async fn connect(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
        let timeout = self.options.timeout;
        let connector = Connector::new()
            .session_timeout(timeout)
            .connect_timeout(timeout.min(CONNECT_TIMEOUT_MAX))
            .access(self.options.access);
        match connector.connect(&self.options.servers).await {
            Ok(client) => {
                if self.options.command.is_empty() {
                    self.print_connected(&client);
                }
                self.client = Some(client);
                self.exit_code = 0;
            }
            Err(error) => {
                say::error(format::error("", &error));
                self.exit_code = 1;
            }
        }
    }

    /// Prints the session's events from the first on.
    fn print_connected(&mut self, client: &Client) {
        let first = match client.state() {
            SessionState::ConnectedReadOnly => KeeperState::ConnectedReadOnly,
            SessionState::Connected | SessionState::Connecting | SessionState::Ended(_) => {
                KeeperState::SyncConnected
            }
        };
        say::line(format::session_event(first));
        tokio::spawn(tell_session(client.session_events(), self.events.clone()));
    }

    async fn execute(&mut self, command: Command) {
        let done = match command {
            Command::Help => {
                execute::help();
                Ok(execute::Watched::No)
            }
            Command::Quit => Ok(execute::Watched::No), // The loop ends with it.
            Command::Connect { servers } => {
                self.options.servers = servers;
                return self.connect().await;
            }
            Command::Watch { path, mode, count } => match &self.client {
                Some(client) => execute::watch(client, &path, mode, count).await,
                None => Err(NOT_CONNECTED.to_owned().into()),
            },
            Command::Ask(ask) => match &self.client {
                Some(client) => execute::execute(client, ask).await,
                None => Err(NOT_CONNECTED.to_owned().into()),
            },
        };
        match done {
            Ok(watched) => {
                self.exit_code = 0;
                self.keep(watched);
            }
            Err(execute::Failed { text, watched }) => {
                say::error(text);
                self.exit_code = 1;
                self.keep(watched);
            }
        }
    }

    /// Holds a watch until it is spent or the shell ends.
    fn keep(&self, watched: execute::Watched) {
        let sender = self.events.clone();
        match watched {
            execute::Watched::No => {}
            execute::Watched::Once(watcher) => {
                tokio::spawn(tell_once(watcher, sender));
            }
            execute::Watched::Lasting(watcher, count) => {
                tokio::spawn(tell_all(watcher, count, sender));
            }
        }
    }

    async fn leave(&mut self) -> ExitCode {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
        ExitCode::from(self.exit_code)
    }
}

/// Waits for `future` and prints the events that come meanwhile: they tell, for one, why it takes
/// so long.
async fn printing<T>(events: &mut mpsc::Receiver<String>, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            done = future.as_mut() => return done,
            Some(event) = events.recv() => say::line(event),
        }
    }
}

async fn tell_session(mut events: SessionEvents, sender: mpsc::Sender<String>) {
    while let Some(event) = events.next().await {
        let state = match event {
            SessionEvent::Connected { .. } => KeeperState::SyncConnected,
            SessionEvent::Disconnected { .. } => KeeperState::Disconnected,
            SessionEvent::AttemptFailed { .. } => continue, // One line per change is enough.
            SessionEvent::Ended(SessionEnd::Closed) => KeeperState::Closed,
            SessionEvent::Ended(SessionEnd::Expired) => KeeperState::Expired,
            SessionEvent::Ended(SessionEnd::AuthFailed) => KeeperState::AuthFailed,
        };
        if sender.send(format::session_event(state)).await.is_err() {
            return; // The shell has ended.
        }
    }
}

async fn tell_once(watcher: OneshotWatcher, sender: mpsc::Sender<String>) {
    if let Ok(event) = watcher.changed().await {
        sender.send(format::event(&event)).await.ok();
    }
}

async fn tell_all(mut watcher: PersistentWatcher, count: u64, sender: mpsc::Sender<String>) {
    for _ in 0..count {
        let Ok(change) = watcher.changed().await else { return };
        let text = match change {
            Change::Event(event) => format::event(&event),
            Change::Gap => format::GAP.to_owned(),
        };
        if sender.send(text).await.is_err() {
            return; // The shell has ended.
        }
    }
}

/// Lines of stdin, read by a thread: a terminal cannot be waited for in another way. The thread
/// ends with stdin or with the process.
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

//! The shell's state: the session, the watches, the history, and how a line becomes a command.

use super::failure::Failed;
use super::history::History;
use super::options::Options;
use super::out::{Out, Style};
use super::reporter::Streams;
use super::table::{self, Needs};
use super::watches::Watches;
use super::{format, json, words};
use bellwether_client::{Client, SessionEnd, SessionState, WatchEvent};
use bellwether_wire::limits::MAX_BUFFER_BYTES;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How long to look for a server, at most. A person waits for it.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// Where commands come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One, on the command line.
    Once,
    /// Lines of a file or a pipe.
    Script,
    /// A person.
    Prompt,
}

/// See the module's own words.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) options: Options,
    pub(super) mode: Mode,
    pub(super) out: Out,
    pub(super) watches: Watches,
    pub(super) history: History,
    /// Whether watch events are printed; the reporter looks at it too.
    pub(super) print_watches: Rc<Cell<bool>>,
    /// `None` while there is no session.
    client: Option<Client>,
    /// What a session that has just begun tells, until the reporter takes it.
    pub(super) streams: Option<Streams>,
    state: State,
    /// The code of the last command, and the worst news of all of them.
    last_code: u8,
    failed_code: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Leaving,
}

/// What an unknown command is told.
pub(super) fn unknown(name: &str) -> Failed {
    let failed = match table::resembling(name) {
        Some(row) => format!("Command not found: {name}; did you mean {}?", row.name),
        None => format!("Command not found: {name}"),
    };
    Failed::unknown_command(failed).hint("help lists the commands")
}

impl Shell {
    pub(super) fn new(options: Options, mode: Mode) -> Shell {
        let out = Out::new(options.style);
        Shell {
            options,
            mode,
            out,
            watches: Watches::default(),
            history: History::default(),
            print_watches: Rc::new(Cell::new(true)),
            client: None,
            streams: None,
            state: State::Running,
            last_code: 0,
            failed_code: 0,
        }
    }

    /// The session. A clone, so that a command can change the shell while it asks.
    pub(super) fn client(&self) -> Result<Client, Failed> {
        let alive = |client: &&Client| !matches!(client.state(), SessionState::Ended(_));
        self.client.as_ref().filter(alive).cloned().ok_or_else(Failed::not_connected)
    }

    /// Ends the session, if there is one.
    pub(super) async fn disconnect(&mut self) {
        self.watches.clear();
        if let Some(client) = &self.client {
            client.clone().close().await;
        }
    }

    /// Ends the session and begins one with the servers of the options.
    pub(super) async fn connect(&mut self) -> Result<(), Failed> {
        self.disconnect().await;
        self.client = None;
        let timeout = self.options.timeout;
        let properties = &self.options.properties;
        let connector = properties
            .connector()
            .map_err(Failed::local)?
            .session_timeout(timeout)
            .connect_timeout(timeout.min(CONNECT_TIMEOUT_MAX))
            .request_bytes_max(properties.request_bytes_max.unwrap_or(MAX_BUFFER_BYTES))
            .access(self.options.access);
        let servers = &self.options.servers;
        let client = match properties.tls().map_err(Failed::local)? {
            Some(tls) => connector.connect_over(tls, servers).await?,
            None => connector.connect(servers).await?,
        };
        self.streams = Some(Streams::of(&client));
        self.client = Some(client);
        Ok(())
    }

    pub(super) fn quit(&mut self) {
        self.state = State::Leaving;
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.state == State::Leaving
    }

    /// Runs a line and prints what it fails with.
    pub(super) async fn line(&mut self, line: &str) {
        let words = words::split(line);
        if words.is_empty() {
            return;
        }
        self.history.add(line);
        self.perform(&words).await;
    }

    /// Runs a command and prints what it fails with.
    pub(super) async fn perform(&mut self, words: &[String]) {
        let result = self.run(words).await;
        self.settle(result);
    }

    /// A command has ended.
    pub(super) fn settle(&mut self, result: Result<(), Failed>) {
        self.last_code = match result {
            Ok(()) => 0,
            Err(failed) => {
                self.out.failed(&failed);
                failed.exit_code
            }
        };
        if self.last_code != 0 {
            self.failed_code = self.last_code;
        }
        self.out.style = self.options.style;
    }

    /// Runs a command; the caller settles what it ends with.
    pub(super) async fn run(&mut self, words: &[String]) -> Result<(), Failed> {
        let (row, words) = self.prepare(words)?;
        if row.needs == Needs::Session {
            self.client()?;
        }
        (row.run)(self, &words).await
    }

    /// Finds the command and sorts its words.
    pub(super) fn prepare(
        &mut self,
        words: &[String],
    ) -> Result<(&'static table::Row, words::Words), Failed> {
        let mut words = words.to_vec();
        let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
        if let Some(at) = words.iter().take(end).position(|word| word == "--json") {
            words.remove(at);
            self.out.style = Style::Json;
        }
        let Some((name, rest)) = words.split_first() else {
            return Err(Failed::usage("No command entered").hint("help lists the commands"));
        };
        let row = table::find(name).ok_or_else(|| unknown(name))?;
        Ok((row, row.parse(rest)?))
    }

    /// Prints a watch event, if events are to be printed.
    pub(super) fn tell(&self, event: &WatchEvent) {
        if self.print_watches.get() {
            self.out.text(format::event(event));
            self.out.value(&json::event(event));
        }
    }

    /// zkCli's name for the state of the session.
    pub(super) fn session_state(&self) -> &'static str {
        match self.client.as_ref().map(Client::state) {
            Some(SessionState::Connected) => "CONNECTED",
            Some(SessionState::ConnectedReadOnly) => "CONNECTEDREADONLY",
            Some(SessionState::Connecting) => "CONNECTING",
            Some(SessionState::Ended(SessionEnd::AuthFailed(_))) => "AUTH_FAILED",
            Some(SessionState::Ended(SessionEnd::Closed | SessionEnd::Expired)) | None => "CLOSED",
        }
    }

    /// What the process ends with. A script has failed if one of its commands has; a person knows
    /// of those before the last.
    pub(super) fn exit_code(&self) -> u8 {
        match self.mode {
            Mode::Once | Mode::Script => self.failed_code,
            Mode::Prompt => self.last_code,
        }
    }
}

//! What the session tells by itself, printed while a command runs or a line is waited for.
//!
//! It stands beside the shell, which a running command has for itself. An event is printed before
//! the answer that came after it: events are looked at first.

use super::out::Out;
use super::shell::{Mode, Shell};
use super::{format, json};
use bellwether_client::{Change, Client, KeeperState, Notifications, Resumed, SessionEnd};
use bellwether_client::{SessionEvent, SessionEvents, WatchEvent};
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;

/// What one session tells.
#[derive(Debug)]
pub(super) struct Streams {
    notifications: Notifications,
    session: SessionEvents,
}

impl Streams {
    pub(super) fn of(client: &Client) -> Streams {
        Streams { notifications: client.notifications(), session: client.session_events() }
    }
}

/// Something that was told.
#[derive(Debug)]
pub(super) enum Told {
    Watch(WatchEvent),
    /// Events may be missing here.
    Gap,
    Session(SessionEvent),
}

/// Said where a lasting watch may have missed something. zkCli keeps silent here.
pub(super) const GAP: &str = "Events may be missing here: the connection was lost for a while, or they came \
                   too fast. Read again what you watch.";

/// See the module's own words.
#[derive(Debug)]
pub(super) struct Reporter {
    streams: Option<Streams>,
    out: Out,
    mode: Mode,
    print_watches: Rc<Cell<bool>>,
    lasting: bool,
    /// Told while a command had the shell: it has yet to forget the watches that these have spent.
    unsettled: Vec<Told>,
}

impl Reporter {
    pub(super) fn new(shell: &Shell) -> Reporter {
        Reporter {
            streams: None,
            out: shell.out,
            mode: shell.mode,
            print_watches: Rc::clone(&shell.print_watches),
            lasting: false,
            unsettled: Vec::new(),
        }
    }

    /// Waits for the next news.
    pub(super) async fn next(&mut self) -> Told {
        loop {
            let Some(streams) = &mut self.streams else { return std::future::pending().await };
            tokio::select! {
                biased;
                Some(change) = streams.notifications.next() => return match change {
                    Change::Event(event) => Told::Watch(event),
                    Change::Gap => Told::Gap,
                },
                Some(event) = streams.session.next() => return Told::Session(event),
                else => self.streams = None,
            }
        }
    }

    async fn try_next(&mut self) -> Option<Told> {
        tokio::select! {
            biased;
            told = self.next() => Some(told),
            () = std::future::ready(()) => None,
        }
    }

    /// Runs a command, printing what is told meanwhile.
    pub(super) async fn during<T>(&mut self, command: impl Future<Output = T>) -> T {
        let mut command = std::pin::pin!(command);
        loop {
            tokio::select! {
                biased;
                told = self.next() => {
                    if let Some(text) = self.text_of(&told) {
                        crate::say::line(text);
                    }
                    self.unsettled.push(told);
                }
                done = command.as_mut() => return done,
            }
        }
    }

    /// Brings shell and reporter together after a command: what it has changed counts, and what
    /// has been told meanwhile is printed and settled.
    pub(super) async fn settle(&mut self, shell: &mut Shell) {
        let unsettled = std::mem::take(&mut self.unsettled);
        unsettled.iter().for_each(|told| settle(shell, told));
        loop {
            self.lasting = shell.watches.any_lasting();
            while let Some(told) = self.try_next().await {
                if let Some(text) = self.text_of(&told) {
                    crate::say::line(text);
                }
                settle(shell, &told);
            }
            let Some(streams) = shell.streams.take() else { return };
            self.streams = Some(streams);
        }
    }

    /// The text to print, if it is to be printed.
    pub(super) fn text_of(&self, told: &Told) -> Option<String> {
        if !self.print_watches.get() {
            return None;
        }
        match told {
            Told::Watch(event) if self.out.is_json() => Some(json::event(event).to_string()),
            Told::Watch(event) => Some(format::event(event)),
            Told::Gap => Some(self.gap()),
            Told::Session(event) => self.session_text(event),
        }
    }

    fn gap(&self) -> String {
        if self.out.is_json() {
            return json!({ "event": "Gap" }).to_string();
        }
        format!("\nWATCHER::\n\n{GAP}")
    }

    fn session_text(&self, event: &SessionEvent) -> Option<String> {
        let (state, resumed) = match event {
            SessionEvent::Connected { resumed, .. } => (KeeperState::SyncConnected, *resumed),
            SessionEvent::Disconnected { .. } => (KeeperState::Disconnected, Resumed::No),
            SessionEvent::AttemptFailed { .. } => return None, // One line per change is enough.
            SessionEvent::Ended(SessionEnd::Closed) => (KeeperState::Closed, Resumed::No),
            SessionEvent::Ended(SessionEnd::Expired) => (KeeperState::Expired, Resumed::No),
            SessionEvent::Ended(SessionEnd::AuthFailed(_)) => {
                (KeeperState::AuthFailed, Resumed::No)
            }
        };
        if self.mode == Mode::Once {
            return None; // Only the command's own result is of interest.
        }
        let gap = resumed == Resumed::Yes && self.lasting;
        let text = match self.out.is_json() {
            true => json!({ "session": format!("{state:?}") }).to_string(),
            false => format::session_event(state),
        };
        Some(if gap { format!("{text}\n{}", self.gap()) } else { text })
    }
}

/// Lets the shell know of what was told.
pub(super) fn settle(shell: &mut Shell, told: &Told) {
    match told {
        Told::Watch(event) => shell.watches.spend(event),
        Told::Session(SessionEvent::Ended(_)) => shell.watches.clear(),
        Told::Gap
        | Told::Session(
            SessionEvent::Connected { .. }
            | SessionEvent::Disconnected { .. }
            | SessionEvent::AttemptFailed { .. },
        ) => {} // The watches stay.
    }
}

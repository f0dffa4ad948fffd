//! Plays one scenario on one server: its clients, what they are told, and what is left behind.
//!
//! What it keeps true: after every command each connection that can be is asked with a ping, so
//! that what a command causes is printed below it and nowhere else; at the end every session is
//! closed and the scenario's nodes are gone, so that the next one finds the server as this one did.
//!
//! What it leaves to others: the words of requests and replies.

mod audit;
mod clean;
mod client;
mod server;

use crate::connection::Connection;
use crate::launch::Server;
use crate::request::Args;
use crate::scenario::Scenario;
use crate::shown::Shown;
use crate::words::{Word, split};
use bellwether_wire::SessionId;
use std::collections::BTreeMap;

/// One client of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Client {
    connection: Option<Connection>,
    /// Its last session.
    session: SessionId,
    /// Whether the session may still be there.
    alive: bool,
    /// Whether it is left alone: neither read nor kept alive.
    mute: bool,
}

/// One scenario in progress.
pub(crate) struct Play<'a> {
    server: &'a mut Server,
    /// The runner's own connection.
    control: Option<Connection>,
    control_session: SessionId,
    clients: BTreeMap<String, Client>,
    /// Sessions that a client gave up for another one.
    left: Vec<SessionId>,
    shown: Shown,
    lines: Vec<String>,
    /// How many lines of the audit log were read.
    audited: usize,
}

/// Plays the blocks in order; gives what each printed.
pub(crate) fn play(
    server: &mut Server,
    number: usize,
    scenario: &Scenario,
) -> Result<Vec<Vec<String>>, String> {
    let mut play = Play {
        shown: Shown::default(),
        server,
        control: None,
        control_session: SessionId::NONE,
        clients: BTreeMap::new(),
        left: Vec::new(),
        lines: Vec::new(),
        audited: 0,
    };
    play.prepare(number)?;
    let mut outputs = Vec::new();
    let mut problem = None;
    'blocks: for block in &scenario.blocks {
        for command in &block.commands {
            if let Err(why) = play.command(command) {
                problem = Some(format!("{command}: {why}"));
                break 'blocks;
            }
        }
        outputs.push(std::mem::take(&mut play.lines));
    }
    let cleaned = play.clean();
    match problem {
        Some(why) => Err(why),
        None => cleaned.map(|()| outputs),
    }
}

impl Play<'_> {
    fn command(&mut self, line: &str) -> Result<(), String> {
        if line.starts_with('#') {
            return Ok(());
        }
        match line.split_once(": ") {
            Some(("word", rest)) => self.word(split(rest)?)?,
            Some((client, rest)) => {
                let mut words = split(rest)?;
                if words.is_empty() {
                    return Err("a command is missing".into());
                }
                let verb = words.remove(0).text;
                self.client(client, &verb, words)?;
            }
            None => self.server_command(split(line)?)?,
        }
        self.settle();
        Ok(())
    }

    fn say(&mut self, who: &str, what: &str) {
        self.lines.push(format!("{who}: {what}"));
    }

    /// Reads the replies that are due, then what every connection was told up to the reply to a
    /// ping: a watcher is asked only after the change that it watches for was answered.
    fn settle(&mut self) {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        for name in &names {
            self.replies_of(name);
        }
        for name in &names {
            self.settle_one(name);
        }
    }

    fn server_command(&mut self, words: Vec<Word>) -> Result<(), String> {
        let mut args = Args::new(words)?;
        let verb = args.next("a command")?.text;
        let object = args.next("what it is done to")?.text;
        match (verb.as_str(), object.as_str()) {
            ("stop", "server") => self.server.stop()?,
            ("kill", "server") => self.server.kill()?,
            ("start", "server") => self.server.up()?,
            ("restart", "server") => self.server.stop().and_then(|()| self.server.up())?,
            ("audit", "log") => self.audit_log()?,
            ("wait", "expired") => self.wait_expired(&args.next("the client")?.text)?,
            ("wait", "gone") => self.wait_node(&args.next("the path")?.text, Presence::Gone)?,
            ("wait", "exists") => self.wait_node(&args.next("the path")?.text, Presence::There)?,
            _ => return Err("no such command".into()),
        }
        args.finish()
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Gone,
    There,
}

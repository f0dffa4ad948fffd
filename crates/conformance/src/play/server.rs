//! What a scenario asks the server itself: four-letter words, and states that it waits for.

use super::{Play, Presence};
use crate::request::Args;
use crate::words::Word;
use bellwether_wire::client::{ReplyBody, Request};
use std::thread;
use std::time::{Duration, Instant};

/// A state that does not come within this time never comes.
const WAIT_LIMIT: Duration = Duration::from_secs(60);
/// How often a state that nobody announces is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The line of several words that names a build.
const VERSION: &str = "Zookeeper version: ";
/// The line of `mntr` that counts sessions.
const SESSIONS: &str = "zk_global_sessions\t";

impl Play<'_> {
    /// `word: NAME [only=PREFIX,…] [hide=PREFIX,…] [names] [sort]` prints the answer behind bars.
    pub(super) fn word(&mut self, words: Vec<Word>) -> Result<(), String> {
        let mut args = Args::new(words)?;
        let word = args.next("the word")?.text;
        let list = |word: Option<Word>| -> Vec<String> {
            let text = word.map(|word| word.text).unwrap_or_default();
            text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let (only, hide) = (list(args.named("only")), list(args.named("hide")));
        let drop = list(args.named("drop"));
        let (names, sort) = (args.flag("names"), args.flag("sort"));
        args.finish()?;
        let answer = self.server.word(&word)?;
        let starts = |line: &str, list: &[String]| {
            list.iter().find(|prefix| line.trim_start().starts_with(prefix.as_str())).cloned()
        };
        let mut lines = Vec::new();
        for line in answer.lines() {
            let line = line.trim_end();
            if starts(line, &drop).is_some() || !only.is_empty() && starts(line, &only).is_none() {
                continue;
            }
            let line = if names { line.split(['\t', '=']).next().unwrap_or(line) } else { line };
            let line = match starts(line, &hide) {
                Some(prefix) => format!("{prefix}…"),
                None => self.normal(line),
            };
            lines.push(format!("| {line}").trim_end().to_owned());
        }
        if sort {
            lines.sort();
        }
        if lines.is_empty() {
            lines.push("(nothing)".into());
        }
        self.lines.extend(lines);
        Ok(())
    }

    /// A line without what differs from server to server and from run to run.
    fn normal(&self, line: &str) -> String {
        if let Some((version, _)) = line.strip_prefix(VERSION).and_then(|rest| rest.split_once('-'))
        {
            return format!("{VERSION}{version}-BUILD");
        }
        let mut line = line.replace(&self.server.home.display().to_string(), "HOME");
        line = line.replace(&format!(":{}", self.server.port), ":PORT");
        line = line.replace(&format!("={}", self.server.port), "=PORT");
        if let Some(pid) = self.server.pid() {
            line = line.replace(&format!("={pid}"), "=PID");
        }
        self.shown.text(&client_ports(&line))
    }

    /// Waits until the session of a client has expired, while it is not kept alive.
    pub(super) fn wait_expired(&mut self, name: &str) -> Result<(), String> {
        let client = self.clients.get_mut(name).ok_or_else(|| format!("there is no {name}"))?;
        if !client.alive {
            return Err(format!("{name} has no session"));
        }
        client.alive = false;
        let alive = self.clients.values().filter(|client| client.alive).count();
        // One more is the runner's own.
        let expected = (alive + self.left.len() + 1).to_string();
        self.wait("the session to expire", |play| {
            let text = play.server.word("mntr")?;
            let line = text.lines().find_map(|line| line.strip_prefix(SESSIONS));
            play.keep_alive(name)?;
            Ok(line == Some(&expected))
        })?;
        // A server may count it out before its end is applied; what comes later comes behind that.
        self.ask(&Request::Sync { path: "/".into() }).map(|_| ())
    }

    /// Pings every client but one.
    fn keep_alive(&mut self, except: &str) -> Result<(), String> {
        self.ask(&Request::Ping)?;
        let names: Vec<String> = self.clients.keys().filter(|n| *n != except).cloned().collect();
        for name in names {
            self.settle_one(&name);
        }
        Ok(())
    }

    /// Waits until a node is there or not.
    pub(super) fn wait_node(&mut self, path: &str, presence: Presence) -> Result<(), String> {
        let path = self.shown.place.path(path);
        self.wait("the node", |play| {
            let request = Request::Exists { path: path.clone(), watch: false };
            let (_, body) = play.ask(&request)?;
            let names: Vec<String> = play.clients.keys().cloned().collect();
            for name in names {
                play.settle_one(&name);
            }
            Ok(matches!(body, Some(ReplyBody::Stat(_))) == (presence == Presence::There))
        })
    }

    fn wait(
        &mut self,
        what: &str,
        mut state: impl FnMut(&mut Self) -> Result<bool, String>,
    ) -> Result<(), String> {
        let end = Instant::now() + WAIT_LIMIT;
        while !state(self)? {
            if Instant::now() > end {
                return Err(format!("waited in vain for {what}"));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

/// A line whose `127.0.0.1:DIGITS` are `127.0.0.1:CLIENT`.
fn client_ports(line: &str) -> String {
    const ADDRESS: &str = "127.0.0.1:";
    let mut parts = line.split(ADDRESS);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        text += ADDRESS;
        text += if rest.len() < part.len() { "CLIENT" } else { "" };
        text += rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::client_ports;

    #[test]
    fn the_ports_of_clients_are_hidden() {
        let line = " /127.0.0.1:4711[1](x) 127.0.0.1:PORT";
        assert_eq!(client_ports(line), " /127.0.0.1:CLIENT[1](x) 127.0.0.1:PORT");
        assert_eq!(client_ports("plain"), "plain");
    }
}

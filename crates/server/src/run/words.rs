//! The answers to four-letter words: begun when the word comes, and made in slices while the client
//! takes them, however many connections, sessions or watches they list.
//!
//! What it keeps true: all answers of one round together make at most `VISITS_PER_STEP` visits; an
//! answer is not made ahead of its client by more than a line beyond `UNSENT_BYTES_PAUSE`; a client
//! that takes nothing is closed.

use super::Core;
use crate::admin::{
    self, Answer, ConnectionFigures, Detail, Facts, Mode, NamespaceFigures, Part, SettingFigures,
    View, lines,
};
use crate::config::render::ConfFacts;
use crate::limits::{
    NAMESPACES_MAX, SORTERS_MAX, TEXT_VISITS, UNSENT_BYTES_ALL, UNSENT_BYTES_PAUSE,
};
use crate::net::clients::{Client, Phase};
use bellwether_node::limits::VISITS_PER_STEP;
use bellwether_node::{ConnId, Listing, Visit};
use bellwether_wire::jute::Put as _;
use bellwether_wire::{SessionId, Zxid};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{DirEntry, ReadDir};
use std::ops::Bound;
use std::path::Path;
use tracing::debug;

/// What Apache begins with: client requests, packets of servers, sessions and warnings.
pub(crate) const TRACE_MASK_DEFAULT: i64 = 0x132;

/// An answer that is being made.
#[derive(Debug)]
pub(crate) struct Telling {
    parts: std::slice::Iter<'static, Part>,
    /// How far the part that was begun has come.
    at: At,
    directories: DirectoryBytes,
    waits: Waits,
}

/// The lengths of the files in the snapshots' directory and in the logs'; unreadable ones count
/// nothing.
#[derive(Clone, Copy, Debug, Default)]
struct DirectoryBytes {
    data: u64,
    log: u64,
}

/// What an answer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// Its turn: it is in `Core::tellers`.
    Turn,
    /// Its client, which has too much untaken.
    Room,
    /// Its turn to sort: it is in `Sorters`.
    Sorter,
}

/// How far a part has come.
#[derive(Debug)]
enum At {
    /// It is not begun.
    Start,
    /// The connection that was told, or reset, last.
    Client(ConnId),
    /// Somewhere in a list of the node's.
    Listing(Listing),
    /// In the snapshots' directory.
    DataDirectory(ReadDir),
    /// In the logs' directory.
    LogDirectory(ReadDir),
    /// Connections are being sorted; the last one that was.
    Sorting(Sorted, ConnId),
    /// Connections are being told in their order; those of the first deadline that are left.
    Sorted(Sorted, Vec<ConnId>),
}

/// Connections by deadline, monotonic milliseconds.
type Sorted = BTreeMap<u64, Vec<ConnId>>;

/// Whoever sorts all connections holds a few bytes for each of them, so that only a few do so at a
/// time.
#[derive(Debug, Default)]
pub(super) struct Sorters {
    count: usize,
    waiting: VecDeque<ConnId>,
}

/// What became of a slice.
#[derive(Debug, PartialEq, Eq)]
enum Made {
    /// The part is complete.
    Part,
    /// It goes on with the next slice.
    Slice,
    /// It goes on when another one has sorted.
    Later,
}

impl At {
    fn sorts(&self) -> bool {
        match self {
            At::Sorting(..) | At::Sorted(..) => true,
            At::Start | At::Client(_) | At::Listing(_) => false,
            At::DataDirectory(_) | At::LogDirectory(_) => false,
        }
    }

    /// Whether it holds a directory open.
    fn reads(&self) -> bool {
        matches!(self, At::DataDirectory(_) | At::LogDirectory(_))
    }
}

impl Core {
    /// How many bytes there must be before a word can be answered, if there are fewer.
    pub(super) fn lacks_argument(&self, word: [u8; 4], input: &[u8]) -> Option<usize> {
        let word = admin::word(word)?;
        let len = 4 + word.argument_bytes;
        let allowed = self.config.four_letter_words.allow(word.name);
        (allowed && input.len() < len).then_some(len)
    }

    /// A four-letter word came; `input` begins with it. Nothing else is taken from its connection.
    pub(super) fn four_letter_word(&mut self, conn: ConnId, word: [u8; 4], input: &[u8]) {
        let Some(word) = admin::word(word) else {
            debug!(conn = conn.0, "neither a frame nor a four-letter word");
            self.dismiss(conn);
            return;
        };
        let counts = &mut self.figures.counts;
        counts.four_letter_words += 1;
        counts.packets_received += 1;
        counts.packets_sent += 1;
        let allows = |name: &str| self.config.four_letter_words.allow(name);
        match admin::answer(word, self.mode(), allows) {
            Answer::Refused(text) => self.put_text(conn, &text),
            Answer::Parts(parts) => {
                if word.argument_bytes == 8
                    && let Some(mask) = input.get(4..).and_then(|rest| rest.first_chunk::<8>())
                {
                    self.trace_mask = i64::from_be_bytes(*mask);
                }
                if let Some(client) = self.clients.get_mut(conn) {
                    client.received += 1;
                    client.telling = Some(Box::new(Telling {
                        parts: parts.iter(),
                        at: At::Start,
                        directories: DirectoryBytes::default(),
                        waits: Waits::Turn,
                    }));
                    self.tellers.push_back(conn);
                }
            }
        }
        self.close_after_sending(conn);
    }

    /// Goes on with the answers whose clients have room, within one step's visits.
    pub(super) fn tell_on(&mut self) {
        let mut visits = VISITS_PER_STEP;
        for _ in 0..self.tellers.len() {
            if visits == 0 {
                return;
            }
            let Some(conn) = self.tellers.pop_front() else { return };
            let room = self.unsent_max();
            let Some(client) = self.clients.get_mut(conn) else { continue };
            let room = if client.outbox.is_empty() { UNSENT_BYTES_PAUSE } else { room };
            let room = room.saturating_sub(client.outbox.copied());
            let Some(mut telling) = client.telling.take() else { continue };
            let mut text = String::new();
            let made = self.tell(&mut telling, (&mut text, room), &mut visits);
            self.put_text(conn, &text);
            match made {
                Made::Part => self.end_telling(Some(telling)),
                Made::Slice | Made::Later => self.keep_telling(conn, telling, made),
            }
        }
    }

    fn keep_telling(&mut self, conn: ConnId, mut telling: Box<Telling>, made: Made) {
        let room = self.unsent_max();
        let Some(client) = self.clients.get_mut(conn) else { return };
        telling.waits = if made == Made::Later {
            self.sorters.waiting.push_back(conn);
            Waits::Sorter
        } else if telling.at.reads() {
            // Nobody comes between, so that one directory is open at a time.
            self.tellers.push_front(conn);
            Waits::Turn
        } else if client.outbox.is_empty() || client.outbox.copied() < room {
            self.tellers.push_back(conn);
            Waits::Turn
        } else {
            Waits::Room
        };
        client.telling = Some(telling);
    }

    /// An answer is complete, or nobody is left to take it.
    pub(super) fn end_telling(&mut self, telling: Option<Box<Telling>>) {
        let Some(telling) = telling else { return };
        if telling.at.sorts() {
            self.sorters.count -= 1;
        }
        self.next_sorter();
    }

    /// Lets one that waits to sort begin, if it may.
    fn next_sorter(&mut self) {
        while self.sorters.count < SORTERS_MAX
            && let Some(conn) = self.sorters.waiting.pop_front()
        {
            if self.wake(conn, Waits::Sorter) {
                return;
            }
        }
    }

    /// What one answer may have unsent: while all connections together have too much, only who has
    /// nothing unsent gets more.
    fn unsent_max(&self) -> usize {
        if self.unsent < UNSENT_BYTES_ALL { UNSENT_BYTES_PAUSE } else { 0 }
    }

    /// A client has taken some of its answer.
    pub(super) fn has_room(&mut self, conn: ConnId) {
        let since_ms = self.clock.now().mono_ms;
        let Some(client) = self.clients.get_mut(conn) else { return };
        client.phase = Phase::Closing { since_ms };
        if client.outbox.copied() < UNSENT_BYTES_PAUSE {
            self.wake(conn, Waits::Room);
        }
    }

    /// Lets an answer go on; whether there is one that waited for this.
    fn wake(&mut self, conn: ConnId, waits: Waits) -> bool {
        let telling = self.clients.get_mut(conn).and_then(|client| client.telling.as_mut());
        let Some(telling) = telling.filter(|telling| telling.waits == waits) else { return false };
        telling.waits = Waits::Turn;
        self.tellers.push_back(conn);
        true
    }

    fn put_text(&mut self, conn: ConnId, text: &str) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        if !text.is_empty() {
            client.outbox.put_slice(text.as_bytes());
            self.unsent += text.len();
        }
        // The flush closes it once all is told, even if that was nothing.
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(conn);
        }
    }

    /// Makes parts until the answer is complete, there are no visits left, or there is no room.
    fn tell(
        &mut self,
        telling: &mut Telling,
        (text, room): (&mut String, usize),
        visits: &mut usize,
    ) -> Made {
        while let Some(part) = telling.parts.as_slice().first().copied() {
            if *visits == 0 || text.len() >= room {
                return Made::Slice;
            }
            match self.tell_part(part, telling, (text, room), visits) {
                Made::Part => {}
                made @ (Made::Slice | Made::Later) => return made,
            }
            if telling.at.sorts() {
                self.sorters.count -= 1;
                self.next_sorter();
            }
            telling.at = At::Start;
            telling.parts.next();
        }
        Made::Part
    }

    fn tell_part(
        &mut self,
        part: Part,
        telling: &mut Telling,
        (text, room): (&mut String, usize),
        visits: &mut usize,
    ) -> Made {
        match part {
            Part::Text(said) => {
                text.push_str(&self.said(said, telling.directories));
                *visits = visits.saturating_sub(TEXT_VISITS);
                return Made::Part;
            }
            Part::ResetServer => {
                self.figures.reset();
                self.node.reset_statistics();
                return Made::Part;
            }
            Part::Clients(_) | Part::Listed(_) | Part::Connections => {}
            Part::ResetConnections | Part::MeasureDirectories => {}
        }
        let at = &mut telling.at;
        while *visits > 0 && text.len() < room {
            *visits -= 1;
            let made = match part {
                Part::Clients(detail) => self.tell_client(at, detail, text),
                Part::Listed(list) => {
                    if matches!(at, At::Start) {
                        *at = At::Listing(Listing::start(list));
                    }
                    self.tell_listed(at, text)
                }
                Part::Connections => self.tell_connection(at, text),
                Part::ResetConnections => self.reset_connection(at),
                Part::MeasureDirectories => self.measure(at, &mut telling.directories),
                Part::Text(_) | Part::ResetServer => unreachable!("these are done at once"),
            };
            match made {
                Made::Part | Made::Later => return made,
                Made::Slice => {} // There may be more room.
            }
        }
        Made::Slice
    }

    /// Adds the length of one file.
    fn measure(&self, at: &mut At, bytes: &mut DirectoryBytes) -> Made {
        let open = |dir: &Path| std::fs::read_dir(dir.join("version-2")).ok();
        let log = |core: &Core| open(&core.config.data_log_dir).map(At::LogDirectory);
        let next = match at {
            At::DataDirectory(entries) => match entries.next() {
                Some(entry) => {
                    bytes.data += length(entry);
                    return Made::Slice;
                }
                None => log(self),
            },
            At::LogDirectory(entries) => match entries.next() {
                Some(entry) => {
                    bytes.log += length(entry);
                    return Made::Slice;
                }
                None => None,
            },
            At::Start => open(&self.config.data_dir).map(At::DataDirectory).or_else(|| log(self)),
            At::Client(_) | At::Listing(_) | At::Sorting(..) | At::Sorted(..) => {
                unreachable!("these are other parts")
            }
        };
        match next {
            Some(next) => {
                *at = next;
                Made::Slice
            }
            None => Made::Part,
        }
    }

    /// What it is to its clients: a leader may be told to serve none.
    fn mode(&self) -> Mode {
        if self.serves_clients() { Mode::of(self.node.serving()) } else { Mode::NotServing }
    }

    fn said(&self, said: fn(&View<'_>) -> String, directories: DirectoryBytes) -> String {
        said(&View {
            mode: self.mode(),
            status: self.node.status(),
            now_ms: self.clock.now().mono_ms,
            settings: SettingFigures {
                jute_maxbuffer_bytes: self.config.jute_max_buffer,
                extended_types_enabled: self.config.extended_types,
                digest_enabled: self.config.digest_enabled,
            },
            shell: self.shell_figures(),
            measures: self.node.measures(),
            shell_measures: &self.figures.measures,
            trace_mask: self.trace_mask,
            facts: &Gathered { core: self, directories },
        })
    }

    /// The connection after the one that was told last.
    fn next_client(&self, at: &At) -> Option<(ConnId, &Client)> {
        let after = match at {
            At::Client(last) | At::Sorting(_, last) => Bound::Excluded(*last),
            At::Start | At::Listing(_) | At::Sorted(..) => Bound::Unbounded,
            At::DataDirectory(_) | At::LogDirectory(_) => Bound::Unbounded,
        };
        self.clients.after(after).next()
    }

    fn tell_client(&self, at: &mut At, detail: Detail, text: &mut String) -> Made {
        let Some((conn, client)) = self.next_client(at) else { return Made::Part };
        *at = At::Client(conn);
        let status = self.node.connection(conn);
        let figures = ConnectionFigures {
            peer: client.peer,
            established_ms: client.established_ms,
            status,
            reads: client.takes_frames(),
            writes: !client.outbox.is_empty(),
            queued: status.map_or(0, |status| status.queued),
            received: client.received,
            sent: client.sent,
        };
        lines::client(text, &figures, detail);
        Made::Slice
    }

    fn reset_connection(&mut self, at: &mut At) -> Made {
        let Some((conn, _)) = self.next_client(at) else { return Made::Part };
        *at = At::Client(conn);
        if let Some(client) = self.clients.get_mut(conn) {
            (client.received, client.sent) = (0, 0);
        }
        self.node.reset_connection_statistics(conn);
        Made::Slice
    }

    fn tell_listed(&self, at: &mut At, text: &mut String) -> Made {
        let At::Listing(listing) = at else { unreachable!("it was just begun") };
        match listing.next(&self.node) {
            Visit::Nothing => {}
            Visit::Saw(listed) => lines::listed(text, &listed, |mono_ms| self.wall_ms(mono_ms)),
            Visit::End => return Made::Part,
        }
        Made::Slice
    }

    /// Sorts a connection, or tells one once all are sorted.
    fn tell_connection(&mut self, at: &mut At, text: &mut String) -> Made {
        if matches!(at, At::Start) {
            if self.sorters.count == SORTERS_MAX {
                return Made::Later;
            }
            self.sorters.count += 1;
            *at = At::Sorting(Sorted::new(), ConnId(0));
        }
        let next =
            self.next_client(at).map(|(conn, client)| (conn, self.deadline_of(conn, client)));
        match at {
            At::Sorting(sorted, last) => match next {
                Some((conn, deadline_ms)) => {
                    sorted.entry(deadline_ms).or_default().push(conn);
                    *last = conn;
                }
                None => {
                    let sorted = std::mem::take(sorted);
                    let connections = sorted.values().map(Vec::len).sum();
                    lines::connection_sets(text, sorted.len(), connections);
                    *at = At::Sorted(sorted, Vec::new());
                }
            },
            At::Sorted(sorted, left) => match left.pop() {
                Some(conn) => self.tell_expiring(conn, text),
                None => match sorted.pop_first() {
                    Some((deadline_ms, conns)) => {
                        lines::deadline(text, conns.len(), self.wall_ms(deadline_ms));
                        *left = conns;
                        left.reverse();
                    }
                    None => return Made::Part,
                },
            },
            At::Start | At::Client(_) | At::Listing(_) => unreachable!("it was just begun"),
            At::DataDirectory(_) | At::LogDirectory(_) => unreachable!("it was just begun"),
        }
        Made::Slice
    }

    fn tell_expiring(&self, conn: ConnId, text: &mut String) {
        let Some(client) = self.clients.get(conn) else { return };
        let session = self.node.connection(conn).map_or(SessionId::NONE, |status| status.session);
        lines::expiring(text, client.peer, session);
    }

    /// When a connection is closed if nothing is heard of it, monotonic milliseconds.
    fn deadline_of(&self, conn: ConnId, client: &Client) -> u64 {
        let tick_ms = u64::from(self.config.tick_time_ms).max(1);
        let sessionless_ms = client.accepted_ms + u64::from(self.config.sessionless_timeout_ms);
        match self.node.connection(conn) {
            Some(status) => status.expires_ms.unwrap_or_else(|| self.clock.now().mono_ms),
            None => (sessionless_ms / tick_ms + 1) * tick_ms,
        }
    }

    /// The wall-clock time of a monotonic one, milliseconds since 1970.
    fn wall_ms(&self, mono_ms: u64) -> i64 {
        let now = self.clock.now();
        let ahead_ms = i64::try_from(mono_ms)
            .unwrap_or(i64::MAX)
            .saturating_sub(i64::try_from(now.mono_ms).unwrap_or(i64::MAX));
        now.wall_ms.saturating_add(ahead_ms)
    }
}

/// What an answer has gathered, and where the rest is.
struct Gathered<'a> {
    core: &'a Core,
    directories: DirectoryBytes,
}

impl Facts for Gathered<'_> {
    fn conf(&self) -> String {
        self.core.config.conf_text(ConfFacts {
            client_port: self.core.client_port,
            data_dir_bytes: self.directories.data,
            data_log_dir_bytes: self.directories.log,
        })
    }

    fn directory_bytes(&self) -> (u64, u64) {
        (self.directories.data, self.directories.log)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        self.core.environment.facts()
    }

    fn digests(&self) -> Vec<(Zxid, u64)> {
        self.core.node.tree().digest_log().collect()
    }

    fn quotas(&self) -> BTreeMap<String, NamespaceFigures> {
        let quotas = self.core.node.tree().quota_figures().into_iter().take(NAMESPACES_MAX);
        let mut namespaces: BTreeMap<String, NamespaceFigures> = quotas
            .map(|(name, quotas)| (name.to_owned(), NamespaceFigures { quotas, refusals: None }))
            .collect();
        for (name, refusals) in self.core.figures.quota_refusals() {
            namespaces.entry(name.to_string()).or_default().refusals = Some(*refusals);
        }
        namespaces
    }
}

/// The length of a file; an unreadable one has none.
fn length(entry: std::io::Result<DirEntry>) -> u64 {
    entry.and_then(|entry| entry.metadata()).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests;

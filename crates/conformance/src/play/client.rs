//! What a client of a scenario can do: connect, send, listen, and go.

use super::Play;
use crate::connection::{Connection, Heard, Pending, is_event};
use crate::request::{Args, change_body, packet};
use crate::shown::{Shown, hexadecimal};
use crate::words::{Word, hex, number, split};
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::request::RequestHeader;
use bellwether_wire::client::{ConnectRequest, ConnectResponse, WatchEvent};
use bellwether_wire::{OpCode, Reader, SessionId, Zxid};

/// What a client asks for when the scenario does not say; nothing expires by itself.
const TIMEOUT_MS: i32 = 30_000;

/// Without and with the byte that says whether the server only reads.
const CONNECT_RESPONSE_BYTES: [usize; 2] = [36, 37];

impl Play<'_> {
    /// One command of one client.
    pub(super) fn client(
        &mut self,
        name: &str,
        verb: &str,
        words: Vec<Word>,
    ) -> Result<(), String> {
        self.clients.entry(name.to_owned()).or_default().mute = false;
        match verb {
            "connect" => return self.connect(name, words),
            "open" => {
                let connection = Connection::open(self.server.address())?;
                self.clients.entry(name.to_owned()).or_default().connection = Some(connection);
                return Args::new(words)?.finish();
            }
            "mute" => self.clients.entry(name.to_owned()).or_default().mute = true,
            "drop" => {
                self.clients.entry(name.to_owned()).or_default().connection = None;
            }
            "await" => return self.await_more(name, words),
            "raw" | "bytes" => return self.raw(name, verb, words),
            "steady" => self.connection(name)?.steady = true,
            "eof" => self.connection(name)?.end_output(),
            "hold" => self.connection(name)?.held = Some(Vec::new()),
            "flush" => {
                let connection = self.connection(name)?;
                let held = connection.held.take().ok_or("nothing is held")?;
                connection.write(&held);
            }
            _ => return self.request(name, verb, words),
        }
        Args::new(words)?.finish()
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection, String> {
        let client = self.clients.get_mut(name);
        client.and_then(|c| c.connection.as_mut()).ok_or_else(|| format!("{name} is not connected"))
    }

    fn request(&mut self, name: &str, verb: &str, words: Vec<Word>) -> Result<(), String> {
        let packet = packet(verb, words, &self.shown.place)?;
        let connection = self.connection(name)?;
        let xid = packet.xid.unwrap_or(connection.next_xid);
        if packet.xid.is_none() {
            connection.next_xid += 1;
        }
        connection.request(RequestHeader { xid, op: packet.op }, &packet.body);
        Ok(())
    }

    /// `raw` is the body of a frame, `bytes` is written as it is.
    fn raw(&mut self, name: &str, verb: &str, words: Vec<Word>) -> Result<(), String> {
        let mut args = Args::new(words)?;
        let mut bytes = Vec::new();
        while let Some(word) = args.try_next() {
            match word.text.strip_prefix("zeros(") {
                Some(count) => {
                    let count: usize = number("zeros", count.trim_end_matches(')'))?;
                    bytes.resize(bytes.len() + count, 0);
                }
                None if word.quoted => bytes.extend(word.text.bytes()),
                None => bytes.extend(hex(&word.text)?),
            }
        }
        args.finish()?;
        let connection = self.connection(name)?;
        if verb == "bytes" {
            connection.steady = false;
            connection.write(&bytes);
        } else {
            connection.send(&bytes);
        }
        Ok(())
    }

    fn connect(&mut self, name: &str, words: Vec<Word>) -> Result<(), String> {
        let (changes, words) = words.into_iter().partition(|word| {
            word.name.as_ref().is_some_and(|name| name.starts_with('!')) || word.is("!null")
        });
        let mut args = Args::new(words)?;
        let unsteady = args.flag("unsteady");
        let session = match args.named("session").map(|word| word.text) {
            None => SessionId::NONE,
            Some(text) => match self.clients.get(&text) {
                Some(client) => client.session,
                None => SessionId(number("session", &text)?),
            },
        };
        let seen = args.named("seen").map_or(Ok(0), |word| self.shown.place.zxid(&word.text))?;
        let request = ConnectRequest {
            protocol_version: args.number("protocol", 0)?,
            last_zxid_seen: Zxid(seen),
            timeout_ms: args.number("timeout", TIMEOUT_MS)?,
            session,
            password: password(&mut args, session)?.into(),
            read_only: match args.named("readonly").map(|word| word.text).as_deref() {
                None | Some("false") => Some(false),
                Some("true") => Some(true),
                Some("absent") => None,
                Some(other) => return Err(format!("readonly={other}")),
            },
        };
        args.finish()?;
        let mut body = Vec::new();
        request.encode(&mut body);
        let mut changes = Args::new(changes)?;
        change_body(&mut changes, &mut body)?;
        changes.finish()?;
        let mut connection = Connection::open(self.server.address())?;
        connection.send(&body);
        match connection.next_frame() {
            Heard::Frame(frame) => {
                self.connected(name, connection, &frame)?;
                if let Some(connection) = self.connection(name).ok().filter(|_| unsteady) {
                    connection.steady = false;
                }
                Ok(())
            }
            Heard::Closed => {
                self.say(name, "refused");
                Ok(())
            }
            Heard::Silence => Err("there is no answer to the connect request".into()),
        }
    }

    fn connected(&mut self, name: &str, mut to: Connection, frame: &[u8]) -> Result<(), String> {
        let response = ConnectResponse::decode(frame)
            .map_err(|error| format!("the connect response: {error}"))?;
        self.shown.meet(response.session, name);
        let line = self.shown.connected(&response, frame);
        self.say(name, &line);
        to.steady = response.timeout_ms > 0;
        to.greeted = true;
        let client = self.clients.entry(name.to_owned()).or_default();
        client.connection = Some(to);
        if response.session != SessionId::NONE {
            if client.alive && client.session != response.session {
                self.left.push(client.session);
            }
            client.session = response.session;
            client.alive = true;
        }
        if response.timeout_ms > 0 {
            return Ok(());
        }
        // A session that is not given ends the connection.
        self.await_more(name, split("closed")?)
    }

    /// Waits for one more frame, or for the end of the connection.
    fn await_more(&mut self, name: &str, words: Vec<Word>) -> Result<(), String> {
        let mut args = Args::new(words)?;
        let to_the_end = args.flag("closed");
        args.finish()?;
        if to_the_end && self.clients.get(name).is_some_and(|c| c.connection.is_none()) {
            return Ok(()); // It was read, and shown, when the last command had been answered.
        }
        loop {
            match self.connection(name)?.next_frame() {
                Heard::Frame(frame) => {
                    self.frame(name, &frame);
                    if !to_the_end {
                        return Ok(());
                    }
                }
                Heard::Closed => {
                    self.closed(name);
                    return Ok(());
                }
                Heard::Silence => return Err("nothing came".into()),
            }
        }
    }

    fn closed(&mut self, name: &str) {
        self.say(name, "closed");
        if let Some(client) = self.clients.get_mut(name) {
            client.connection = None;
        }
    }

    /// A connection that may be read, unless its client is left alone.
    fn heard(&mut self, name: &str) -> Option<&mut Connection> {
        let client = self.clients.get_mut(name).filter(|client| !client.mute)?;
        client.connection.as_mut().filter(|connection| connection.held.is_none())
    }

    /// Reads the replies that are due and what came between them.
    pub(super) fn replies_of(&mut self, name: &str) {
        while let Some(connection) = self.heard(name).filter(|c| !c.pending.is_empty()) {
            match connection.next_of_pending() {
                Heard::Frame(frame) => self.frame(name, &frame),
                Heard::Closed => self.closed(name),
                Heard::Silence => {
                    self.say(name, "silent");
                    self.closed(name);
                }
            }
        }
    }

    /// Reads what came up to the reply to a ping.
    pub(super) fn settle_one(&mut self, name: &str) {
        if let Some(connection) = self.heard(name).filter(|connection| connection.steady) {
            connection.barrier();
        }
        self.replies_of(name);
    }

    /// Prints what a frame says if it answers no request but a connect request.
    fn is_connect_response(&mut self, name: &str, frame: &[u8]) -> bool {
        let Ok(connection) = self.connection(name) else { return false };
        let asked = !connection.greeted || connection.pending.iter().any(is_create_session);
        let Some(response) = ConnectResponse::decode(frame)
            .ok()
            .filter(|_| asked && CONNECT_RESPONSE_BYTES.contains(&frame.len()))
        else {
            return false;
        };
        connection.greeted = true;
        connection.pending.retain(|pending| !is_create_session(pending));
        self.shown.meet(response.session, name);
        self.left.push(response.session);
        let line = self.shown.connected(&response, frame);
        self.say(name, &line);
        true
    }

    /// Prints what a frame says, but for the reply to a barrier.
    fn frame(&mut self, name: &str, frame: &[u8]) {
        if self.is_connect_response(name, frame) {
            return;
        }
        let mut r = Reader::new(frame);
        let Ok(header) = ReplyHeader::decode(&mut r) else {
            let text = String::from_utf8_lossy(frame);
            let line = match text.contains(|c: char| c.is_control() && c != '\n') {
                true => format!("the bytes {}", hexadecimal(frame)),
                false => format!("the text {text:?}"),
            };
            self.say(name, &line);
            return;
        };
        if is_event(&header, &r) {
            let line = match WatchEvent::decode_body(header.zxid, &mut r) {
                Ok(event) => self.shown.event(&event),
                Err(error) => format!("event that cannot be read: {error}"),
            };
            self.say(name, &line);
            return;
        }
        let Ok(connection) = self.connection(name) else { return };
        let (passed, pending) = connection.answered(&header);
        for passed in passed {
            let line = format!("{} xid={} without a reply", Shown::op(passed.op), passed.xid);
            self.say(name, &line);
        }
        if pending.is_some_and(|pending| pending.barrier) {
            return;
        }
        let line = self.shown.reply(&header, pending.map(|pending| pending.op), &mut r);
        self.say(name, &line);
        let closing = Some(OpCode::CloseSession.code());
        if pending.map(|pending| pending.op) == closing
            && header.err == 0
            && let Some(client) = self.clients.get_mut(name)
        {
            client.alive = false;
        }
    }
}

fn is_create_session(pending: &Pending) -> bool {
    pending.op == OpCode::CreateSession.code()
}

fn password(args: &mut Args, session: SessionId) -> Result<Vec<u8>, String> {
    let word = args.named("password").map(|word| word.text);
    Ok(match word.as_deref() {
        None if session == SessionId::NONE => vec![0; 16],
        None | Some("right") => session.password().0.to_vec(),
        Some("wrong") => vec![9; 16],
        Some("empty") => Vec::new(),
        Some(other) => hex(other)?,
    })
}

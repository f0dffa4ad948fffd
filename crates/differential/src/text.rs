//! A stream as text: what is printed when a stream shows a difference, and what a file holds that
//! repeats it. A line per step and per request; `#` begins a comment.
//!
//! ```text
//! open 0 session=new password=right timeout=600000 seen=0 protocol=0 read-only=false
//! send 0
//!   7 create path="~/a" data=x00ff acl=[31 "world" "anyone"] flags=0
//!   8 getData path="~/a" watch=true !cut=3
//! and 1
//!   9 multi parts=[delete path="~/a" version=-1; check path="~" version=0]
//! bytes 0 xffffffff
//! drop 0
//! ```
//!
//! `and` stands for requests of another slot that are in flight together with those before.

use crate::fields::{Field, blank, fields};
use crate::plan::{Batch, Connect, Mutation, Secret, Sent, Step, Which};
use bellwether_wire::client::Request;
use bellwether_wire::{Acl, Data, OpCode, Perms};
use std::fmt::{Display, Write as _};
use std::str::FromStr;

/// Writes a stream.
pub(crate) fn write(steps: &[Step]) -> String {
    steps.iter().map(write_step).collect()
}

/// Writes one step, a line or more.
pub(crate) fn write_step(step: &Step) -> String {
    match step {
        Step::Open { slot, connect } => format!("open {slot}{}\n", connect_text(connect)),
        Step::Bytes { slot, bytes } => format!("bytes {slot} {}\n", hex(bytes)),
        Step::Drop { slot } => format!("drop {slot}\n"),
        Step::Send(batches) => {
            let mut text = String::new();
            for (at, Batch { slot, sent }) in batches.iter().enumerate() {
                text += &format!("{} {slot}\n", if at == 0 { "send" } else { "and" });
                text.extend(sent.iter().map(sent_text));
            }
            text
        }
    }
}

fn connect_text(connect: &Connect) -> String {
    let session = match connect.session {
        Which::New => "new".to_owned(),
        Which::Of(slot) => format!("of:{slot}"),
        Which::Unknown(id) => format!("id:{id}"),
    };
    let password = Secret::ALL.iter().find(|(secret, _)| *secret == connect.password);
    let read_only = connect.read_only.map_or_else(|| "none".to_owned(), |flag| flag.to_string());
    format!(
        " session={session} password={} timeout={} seen={} protocol={} read-only={read_only}{}",
        password.map_or("right", |(_, name)| name),
        connect.timeout_ms,
        connect.seen,
        connect.protocol,
        mutation_text(&connect.mutation),
    )
}

fn sent_text(sent: &Sent) -> String {
    let body = match &sent.request {
        Some(request) if request.op().code() == sent.op => request_text(request),
        Some(request) => format!("op={} {}", sent.op, request_text(request)),
        None => format!("op={}", sent.op),
    };
    format!("  {} {body}{}\n", sent.xid, mutation_text(&sent.mutation))
}

fn mutation_text(mutation: &Mutation) -> String {
    match mutation {
        Mutation::None => String::new(),
        Mutation::Cut(bytes) => format!(" !cut={bytes}"),
        Mutation::Append(bytes) => format!(" !append={}", hex(bytes)),
        Mutation::NullText => " !null-text".into(),
        Mutation::Patch { from_end, bytes } => format!(" !patch={from_end}:{}", hex(bytes)),
        Mutation::First(number) => format!(" !first={number}"),
    }
}

fn request_text(request: &Request) -> String {
    let mut request = request.clone();
    let mut text = request.op().name().to_owned();
    for (name, field) in fields(&mut request) {
        write!(text, " {name}={}", value_text(field)).expect("a String takes everything");
    }
    text
}

fn value_text(field: Field<'_>) -> String {
    match field {
        Field::Path(text) | Field::Text(text) => format!("{text:?}"),
        Field::Paths(paths) => list(paths.iter().map(|path| format!("{path:?}")), " "),
        Field::MaybeText(text) => maybe(text.as_ref().map(|text| format!("{text:?}"))),
        Field::Int(number) => number.to_string(),
        Field::Long(number) | Field::Zxid(number) => number.to_string(),
        Field::Flag(flag) => flag.to_string(),
        Field::Data(data) => maybe(data.as_deref().map(hex)),
        Field::Bytes(bytes) => hex(bytes),
        Field::MaybeBytes(bytes) => maybe(bytes.as_deref().map(hex)),
        Field::Acl(acl) => maybe(acl.as_ref().map(|acl| {
            list(acl.iter().map(|a| format!("{} {:?} {:?}", a.perms.0, a.scheme, a.id)), ", ")
        })),
        Field::Parts(parts) => list(parts.iter().map(request_text), "; "),
    }
}

fn maybe(value: Option<String>) -> String {
    value.unwrap_or_else(|| "null".into())
}

fn list(items: impl Iterator<Item = String>, between: &str) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(between))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// Reads a stream; the error names the line.
pub(crate) fn read(text: &str, slots: usize) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let mut c = Cursor { rest: line };
        c.spaces();
        if c.rest.is_empty() || c.rest.starts_with('#') {
            continue;
        }
        let read = read_line(&mut c, slots, &mut steps).and_then(|()| c.end());
        read.map_err(|why| format!("line {}: {why}: {line}", at + 1))?;
    }
    Ok(steps)
}

type Parsed<T> = Result<T, String>;

fn read_line(c: &mut Cursor<'_>, slots: usize, steps: &mut Vec<Step>) -> Parsed<()> {
    let word = c.word();
    if word.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        let Some(Step::Send(batches)) = steps.last_mut() else {
            return Err("a request stands below `send` or `and`".into());
        };
        let sent = read_sent(parse(word, "an xid")?, c)?;
        batches.last_mut().ok_or("a step without a slot")?.sent.push(sent);
        return Ok(());
    }
    let slot: usize = parse(c.word(), "a slot")?;
    if slot >= slots {
        return Err(format!("slots are numbered from 0 to {}", slots - 1));
    }
    let step = match word {
        "open" => Step::Open { slot, connect: read_connect(c)? },
        "send" => Step::send(slot, Vec::new()),
        "and" => {
            let Some(Step::Send(batches)) = steps.last_mut() else {
                return Err("`and` follows `send`".into());
            };
            batches.push(Batch { slot, sent: Vec::new() });
            return Ok(());
        }
        "bytes" => Step::Bytes { slot, bytes: c.bytes()? },
        "drop" => Step::Drop { slot },
        other => return Err(format!("expected open, send, and, bytes or drop, not {other:?}")),
    };
    steps.push(step);
    Ok(())
}

fn read_connect(c: &mut Cursor<'_>) -> Parsed<Connect> {
    c.name("session")?;
    let session = match c.word().split_once(':') {
        Some(("of", slot)) => Which::Of(parse(slot, "a slot")?),
        Some((_, id)) => Which::Unknown(parse(id, "a session")?),
        None => Which::New,
    };
    c.name("password")?;
    let name = c.word();
    let password = Secret::ALL.iter().find(|(_, known)| *known == name);
    let (password, _) = *password.ok_or_else(|| format!("no such password: {name}"))?;
    let timeout_ms = c.number("timeout")?;
    let (seen, protocol) = (c.number("seen")?, c.number("protocol")?);
    c.name("read-only")?;
    let read_only = match c.word() {
        "none" => None,
        word => Some(parse(word, "a flag")?),
    };
    let mutation = read_mutation(c)?;
    Ok(Connect { session, password, timeout_ms, seen, protocol, read_only, mutation })
}

fn read_sent(xid: i32, c: &mut Cursor<'_>) -> Parsed<Sent> {
    let number = c.rest.strip_prefix("op=").map(|rest| c.rest = rest).map(|()| c.word());
    let number = number.map(|word| parse::<i32>(word, "an operation")).transpose()?;
    let request = match (number, c.rest.chars().next()) {
        (Some(_), None | Some('!')) => None,
        (Some(_) | None, Some(_) | None) => Some(read_request(c)?),
    };
    let op = number.or_else(|| request.as_ref().map(|request| request.op().code()));
    let mutation = read_mutation(c)?;
    Ok(Sent { xid, op: op.ok_or("no operation")?, request, mutation })
}

fn read_mutation(c: &mut Cursor<'_>) -> Parsed<Mutation> {
    let Some(rest) = c.rest.strip_prefix('!') else { return Ok(Mutation::None) };
    c.rest = rest;
    if c.rest.starts_with("null-text") {
        c.word();
        return Ok(Mutation::NullText);
    }
    let (name, rest) = c.rest.split_once('=').ok_or("a mutation has a value")?;
    c.rest = rest;
    Ok(match name {
        "cut" => Mutation::Cut(parse(c.word(), "a length")?),
        "append" => Mutation::Append(c.bytes()?),
        "first" => Mutation::First(parse(c.word(), "a number")?),
        "patch" => {
            let (from_end, rest) = c.rest.split_once(':').ok_or("expected PLACE:BYTES")?;
            c.rest = rest;
            Mutation::Patch { from_end: parse(from_end, "a place")?, bytes: c.bytes()? }
        }
        other => return Err(format!("no such mutation: {other}")),
    })
}

fn read_request(c: &mut Cursor<'_>) -> Parsed<Request> {
    let name = c.word();
    let op = OpCode::ALL.iter().find(|op| op.name() == name);
    let blank = op.and_then(|op| blank(*op));
    let mut request = blank.ok_or_else(|| format!("no such operation: {name:?}"))?;
    for (name, field) in fields(&mut request) {
        c.name(name)?;
        read_value(field, c)?;
    }
    Ok(request)
}

fn read_value(field: Field<'_>, c: &mut Cursor<'_>) -> Parsed<()> {
    match field {
        Field::Path(text) | Field::Text(text) => *text = c.text()?,
        Field::Paths(paths) => *paths = c.list(Cursor::text)?,
        Field::MaybeText(text) => *text = c.maybe(Cursor::text)?,
        Field::Int(number) => *number = parse(c.word(), "a number")?,
        Field::Long(number) | Field::Zxid(number) => *number = parse(c.word(), "a number")?,
        Field::Flag(flag) => *flag = parse(c.word(), "a flag")?,
        Field::Data(data) => *data = c.maybe(Cursor::bytes)?.map(|bytes| Data::from(&*bytes)),
        Field::Bytes(bytes) => *bytes = c.bytes()?.into(),
        Field::MaybeBytes(bytes) => *bytes = c.maybe(Cursor::bytes)?.map(Into::into),
        Field::Acl(acl) => *acl = c.maybe(|c| c.list(read_acl))?,
        Field::Parts(parts) => *parts = c.list(read_request)?,
    }
    Ok(())
}

fn read_acl(c: &mut Cursor<'_>) -> Parsed<Acl> {
    let perms = Perms(parse(c.word(), "permissions")?);
    Ok(Acl { perms, scheme: c.text()?, id: c.text()? })
}

fn parse<T: FromStr<Err: Display>>(word: &str, what: &str) -> Parsed<T> {
    word.parse().map_err(|error| format!("expected {what}, not {word:?} ({error})"))
}

/// What is left of a line.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Everything up to a space or to what ends an item of a list.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find([' ', ';', ',', ']']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.spaces();
        word
    }

    fn name(&mut self, name: &str) -> Parsed<()> {
        let rest = self.rest.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
        self.rest = rest.ok_or_else(|| format!("expected {name}= before {:?}", self.rest))?;
        Ok(())
    }

    fn number<T: FromStr<Err: Display>>(&mut self, name: &str) -> Parsed<T> {
        self.name(name)?;
        parse(self.word(), "a number")
    }

    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<Option<T>> {
        if self.rest.starts_with("null") {
            self.word();
            return Ok(None);
        }
        read(self).map(Some)
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.rest = self.rest.strip_prefix('[').ok_or("expected a list")?;
        let mut items = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches([' ', ',', ';']);
            if let Some(rest) = self.rest.strip_prefix(']') {
                self.rest = rest;
                self.spaces();
                return Ok(items);
            }
            items.push(read(self)?);
        }
    }

    fn bytes(&mut self) -> Parsed<Vec<u8>> {
        let word = self.word();
        let digits = word.strip_prefix('x').ok_or("expected bytes as x00ff")?;
        let pairs = digits.as_bytes().chunks(2);
        pairs
            .map(|pair| {
                let pair = std::str::from_utf8(pair).map_err(|error| error.to_string())?;
                u8::from_str_radix(pair, 16).map_err(|error| format!("{pair:?}: {error}"))
            })
            .collect()
    }

    /// A string as `{:?}` writes it.
    fn text(&mut self) -> Parsed<Box<str>> {
        let inner = self.rest.strip_prefix('"').ok_or("expected a string in quotes")?;
        let mut text = String::new();
        let mut chars = inner.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => {
                    self.rest = inner.get(at + 1..).unwrap_or_default();
                    self.spaces();
                    return Ok(text.into());
                }
                '\\' => text.push(escaped(&mut chars)?),
                other => text.push(other),
            }
        }
        Err("a string without its closing quote".into())
    }

    fn end(&self) -> Parsed<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(format!("{:?} is left over", self.rest)) }
    }
}

fn escaped(chars: &mut std::str::CharIndices<'_>) -> Parsed<char> {
    Ok(match chars.next() {
        Some((_, 'n')) => '\n',
        Some((_, 'r')) => '\r',
        Some((_, 't')) => '\t',
        Some((_, '0')) => '\0',
        Some((_, 'u')) => {
            let digits: String =
                chars.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').collect();
            let number = u32::from_str_radix(&digits, 16).map_err(|error| error.to_string())?;
            char::from_u32(number).ok_or("no such character")?
        }
        Some((_, other)) => other,
        None => return Err("a string that ends in a backslash".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{self, SLOTS};

    #[test]
    fn what_is_written_is_read_back() {
        for seed in 0..40 {
            let steps = random::stream(seed, 300);
            let text = write(&steps);
            assert_eq!(read(&text, SLOTS).expect("it was written so"), steps, "seed {seed}");
        }
    }

    #[test]
    fn every_request_has_a_text() {
        for op in OpCode::ALL {
            let Some(request) = blank(*op) else { continue };
            let step = Step::send(
                0,
                vec![Sent {
                    xid: 1,
                    op: op.code(),
                    request: Some(request),
                    mutation: Mutation::None,
                }],
            );
            let text = write(std::slice::from_ref(&step));
            assert_eq!(read(&text, 1), Ok(vec![step]), "{text}");
        }
    }

    #[test]
    fn a_mistake_in_a_file_is_named_with_its_line() {
        let check = |text: &str, expected: &str| {
            let why = read(text, 2).expect_err("it has a mistake");
            assert!(why.starts_with(expected), "{why}");
        };
        check("# a\n\nsend 0\n  1 getDate path=\"/\"", "line 4: no such operation: \"getDate\"");
        check("  1 ping", "line 1: a request stands below `send` or `and`");
        check("open 2 session=new", "line 1: slots are numbered from 0 to 1");
        check("drop 1 now", "line 1: \"now\" is left over");
        check("send 0\n 1 getACL path=\"/", "line 2: a string without its closing quote");
        check("leave 0", "line 1: expected open, send, and, bytes or drop, not \"leave\"");
    }
}

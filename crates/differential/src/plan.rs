//! What a stream of operations is made of: plain data, so that one stream runs on both servers, a
//! shorter one can be cut from it, and a file can hold it.
//!
//! A path that begins with `~` stands below the run's own node; any other path is sent as it is.

use crate::fields::{Field, fields};
use bellwether_wire::client::Request;

/// One thing that is done to a server, after which everything settles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Connects a slot; a connection that it still has is given up.
    Open { slot: usize, connect: Connect },
    /// Sends requests at once, without waiting for replies in between. Several slots are in flight
    /// together only when each keeps to its own part of the tree.
    Send(Vec<Batch>),
    /// Sends bytes as they are.
    Bytes { slot: usize, bytes: Vec<u8> },
    /// Closes the socket without a word.
    Drop { slot: usize },
}

/// What one slot sends in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) slot: usize,
    pub(crate) sent: Vec<Sent>,
}

/// What a connect request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) session: Which,
    pub(crate) password: Secret,
    pub(crate) timeout_ms: i32,
    /// `lastZxidSeen`, from the start of the run; far ahead is refused.
    pub(crate) seen: i64,
    pub(crate) protocol: i32,
    pub(crate) read_only: Option<bool>,
    pub(crate) mutation: Mutation,
}

impl Connect {
    /// A session of its own that outlives every run.
    pub(crate) fn plain() -> Connect {
        Connect {
            session: Which::New,
            password: Secret::Right,
            timeout_ms: LONG_TIMEOUT_MS,
            seen: 0,
            protocol: 0,
            read_only: Some(false),
            mutation: Mutation::None,
        }
    }
}

/// The longest session timeout that both servers grant: no stream takes as long.
pub(crate) const LONG_TIMEOUT_MS: i32 = 600_000;
/// The shortest one: such a session is left to expire in the step in which it connects.
pub(crate) const SHORT_TIMEOUT_MS: i32 = 200;

/// Which session a connect request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    New,
    /// The last one of this slot.
    Of(usize),
    Unknown(i64),
}

/// Which password it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    Right,
    Wrong,
    Short,
    Empty,
    Zeros,
}

impl Secret {
    /// Each with its name in a file.
    pub(crate) const ALL: [(Secret, &str); 5] = [
        (Secret::Right, "right"),
        (Secret::Wrong, "wrong"),
        (Secret::Short, "short"),
        (Secret::Empty, "empty"),
        (Secret::Zeros, "zeros"),
    ];
}

/// One request of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) xid: i32,
    pub(crate) op: i32,
    /// Its body; none for an operation that nobody knows.
    pub(crate) request: Option<Request>,
    pub(crate) mutation: Mutation,
}

/// What is done to an encoded body before it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    None,
    /// Bytes are cut off its end.
    Cut(usize),
    /// Bytes follow it.
    Append(Vec<u8>),
    /// Its first string is null.
    NullText,
    /// Some bytes are others, counted from the end.
    Patch {
        from_end: usize,
        bytes: Vec<u8>,
    },
    /// Its first four bytes are this number.
    First(i32),
}

impl Mutation {
    pub(crate) fn apply(&self, body: &mut Vec<u8>) {
        match self {
            Mutation::None => {} // Most bodies are sent as they are.
            Mutation::Cut(bytes) => body.truncate(body.len().saturating_sub(*bytes)),
            Mutation::Append(bytes) => body.extend_from_slice(bytes),
            Mutation::NullText => {
                let Some(len) = body.first_chunk::<4>().map(|len| u32::from_be_bytes(*len)) else {
                    return;
                };
                let end = (len as usize + 4).min(body.len());
                body.splice(..end, [0xff; 4]);
            }
            Mutation::Patch { from_end, bytes } => {
                let start = body.len().saturating_sub(*from_end);
                let places = body.iter_mut().skip(start);
                places.zip(bytes).for_each(|(place, byte)| *place = *byte);
            }
            Mutation::First(number) => {
                let places = body.iter_mut().zip(number.to_be_bytes());
                places.for_each(|(place, byte)| *place = byte);
            }
        }
    }
}

impl Step {
    /// How many operations it counts as.
    pub(crate) fn len(&self) -> usize {
        match self {
            Step::Send(batches) => batches.iter().map(|batch| batch.sent.len()).sum(),
            Step::Open { .. } | Step::Bytes { .. } | Step::Drop { .. } => 1,
        }
    }

    /// One slot's requests.
    pub(crate) fn send(slot: usize, sent: Vec<Sent>) -> Step {
        Step::Send(vec![Batch { slot, sent }])
    }
}

/// A path as it is sent, below `prefix` if it is one of the run's own.
fn placed(path: &str, prefix: &str) -> Box<str> {
    match path.strip_prefix('~') {
        Some(rest) => format!("{prefix}{rest}").into(),
        None => path.into(),
    }
}

/// A request with its paths placed, and its zxid made one of this server.
pub(crate) fn place(request: &Request, prefix: &str, zxid: &dyn Fn(i64) -> i64) -> Request {
    let mut request = request.clone();
    for (_, field) in fields(&mut request) {
        match field {
            Field::Path(path) => *path = placed(path, prefix),
            Field::Paths(paths) => paths.iter_mut().for_each(|path| *path = placed(path, prefix)),
            Field::Parts(parts) => {
                parts.iter_mut().for_each(|part| *part = place(part, prefix, zxid));
            }
            Field::Zxid(number) => *number = zxid(*number),
            // Nothing in these depends on the server.
            Field::Text(_)
            | Field::MaybeText(_)
            | Field::Int(_)
            | Field::Long(_)
            | Field::Flag(_)
            | Field::Data(_)
            | Field::Bytes(_)
            | Field::MaybeBytes(_)
            | Field::Acl(_) => {}
        }
    }
    request
}

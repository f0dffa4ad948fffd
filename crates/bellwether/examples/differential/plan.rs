//! What a stream of operations is made of: plain data, so that one stream runs on both servers and
//! a shorter one can be cut from it.
//!
//! A path that begins with `~` stands below the run's own node; any other path is sent as it is.

use bellwether_wire::client::Request;

/// One thing that is done to a server, after which everything settles.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Connects a slot; a connection that it still has is left as it is.
    Open { slot: usize, connect: Connect },
    /// Sends requests at once, without waiting for replies in between.
    Batch { slot: usize, sent: Vec<Sent> },
    /// Sends bytes as they are.
    Bytes { slot: usize, bytes: Vec<u8> },
    /// Closes the socket without a word; a session with a short timeout then expires.
    Drop { slot: usize },
}

/// What a connect request says.
#[derive(Clone, Debug)]
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

/// Which session a connect request names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    New,
    /// The last one of this slot.
    Of(usize),
    Unknown(i64),
}

/// Which password it shows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Secret {
    Right,
    Wrong,
    Short,
    Empty,
    Zeros,
}

/// One request of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) xid: i32,
    pub(crate) op: i32,
    /// Its body; none for an operation that nobody knows.
    pub(crate) request: Option<Request>,
    pub(crate) mutation: Mutation,
}

/// What is done to an encoded body before it is sent.
#[derive(Clone, Debug)]
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
            Mutation::None => {}
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
            Step::Batch { sent, .. } => sent.len(),
            Step::Open { .. } | Step::Bytes { .. } | Step::Drop { .. } => 1,
        }
    }
}

/// A path as it is sent, below `prefix` if it is one of the run's own.
pub(crate) fn placed(path: &str, prefix: &str) -> Box<str> {
    match path.strip_prefix('~') {
        Some(rest) => format!("{prefix}{rest}").into(),
        None => path.into(),
    }
}

/// A request with its paths placed.
pub(crate) fn place(request: &Request, prefix: &str, base: i64) -> Request {
    let mut request = request.clone();
    match &mut request {
        Request::Create(create)
        | Request::Create2(create)
        | Request::CreateContainer(create)
        | Request::CreateTtl { create, .. } => create.path = placed(&create.path, prefix),
        Request::Delete { path, .. }
        | Request::Exists { path, .. }
        | Request::GetData { path, .. }
        | Request::SetData { path, .. }
        | Request::GetAcl { path }
        | Request::SetAcl { path, .. }
        | Request::GetChildren { path, .. }
        | Request::GetChildren2 { path, .. }
        | Request::Sync { path }
        | Request::Check { path, .. }
        | Request::CheckWatches { path, .. }
        | Request::RemoveWatches { path, .. }
        | Request::GetEphemerals { prefix: path }
        | Request::GetAllChildrenNumber { path }
        | Request::AddWatch { path, .. } => *path = placed(path, prefix),
        Request::Multi(parts) | Request::MultiRead(parts) => {
            parts.iter_mut().for_each(|part| *part = place(part, prefix, base));
        }
        Request::SetWatches(watches) | Request::SetWatches2(watches) => {
            watches.relative_zxid.0 += base;
            let lists = [
                &mut watches.data,
                &mut watches.exist,
                &mut watches.child,
                &mut watches.persistent,
                &mut watches.persistent_recursive,
            ];
            for path in lists.into_iter().flatten() {
                *path = placed(path, prefix);
            }
        }
        Request::Ping
        | Request::Reconfig { .. }
        | Request::Auth { .. }
        | Request::Sasl { .. }
        | Request::WhoAmI
        | Request::CloseSession => {}
    }
    request
}

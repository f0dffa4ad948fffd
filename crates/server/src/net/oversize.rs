//! A frame that is longer than `jute.maxbuffer`: it passes by, and only its beginning is kept.
//!
//! What it keeps true: such a frame costs [`OVERSIZE_HEAD_BYTES`] of memory, however long it is;
//! only a request whose client takes an error for what it is gets one.
//!
//! What it leaves to others: closing the connections of the others.

use crate::limits::OVERSIZE_HEAD_BYTES;
use bellwether_wire::OpCode;
use bellwether_wire::client::{RequestHeader, xid};
use bellwether_wire::jute::{Decoded, Reader};

/// What is known of such a frame.
///
/// Invariant: `left <= bytes`.
#[derive(Debug)]
pub(crate) struct Oversize {
    bytes: usize,
    left: usize,
    head: Vec<u8>,
}

impl Oversize {
    /// A frame of `bytes` begins, its length was read.
    pub(crate) fn new(bytes: usize) -> Oversize {
        Oversize { bytes, left: bytes, head: Vec::new() }
    }

    /// How long it is, without its length.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what belongs to it from the start of `input` and returns how much that was.
    pub(crate) fn pass(&mut self, input: &[u8]) -> usize {
        let taken = self.left.min(input.len());
        let kept = taken.min(OVERSIZE_HEAD_BYTES.saturating_sub(self.head.len()));
        self.head.extend_from_slice(input.get(..kept).unwrap_or_default());
        self.left -= taken;
        taken
    }

    /// Whether it has passed.
    pub(crate) fn has_passed(&self) -> bool {
        self.left == 0
    }

    /// Its header.
    pub(crate) fn header(&self) -> Decoded<RequestHeader> {
        RequestHeader::decode(&mut Reader::new(&self.head))
    }

    /// The path that it names, or that the first operation of a multi names, as far as it was kept.
    pub(crate) fn path(&self) -> Option<String> {
        let mut r = Reader::new(&self.head);
        let mut op = OpCode::from_code(RequestHeader::decode(&mut r).ok()?.op)?;
        if body(op) == Body::Operations {
            op = OpCode::from_code(r.int("multi.type").ok()?)?;
            r.take(5, "multi.done and multi.err").ok()?;
        }
        if body(op) != Body::Path {
            return None;
        }
        let len = usize::try_from(r.int("path").ok()?).ok()?;
        let rest = r.rest();
        let kept = rest.get(..len).unwrap_or(rest);
        let more = if kept.len() < len { "…" } else { "" };
        Some(format!("{}{more}", String::from_utf8_lossy(kept).escape_debug()))
    }
}

/// Whether a client takes an error as the answer to this request, and to nothing else.
pub(crate) fn is_answerable(header: &RequestHeader) -> bool {
    // Some numbers are not those of requests.
    let special = [xid::NOTIFICATION, xid::PING, xid::AUTH, xid::SET_WATCHES];
    let body = OpCode::from_code(header.op).map_or(Body::Unanswered, body);
    body != Body::Unanswered && !special.contains(&header.xid)
}

/// What an operation's body begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// The path of a node.
    Path,
    /// An operation of a multi.
    Operations,
    /// Something without a name.
    Nameless,
    /// It does not matter, because an error would not be understood.
    Unanswered,
}

fn body(op: OpCode) -> Body {
    match op {
        OpCode::Create
        | OpCode::Create2
        | OpCode::CreateContainer
        | OpCode::CreateTtl
        | OpCode::Delete
        | OpCode::Exists
        | OpCode::GetData
        | OpCode::SetData
        | OpCode::GetAcl
        | OpCode::SetAcl
        | OpCode::GetChildren
        | OpCode::GetChildren2
        | OpCode::GetEphemerals
        | OpCode::GetAllChildrenNumber
        | OpCode::Sync
        | OpCode::AddWatch
        | OpCode::CheckWatches
        | OpCode::RemoveWatches => Body::Path,
        OpCode::Multi | OpCode::MultiRead => Body::Operations,
        OpCode::Reconfig | OpCode::WhoAmI => Body::Nameless,
        // Clients ignore an error that answers these two, and would believe in watches that there
        // are not.
        OpCode::SetWatches
        | OpCode::SetWatches2
        // What clients make of an error here has to do with who they are.
        | OpCode::Auth
        | OpCode::Sasl
        // Nobody waits for it, or for the end of the connection.
        | OpCode::Ping
        | OpCode::CloseSession
        // Clients may not send these, or not alone.
        | OpCode::Check
        | OpCode::Notification
        | OpCode::DeleteContainer
        | OpCode::CreateSession
        | OpCode::Error => Body::Unanswered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_wire::Data;
    use bellwether_wire::client::Request;

    fn passed(xid: i32, request: &Request, pieces: usize) -> Oversize {
        let mut frame = Vec::new();
        RequestHeader { xid, op: request.op().code() }.encode(&mut frame);
        request.encode(&mut frame);
        let mut oversize = Oversize::new(frame.len());
        frame.extend_from_slice(b"what follows it");
        let mut input = &frame[..];
        while !oversize.has_passed() {
            let piece = &input[..pieces.min(input.len())];
            input = &input[oversize.pass(piece)..];
        }
        assert_eq!(input, b"what follows it");
        assert!(oversize.head.len() <= OVERSIZE_HEAD_BYTES);
        oversize
    }

    fn set(path: &str) -> Request {
        let data = Some(Data::from(vec![7; 100_000]));
        Request::SetData { path: path.into(), data, version: -1 }
    }

    #[test]
    fn the_beginning_says_who_asked_for_what_in_whatever_pieces_it_comes() {
        let long = "/x".repeat(OVERSIZE_HEAD_BYTES);
        let cut = "/x".repeat(OVERSIZE_HEAD_BYTES)[..OVERSIZE_HEAD_BYTES - 12].to_string() + "…";
        for (request, path) in [
            (set("/a"), Some("/a".to_string())),
            (set("/line\nbreak"), Some("/line\\nbreak".to_string())),
            (set(&long), Some(cut)),
            (Request::Multi(vec![set("/first"), set("/second")]), Some("/first".to_string())),
            (Request::Sasl { token: vec![1; 5000].into() }, None),
        ] {
            for pieces in [1, 7, 1 << 20] {
                let oversize = passed(5, &request, pieces);
                let header = oversize.header().expect("it was kept");
                assert_eq!((header.xid, header.op), (5, request.op().code()));
                assert_eq!(oversize.path(), path);
            }
        }
    }

    #[test]
    fn only_what_a_client_waits_for_is_answered() {
        let answerable = |xid, op: OpCode| is_answerable(&RequestHeader { xid, op: op.code() });
        for op in [OpCode::SetData, OpCode::Create, OpCode::Multi, OpCode::GetData] {
            assert!(answerable(1, op), "{op}");
            assert!(!answerable(xid::PING, op), "{op}");
            assert!(!answerable(xid::NOTIFICATION, op), "{op}");
        }
        for op in [OpCode::SetWatches, OpCode::SetWatches2, OpCode::Auth, OpCode::Sasl] {
            assert!(!answerable(1, op), "{op}");
        }
        for op in [OpCode::CloseSession, OpCode::CreateSession, OpCode::DeleteContainer] {
            assert!(!answerable(1, op), "{op}");
        }
        assert!(!is_answerable(&RequestHeader { xid: 1, op: 4242 }));
    }
}

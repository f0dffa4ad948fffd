//! Records of the wire and of the disk, one at a time.
//!
//! What it holds: nothing panics, and what was read is a record. It is written, read and written
//! again without a change.

use crate::Verdict;
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, Reply, ReplyBody, Request, RequestHeader, WatchEvent, xid,
};
use bellwether_wire::disk::{SnapshotNode, TxnRecord};
use bellwether_wire::{ErrorCode, OpCode, Reader};

/// `again` reads bytes and writes what it has read.
fn hold(bytes: &[u8], again: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Verdict {
    let Some(once) = again(bytes) else { return Verdict::Refused };
    assert_eq!(again(&once).as_ref(), Some(&once), "what was written is read differently");
    Verdict::Accepted
}

pub(crate) fn connect(bytes: &[u8]) -> Verdict {
    let response = hold(bytes, |bytes| {
        let mut out = Vec::new();
        ConnectResponse::decode(bytes).ok()?.encode(&mut out);
        Some(out)
    });
    let request = hold(bytes, |bytes| {
        let mut out = Vec::new();
        ConnectRequest::decode(bytes).ok()?.encode(&mut out);
        Some(out)
    });
    Verdict::accepted_if([response, request].contains(&Verdict::Accepted))
}

pub(crate) fn request(bytes: &[u8]) -> Verdict {
    hold(bytes, |bytes| {
        let mut r = Reader::new(bytes);
        let header = RequestHeader::decode(&mut r).ok()?;
        let request = Request::decode(OpCode::from_code(header.op)?, &mut r).ok()?;
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(request.op().code(), header.op, "a request of another operation");
        request.encode(&mut out);
        Some(out)
    })
}

pub(crate) fn reply(bytes: &[u8]) -> Verdict {
    let Some((first, bytes)) = bytes.split_first() else { return Verdict::Refused };
    let op = OpCode::ALL.iter().cycle().nth(usize::from(*first)).expect("there are operations");
    hold(bytes, |bytes| {
        let mut r = Reader::new(bytes);
        let mut out = Vec::new();
        let ReplyHeader { xid, zxid, err } = ReplyHeader::decode(&mut r).ok()?;
        if xid == xid::NOTIFICATION {
            WatchEvent::decode_body(zxid, &mut r).ok()?.encode(&mut out);
            return Some(out);
        }
        let code = ErrorCode::from_code(err)?;
        let result = if code == ErrorCode::Ok {
            Ok(ReplyBody::decode(*op, &mut r).ok()?)
        } else {
            Err(code)
        };
        Reply { xid, zxid, result }.encode(&mut out);
        Some(out)
    })
}

pub(crate) fn txn(bytes: &[u8]) -> Verdict {
    hold(bytes, |bytes| {
        let mut out = Vec::new();
        TxnRecord::decode(bytes).ok()?.encode(&mut out);
        Some(out)
    })
}

pub(crate) fn snapshot_node(bytes: &[u8]) -> Verdict {
    hold(bytes, |bytes| {
        let mut r = Reader::new(bytes);
        let path = r.text("node.path").ok()?;
        let mut out = Vec::new();
        SnapshotNode::decode_rest(path, &mut r).ok()?.encode(&mut out);
        Some(out)
    })
}

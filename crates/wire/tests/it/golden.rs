//! Bytes that Apache ZooKeeper 3.9.5 wrote: every one is understood, and written again alike.

use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, Reply, ReplyBody, Request, RequestHeader, WatchEvent, xid,
};
use bellwether_wire::disk::{SnapshotNode, Txn, TxnRecord};
use bellwether_wire::{ErrorCode, OpCode, Reader};
use std::collections::BTreeMap;

/// Sessions of Apache's client with Apache's server, and answers to requests that it does not make.
const SESSIONS: [&str; 2] =
    [include_str!("../../testdata/session.hex"), include_str!("../../testdata/answers.hex")];
const TXNS: &str = include_str!("../../testdata/txns.hex");
const NODES: &str = include_str!("../../testdata/snapshot-nodes.hex");

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect::<Option<Vec<u8>>>().expect("hexadecimal digits in pairs")
}

/// One connection of a recorded session.
#[derive(Default)]
struct Recorded {
    /// Invariant: a connection starts with its connect request, then its response.
    frames: usize,
    /// Operations whose replies have not come yet, by xid.
    waiting: BTreeMap<i32, Vec<i32>>,
}

impl Recorded {
    fn client_frame(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if self.frames == 0 {
            ConnectRequest::decode(frame).expect("a connect request").encode(&mut out);
            return out;
        }
        let mut r = Reader::new(frame);
        let header = RequestHeader::decode(&mut r).expect("a header");
        self.waiting.entry(header.xid).or_default().push(header.op);
        header.encode(&mut out);
        if let Some(op) = OpCode::from_code(header.op) {
            match Request::decode(op, &mut r) {
                Ok(request) => request.encode(&mut out),
                Err(_) => assert!(r.remaining() == 0, "{op}: {:?}", r.rest()),
            }
        }
        out
    }

    fn server_frame(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        if self.frames == 1 {
            ConnectResponse::decode(frame).expect("a connect response").encode(&mut out);
            return out;
        }
        let mut r = Reader::new(frame);
        let ReplyHeader { xid, zxid, err } = ReplyHeader::decode(&mut r).expect("a header");
        if xid == xid::NOTIFICATION {
            let event = WatchEvent::decode_body(zxid, &mut r).expect("an event");
            event.encode(&mut out);
            return out;
        }
        let waiting = self.waiting.get_mut(&xid).expect("a request with this xid");
        let op = OpCode::from_code(waiting.remove(0));
        let code = ErrorCode::from_code(err).expect("a known error");
        let mut body =
            || ReplyBody::decode(op.expect("a known operation"), &mut r).expect("a reply");
        let result = if code == ErrorCode::Ok { Ok(body()) } else { Err(code) };
        Reply { xid, zxid, result }.encode(&mut out);
        out
    }
}

#[test]
fn recorded_sessions_are_read_and_written_alike() {
    for session in SESSIONS {
        let mut connection = Recorded::default();
        let mut heading = "";
        for line in session.lines() {
            heading = line.strip_prefix("# ").unwrap_or(heading);
            if line == "# connect" {
                connection = Recorded::default();
            }
            let Some((mark @ (">" | "<"), hex)) = line.split_once(' ') else { continue };
            let frame = bytes(hex);
            let again = match mark {
                ">" => connection.client_frame(&frame),
                _ => connection.server_frame(&frame),
            };
            assert_eq!(again, frame, "{heading}: {line}");
            connection.frames += 1;
        }
    }
}

#[test]
fn recorded_sessions_hold_every_operation_that_clients_may_send() {
    let mut seen: Vec<OpCode> = Vec::new();
    for line in SESSIONS.iter().flat_map(|session| session.lines()) {
        let Some(hex) = line.strip_prefix("> ") else { continue };
        let frame = bytes(hex);
        let mut r = Reader::new(&frame);
        seen.extend(RequestHeader::decode(&mut r).ok().and_then(|h| OpCode::from_code(h.op)));
    }
    let internal =
        [OpCode::Notification, OpCode::DeleteContainer, OpCode::CreateSession, OpCode::Error];
    for op in OpCode::ALL.iter().filter(|op| !internal.contains(op)) {
        assert!(seen.contains(op), "{op} is in no recorded session");
    }
}

#[test]
fn recorded_transactions_are_read_and_written_alike() {
    let mut kinds = BTreeMap::new();
    for line in TXNS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let payload = bytes(line);
        let record = TxnRecord::decode(&payload).expect("a transaction");
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!(again, payload, "{record:?}");
        let old_close = matches!(record.txn, Txn::CloseSession { paths: None });
        *kinds.entry((record.header.op, record.digest.is_some(), old_close)).or_insert(0) += 1;
    }
    for kind in [
        (OpCode::Create, false, false),
        (OpCode::CloseSession, true, false),
        (OpCode::CloseSession, true, true),
        (OpCode::CloseSession, false, true),
        (OpCode::Multi, true, false),
        // A refused write changes nothing, and gets no digest.
        (OpCode::Error, false, false),
        (OpCode::SetAcl, true, false),
        (OpCode::CreateTtl, true, false),
        (OpCode::CreateContainer, true, false),
    ] {
        assert!(kinds.contains_key(&kind), "{kind:?} is not among {kinds:?}");
    }
}

#[test]
fn a_create_of_3_3_has_no_cversion_of_its_parent() {
    // The fields before it are those of a later create.
    let recorded = TXNS.lines().find(|line| line.contains("2f657068313739353235353832360000"));
    let later = bytes(recorded.expect("the create without a digest"));
    let old = &later[..later.len() - 4];
    let Ok(TxnRecord { txn: Txn::Create { create, ephemeral }, digest: None, .. }) =
        TxnRecord::decode(old)
    else {
        panic!("not a create");
    };
    assert_eq!((create.parent_cversion, ephemeral), (-1, true));
}

#[test]
fn recorded_nodes_of_a_snapshot_are_read_and_written_alike() {
    let mut count = 0;
    for line in NODES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let piece = bytes(line);
        let mut r = Reader::new(&piece);
        let path = r.text("node.path").expect("a path");
        let node = SnapshotNode::decode_rest(path, &mut r).expect("a node");
        assert_eq!(r.finish("node"), Ok(()));
        let mut again = Vec::new();
        node.encode(&mut again);
        assert_eq!(again, piece, "{}", node.path);
        count += 1;
    }
    assert!(count > 5, "{count}");
}

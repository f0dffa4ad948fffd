//! What holds for all values and for all bytes: a value is read as it was written; a piece of a
//! record is refused, or is a record itself where the format has optional ends; nothing panics.

use crate::values::{self, U};
use arbtest::arbitrary::Result;
use arbtest::arbtest;
use bellwether_wire::client::reply::ReplyHeader;
use bellwether_wire::client::{
    ConnectRequest, ConnectResponse, Reply, ReplyBody, Request, RequestHeader, WatchEvent, xid,
};
use bellwether_wire::disk::{FileHeader, SnapshotNode, TxnRecord};
use bellwether_wire::jute::{Decoded, Problem};
use bellwether_wire::{DecodeError, ErrorCode, OpCode, Reader, Stat};

/// A kind of record, with what is needed to read it.
#[derive(Clone, Copy, Debug)]
enum Record {
    ConnectRequest,
    ConnectResponse,
    Request,
    Reply(OpCode),
    Event,
    Txn,
    Node,
    FileHeader,
    Stat,
}

impl Record {
    /// Reads `bytes` and writes what was read.
    fn again(self, bytes: &[u8]) -> Decoded<Vec<u8>> {
        let mut out = Vec::new();
        let mut r = Reader::new(bytes);
        match self {
            Record::ConnectRequest => ConnectRequest::decode(bytes)?.encode(&mut out),
            Record::ConnectResponse => ConnectResponse::decode(bytes)?.encode(&mut out),
            Record::Request => {
                let header = RequestHeader::decode(&mut r)?;
                header.encode(&mut out);
                let unknown = r.error("request.type", Problem::Unknown(i64::from(header.op)));
                let op = OpCode::from_code(header.op).ok_or(unknown)?;
                Request::decode(op, &mut r)?.encode(&mut out);
            }
            Record::Reply(op) => reply(op, &mut r)?.encode(&mut out),
            Record::Event => {
                let header = ReplyHeader::decode(&mut r)?;
                WatchEvent::decode_body(header.zxid, &mut r)?.encode(&mut out);
            }
            Record::Txn => TxnRecord::decode(bytes)?.encode(&mut out),
            Record::Node => {
                let path = r.text("node.path")?;
                SnapshotNode::decode_rest(path, &mut r)?.encode(&mut out);
            }
            Record::FileHeader => FileHeader::decode(&mut r)?.encode(&mut out),
            Record::Stat => Stat::decode(&mut r)?.encode(&mut out),
        }
        Ok(out)
    }

    /// Whether a record without its end may be another record.
    fn has_an_optional_end(self) -> bool {
        match self {
            Record::ConnectRequest | Record::ConnectResponse | Record::Txn => true,
            Record::Request
            | Record::Reply(_)
            | Record::Event
            | Record::Node
            | Record::FileHeader
            | Record::Stat => false,
        }
    }
}

fn reply(op: OpCode, r: &mut Reader<'_>) -> Decoded<Reply> {
    let ReplyHeader { xid, zxid, err } = ReplyHeader::decode(r)?;
    let unknown = r.error("reply.err", Problem::Unknown(i64::from(err)));
    let code = ErrorCode::from_code(err).ok_or(unknown)?;
    let result = if code == ErrorCode::Ok { Ok(ReplyBody::decode(op, r)?) } else { Err(code) };
    Ok(Reply { xid, zxid, result })
}

/// A record of any kind, written.
fn sample(u: U<'_, '_>) -> Result<(Record, Vec<u8>)> {
    let mut out = Vec::new();
    let record = match u.int_in_range(0..=8)? {
        0 => {
            values::connect_request(u)?.encode(&mut out);
            Record::ConnectRequest
        }
        1 => {
            values::connect_response(u)?.encode(&mut out);
            Record::ConnectResponse
        }
        2 | 3 => {
            let request = values::request(u)?;
            RequestHeader { xid: u.arbitrary()?, op: request.op().code() }.encode(&mut out);
            request.encode(&mut out);
            Record::Request
        }
        4 | 5 => {
            let (op, reply) = values::reply(u)?;
            reply.encode(&mut out);
            Record::Reply(op)
        }
        6 => {
            values::event(u)?.encode(&mut out);
            Record::Event
        }
        7 => {
            values::txn(u)?.encode(&mut out);
            Record::Txn
        }
        _ => {
            values::node(u)?.encode(&mut out);
            Record::Node
        }
    };
    Ok((record, out))
}

/// What was read from damaged bytes must be a record: it is read as it was written.
#[track_caller]
fn check_damaged(record: Record, damaged: &[u8]) {
    if let Ok(once) = record.again(damaged) {
        assert_eq!(record.again(&once), Ok(once), "{record:?}: {damaged:02x?}");
    }
}

#[test]
fn every_request_is_read_as_it_was_written() {
    arbtest(|u| {
        let request = values::request(u)?;
        let mut out = Vec::new();
        request.encode(&mut out);
        let mut r = Reader::new(&out);
        assert_eq!(Request::decode(request.op(), &mut r), Ok(request));
        assert_eq!(r.finish("request"), Ok(()));
        Ok(())
    });
}

#[test]
fn every_reply_is_read_as_it_was_written() {
    arbtest(|u| {
        let (op, written) = values::reply(u)?;
        let mut out = Vec::new();
        written.encode(&mut out);
        let mut r = Reader::new(&out);
        assert_eq!(reply(op, &mut r), Ok(written));
        assert_eq!(r.finish("reply"), Ok(()));
        Ok(())
    });
}

#[test]
fn the_connect_exchange_is_read_as_it_was_written() {
    arbtest(|u| {
        let (request, response) = (values::connect_request(u)?, values::connect_response(u)?);
        let (mut sent, mut answered) = (Vec::new(), Vec::new());
        request.encode(&mut sent);
        response.encode(&mut answered);
        assert_eq!(ConnectRequest::decode(&sent), Ok(request));
        assert_eq!(ConnectResponse::decode(&answered), Ok(response));
        Ok(())
    });
}

#[test]
fn every_event_is_read_as_it_was_written() {
    arbtest(|u| {
        let event = values::event(u)?;
        let mut out = Vec::new();
        event.encode(&mut out);
        let mut r = Reader::new(&out);
        let header = ReplyHeader::decode(&mut r).expect("a header");
        assert_eq!((header.xid, header.err), (xid::NOTIFICATION, 0));
        assert_eq!(WatchEvent::decode_body(header.zxid, &mut r), Ok(event));
        assert_eq!(r.finish("event"), Ok(()));
        Ok(())
    });
}

#[test]
fn every_transaction_is_read_as_it_was_written() {
    arbtest(|u| {
        let txn = values::txn(u)?;
        let mut out = Vec::new();
        txn.encode(&mut out);
        assert_eq!(TxnRecord::decode(&out), Ok(txn));
        Ok(())
    });
}

#[test]
fn every_node_and_file_header_is_read_as_it_was_written() {
    arbtest(|u| {
        let (node, header) = (values::node(u)?, values::file_header(u)?);
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out.len(), FileHeader::BYTES);
        node.encode(&mut out);
        let mut r = Reader::new(&out);
        assert_eq!(FileHeader::decode(&mut r), Ok(header));
        let path = r.text("node.path").expect("a path");
        assert_eq!(SnapshotNode::decode_rest(path, &mut r), Ok(node));
        assert_eq!(r.finish("node"), Ok(()));
        Ok(())
    });
}

#[test]
fn a_record_without_its_end_is_refused_or_a_record_itself() {
    arbtest(|u| {
        let (record, bytes) = sample(u)?;
        for end in 0..bytes.len() {
            let piece = &bytes[..end];
            if !record.has_an_optional_end() {
                let problem = record.again(piece).map_err(|DecodeError { problem, .. }| problem);
                let refused = matches!(problem, Err(Problem::Truncated | Problem::Length(_)));
                assert!(refused, "{record:?} of {end} bytes: {problem:?}");
            }
            check_damaged(record, piece);
        }
        Ok(())
    });
}

#[test]
fn a_record_with_a_flipped_bit_is_refused_or_a_record_itself() {
    arbtest(|u| {
        let (record, mut bytes) = sample(u)?;
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            check_damaged(record, &bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(())
    });
}

#[test]
fn any_bytes_are_refused_or_a_record() {
    arbtest(|u| {
        let op = *u.choose(OpCode::ALL)?;
        let bytes: Vec<u8> = u.arbitrary()?;
        for record in [
            Record::ConnectRequest,
            Record::ConnectResponse,
            Record::Request,
            Record::Reply(op),
            Record::Event,
            Record::Txn,
            Record::Node,
            Record::FileHeader,
            Record::Stat,
        ] {
            check_damaged(record, &bytes);
        }
        Ok(())
    });
}

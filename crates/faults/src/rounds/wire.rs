//! A blocking ZooKeeper client in as few lines as possible.
//!
//! It is written apart from the project's own client and record types, so that a mistake they
//! share with the server cannot hide here.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::model::{Kind, Op, Outcome};

const SESSION_TIMEOUT_MS: i32 = 30_000;
/// A server that answers nothing for this long is taken for dead.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
const FRAME_BYTES_MAX: usize = 16 << 20;
const PASSWORD_BYTES: usize = 16;

pub(super) const CREATE: i32 = 1;
pub(super) const DELETE: i32 = 2;
pub(super) const GET_DATA: i32 = 4;
pub(super) const SET_DATA: i32 = 5;
pub(super) const GET_CHILDREN: i32 = 8;
pub(super) const CHECK: i32 = 13;
pub(super) const MULTI: i32 = 14;
pub(super) const CLOSE_SESSION: i32 = -11;
pub(super) const ERROR: i32 = -1;

/// What identifies a session to any server of its ensemble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: i64,
    password: Vec<u8>,
}

/// The parts of a stat that a round checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) created_zxid: i64,
    pub(super) modified_zxid: i64,
    pub(super) version: i32,
    pub(super) children_version: i32,
    pub(super) owner: i64,
    pub(super) children_zxid: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) zxid: i64,
    pub(super) outcome: Outcome,
}

/// One connection with a live session.
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) session: Session,
    next_xid: i32,
    /// The xid of the oldest request without a reply: replies come in the order of requests.
    oldest_xid: i32,
    pending: Vec<u8>,
}

impl Connection {
    /// Connects with a session of its own, or takes up `session`. `None`: the server says that the
    /// session is gone.
    pub(super) fn open(
        address: SocketAddr,
        session: Option<&Session>,
        last_zxid: i64,
    ) -> io::Result<Option<Self>> {
        let stream = TcpStream::connect_timeout(&address, READ_TIMEOUT)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        Self::over(stream, session, last_zxid)
    }

    /// Whether the server gives out a session and ends it again. A server that is starting may
    /// accept a connection and never answer it, so this does not wait for long.
    pub(super) fn probe(address: SocketAddr) -> io::Result<bool> {
        let stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
        stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
        match Self::over(stream, None, 0)? {
            Some(mut connection) => Ok(connection.call(&Op::CloseSession).is_ok()),
            None => Ok(false),
        }
    }

    fn over(
        mut stream: TcpStream,
        session: Option<&Session>,
        last_zxid: i64,
    ) -> io::Result<Option<Self>> {
        stream.set_nodelay(true)?;
        let mut request = Writer::default();
        request.int(0).long(last_zxid).int(SESSION_TIMEOUT_MS);
        request.long(session.map_or(0, |session| session.id));
        let fresh = vec![0; PASSWORD_BYTES];
        request.buffer(session.map_or(&fresh, |session| &session.password)).byte(0);
        stream.write_all(&request.frame())?;
        let frame = read_frame(&mut stream)?;
        let mut reader = Reader(&frame);
        reader.int()?;
        let timeout_ms = reader.int()?;
        let session = Session { id: reader.long()?, password: reader.buffer()? };
        if timeout_ms == 0 {
            return Ok(None);
        }
        Ok(Some(Self { stream, session, next_xid: 1, oldest_xid: 1, pending: Vec::new() }))
    }

    /// Puts a request into the buffer that the next [`Connection::flush`] sends.
    pub(super) fn queue(&mut self, op: &Op) {
        let mut writer = Writer::default();
        writer.int(self.next_xid).int(opcode(op));
        write_op(&mut writer, op);
        self.next_xid += 1;
        self.pending.extend_from_slice(&writer.frame());
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// Reads the reply to the oldest request that has none yet, which is `op`.
    pub(super) fn reply_to(&mut self, op: &Op) -> io::Result<Reply> {
        let frame = self.read_reply()?;
        let mut reader = Reader(&frame);
        reader.int()?;
        let zxid = reader.long()?;
        let outcome = match reader.int()? {
            0 => read_outcome(&mut reader, op)?,
            code => Outcome::Failed(code),
        };
        Ok(Reply { zxid, outcome })
    }

    pub(super) fn call(&mut self, op: &Op) -> io::Result<Reply> {
        self.queue(op);
        self.flush()?;
        self.reply_to(op)
    }

    /// The data and stat of a node, or the error code.
    pub(super) fn get_data(&mut self, path: &str) -> io::Result<Result<(Vec<u8>, Stat), i32>> {
        let frame = self.read_request(GET_DATA, path)?;
        let mut reader = Reader(&frame);
        match reader.header()? {
            0 => Ok(Ok((reader.buffer()?, reader.stat()?))),
            code => Ok(Err(code)),
        }
    }

    /// The names of a node's children, or the error code.
    pub(super) fn get_children(&mut self, path: &str) -> io::Result<Result<Vec<String>, i32>> {
        let frame = self.read_request(GET_CHILDREN, path)?;
        let mut reader = Reader(&frame);
        match reader.header()? {
            0 => {
                let count = reader.int()?;
                Ok(Ok((0..count).map(|_| reader.string()).collect::<io::Result<_>>()?))
            }
            code => Ok(Err(code)),
        }
    }

    fn read_request(&mut self, opcode: i32, path: &str) -> io::Result<Vec<u8>> {
        let mut writer = Writer::default();
        writer.int(self.next_xid).int(opcode).buffer(path.as_bytes()).byte(0);
        self.next_xid += 1;
        self.stream.write_all(&writer.frame())?;
        self.read_reply()
    }

    fn read_reply(&mut self) -> io::Result<Vec<u8>> {
        let frame = read_frame(&mut self.stream)?;
        let (xid, expected) = (Reader(&frame).int()?, self.oldest_xid);
        if xid != expected {
            return Err(io::Error::other(format!("a reply to xid {xid} and not to {expected}")));
        }
        self.oldest_xid += 1;
        Ok(frame)
    }
}

fn opcode(op: &Op) -> i32 {
    match op {
        Op::Create { .. } => CREATE,
        Op::Set { .. } => SET_DATA,
        Op::Delete { .. } => DELETE,
        Op::Check { .. } => CHECK,
        Op::Multi(_) => MULTI,
        Op::CloseSession => CLOSE_SESSION,
    }
}

fn write_op(writer: &mut Writer, op: &Op) {
    match op {
        Op::Create { path, data, kind } => {
            writer.buffer(path.as_bytes()).buffer(data);
            // One access control entry: everything, to anyone.
            writer.int(1).int(31).buffer(b"world").buffer(b"anyone");
            writer.int(match kind {
                Kind::Persistent => 0,
                Kind::Ephemeral => 1,
                Kind::Sequential => 2,
            });
        }
        Op::Set { path, data, version } => {
            writer.buffer(path.as_bytes()).buffer(data).int(*version);
        }
        Op::Delete { path, version } | Op::Check { path, version } => {
            writer.buffer(path.as_bytes()).int(*version);
        }
        Op::Multi(ops) => {
            for op in ops {
                writer.int(opcode(op)).byte(0).int(-1);
                write_op(writer, op);
            }
            writer.int(-1).byte(1).int(-1);
        }
        Op::CloseSession => {} // The header says it all.
    }
}

fn read_outcome(reader: &mut Reader<'_>, op: &Op) -> io::Result<Outcome> {
    match op {
        Op::Create { .. } => Ok(Outcome::Created(reader.string()?)),
        Op::Set { .. } => Ok(Outcome::Set(reader.stat()?.version)),
        Op::Delete { .. } => Ok(Outcome::Deleted),
        Op::Check { .. } => Ok(Outcome::Checked),
        Op::CloseSession => Ok(Outcome::Closed),
        Op::Multi(ops) => {
            let results = ops.iter().map(|op| {
                let kind = reader.int()?;
                reader.take(1)?;
                reader.int()?;
                if kind == ERROR {
                    return Ok(Outcome::Failed(reader.int()?));
                }
                read_outcome(reader, op)
            });
            Ok(Outcome::Multi(results.collect::<io::Result<_>>()?))
        }
    }
}

pub(super) fn read_frame(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other(format!("a frame of {length} bytes")));
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(super) fn int(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn long(&mut self, value: i64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn buffer(&mut self, bytes: &[u8]) -> &mut Self {
        self.int(i32::try_from(bytes.len()).expect("the workload writes small data"));
        self.0.extend_from_slice(bytes);
        self
    }

    /// What was written, behind its length.
    pub(super) fn frame(self) -> Vec<u8> {
        let mut frame = Self::default();
        frame.buffer(&self.0);
        frame.0
    }
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let short = || io::Error::other("a reply ends too early");
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn int(&mut self) -> io::Result<i32> {
        let bytes = self.take(4)?.try_into().map_err(io::Error::other)?;
        Ok(i32::from_be_bytes(bytes))
    }

    pub(super) fn long(&mut self) -> io::Result<i64> {
        let bytes = self.take(8)?.try_into().map_err(io::Error::other)?;
        Ok(i64::from_be_bytes(bytes))
    }

    /// A buffer; one that is null counts as empty.
    pub(super) fn buffer(&mut self) -> io::Result<Vec<u8>> {
        let length = self.int()?.max(0);
        let length = usize::try_from(length).map_err(io::Error::other)?;
        Ok(self.take(length)?.to_vec())
    }

    pub(super) fn string(&mut self) -> io::Result<String> {
        String::from_utf8(self.buffer()?).map_err(io::Error::other)
    }

    /// The error code of a reply's header.
    pub(super) fn header(&mut self) -> io::Result<i32> {
        self.int()?;
        self.long()?;
        self.int()
    }

    pub(super) fn stat(&mut self) -> io::Result<Stat> {
        let (created_zxid, modified_zxid) = (self.long()?, self.long()?);
        let _times = (self.long()?, self.long()?);
        let (version, children_version, _acl_version) = (self.int()?, self.int()?, self.int()?);
        let owner = self.long()?;
        let _counts = (self.int()?, self.int()?);
        let children_zxid = self.long()?;
        Ok(Stat { created_zxid, modified_zxid, version, children_version, owner, children_zxid })
    }
}

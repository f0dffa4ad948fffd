//! Packets of the quorum port: what a learner and its leader say to each other.
//!
//! On the wire they are all alike — a type, a zxid, a buffer, identities — and stand back to back
//! without a length. Here each is a variant with what it means. Data that a packet has no use for,
//! and bytes after what it needs, are ignored as Apache ignores them.

use super::ServerId;
use super::scan::{Pairs, PairsScan, field_end, int_at, long_at};
use crate::disk::TxnRecord;
use crate::jute::{DecodeError, Decoded, Problem, Put, Reader};
use crate::session::SessionId;
use crate::zxid::Zxid;
use std::fmt;
use std::sync::Arc;

/// The version of the protocol that learners and leaders name: ZAB 1.0.
pub const LEARNER_PROTOCOL: i32 = 0x10000;

/// Of a learner that names no version: before 3.4.
const OLD_PROTOCOL: i32 = 1;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a learner to its leader.
    ToLeader,
    /// From a leader to its learner.
    ToLearner,
}

/// Who a client is, as its server found out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The scheme: `ip`, `digest`, …
    pub scheme: Box<str>,
    /// The id within the scheme.
    pub id: Box<str>,
}

/// Who a learner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnerInfo {
    /// Its id.
    pub sid: ServerId,
    /// Its version of the protocol: [`LEARNER_PROTOCOL`].
    pub protocol: i32,
    /// The version of the ensemble's configuration that it has.
    pub config_version: i64,
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A learner passes on a client's write or sync; also a session's opening and closing.
    Request {
        /// The client's session.
        session: SessionId,
        /// The client's xid.
        cxid: i32,
        /// The operation's number, whatever the client sent.
        op: i32,
        /// The request's body as the client sent it.
        payload: Box<[u8]>,
        /// Who the client is.
        identities: Vec<Id>,
    },
    /// To be logged and acknowledged.
    Proposal { record: Arc<TxnRecord> },
    /// Everything up to this zxid is on the learner's disk.
    Ack { zxid: Zxid },
    /// The proposal of this zxid has a quorum.
    Commit { zxid: Zxid },
    /// A sign of life, in both directions. A learner's answer repeats the zxid and names the
    /// sessions that gave one since the last, with their timeouts in milliseconds.
    Ping { zxid: Zxid, touched: Vec<(SessionId, i32)> },
    /// A learner asks whether a session still lives.
    Revalidate { session: SessionId, timeout_ms: i32 },
    /// The answer.
    RevalidateReply { session: SessionId, valid: bool },
    /// Answers the oldest unanswered [`Packet::Request`] for a sync.
    Sync,
    /// A transaction that has a quorum, for an observer.
    Inform { record: Arc<TxnRecord> },
    /// A [`Packet::Commit`] of a change of the ensemble, and who should lead from then on.
    CommitAndActivate { zxid: Zxid, leader: ServerId },
    /// A [`Packet::Inform`] of a change of the ensemble, and who should lead from then on.
    InformAndActivate { leader: ServerId, record: Arc<TxnRecord> },
    /// Ends the synchronisation. `config` is the text of the ensemble.
    NewLeader { zxid: Zxid, config: Option<Box<str>> },
    /// A follower's first packet.
    FollowerInfo { accepted_epoch: u32, info: LearnerInfo },
    /// An observer's first packet.
    ObserverInfo { accepted_epoch: u32, info: LearnerInfo },
    /// The learner may serve clients.
    UpToDate,
    /// Proposals and commits follow, up to this zxid.
    Diff { zxid: Zxid },
    /// The learner's log is to end with this zxid.
    Trunc { zxid: Zxid },
    /// A snapshot follows as it is: [`super::SnapshotStreamReader`].
    Snap { zxid: Zxid },
    /// The epoch that the leader proposes.
    LeaderInfo { epoch: u32, protocol: i32 },
    /// The learner has promised the epoch. `current_epoch` is that of its history, and `None` where
    /// it had promised the same before, which does not count again.
    AckEpoch { last_zxid: Zxid, current_epoch: Option<u32> },
}

macro_rules! kinds {
    ($($code:literal $kind:ident $name:literal $($direction:ident)+;)*) => {
        /// The types of packets, and who receives them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Kind { $($kind,)* }

        impl Kind {
            fn from_code(code: i32) -> Option<Kind> {
                match code {
                    $($code => Some(Kind::$kind),)*
                    _ => None,
                }
            }

            fn code(self) -> i32 {
                match self { $(Kind::$kind => $code,)* }
            }

            fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }

            fn goes(self, direction: Direction) -> bool {
                match self { $(Kind::$kind => [$(Direction::$direction),+].contains(&direction),)* }
            }
        }
    };
}

kinds! {
    1 Request "REQUEST" ToLeader;
    2 Proposal "PROPOSAL" ToLearner;
    3 Ack "ACK" ToLeader;
    4 Commit "COMMIT" ToLearner;
    5 Ping "PING" ToLeader ToLearner;
    6 Revalidate "REVALIDATE" ToLeader ToLearner;
    7 Sync "SYNC" ToLearner;
    8 Inform "INFORM" ToLearner;
    9 CommitAndActivate "COMMITANDACTIVATE" ToLearner;
    10 NewLeader "NEWLEADER" ToLearner;
    11 FollowerInfo "FOLLOWERINFO" ToLeader;
    12 UpToDate "UPTODATE" ToLearner;
    13 Diff "DIFF" ToLearner;
    14 Trunc "TRUNC" ToLearner;
    15 Snap "SNAP" ToLearner;
    16 ObserverInfo "OBSERVERINFO" ToLeader;
    17 LeaderInfo "LEADERINFO" ToLearner;
    18 AckEpoch "ACKEPOCH" ToLeader;
    19 InformAndActivate "INFORMANDACTIVATE" ToLearner;
}

/// Why a stream of packets cannot be read any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// No packet has this type.
    Unknown { code: i32 },
    /// The packet only goes the other way.
    Misdirected { packet: &'static str, direction: Direction },
    /// A part of it is longer than may be. It was not read.
    TooLong { packet: &'static str, what: &'static str, bytes: usize, limit_bytes: usize },
    /// It is not what its type says.
    Malformed { packet: &'static str, error: DecodeError },
    /// It stands for another transaction than the one in it.
    TwoZxids { packet: &'static str, outer: Zxid, inner: Zxid },
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacketError::Unknown { code } => write!(
                f,
                "packet type {code} is unknown: the peer is no ZooKeeper server, or one of a \
                 later version"
            ),
            PacketError::Misdirected { packet, direction: Direction::ToLeader } => {
                write!(f, "a learner sent {packet}, which only leaders send")
            }
            PacketError::Misdirected { packet, direction: Direction::ToLearner } => {
                write!(f, "a leader sent {packet}, which only learners send")
            }
            PacketError::TooLong { packet, what, bytes, limit_bytes } => write!(
                f,
                "{packet}: {what} of {bytes} bytes, at most {limit_bytes} are allowed; set \
                 jute.maxbuffer to the same value on all servers"
            ),
            PacketError::Malformed { packet, error } => write!(f, "{packet}: {error}"),
            PacketError::TwoZxids { packet, outer, inner } => {
                write!(f, "{packet}: it has zxid {outer} and a transaction with zxid {inner}")
            }
        }
    }
}

impl std::error::Error for PacketError {}

impl Packet {
    /// Its name in the protocol.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    fn kind(&self) -> Kind {
        match self {
            Packet::Request { .. } => Kind::Request,
            Packet::Proposal { .. } => Kind::Proposal,
            Packet::Ack { .. } => Kind::Ack,
            Packet::Commit { .. } => Kind::Commit,
            Packet::Ping { .. } => Kind::Ping,
            Packet::Revalidate { .. } | Packet::RevalidateReply { .. } => Kind::Revalidate,
            Packet::Sync => Kind::Sync,
            Packet::Inform { .. } => Kind::Inform,
            Packet::CommitAndActivate { .. } => Kind::CommitAndActivate,
            Packet::InformAndActivate { .. } => Kind::InformAndActivate,
            Packet::NewLeader { .. } => Kind::NewLeader,
            Packet::FollowerInfo { .. } => Kind::FollowerInfo,
            Packet::ObserverInfo { .. } => Kind::ObserverInfo,
            Packet::UpToDate => Kind::UpToDate,
            Packet::Diff { .. } => Kind::Diff,
            Packet::Trunc { .. } => Kind::Trunc,
            Packet::Snap { .. } => Kind::Snap,
            Packet::LeaderInfo { .. } => Kind::LeaderInfo,
            Packet::AckEpoch { .. } => Kind::AckEpoch,
        }
    }

    /// The transaction in it.
    pub fn record(&self) -> Option<&Arc<TxnRecord>> {
        match self {
            Packet::Proposal { record }
            | Packet::Inform { record }
            | Packet::InformAndActivate { record, .. } => Some(record),
            Packet::Request { .. }
            | Packet::Ack { .. }
            | Packet::Commit { .. }
            | Packet::Ping { .. }
            | Packet::Revalidate { .. }
            | Packet::RevalidateReply { .. }
            | Packet::Sync
            | Packet::CommitAndActivate { .. }
            | Packet::NewLeader { .. }
            | Packet::FollowerInfo { .. }
            | Packet::ObserverInfo { .. }
            | Packet::UpToDate
            | Packet::Diff { .. }
            | Packet::Trunc { .. }
            | Packet::Snap { .. }
            | Packet::LeaderInfo { .. }
            | Packet::AckEpoch { .. } => None,
        }
    }

    /// The zxid that stands before the data.
    fn outer_zxid(&self) -> Zxid {
        match self {
            Packet::Request { .. }
            | Packet::Revalidate { .. }
            | Packet::RevalidateReply { .. }
            | Packet::UpToDate => Zxid(-1),
            Packet::Sync => Zxid::ZERO,
            Packet::Proposal { record }
            | Packet::Inform { record }
            | Packet::InformAndActivate { record, .. } => record.header.zxid,
            Packet::Ack { zxid }
            | Packet::Commit { zxid }
            | Packet::Ping { zxid, .. }
            | Packet::CommitAndActivate { zxid, .. }
            | Packet::NewLeader { zxid, .. }
            | Packet::Diff { zxid }
            | Packet::Trunc { zxid }
            | Packet::Snap { zxid } => *zxid,
            Packet::FollowerInfo { accepted_epoch: epoch, .. }
            | Packet::ObserverInfo { accepted_epoch: epoch, .. }
            | Packet::LeaderInfo { epoch, .. } => Zxid::first_of(*epoch),
            Packet::AckEpoch { last_zxid, .. } => *last_zxid,
        }
    }

    /// Appends the packet.
    ///
    /// Where Apache sends null for "nothing", a ping without sessions and a request without
    /// identities are sent as empty ones: Apache's leader takes null for neither.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_int(self.kind().code());
        out.put_long(self.outer_zxid().0);
        self.encode_data(out);
        let Packet::Request { identities, .. } = self else { return out.put_int(-1) };
        out.put_len(identities.len());
        for Id { scheme, id } in identities {
            out.put_text(scheme);
            out.put_text(id);
        }
    }

    fn encode_data(&self, out: &mut impl Put) {
        match self {
            Packet::Request { session, cxid, op, payload, .. } => {
                out.put_len(16 + payload.len());
                out.put_long(session.0);
                out.put_int(*cxid);
                out.put_int(*op);
                out.put_slice(payload);
            }
            Packet::Proposal { record } | Packet::Inform { record } => {
                out.put_len(record.encoded_bytes());
                record.encode(out);
            }
            Packet::InformAndActivate { leader, record } => {
                out.put_len(8 + record.encoded_bytes());
                out.put_long(leader.0);
                record.encode(out);
            }
            Packet::Ping { touched, .. } => {
                out.put_len(12 * touched.len());
                for (session, timeout_ms) in touched {
                    out.put_long(session.0);
                    out.put_int(*timeout_ms);
                }
            }
            Packet::Revalidate { session, timeout_ms } => {
                out.put_len(12);
                out.put_long(session.0);
                out.put_int(*timeout_ms);
            }
            Packet::RevalidateReply { session, valid } => {
                out.put_len(9);
                out.put_long(session.0);
                out.put_bool(*valid);
            }
            Packet::CommitAndActivate { leader, .. } => {
                out.put_len(8);
                out.put_long(leader.0);
            }
            Packet::NewLeader { config, .. } => {
                out.put_buffer(config.as_deref().map(str::as_bytes));
            }
            Packet::FollowerInfo { info, .. } | Packet::ObserverInfo { info, .. } => {
                out.put_len(20);
                out.put_long(info.sid.0);
                out.put_int(info.protocol);
                out.put_long(info.config_version);
            }
            Packet::LeaderInfo { protocol, .. } => {
                out.put_len(4);
                out.put_int(*protocol);
            }
            Packet::AckEpoch { current_epoch, .. } => {
                out.put_len(4);
                out.put_slice(&current_epoch.unwrap_or(u32::MAX).to_be_bytes());
            }
            Packet::Ack { .. }
            | Packet::Commit { .. }
            | Packet::Sync
            | Packet::UpToDate
            | Packet::Diff { .. }
            | Packet::Trunc { .. }
            | Packet::Snap { .. } => out.put_int(-1),
        }
    }
}

/// A packet whose parts are known and not yet understood.
struct Envelope<'a> {
    kind: Kind,
    zxid: Zxid,
    data: Option<&'a [u8]>,
    identities: Vec<Id>,
}

impl Envelope<'_> {
    fn decode(kind: Kind, bytes: &[u8]) -> Decoded<Envelope<'_>> {
        let r = &mut Reader::new(bytes);
        let _code = r.int("type")?;
        let zxid = Zxid(r.long("zxid")?);
        let data = r.buffer("data")?;
        let identities = decode_identities(r)?;
        r.finish("packet")?;
        Ok(Envelope { kind, zxid, data, identities })
    }

    fn open(self, direction: Direction) -> Result<Packet, PacketError> {
        let (packet, outer) = (self.kind.name(), self.zxid);
        let opened = self.contents(direction);
        let opened = opened.map_err(|error| PacketError::Malformed { packet, error })?;
        if let Some(record) = opened.record()
            && record.header.zxid != outer
        {
            return Err(PacketError::TwoZxids { packet, outer, inner: record.header.zxid });
        }
        Ok(opened)
    }

    fn contents(self, direction: Direction) -> Decoded<Packet> {
        let Envelope { kind, zxid, data, identities } = self;
        let null = DecodeError { what: "data", offset: 12, problem: Problem::Null };
        let mut r = Reader::new(data.unwrap_or_default());
        let needs_data = || if data.is_some() { Ok(()) } else { Err(null) };
        let epoch = zxid.epoch();
        Ok(match kind {
            Kind::Request => {
                needs_data()?;
                decode_request(&mut r, identities)?
            }
            Kind::Proposal => {
                needs_data()?;
                Packet::Proposal { record: Arc::new(TxnRecord::decode(r.rest())?) }
            }
            Kind::Inform => {
                needs_data()?;
                Packet::Inform { record: Arc::new(TxnRecord::decode(r.rest())?) }
            }
            Kind::InformAndActivate => {
                let leader = ServerId(r.long("designatedLeader")?);
                let record = Arc::new(TxnRecord::decode(r.rest())?);
                Packet::InformAndActivate { leader, record }
            }
            Kind::Ack => Packet::Ack { zxid },
            Kind::Commit => Packet::Commit { zxid },
            Kind::Ping => Packet::Ping { zxid, touched: decode_touched(&mut r)? },
            Kind::Revalidate => {
                needs_data()?;
                decode_revalidate(&mut r, direction)?
            }
            Kind::Sync => Packet::Sync,
            Kind::CommitAndActivate => {
                Packet::CommitAndActivate { zxid, leader: ServerId(r.long("designatedLeader")?) }
            }
            Kind::NewLeader => {
                let config = data.map(|text| String::from_utf8_lossy(text).into());
                Packet::NewLeader { zxid, config }
            }
            Kind::FollowerInfo => {
                Packet::FollowerInfo { accepted_epoch: epoch, info: LearnerInfo::decode(&mut r)? }
            }
            Kind::ObserverInfo => {
                Packet::ObserverInfo { accepted_epoch: epoch, info: LearnerInfo::decode(&mut r)? }
            }
            Kind::UpToDate => Packet::UpToDate,
            Kind::Diff => Packet::Diff { zxid },
            Kind::Trunc => Packet::Trunc { zxid },
            Kind::Snap => Packet::Snap { zxid },
            Kind::LeaderInfo => Packet::LeaderInfo { epoch, protocol: r.int("protocolVersion")? },
            Kind::AckEpoch => {
                let current = r.take(4, "currentEpoch")?.first_chunk().copied();
                let current = u32::from_be_bytes(current.expect("four bytes were taken"));
                let current_epoch = (current != u32::MAX).then_some(current);
                Packet::AckEpoch { last_zxid: zxid, current_epoch }
            }
        })
    }
}

fn decode_identities(r: &mut Reader<'_>) -> Decoded<Vec<Id>> {
    let count = r.count("authinfo", 8)?.unwrap_or(0);
    let mut one = || {
        let scheme = r.string("authinfo.scheme")?.unwrap_or_default();
        Ok(Id { scheme, id: r.string("authinfo.id")?.unwrap_or_default() })
    };
    (0..count).map(|_| one()).collect()
}

fn decode_request(r: &mut Reader<'_>, identities: Vec<Id>) -> Decoded<Packet> {
    let session = SessionId(r.long("sessionId")?);
    let (cxid, op) = (r.int("cxid")?, r.int("type")?);
    Ok(Packet::Request { session, cxid, op, payload: r.rest().into(), identities })
}

fn decode_touched(r: &mut Reader<'_>) -> Decoded<Vec<(SessionId, i32)>> {
    let mut touched = Vec::with_capacity(r.remaining() / 12);
    while r.remaining() > 0 {
        touched.push((SessionId(r.long("touched.session")?), r.int("touched.timeout")?));
    }
    Ok(touched)
}

fn decode_revalidate(r: &mut Reader<'_>, direction: Direction) -> Decoded<Packet> {
    let session = SessionId(r.long("sessionId")?);
    Ok(match direction {
        Direction::ToLeader => Packet::Revalidate { session, timeout_ms: r.int("timeout")? },
        Direction::ToLearner => Packet::RevalidateReply { session, valid: r.bool("valid")? },
    })
}

impl LearnerInfo {
    /// Servers before 3.5 have no version of the configuration, those before 3.4 nothing but an id.
    fn decode(r: &mut Reader<'_>) -> Decoded<LearnerInfo> {
        let sid = ServerId(r.long("serverid")?);
        let protocol = if r.remaining() >= 4 { r.int("protocolVersion")? } else { OLD_PROTOCOL };
        let config_version = if r.remaining() >= 8 { r.long("configVersion")? } else { 0 };
        Ok(LearnerInfo { sid, protocol, config_version })
    }
}

/// Takes the bytes of a connection and gives packets.
///
/// It keeps what was pushed and not yet read: who pushes a piece and then asks until there is
/// nothing more keeps it below the longest packet and a piece.
#[derive(Debug)]
pub struct PacketReader {
    buffer: Vec<u8>,
    /// Invariant: `start <= buffer.len()`; what is before it was read.
    start: usize,
    /// How far the identities of the packet at `start` were walked.
    scan: PairsScan,
    data_bytes_max: usize,
}

impl PacketReader {
    /// A reader at the start of a connection. `data_bytes_max` is `jute.maxbuffer` and what a
    /// transaction may exceed it by; identities may take as much again.
    pub fn new(data_bytes_max: usize) -> PacketReader {
        PacketReader { buffer: Vec::new(), start: 0, scan: PairsScan::default(), data_bytes_max }
    }

    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next packet, or `None` while it is not all there. After an error the stream is of no
    /// use, and every call gives the same error.
    pub fn next(&mut self, direction: Direction) -> Result<Option<Packet>, PacketError> {
        let bytes = self.buffer.get(self.start..).unwrap_or_default();
        let Some(code) = int_at(bytes, 0) else { return Ok(None) };
        let kind = Kind::from_code(code).ok_or(PacketError::Unknown { code })?;
        let packet = kind.name();
        if !kind.goes(direction) {
            return Err(PacketError::Misdirected { packet, direction });
        }
        let limit_bytes = self.data_bytes_max;
        let wrong = |error: DecodeError| match error {
            DecodeError { what, problem: Problem::TooLong(bytes), .. } => {
                PacketError::TooLong { packet, what, bytes, limit_bytes }
            }
            error => PacketError::Malformed { packet, error },
        };
        let end = packet_end(bytes, &mut self.scan, limit_bytes).map_err(wrong)?;
        let Some(whole) = end.and_then(|end| bytes.get(..end)) else { return Ok(None) };
        let packet = Envelope::decode(kind, whole).map_err(wrong)?.open(direction)?;
        self.start += whole.len();
        self.scan = PairsScan::default();
        Ok(Some(packet))
    }

    /// What was pushed and not read, for whoever reads on: after a [`Packet::Snap`] the stream is
    /// one of a snapshot.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.scan = PairsScan::default();
        std::mem::take(&mut self.buffer)
    }
}

/// Where the packet at the start of `bytes` ends, or `None` while it is not all there.
fn packet_end(bytes: &[u8], scan: &mut PairsScan, bytes_max: usize) -> Decoded<Option<usize>> {
    const DATA_AT: usize = 12;
    if long_at(bytes, 4).is_none() {
        return Ok(None);
    }
    let Some(identities_at) = field_end(bytes, DATA_AT, bytes_max, "data")? else {
        return Ok(None);
    };
    scan.end(bytes, identities_at, Pairs { prefix_bytes: 0, bytes_max, what: "authinfo" })
}

//! Messages of the election port: a vote, and in what state and round it was given.
//!
//! What it keeps true: every form since 3.3 is read, and the form of 3.5 and later is written. A
//! message that cannot be read is an error by itself; the next one may be sound, as for Apache.

use super::ServerId;
use crate::jute::{DecodeError, Decoded, Problem, Put, Reader};
use crate::limits::MAX_NOTIFICATION_BYTES;
use crate::zxid::Zxid;
use std::fmt;

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerState {
    /// It takes part in an election.
    Looking,
    /// It follows a leader, with a vote.
    Following,
    /// It leads.
    Leading,
    /// It follows a leader, without a vote.
    Observing,
}

impl PeerState {
    /// All of them, in the order of their numbers.
    pub const ALL: [PeerState; 4] =
        [PeerState::Looking, PeerState::Following, PeerState::Leading, PeerState::Observing];

    /// Its number.
    pub fn code(self) -> i32 {
        match self {
            PeerState::Looking => 0,
            PeerState::Following => 1,
            PeerState::Leading => 2,
            PeerState::Observing => 3,
        }
    }

    /// The state of this number.
    pub fn from_code(code: i32) -> Option<PeerState> {
        PeerState::ALL.into_iter().find(|state| state.code() == code)
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PeerState::Looking => "LOOKING",
            PeerState::Following => "FOLLOWING",
            PeerState::Leading => "LEADING",
            PeerState::Observing => "OBSERVING",
        })
    }
}

/// For whom, and what speaks for that server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vote {
    /// The server that should lead.
    pub leader: ServerId,
    /// The last zxid in its log.
    pub zxid: Zxid,
    /// Its epoch. Observers vote with the smallest number there is, hence the sign.
    pub peer_epoch: i64,
}

impl Vote {
    /// The vote of a server that has none.
    pub const NONE: Vote =
        Vote { leader: ServerId(i64::MIN), zxid: Zxid(i64::MIN), peer_epoch: i64::MIN };
}

/// The form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub i32);

impl Version {
    /// Of a server before 3.4.6, which names no version.
    pub const NONE: Version = Version(0);
    /// Without a configuration.
    pub const WITHOUT_CONFIG: Version = Version(1);
    /// With the configuration of the sender: since 3.5.
    pub const CURRENT: Version = Version(2);
}

/// What a server tells the others in an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What it is doing.
    pub state: PeerState,
    /// Its vote.
    pub vote: Vote,
    /// The round of the election, `electionEpoch`.
    pub round: i64,
    /// The form in which it came. It is not written: the form follows from `config`.
    pub version: Version,
    /// The text of the ensemble as the sender knows it.
    pub config: Option<Box<str>>,
}

/// Why a message says nothing. The connection may still be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongNotification {
    /// How long it was, in bytes.
    pub bytes: usize,
    /// What was wrong with it.
    pub error: DecodeError,
}

impl fmt::Display for WrongNotification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a notification of {} bytes: {}", self.bytes, self.error)
    }
}

impl std::error::Error for WrongNotification {}

/// Without an epoch of the leader: 3.3.
const BYTES_WITHOUT_EPOCH: usize = 28;
/// With an epoch, and with four bytes more that Apache does not look at in this length.
const BYTES_WITHOUT_VERSION: usize = 40;

impl Notification {
    /// Appends the message without a frame: in the form of 3.5, or without a configuration in that
    /// of 3.4, because Apache's servers do not live through an empty one.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_int(self.state.code());
        out.put_long(self.vote.leader.0);
        out.put_long(self.vote.zxid.0);
        out.put_long(self.round);
        out.put_long(self.vote.peer_epoch);
        match &self.config {
            Some(config) => {
                out.put_int(Version::CURRENT.0);
                out.put_text(config);
            }
            None => out.put_int(Version::WITHOUT_CONFIG.0),
        }
    }

    /// Appends the message in its frame.
    pub fn encode_frame(&self, out: &mut impl Put) {
        let config = self.config.as_ref().map(|config| 4 + config.len());
        out.put_len(BYTES_WITHOUT_VERSION + config.unwrap_or(0));
        self.encode(out);
    }

    /// Reads a message without its frame. Bytes after it are ignored, as Apache ignores them.
    pub fn decode(bytes: &[u8]) -> Result<Notification, WrongNotification> {
        decode(bytes).map_err(|error| WrongNotification { bytes: bytes.len(), error })
    }
}

fn decode(bytes: &[u8]) -> Decoded<Notification> {
    let r = &mut Reader::new(bytes);
    let code = r.int("state")?;
    let unknown =
        || DecodeError { what: "state", offset: 0, problem: Problem::Unknown(i64::from(code)) };
    let state = PeerState::from_code(code).ok_or_else(unknown)?;
    let leader = ServerId(r.long("leader")?);
    let zxid = Zxid(r.long("zxid")?);
    let round = r.long("electionEpoch")?;
    let peer_epoch = match bytes.len() {
        BYTES_WITHOUT_EPOCH => zxid.0 >> 32,
        _ => r.long("peerEpoch")?,
    };
    let version = match bytes.len() {
        BYTES_WITHOUT_EPOCH | BYTES_WITHOUT_VERSION => Version::NONE,
        _ => Version(r.int("version")?),
    };
    let config = if version > Version::WITHOUT_CONFIG { Some(r.text("config")?) } else { None };
    let vote = Vote { leader, zxid, peer_epoch };
    Ok(Notification { state, vote, round, version, config })
}

/// Why a connection of the election port cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// The length that was announced.
    pub length: i32,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrameError { length } = self;
        write!(
            f,
            "an election message of {length} bytes: 1 to {MAX_NOTIFICATION_BYTES} are possible"
        )
    }
}

impl std::error::Error for FrameError {}

/// Takes the bytes of an election connection after its header, and gives messages.
#[derive(Debug, Default)]
pub struct NotificationReader {
    buffer: Vec<u8>,
    /// Invariant: `start <= buffer.len()`; what is before it was read.
    start: usize,
}

impl NotificationReader {
    /// A reader behind the header.
    pub fn new() -> NotificationReader {
        NotificationReader::default()
    }

    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, or `None` while it is not all there. A message that says nothing is left
    /// behind; after a wrong length the stream is of no use.
    pub fn next_message(
        &mut self,
    ) -> Result<Option<Result<Notification, WrongNotification>>, FrameError> {
        let bytes = self.buffer.get(self.start..).unwrap_or_default();
        let Some(head) = bytes.first_chunk::<4>() else { return Ok(None) };
        let length = i32::from_be_bytes(*head);
        let possible = usize::try_from(length).ok();
        let Some(len) = possible.filter(|len| (1..=MAX_NOTIFICATION_BYTES).contains(len)) else {
            return Err(FrameError { length });
        };
        let Some(message) = bytes.get(4..4 + len) else { return Ok(None) };
        let notification = Notification::decode(message);
        self.start += 4 + len;
        Ok(Some(notification))
    }
}

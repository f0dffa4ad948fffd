//! The smallest server that keeps the promises of a crash round, with variants that break one each.
//!
//! It proves the driver: the sound variant must pass every fault, every broken one must be caught.
//! It answers only what the driver asks, keeps its log in a format of its own, and takes no
//! snapshots. Requests of one connection that have arrived together share one sync.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::model::{Kind, NO_NODE, Node, Op, Outcome, Subtree, parent_of};
use super::wire::{self, Reader, Writer, read_frame};

const CREATE_SESSION: i32 = -10;
const RECORDS_PER_FILE: u64 = 100;
const BATCH_REQUESTS_MAX: usize = 64;
const RECORD_HEAD_BYTES: usize = 12;

/// Which promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Sound,
    AckBeforeSync,
    NoDirSync,
    RetryAfterFailedSync,
    /// Acknowledges what it could not write.
    IgnoreFailedWrite,
    /// Serves what it recovered without making sure that it is durable.
    NoRecoverySync,
}

impl Variant {
    /// The variant of this name; an empty name is the sound one.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::Sound),
            "ack-before-sync" => Some(Self::AckBeforeSync),
            "no-dir-sync" => Some(Self::NoDirSync),
            "retry-after-failed-sync" => Some(Self::RetryAfterFailedSync),
            "ignore-failed-write" => Some(Self::IgnoreFailedWrite),
            "no-recovery-sync" => Some(Self::NoRecoverySync),
            _ => None,
        }
    }
}

/// Serves until something fails, which is the only way to end.
pub fn serve(config: &Path, variant: Variant) -> io::Result<()> {
    let text = fs::read_to_string(config)?;
    let setting = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.map(str::to_owned)
    };
    let missing = || io::Error::other("zoo.cfg lacks dataDir or clientPort");
    let directory = setting("dataLogDir").or_else(|| setting("dataDir")).ok_or_else(missing)?;
    let port: u16 = setting("clientPort").ok_or_else(missing)?.parse().map_err(io::Error::other)?;
    let server = Mutex::new(Server::recover(Path::new(&directory), variant)?);
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let server = &server;
            let stream = stream?;
            scope.spawn(move || converse(server, stream));
        }
        Ok(())
    })
}

struct Server {
    directory: PathBuf,
    variant: Variant,
    log: Option<File>,
    records_count: u64,
    zxid: i64,
    tree: Subtree,
    sessions: BTreeSet<i64>,
    owners: BTreeMap<String, i64>,
}

impl Server {
    fn recover(home: &Path, variant: Variant) -> io::Result<Self> {
        let directory = home.join("version-2");
        if !directory.exists() {
            fs::create_dir(&directory)?;
            sync_directory(home, variant)?;
        }
        let mut server = Self {
            directory,
            variant,
            log: None,
            records_count: 0,
            zxid: 0,
            tree: Subtree::default(),
            sessions: BTreeSet::new(),
            owners: BTreeMap::new(),
        };
        for path in server.log_files()? {
            server.replay(&path)?;
        }
        if variant != Variant::NoRecoverySync {
            sync_directory(&server.directory, variant)?;
        }
        Ok(server)
    }

    fn log_files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let first_zxid = path
                .extension()
                .and_then(|hex| i64::from_str_radix(hex.to_str()?, 16).ok())
                .ok_or_else(|| io::Error::other(format!("{} is no log file", path.display())))?;
            files.insert(first_zxid, path);
        }
        Ok(files.into_values().collect())
    }

    /// Replays one file up to its first bad record and cuts what follows, which was never synced.
    fn replay(&mut self, path: &Path) -> io::Result<()> {
        let bytes = fs::read(path)?;
        let mut rest = bytes.as_slice();
        while let Some((payload, after)) = next_record(rest) {
            let mut reader = Reader(payload);
            let zxid = reader.long()?;
            if zxid != self.zxid + 1 {
                return Err(io::Error::other(format!("{zxid:#x} follows {:#x}", self.zxid)));
            }
            let (session, opcode) = (reader.long()?, reader.int()?);
            self.apply(zxid, session, opcode, &mut reader)?;
            rest = after;
        }
        let file = OpenOptions::new().write(true).open(path)?;
        if !rest.is_empty() {
            file.set_len((bytes.len() - rest.len()) as u64)?;
        }
        if self.variant != Variant::NoRecoverySync {
            file.sync_data()?;
        }
        Ok(())
    }

    /// Applies requests in order, makes them durable with one sync, and gives their replies.
    fn commit(&mut self, session: i64, requests: &[Vec<u8>]) -> io::Result<Vec<Writer>> {
        let mut records = Writer::default();
        let mut replies = Vec::new();
        for request in requests {
            let mut reader = Reader(request);
            let (xid, opcode) = (reader.int()?, reader.int()?);
            if opcode == wire::GET_DATA || opcode == wire::GET_CHILDREN {
                replies.push(self.read(xid, opcode, &reader.string()?));
                continue;
            }
            let zxid = self.zxid + 1;
            let mut payload = Writer::default();
            payload.long(zxid).long(session).int(opcode).0.extend_from_slice(reader.0);
            write_record(&mut records, &payload.0);
            let outcome = self.apply(zxid, session, opcode, &mut reader)?;
            replies.push(self.reply(xid, &outcome));
        }
        if !records.0.is_empty() {
            self.append(&records.0)?;
        }
        Ok(replies)
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        if self.log.is_none() || self.records_count >= RECORDS_PER_FILE {
            let first_zxid = self.zxid + 1;
            let path = self.directory.join(format!("log.{first_zxid:x}"));
            self.log = Some(OpenOptions::new().write(true).create(true).truncate(true).open(path)?);
            self.records_count = 0;
            sync_directory(&self.directory, self.variant)?;
        }
        self.records_count += 1;
        let Some(log) = &mut self.log else { return Ok(()) };
        match log.write_all(records) {
            Err(_) if self.variant == Variant::IgnoreFailedWrite => {}
            written => written?,
        }
        match self.variant {
            Variant::AckBeforeSync => Ok(()), // `sync_late` comes after the replies.
            Variant::RetryAfterFailedSync => log.sync_data().or_else(|_| log.sync_data()),
            Variant::Sound
            | Variant::NoDirSync
            | Variant::IgnoreFailedWrite
            | Variant::NoRecoverySync => log.sync_data(),
        }
    }

    fn sync_late(&self) -> io::Result<()> {
        match (&self.log, self.variant) {
            (Some(log), Variant::AckBeforeSync) => log.sync_data(),
            (None | Some(_), _) => Ok(()),
        }
    }

    fn apply(
        &mut self,
        zxid: i64,
        session: i64,
        opcode: i32,
        reader: &mut Reader<'_>,
    ) -> io::Result<Outcome> {
        self.zxid = zxid;
        if opcode == CREATE_SESSION {
            self.sessions.insert(session);
            return Ok(Outcome::Closed);
        }
        let op = read_op(opcode, reader)?;
        if op == Op::CloseSession {
            self.sessions.remove(&session);
            let tree = &mut self.tree;
            self.owners.retain(|path, owner| {
                if *owner == session {
                    tree.nodes.remove(path);
                }
                *owner != session
            });
            return Ok(Outcome::Closed);
        }
        let outcome = self.tree.apply(&op, Some(zxid));
        let nodes = &self.tree.nodes;
        self.owners.retain(|path, _| nodes.contains_key(path));
        for path in ephemerals_of(&op) {
            if nodes.contains_key(path) {
                self.owners.entry(path.to_owned()).or_insert(session);
            }
        }
        Ok(outcome)
    }

    fn reply(&self, xid: i32, outcome: &Outcome) -> Writer {
        let mut writer = Writer::default();
        writer.int(xid).long(self.zxid);
        match outcome {
            Outcome::Failed(code) => {
                writer.int(*code);
            }
            Outcome::Created(_)
            | Outcome::Set(_)
            | Outcome::Deleted
            | Outcome::Checked
            | Outcome::Multi(_)
            | Outcome::Closed => self.write_outcome(writer.int(0), outcome),
        }
        writer
    }

    fn write_outcome(&self, writer: &mut Writer, outcome: &Outcome) {
        match outcome {
            Outcome::Created(path) => {
                writer.buffer(path.as_bytes());
            }
            Outcome::Set(version) => {
                let node = Node { version: *version, ..empty_node() };
                write_stat(writer, &node, (0, 0));
            }
            Outcome::Deleted | Outcome::Checked | Outcome::Closed => {}
            Outcome::Failed(code) => {
                writer.int(*code);
            }
            Outcome::Multi(outcomes) => {
                for outcome in outcomes {
                    let kind = result_type(outcome);
                    writer.int(kind).byte(0).int(-1);
                    self.write_outcome(writer, outcome);
                }
                writer.int(-1).byte(1).int(-1);
            }
        }
    }

    fn read(&self, xid: i32, opcode: i32, path: &str) -> Writer {
        let mut writer = Writer::default();
        writer.int(xid).long(self.zxid);
        let Some(node) = self.tree.nodes.get(path) else {
            writer.int(NO_NODE);
            return writer;
        };
        writer.int(0);
        let children: Vec<&str> = self
            .tree
            .nodes
            .keys()
            .filter(|child| parent_of(child) == path)
            .filter_map(|child| child.rsplit('/').next())
            .collect();
        if opcode == wire::GET_CHILDREN {
            writer.int(i32::try_from(children.len()).expect("a toy has few nodes"));
            for child in children {
                writer.buffer(child.as_bytes());
            }
            return writer;
        }
        writer.buffer(&node.data);
        let owner = self.owners.get(path).copied().unwrap_or(0);
        write_stat(&mut writer, node, (children.len(), owner));
        writer
    }
}

fn sync_directory(path: &Path, variant: Variant) -> io::Result<()> {
    if variant == Variant::NoDirSync { Ok(()) } else { File::open(path)?.sync_all() }
}

fn empty_node() -> Node {
    Node {
        data: Vec::new(),
        version: 0,
        ephemeral: false,
        creates_count: 0,
        created_zxid: None,
        modified_zxid: None,
    }
}

fn write_stat(writer: &mut Writer, node: &Node, (children_count, owner): (usize, i64)) {
    let children_count = i32::try_from(children_count).expect("a toy has few nodes");
    writer.long(node.created_zxid.unwrap_or(0)).long(node.modified_zxid.unwrap_or(0));
    writer.long(0).long(0).int(node.version).int(2 * node.creates_count - children_count).int(0);
    writer.long(owner).int(0).int(children_count).long(0);
}

/// The type of a result within a multi's reply.
fn result_type(outcome: &Outcome) -> i32 {
    match outcome {
        Outcome::Created(_) => wire::CREATE,
        Outcome::Set(_) => wire::SET_DATA,
        Outcome::Deleted => wire::DELETE,
        Outcome::Checked => wire::CHECK,
        Outcome::Failed(_) => wire::ERROR,
        Outcome::Multi(_) | Outcome::Closed => unreachable!("neither can be part of a multi"),
    }
}

fn ephemerals_of(op: &Op) -> Vec<&str> {
    match op {
        Op::Create { path, kind: Kind::Ephemeral, .. } => vec![path],
        Op::Multi(ops) => ops.iter().flat_map(ephemerals_of).collect(),
        Op::Create { .. }
        | Op::Set { .. }
        | Op::Delete { .. }
        | Op::Check { .. }
        | Op::CloseSession => Vec::new(),
    }
}

fn read_op(opcode: i32, reader: &mut Reader<'_>) -> io::Result<Op> {
    match opcode {
        wire::CREATE => {
            let (path, data) = (reader.string()?, reader.buffer()?);
            for _ in 0..reader.int()? {
                reader.int()?;
                reader.buffer()?;
                reader.buffer()?;
            }
            let kind = match reader.int()? {
                0 => Kind::Persistent,
                1 => Kind::Ephemeral,
                2 => Kind::Sequential,
                flags => return Err(io::Error::other(format!("create flags {flags}"))),
            };
            Ok(Op::Create { path, data, kind })
        }
        wire::SET_DATA => {
            Ok(Op::Set { path: reader.string()?, data: reader.buffer()?, version: reader.int()? })
        }
        wire::DELETE => Ok(Op::Delete { path: reader.string()?, version: reader.int()? }),
        wire::CHECK => Ok(Op::Check { path: reader.string()?, version: reader.int()? }),
        wire::CLOSE_SESSION => Ok(Op::CloseSession),
        wire::MULTI => {
            let mut ops = Vec::new();
            loop {
                let opcode = reader.int()?;
                reader.take(1)?;
                reader.int()?;
                if opcode == wire::ERROR {
                    return Ok(Op::Multi(ops));
                }
                ops.push(read_op(opcode, reader)?);
            }
        }
        _ => Err(io::Error::other(format!("opcode {opcode}"))),
    }
}

/// A record: checksum, length, payload.
fn write_record(out: &mut Writer, payload: &[u8]) {
    let sum = checksum(payload);
    out.0.extend_from_slice(&sum.to_be_bytes());
    out.buffer(payload);
}

/// The payload of the first record and what follows it, if the record is whole.
fn next_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(RECORD_HEAD_BYTES)?;
    let (sum, length) = head.split_at_checked(8)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let whole = u64::from_be_bytes(sum.try_into().ok()?) == checksum(payload);
    (whole && length > 0).then_some((payload, rest))
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// Serves one connection until its end. A failure of the log ends the process.
fn converse(server: &Mutex<Server>, stream: TcpStream) {
    // The client's end, at any point, is no error.
    drop(try_converse(server, stream));
}

fn try_converse(server: &Mutex<Server>, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::with_capacity(1 << 16, stream.try_clone()?);
    let mut output = stream;
    let Some(session) = open_session(server, &mut input, &mut output)? else { return Ok(()) };
    loop {
        let mut requests = vec![read_frame(&mut input)?];
        while requests.len() < BATCH_REQUESTS_MAX && whole_frame(input.buffer()) {
            requests.push(read_frame(&mut input)?);
        }
        let server = server.lock().unwrap_or_else(PoisonError::into_inner);
        send_replies(server, session, &requests, &mut output)?;
    }
}

fn send_replies(
    mut server: std::sync::MutexGuard<'_, Server>,
    session: i64,
    requests: &[Vec<u8>],
    output: &mut TcpStream,
) -> io::Result<()> {
    let replies = server.commit(session, requests).unwrap_or_else(|error| fail(&error));
    let bytes: Vec<u8> = replies.into_iter().flat_map(Writer::frame).collect();
    let sent = output.write_all(&bytes);
    server.sync_late().unwrap_or_else(|error| fail(&error));
    sent
}

/// Whether the buffered bytes begin with a whole frame.
fn whole_frame(buffered: &[u8]) -> bool {
    let mut reader = Reader(buffered);
    let length = reader.int().ok().and_then(|length| usize::try_from(length).ok());
    length.is_some_and(|length| reader.0.len() >= length)
}

fn open_session(
    server: &Mutex<Server>,
    input: &mut BufReader<TcpStream>,
    output: &mut TcpStream,
) -> io::Result<Option<i64>> {
    let frame = read_frame(input)?;
    let mut reader = Reader(&frame);
    reader.int()?;
    let (last_zxid, timeout_ms, wanted) = (reader.long()?, reader.int()?, reader.long()?);
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    if last_zxid > server.zxid {
        return Ok(None); // The client has seen more than this server has.
    }
    let lives = wanted == 0 || server.sessions.contains(&wanted);
    let session = if wanted == 0 { 0x0100_0000 + server.zxid } else { wanted };
    let mut answer = Writer::default();
    answer.int(0).int(if lives { timeout_ms } else { 0 }).long(if lives { session } else { 0 });
    answer.buffer(&[0; 16]).byte(0);
    if wanted == 0 {
        let mut request = Writer::default();
        request.int(0).int(CREATE_SESSION);
        server.commit(session, &[request.0]).unwrap_or_else(|error| fail(&error));
    }
    output.write_all(&answer.frame())?;
    Ok(lives.then_some(session))
}

/// The end of a server whose log failed: nothing in flight is acknowledged.
#[expect(clippy::exit, clippy::print_stderr, reason = "the documented end of a failed log")]
fn fail<T>(error: &io::Error) -> T {
    eprintln!("faults-toy-server: the log failed: {error}");
    std::process::exit(1)
}

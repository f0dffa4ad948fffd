//! Reads one snapshot, item by item, whatever its compression, and checks its seals.
//!
//! Memory stays within a buffer and the longest item. What follows the nodes (the digest, the last
//! zxid) is probed by what is there, since a file does not say which settings wrote it.

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{SnapshotProblem, StoreError};
use crate::limits::{COPY_BYTES, SNAPSHOT_READ_BYTES, SNAPSHOT_SECTIONS_BYTES_MAX};
use crate::names;
use crate::options::Compression;
use crate::snappy::SnappyReader;
use bellwether_wire::disk::{FileHeader, SnapshotItem, SnapshotNode, TxnDigest, header};
use bellwether_wire::jute::{DecodeError, Decoded, Problem, Reader};
use bellwether_wire::{Acl, SessionId, Zxid};
use simd_adler32::Adler32;
use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// An open snapshot: an iterator over its items. The last item came out sound only when the
/// iterator has ended without an error.
pub struct SnapshotReader {
    path: PathBuf,
    input: BufReader<Box<dyn Read + Send>>,
    sum: Adler32,
    offset: u64,
    item: Vec<u8>,
    section: Section,
}

/// What comes next.
enum Section {
    Header,
    Sessions { left: i32 },
    AclCount,
    Acls { left: i32 },
    Nodes,
    Rest(VecDeque<SnapshotItem>),
    Ended,
}

type Read1<T> = Result<T, SnapshotProblem>;

/// What a seal says instead of a path.
pub(crate) const SEAL_PATH: &str = "/";
const SEAL_BYTES: usize = 8 + 4 + 1;
const ACL_ID_AND_STAT_BYTES: usize = 8 + 60;

/// Reads a file from its beginning.
struct Sequential {
    file: Box<dyn DiskFile>,
    at: u64,
}

impl Read for Sequential {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(self.at, into)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl SnapshotReader {
    /// Opens a snapshot; its name says how it is compressed.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<SnapshotReader, StoreError> {
        let file = disk.open(path, Access::Read).map_err(|e| StoreError::io("open", path, e))?;
        let file = BufReader::with_capacity(SNAPSHOT_READ_BYTES, Sequential { file, at: 0 });
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let input: Box<dyn Read + Send> = match names::compression(name) {
            Compression::None => Box::new(file),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            Compression::Snappy => Box::new(SnappyReader::new(file).map_err(|e| {
                let problem = problem_of(e);
                StoreError::Snapshot { path: path.to_path_buf(), offset: 0, problem }
            })?),
        };
        Ok(SnapshotReader {
            path: path.to_path_buf(),
            input: BufReader::with_capacity(64 << 10, input),
            sum: Adler32::new(),
            offset: 0,
            item: Vec::new(),
            section: Section::Header,
        })
    }

    /// Reads it all and says whether it is sound.
    pub fn verify(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
        SnapshotReader::open(disk, path)?.try_for_each(|item| item.map(drop))
    }

    fn step(&mut self) -> Read1<Option<SnapshotItem>> {
        loop {
            self.begin_item();
            match &mut self.section {
                Section::Header => {
                    self.fill(FileHeader::BYTES + 4)?;
                    let (header, left) =
                        self.parse(|r| Ok((FileHeader::decode(r)?, r.int("sessions")?)))?;
                    if header.magic != header::SNAPSHOT_MAGIC {
                        return Err(SnapshotProblem::Header);
                    }
                    self.section = Section::Sessions { left };
                }
                Section::Sessions { left } if *left > 0 => {
                    *left -= 1;
                    return self.session().map(Some);
                }
                Section::Sessions { .. } => self.section = Section::AclCount,
                Section::AclCount => {
                    self.fill(4)?;
                    let left = self.parse(|r| r.int("acls"))?;
                    self.section = Section::Acls { left };
                }
                Section::Acls { left } if *left > 0 => {
                    *left -= 1;
                    return self.acl().map(Some);
                }
                Section::Acls { .. } => self.section = Section::Nodes,
                Section::Nodes => match self.node()? {
                    Some(node) => return Ok(Some(SnapshotItem::Node(node))),
                    None => self.section = Section::Rest(self.sections()?),
                },
                Section::Rest(items) => match items.pop_front() {
                    Some(item) => return Ok(Some(item)),
                    None => self.section = Section::Ended,
                },
                Section::Ended => return Ok(None),
            }
        }
    }

    fn session(&mut self) -> Read1<SnapshotItem> {
        self.fill(12)?;
        self.parse(|r| {
            let id = SessionId(r.long("session.id")?);
            Ok(SnapshotItem::Session { id, timeout_ms: r.int("session.timeout")? })
        })
    }

    fn acl(&mut self) -> Read1<SnapshotItem> {
        self.fill(12)?;
        let entries = self.parse(|r| {
            r.long("acl.id")?;
            r.int("acl.count")
        })?;
        for _ in 0..entries.max(0) {
            self.fill(4)?;
            self.fill_buffer()?;
            self.fill_buffer()?;
        }
        self.parse(|r| {
            let id = r.long("acl.id")?;
            Ok(SnapshotItem::Acl { id, acl: Acl::decode_list(r)?.unwrap_or_default() })
        })
    }

    /// The next node, or nothing after the last one; then the seal was checked.
    fn node(&mut self) -> Read1<Option<SnapshotNode>> {
        self.fill_buffer()?;
        let path = self.parse(|r| r.text("node.path"))?;
        let path_bytes = self.item.len();
        if &*path == "/" {
            self.begin_item();
            self.seal()?;
            return Ok(None);
        }
        self.fill_buffer()?;
        self.fill(ACL_ID_AND_STAT_BYTES)?;
        let node = self.parse(|r| {
            r.take(path_bytes, "node.path")?;
            SnapshotNode::decode_rest(path, r)
        })?;
        Ok(Some(node))
    }

    fn seal(&mut self) -> Read1<()> {
        let sum = self.sum.finish();
        self.fill(SEAL_BYTES)?;
        let (found, path) = self.parse(|r| Ok((r.long("seal.val")?, r.text("seal.path")?)))?;
        self.begin_item();
        if found == i64::from(sum) && &*path == SEAL_PATH {
            Ok(())
        } else {
            Err(SnapshotProblem::Checksum)
        }
    }

    /// Digest and last zxid, where they are there.
    fn sections(&mut self) -> Read1<VecDeque<SnapshotItem>> {
        let mut rest = Vec::new();
        let limit = SNAPSHOT_SECTIONS_BYTES_MAX as u64;
        (&mut self.input).take(limit).read_to_end(&mut rest).map_err(problem_of)?;
        let mut sum = self.sum.clone();
        let r = &mut Reader::new(&rest);
        let mut items = VecDeque::new();
        // The last zxid and its seal take 21 bytes; a digest and its seal take at least 29.
        if r.remaining() > 8 + SEAL_BYTES {
            let start = r.offset();
            items.push_back(digest(r).map_err(SnapshotProblem::Content)?);
            check_seal(r, start, &rest, &mut sum)?;
        }
        if r.remaining() > 0 {
            let start = r.offset();
            let zxid = r.long("lastProcessedZxid").map_err(SnapshotProblem::Content)?;
            items.push_back(SnapshotItem::LastProcessed(Zxid(zxid)));
            check_seal(r, start, &rest, &mut sum)?;
        }
        if r.remaining() > 0 { Err(SnapshotProblem::Trailing) } else { Ok(items) }
    }

    /// What was read before belongs to the checksum; a new item begins.
    fn begin_item(&mut self) {
        self.sum.write(&self.item);
        self.offset += self.item.len() as u64;
        self.item.clear();
    }

    /// Reads `len` more bytes of the item. Memory grows with what is there, not with `len`.
    fn fill(&mut self, len: usize) -> Read1<()> {
        let wanted = self.item.len() + len;
        while self.item.len() < wanted {
            let from = self.item.len();
            self.item.resize(wanted.min(from + COPY_BYTES), 0);
            let into = self.item.get_mut(from..).unwrap_or_default();
            self.input.read_exact(into).map_err(problem_of)?;
        }
        Ok(())
    }

    /// Reads a buffer or string, its length included.
    fn fill_buffer(&mut self) -> Read1<()> {
        let at = self.item.len();
        self.fill(4)?;
        let length = Reader::new(self.item.get(at..).unwrap_or_default()).int("length");
        match length.map_err(SnapshotProblem::Content)? {
            -1 => Ok(()),
            length => match usize::try_from(length) {
                Ok(length) => self.fill(length),
                Err(_) => {
                    let problem = Problem::Length(length);
                    Err(SnapshotProblem::Content(DecodeError {
                        what: "length",
                        offset: at,
                        problem,
                    }))
                }
            },
        }
    }

    fn parse<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> Decoded<T>) -> Read1<T> {
        read(&mut Reader::new(&self.item)).map_err(SnapshotProblem::Content)
    }
}

fn check_seal(r: &mut Reader<'_>, start: usize, rest: &[u8], sum: &mut Adler32) -> Read1<()> {
    sum.write(rest.get(start..r.offset()).unwrap_or_default());
    let before_seal = r.offset();
    let found = r.long("seal.val").map_err(SnapshotProblem::Content)?;
    let path = r.text("seal.path").map_err(SnapshotProblem::Content)?;
    if found != i64::from(sum.finish()) || &*path != SEAL_PATH {
        return Err(SnapshotProblem::Checksum);
    }
    sum.write(rest.get(before_seal..r.offset()).unwrap_or_default());
    Ok(())
}

/// Versions before 2 wrote the digest as a string of hexadecimal digits.
fn digest(r: &mut Reader<'_>) -> Decoded<SnapshotItem> {
    let zxid = Zxid(r.long("digest.zxid")?);
    let version = r.int("digest.version")?;
    let digest = if version < TxnDigest::VERSION {
        let offset = r.offset();
        let hex = r.text("digest.digest")?;
        let bits = u64::from_str_radix(&hex, 16);
        let wrong = DecodeError { what: "digest.digest", offset, problem: Problem::Unknown(0) };
        bits.ok().ok_or(wrong)?.cast_signed()
    } else {
        r.long("digest.digest")?
    };
    Ok(SnapshotItem::Digest { zxid, digest: TxnDigest { version, digest } })
}

fn problem_of(error: io::Error) -> SnapshotProblem {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        SnapshotProblem::Truncated
    } else {
        SnapshotProblem::Io(error)
    }
}

impl Iterator for SnapshotReader {
    type Item = Result<SnapshotItem, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Ok(item) => item.map(Ok),
            Err(problem) => {
                self.section = Section::Ended;
                let path = self.path.clone();
                Some(Err(StoreError::Snapshot { path, offset: self.offset, problem }))
            }
        }
    }
}

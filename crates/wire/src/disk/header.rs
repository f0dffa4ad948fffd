//! The 16 bytes that open a log or a snapshot.

use crate::jute::{Decoded, Put, Reader};

/// `ZKLG`.
pub const LOG_MAGIC: i32 = 0x5A4B_4C47;
/// `ZKSN`.
pub const SNAPSHOT_MAGIC: i32 = 0x5A4B_534E;
/// The version of both formats.
pub const VERSION: i32 = 2;

/// The header of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// [`LOG_MAGIC`] or [`SNAPSHOT_MAGIC`].
    pub magic: i32,
    /// [`VERSION`].
    pub version: i32,
    /// 0 in logs, -1 in snapshots.
    pub dbid: i64,
}

impl FileHeader {
    /// Its length in bytes.
    pub const BYTES: usize = 16;
    /// What opens a log.
    pub const LOG: FileHeader = FileHeader { magic: LOG_MAGIC, version: VERSION, dbid: 0 };
    /// What opens a snapshot.
    pub const SNAPSHOT: FileHeader =
        FileHeader { magic: SNAPSHOT_MAGIC, version: VERSION, dbid: -1 };

    /// Reads a header, whatever its magic.
    pub fn decode(r: &mut Reader<'_>) -> Decoded<FileHeader> {
        let (magic, version) = (r.int("header.magic")?, r.int("header.version")?);
        Ok(FileHeader { magic, version, dbid: r.long("header.dbid")? })
    }

    /// Appends a header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_int(self.magic);
        out.put_int(self.version);
        out.put_long(self.dbid);
    }
}

//! The side file: up to where the log is known to be on stable storage.
//!
//! It is written after each sync of the log and before the batch is acknowledged, by a plain write
//! into one sector, so that it survives the end of the process and costs no sync of its own. It is
//! synced when a log is begun, on a clean stop, and when there is nothing else to do. What it says
//! is a lower bound that was true when it was written: a torn, stale or missing file says less,
//! never something wrong.

use crate::disk::{Access, Disk, DiskFile};
use crate::error::StoreError;
use crate::names;
use bellwether_wire::Zxid;
use bellwether_wire::jute::{Put, Reader};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"BWSYNCED";
const VERSION: i32 = 1;
const BYTES: usize = 8 + 4 + 8 + 8 + 8 + 8;

/// What is known to be on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synced {
    /// The log, by the zxid of its name.
    pub log: Zxid,
    /// Everything in it before this offset.
    pub offset: u64,
    /// The last transaction before that offset, or before that log.
    pub last: Zxid,
}

impl Synced {
    /// In place of a log, where what was synced stands in none of this store's.
    pub const NO_LOG: Zxid = Zxid(-1);

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BYTES);
        out.extend_from_slice(MAGIC);
        out.put_int(VERSION);
        out.put_long(self.log.0);
        out.extend_from_slice(&self.offset.to_be_bytes());
        out.put_long(self.last.0);
        let sum = crc32fast::hash(&out);
        out.put_long(i64::from(sum));
        out
    }

    /// What the bytes say; nothing if they are not whole.
    fn decode(bytes: &[u8]) -> Option<Synced> {
        let r = &mut Reader::new(bytes);
        let magic = r.take(8, "magic").ok()?;
        let version = r.int("version").ok()?;
        let log = Zxid(r.long("log").ok()?);
        let offset = u64::try_from(r.long("offset").ok()?).ok()?;
        let last = Zxid(r.long("last").ok()?);
        let sum = crc32fast::hash(bytes.get(..r.offset())?);
        let sound = r.long("checksum").ok()? == i64::from(sum);
        (magic == MAGIC && version == VERSION && sound).then_some(Synced { log, offset, last })
    }

    /// Reads the side file of a directory. Whatever is wrong with it means that nothing is known.
    pub fn read(disk: &dyn Disk, log_dir: &Path) -> Option<Synced> {
        let file = disk.open(&log_dir.join(names::SYNCED), Access::Read).ok()?;
        let mut bytes = vec![0; BYTES];
        let got = file.read_at(0, &mut bytes).ok()?;
        Synced::decode(bytes.get(..got)?)
    }
}

/// The open side file.
pub(crate) struct SyncedFile {
    pub(crate) path: PathBuf,
    file: Box<dyn DiskFile>,
    dirty: bool,
}

impl SyncedFile {
    /// Opens the side file, or creates it. The caller syncs the directory.
    pub(crate) fn open(disk: &dyn Disk, log_dir: &Path) -> Result<SyncedFile, StoreError> {
        let path = log_dir.join(names::SYNCED);
        let file = disk
            .open(&path, Access::ReadWrite)
            .or_else(|_| disk.create(&path))
            .map_err(|e| StoreError::io("open", &path, e))?;
        Ok(SyncedFile { path, file, dirty: false })
    }

    /// Notes what was synced.
    pub(crate) fn write(&mut self, synced: Synced) -> std::io::Result<()> {
        self.dirty = true;
        self.file.write_at(0, &synced.encode())
    }

    /// Makes it durable.
    pub(crate) fn sync(&mut self) -> std::io::Result<()> {
        if self.dirty {
            self.file.sync_data()?;
            self.dirty = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_round_trips_and_a_torn_one_says_nothing() {
        let synced = Synced { log: Zxid(5), offset: 1000, last: Zxid(9) };
        let bytes = synced.encode();
        assert_eq!((bytes.len(), Synced::decode(&bytes)), (BYTES, Some(synced)));
        let other = Synced { log: Zxid(5), offset: 0x0203, last: Zxid(0x0101) }.encode();
        for cut in 0..BYTES {
            assert_eq!(Synced::decode(&bytes[..cut]), None, "{cut}");
            let mut torn = bytes[..cut].to_vec();
            torn.extend_from_slice(&other[cut..]);
            let said = Synced::decode(&torn);
            assert!(torn == bytes || torn == other || said.is_none(), "{cut}: {said:?}");
        }
    }
}

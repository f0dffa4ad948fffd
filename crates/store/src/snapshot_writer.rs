//! Writes one snapshot: under a temporary name until it is whole and durable.
//!
//! It needs nothing from the open store but the disk, so that a thread of its own can use it. What
//! is not finished is removed.

use crate::disk::{Disk, DiskFile};
use crate::durable::{sync_dir, sync_file};
use crate::error::{self, StoreError};
use crate::limits::{SNAPSHOT_SYNC_BYTES, SNAPSHOT_WRITE_BYTES};
use crate::names;
use crate::options::{Compression, StoreOptions};
use crate::snappy::SnappyWriter;
use crate::snapshot_reader::SEAL_PATH;
use bellwether_wire::disk::{FileHeader, SnapshotItem};
use bellwether_wire::jute::Put;
use bellwether_wire::{Acl, Zxid};
use flate2::write::GzEncoder;
use simd_adler32::Adler32;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A snapshot that is being written.
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    options: StoreOptions,
    zxid: Zxid,
    temporary: PathBuf,
    path: PathBuf,
    /// `None` once it is finished or has failed.
    output: Option<Output>,
    sum: Adler32,
    item: Vec<u8>,
    sessions: Counted,
    acls: Counted,
    phase: Phase,
    /// Whether the file has its name, or another has taken it over.
    renamed: bool,
}

/// A snapshot that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSnapshot {
    /// The zxid of its name.
    pub zxid: Zxid,
    /// Where it is.
    pub path: PathBuf,
    /// How long it is on the disk.
    pub bytes: u64,
}

/// Items whose count stands before them.
#[derive(Default)]
struct Counted {
    count: usize,
    bytes: Vec<u8>,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Sessions,
    Acls,
    Nodes,
    Digest,
    LastProcessed,
}

enum Output {
    Plain(FileOutput),
    Gzip(GzEncoder<FileOutput>),
    Snappy(SnappyWriter<FileOutput>),
}

/// Collects bytes, writes them in large pieces, and syncs now and then.
struct FileOutput {
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    written: u64,
    synced: u64,
}

impl SnapshotWriter {
    /// Begins the snapshot of `zxid`.
    pub fn create(
        disk: Arc<dyn Disk>,
        options: &StoreOptions,
        zxid: Zxid,
    ) -> Result<SnapshotWriter, StoreError> {
        let name = names::snapshot(zxid, options.compression);
        SnapshotWriter::under(disk, options, zxid, names::temporary(&name))
    }

    /// Begins the snapshot of `zxid` under this name.
    pub(crate) fn under(
        disk: Arc<dyn Disk>,
        options: &StoreOptions,
        zxid: Zxid,
        temporary: String,
    ) -> Result<SnapshotWriter, StoreError> {
        let dir = options.snapshot_dir();
        let name = names::snapshot(zxid, options.compression);
        let (path, temporary) = (dir.join(&name), dir.join(temporary));
        let mut writer = SnapshotWriter {
            disk,
            options: options.clone(),
            zxid,
            temporary,
            path,
            output: None,
            sum: Adler32::new(),
            item: Vec::new(),
            sessions: Counted::default(),
            acls: Counted::default(),
            phase: Phase::Sessions,
            renamed: false,
        };
        match writer.open() {
            Ok(output) => writer.output = Some(output),
            Err(e) => return Err(writer.failed("create", e)),
        }
        Ok(writer)
    }

    fn open(&self) -> io::Result<Output> {
        let file = self.disk.create(&self.temporary)?;
        let output = FileOutput { file, buffer: Vec::new(), written: 0, synced: 0 };
        Ok(match self.options.compression {
            Compression::None => Output::Plain(output),
            Compression::Gzip => {
                Output::Gzip(GzEncoder::new(output, flate2::Compression::default()))
            }
            Compression::Snappy => Output::Snappy(SnappyWriter::new(output)?),
        })
    }

    /// Adds an item. They come in [`SnapshotItem`]'s order.
    pub fn write(&mut self, item: &SnapshotItem) -> Result<(), StoreError> {
        match item {
            SnapshotItem::Session { id, timeout_ms } => {
                self.enter(Phase::Sessions)?;
                self.sessions.count += 1;
                self.sessions.bytes.put_long(id.0);
                self.sessions.bytes.put_int(*timeout_ms);
            }
            SnapshotItem::Acl { id, acl } => {
                self.enter(Phase::Acls)?;
                self.acls.count += 1;
                self.acls.bytes.put_long(*id);
                Acl::encode_list(acl, &mut self.acls.bytes);
            }
            SnapshotItem::Node(node) => {
                self.enter(Phase::Nodes)?;
                node.encode(&mut self.item);
                self.put_item()?;
            }
            SnapshotItem::Digest { zxid, digest } => {
                self.enter(Phase::Digest)?;
                self.item.put_long(zxid.0);
                self.item.put_int(digest.version);
                self.item.put_long(digest.digest);
                self.put_item()?;
                self.put_seal()?;
            }
            SnapshotItem::LastProcessed(zxid) => {
                self.enter(Phase::LastProcessed)?;
                self.item.put_long(zxid.0);
                self.put_item()?;
                self.put_seal()?;
            }
        }
        Ok(())
    }

    /// Seals the file, makes it durable and gives it its name.
    pub fn finish(mut self) -> Result<SavedSnapshot, StoreError> {
        let bytes = self.seal()?;
        if let Err(e) = self.disk.rename(&self.temporary, &self.path) {
            return Err(self.failed("rename", e));
        }
        self.renamed = true;
        let dir = self.options.snapshot_dir();
        if let Err(e) = sync_dir(&self.options, self.disk.as_ref(), &dir) {
            return Err(self.failed("sync the name of", e));
        }
        Ok(SavedSnapshot { zxid: self.zxid, path: self.path.clone(), bytes })
    }

    /// Writes all that belongs to the snapshot and makes it durable; returns how long it is.
    pub(crate) fn seal(&mut self) -> Result<u64, StoreError> {
        self.enter(Phase::LastProcessed)?;
        let output = self.output.take().expect("a writer that failed is not finished");
        output.finish(&self.options).map_err(|e| self.failed("write", e))
    }

    /// The name that it is to have.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the sealed file to the caller, under its temporary name: that, and its name to be.
    pub(crate) fn into_paths(mut self) -> (PathBuf, PathBuf) {
        self.renamed = true;
        (self.temporary.clone(), self.path.clone())
    }

    /// Gives up and removes what was written.
    pub fn abort(self) {
        drop(self);
    }

    /// Ends the phases before `phase`.
    fn enter(&mut self, phase: Phase) -> Result<(), StoreError> {
        assert!(phase >= self.phase, "{phase:?} after {:?}", self.phase);
        if self.phase < Phase::Nodes && phase >= Phase::Nodes {
            self.put_head()?;
        }
        if self.phase <= Phase::Nodes && phase > Phase::Nodes {
            self.item.put_text("/");
            self.put_item()?;
            self.put_seal()?;
        }
        self.phase = phase;
        Ok(())
    }

    fn put_head(&mut self) -> Result<(), StoreError> {
        FileHeader::SNAPSHOT.encode(&mut self.item);
        for counted in [&mut self.sessions, &mut self.acls] {
            self.item.put_len(counted.count);
            self.item.append(&mut counted.bytes);
        }
        self.put_item()
    }

    fn put_seal(&mut self) -> Result<(), StoreError> {
        self.item.put_long(i64::from(self.sum.finish()));
        self.item.put_text(SEAL_PATH);
        self.put_item()
    }

    fn put_item(&mut self) -> Result<(), StoreError> {
        self.sum.write(&self.item);
        let output = self.output.as_mut().expect("nothing is written after a failure");
        let result = output.write_all(&self.item);
        self.item.clear();
        result.map_err(|e| self.failed("write", e))
    }

    fn failed(&mut self, doing: &'static str, source: io::Error) -> StoreError {
        self.output = None;
        let free = || self.disk.free_bytes(&self.options.snapshot_dir()).ok();
        let bytes_free = if error::is_full(&source) { free() } else { None };
        StoreError::SnapshotWrite { doing, path: self.path.clone(), bytes_free, source }
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        drop(self.output.take());
        if !self.renamed {
            // Where this fails, too, the file is removed at the next start.
            drop(self.disk.remove(&self.temporary));
        }
    }
}

impl Output {
    /// Writes and syncs everything; returns the file's length.
    fn finish(self, options: &StoreOptions) -> io::Result<u64> {
        let mut output = match self {
            Output::Plain(output) => output,
            Output::Gzip(encoder) => encoder.finish()?,
            Output::Snappy(writer) => writer.finish()?,
        };
        output.write_buffer()?;
        sync_file(options, output.file.as_mut())?;
        Ok(output.written)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::Plain(output) => output.write_all(bytes),
            Output::Gzip(encoder) => encoder.write_all(bytes),
            Output::Snappy(writer) => writer.write_all(bytes),
        }
    }
}

impl FileOutput {
    fn write_buffer(&mut self) -> io::Result<()> {
        self.file.write_at(self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written - self.synced >= SNAPSHOT_SYNC_BYTES {
            self.file.sync_data()?;
            self.synced = self.written;
        }
        Ok(())
    }
}

impl Write for FileOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= SNAPSHOT_WRITE_BYTES {
            self.write_buffer()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

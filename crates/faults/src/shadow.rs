//! The shadow of one watched directory: what would be there after a power loss.
//!
//! The shadow is a directory of its own, outside the watched one:
//!
//! - `root`: the inode number of the watched directory;
//! - `inodes/N`: the durable bytes of the file whose inode number is N;
//! - `dirs/N`: the durable [`Listing`] of the directory whose inode number is N;
//! - `fired`: a line per injected error.
//!
//! What it keeps true:
//!
//! - bytes enter `inodes/N` only while a sync of that file runs; names enter or leave `dirs/N` only
//!   while a sync of that directory runs. A process killed inside a sync leaves that sync partly
//!   done, which is what a power loss may do to a sync that has not returned;
//! - every watched file is held open, so that its inode number is not given to another file while
//!   the shadow may still need the old one's bytes.
//!
//! It is deliberately pessimistic: syncing a file does not sync its name (as POSIX allows, though
//! ext4 is kinder) unless [`Names::WithFile`] says so, and what a failed sync lost stays lost byte
//! by byte. Which calls were made, and which of them fail, is the preload layer's business.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::listing::{Entry, Listing, inode_of};
use crate::ranges::Ranges;

/// Ids from here on stand for durable files whose real file is gone; no inode number is as large.
const ORPHANS_FROM: u64 = 1 << 63;
const COPY_BYTES: usize = 256 * 1024;

/// When the name of a new file becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Only with a sync of its directory: all that POSIX promises.
    Strict,
    /// With a sync of the file as well, its whole path included: what ext4 and xfs do.
    WithFile,
}

/// A file of the watched directory.
#[derive(Debug)]
struct Tracked {
    /// Open for reading for as long as the file is tracked.
    pin: File,
    dirty: Ranges,
    /// The shortest length that the file has had since its last sync.
    len_min: u64,
}

/// The durable side of one watched directory. One process at a time works on a shadow.
#[derive(Debug)]
pub struct Shadow {
    watched: PathBuf,
    store: PathBuf,
    names: Names,
    device: u64,
    files: BTreeMap<u64, Tracked>,
    listings: BTreeMap<u64, Listing>,
    _lock: File,
}

impl Shadow {
    /// Opens the shadow at `store`. Without one, everything in `watched` counts as durable; with
    /// one (the process before was killed, the machine lived on), what differs is unsynced.
    pub fn open(watched: &Path, store: &Path, names: Names) -> io::Result<Self> {
        std::fs::create_dir_all(store)?;
        let lock = File::create(store.join("lock"))?;
        lock.try_lock().map_err(|error| io::Error::other(format!("shadow in use: {error}")))?;
        let watched = watched.canonicalize()?;
        let device = std::fs::metadata(&watched)?.dev();
        let mut shadow = Self {
            watched,
            store: store.to_owned(),
            names,
            device,
            files: BTreeMap::new(),
            listings: BTreeMap::new(),
            _lock: lock,
        };
        if shadow.store.join("root").exists() {
            shadow.resume()?;
        } else {
            shadow.begin()?;
        }
        Ok(shadow)
    }

    pub fn watched(&self) -> &Path {
        &self.watched
    }

    pub fn device(&self) -> u64 {
        self.device
    }

    pub fn tracks(&self, inode: u64) -> bool {
        self.files.contains_key(&inode)
    }

    /// Starts to track a file that was opened: what it holds so far is not durable.
    pub fn track(&mut self, pin: File) -> io::Result<()> {
        let metadata = pin.metadata()?;
        if !metadata.is_file() || metadata.dev() != self.device || self.tracks(metadata.ino()) {
            return Ok(());
        }
        let dirty = Ranges::one(0, metadata.len());
        self.files.insert(metadata.ino(), Tracked { pin, dirty, len_min: 0 });
        Ok(())
    }

    pub fn wrote(&mut self, inode: u64, start: u64, count: u64) {
        if let Some(file) = self.files.get_mut(&inode) {
            file.dirty.insert(start, start + count);
        }
    }

    /// Notes that a file may have been written anywhere, as through a mapping.
    pub fn wrote_anywhere(&mut self, inode: u64) {
        self.wrote(inode, 0, u64::MAX);
    }

    pub fn truncated(&mut self, inode: u64, len: u64) {
        if let Some(file) = self.files.get_mut(&inode) {
            file.len_min = file.len_min.min(len);
        }
    }

    /// Forgets what was written since the last sync: after a failed one the kernel counts these
    /// pages as clean, so that no later sync writes them.
    pub fn lose_unsynced(&mut self, inode: u64) {
        if let Some(file) = self.files.get_mut(&inode) {
            file.dirty.clear();
        }
    }

    /// Makes what was written to a file durable, and the names on its path if names go with files.
    pub fn sync_file(&mut self, inode: u64, path: Option<&Path>) -> io::Result<()> {
        self.copy_dirty(inode)?;
        match (self.names, path) {
            (Names::WithFile, Some(path)) => self.sync_ancestors(path),
            (Names::WithFile, None) | (Names::Strict, _) => Ok(()),
        }
    }

    /// Makes the names in a directory durable as they are at this moment.
    pub fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        let listing = Listing::of_directory(path)?;
        for (name, entry) in &listing.entries {
            match entry {
                Entry::File(inode) => self.ensure_tracked(&path.join(name), *inode)?,
                Entry::Directory(_) => {} // Its names become durable with its own sync.
            }
        }
        self.save_listing(inode_of(path)?, listing)?;
        self.forget_unreachable()
    }

    /// Makes everything durable, as `sync` and `syncfs` do.
    pub fn sync_all(&mut self) -> io::Result<()> {
        let inodes: Vec<u64> = self.files.keys().copied().collect();
        for inode in inodes {
            self.copy_dirty(inode)?;
        }
        let watched = self.watched.clone();
        self.sync_tree(&watched)
    }

    /// A directory was made: a listing under the same inode number belongs to one that is gone.
    pub fn made_directory(&mut self, path: &Path) -> io::Result<()> {
        self.save_listing(inode_of(path)?, Listing::default())
    }

    /// Keeps a record of an injected error for whoever injected it.
    pub fn record_fired(&self, line: &str) -> io::Result<()> {
        let mut file =
            OpenOptions::new().create(true).append(true).open(self.store.join("fired"))?;
        writeln!(file, "{line}")
    }

    fn begin(&mut self) -> io::Result<()> {
        for part in ["inodes", "dirs"].map(|part| self.store.join(part)) {
            if part.exists() {
                std::fs::remove_dir_all(&part)?; // Of a process that was killed right here.
            }
            std::fs::create_dir(&part)?;
        }
        let watched = self.watched.clone();
        self.sync_tree(&watched)?;
        // Last, so that a shadow with a root is a whole one.
        std::fs::write(self.store.join("root"), inode_of(&watched)?.to_string())
    }

    fn sync_tree(&mut self, path: &Path) -> io::Result<()> {
        self.sync_directory(path)?;
        let listing = self.listings.get(&inode_of(path)?).cloned().unwrap_or_default();
        for (name, entry) in listing.entries {
            match entry {
                Entry::File(inode) => self.copy_dirty(inode)?,
                Entry::Directory(_) => self.sync_tree(&path.join(name))?,
            }
        }
        Ok(())
    }

    fn resume(&mut self) -> io::Result<()> {
        let mut alive = BTreeMap::new();
        collect_files(&self.watched.clone(), &mut alive)?;
        let renumbered = self.renumber_orphans(&alive)?;
        for entry in std::fs::read_dir(self.store.join("dirs"))? {
            let path = entry?.path();
            let Some(id) = id_of(&path) else { continue };
            let mut listing = Listing::decode(&std::fs::read(&path)?)?;
            for entry in listing.entries.values_mut() {
                if let Entry::File(file) = entry
                    && let Some(orphan) = renumbered.get(file)
                {
                    *file = *orphan;
                }
            }
            self.save_listing(id, listing)?;
        }
        alive.into_values().try_for_each(|pin| self.track(pin))
    }

    /// The kernel may give the inode number of a file that is gone to a new one, so the durable
    /// bytes of files that are gone move to ids that are no inode numbers.
    fn renumber_orphans(&self, alive: &BTreeMap<u64, File>) -> io::Result<BTreeMap<u64, u64>> {
        let ids: BTreeSet<u64> = std::fs::read_dir(self.store.join("inodes"))?
            .filter_map(|entry| id_of(&entry.ok()?.path()))
            .collect();
        let free = ids.last().map_or(0, |id| id + 1).max(ORPHANS_FROM);
        let gone = ids.into_iter().filter(|id| *id < ORPHANS_FROM && !alive.contains_key(id));
        let mut renumbered = BTreeMap::new();
        for (id, orphan) in gone.zip(free..) {
            std::fs::rename(self.bytes_of(id), self.bytes_of(orphan))?;
            renumbered.insert(id, orphan);
        }
        Ok(renumbered)
    }

    fn sync_ancestors(&mut self, path: &Path) -> io::Result<()> {
        let watched = self.watched.clone();
        for directory in path.ancestors().skip(1) {
            if !directory.starts_with(&watched) {
                break;
            }
            self.sync_directory(directory)?;
        }
        Ok(())
    }

    fn copy_dirty(&mut self, inode: u64) -> io::Result<()> {
        let durable = self.bytes_of(inode);
        let Some(file) = self.files.get_mut(&inode) else { return Ok(()) };
        let out = OpenOptions::new().write(true).create(true).truncate(false).open(durable)?;
        let len = file.pin.metadata()?.len();
        if file.len_min < out.metadata()?.len() {
            out.set_len(file.len_min)?;
        }
        out.set_len(len)?;
        for (start, end) in file.dirty.iter() {
            copy_span(&file.pin, &out, (start, end.min(len)))?;
        }
        file.dirty.clear();
        file.len_min = len;
        Ok(())
    }

    fn ensure_tracked(&mut self, path: &Path, inode: u64) -> io::Result<()> {
        if !self.tracks(inode) {
            match File::open(path) {
                Ok(pin) => self.track(pin)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // A name that is durable before any of its bytes are stands for an empty file.
        OpenOptions::new().append(true).create(true).open(self.bytes_of(inode))?;
        Ok(())
    }

    fn save_listing(&mut self, id: u64, listing: Listing) -> io::Result<()> {
        // By a rename, so that a process killed here leaves the old listing or this one.
        let path = self.store.join("dirs").join(id.to_string());
        let temporary = path.with_extension("tmp");
        std::fs::write(&temporary, listing.encode())?;
        std::fs::rename(&temporary, &path)?;
        self.listings.insert(id, listing);
        Ok(())
    }

    /// Lets go of files that have no name left, neither in the directory nor in a listing.
    fn forget_unreachable(&mut self) -> io::Result<()> {
        let listed: BTreeSet<u64> = self
            .listings
            .values()
            .flat_map(|listing| listing.entries.values())
            .filter_map(|entry| match entry {
                Entry::File(id) => Some(*id),
                Entry::Directory(_) => None,
            })
            .collect();
        let mut gone = Vec::new();
        for (inode, file) in &self.files {
            if !listed.contains(inode) && file.pin.metadata()?.nlink() == 0 {
                gone.push(*inode);
            }
        }
        for inode in gone {
            self.files.remove(&inode);
            match std::fs::remove_file(self.bytes_of(inode)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn bytes_of(&self, id: u64) -> PathBuf {
        self.store.join("inodes").join(id.to_string())
    }
}

fn id_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

fn collect_files(directory: &Path, files: &mut BTreeMap<u64, File>) -> io::Result<()> {
    for (name, entry) in Listing::of_directory(directory)?.entries {
        let path = directory.join(name);
        match entry {
            Entry::File(inode) => {
                files.insert(inode, File::open(path)?);
            }
            Entry::Directory(_) => collect_files(&path, files)?,
        }
    }
    Ok(())
}

fn copy_span(from: &File, to: &File, (start, end): (u64, u64)) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut at = start;
    while at < end {
        let wanted = usize::try_from(end - at).map_or(COPY_BYTES, |left| left.min(COPY_BYTES));
        buffer.resize(wanted, 0);
        let count = from.read_at(&mut buffer, at)?;
        if count == 0 {
            break; // The file was truncated meanwhile; its new length is the next sync's business.
        }
        buffer.truncate(count);
        to.write_all_at(&buffer, at)?;
        at += count as u64;
    }
    Ok(())
}

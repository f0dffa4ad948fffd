//! A disk in memory that keeps exactly the promises of [`Disk`] and breaks every other hope.
//!
//! At a loss of power each sector of 512 bytes that was written and not synced is there, is not
//! there, or is torn; a length is the old or the new one; a directory entry that was not synced is
//! there or not, whatever became of the others. A failed sync loses some of the sectors for good
//! while they stay readable, as page caches do, and the next sync says that all is well. The end
//! of the process alone loses nothing.
//!
//! Everything follows from the seed and the order of calls. The directories themselves are durable
//! once created, as [`Disk::create_dir_all`] promises.

use bellwether_store::{Access, Disk, DiskFile, DiskLock};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR: usize = 512;

/// A source of chance (splitmix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.any() % limit
    }

    /// An index below `limit`, which is not 0.
    pub fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).expect("it is below a usize")
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// One write, creation or sync in so many fails with EIO; 0 for none.
    pub error_one_in: u64,
    /// After so many operations the machine is off: nothing succeeds until [`SimDisk::restart`].
    pub off_after: Option<u64>,
    /// How many bytes the files may have together.
    pub capacity_bytes: Option<u64>,
}

/// How the machine or the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The process was killed: what it wrote is readable and may still reach the disk.
    Killed,
    /// The power failed: what was not synced is anybody's guess.
    PowerLost,
}

/// The disk. Clones share it.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    chance: Chance,
    faults: Faults,
    operations: u64,
    /// Grows with every restart; handles and locks of an earlier life are dead.
    life: u64,
    files: BTreeMap<u64, File>,
    next_file: u64,
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that are not durable, in order.
    pending: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
}

#[derive(Default)]
struct File {
    /// What is read.
    bytes: Vec<u8>,
    /// What is on the disk.
    durable: Vec<u8>,
    /// Sectors that were written and neither synced nor lost.
    dirty: BTreeSet<usize>,
    /// Whether the length was changed and not synced.
    len_dirty: bool,
    /// The shortest it was since the last sync, if it was cut: nothing behind that stays.
    cut_to: Option<usize>,
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf, u64),
    Unlink(PathBuf),
}

impl NameChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            NameChange::Link(path, _) | NameChange::Rename(path, ..) | NameChange::Unlink(path) => {
                path.parent()
            }
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            NameChange::Link(path, file) => {
                names.insert(path.clone(), *file);
            }
            NameChange::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            NameChange::Unlink(path) => {
                names.remove(path);
            }
        }
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            chance: Chance::new(seed),
            faults: Faults::default(),
            operations: 0,
            life: 0,
            files: BTreeMap::new(),
            next_file: 0,
            dirs: BTreeSet::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            locks: BTreeSet::new(),
        })))
    }

    /// Sets what goes wrong from here on.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        state.operations = 0;
        state.faults = faults;
    }

    /// How many operations there were since the faults were set.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Ends the process that used the disk, and begins another: open files and locks are gone, and
    /// with the power everything that was not synced may be. Nothing goes wrong until told.
    pub fn restart(&self, end: End) {
        let state = &mut *self.state();
        state.life += 1;
        state.locks.clear();
        state.faults = Faults::default();
        match end {
            End::Killed => {}
            End::PowerLost => state.lose_power(),
        }
    }

    /// Whether the machine went off, as the faults told it to.
    pub fn is_off(&self) -> bool {
        let state = self.state();
        state.faults.off_after.is_some_and(|after| state.operations > after)
    }

    /// All bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere has failed the test already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an operation is, to the faults.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Change,
}

impl State {
    fn begin(&mut self, kind: Kind) -> io::Result<()> {
        self.operations += 1;
        if self.faults.off_after.is_some_and(|after| self.operations > after) {
            return Err(io::Error::other("the machine is off"));
        }
        let errors = self.faults.error_one_in;
        if kind == Kind::Change && errors > 0 && self.chance.one_in(errors) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().filter_map(|id| self.files.get(id)).map(|f| f.bytes.len() as u64).sum()
    }

    fn room(&self) -> u64 {
        let capacity = self.faults.capacity_bytes.unwrap_or(u64::MAX);
        capacity.saturating_sub(self.used_bytes())
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&mut self, id: u64) -> &mut File {
        self.files.get_mut(&id).expect("files are never forgotten while a handle is alive")
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn lose_power(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            if self.chance.one_in(2) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let alive: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|id, _| alive.contains(id));
        for file in self.files.values_mut() {
            file.lose_power(&mut self.chance);
        }
    }
}

impl File {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.set_len(end);
        }
        if let Some(into) = self.bytes.get_mut(offset..end) {
            into.copy_from_slice(bytes);
        }
        if !bytes.is_empty() {
            self.dirty.extend(offset / SECTOR..=(end - 1) / SECTOR);
        }
    }

    fn set_len(&mut self, len: usize) {
        let old = self.bytes.len();
        self.bytes.resize(len, 0);
        self.len_dirty |= old != len;
        if len < old {
            // What is cut off is not written any more.
            self.dirty.retain(|sector| sector * SECTOR < len);
            self.cut_to = Some(self.cut_to.map_or(len, |cut| cut.min(len)));
        }
    }

    /// Puts one sector on the disk, `part` of its bytes.
    fn put_sector(&mut self, sector: usize, part: usize) {
        let from = sector * SECTOR;
        let to = (from + part.min(SECTOR)).min(self.bytes.len());
        if from >= to {
            return;
        }
        if self.durable.len() < to {
            self.durable.resize(to, 0);
        }
        if let (Some(new), Some(old)) = (self.bytes.get(from..to), self.durable.get_mut(from..to)) {
            old.copy_from_slice(new);
        }
    }

    fn sync(&mut self) {
        self.durable.truncate(self.cut_to.take().unwrap_or(usize::MAX));
        for sector in std::mem::take(&mut self.dirty) {
            self.put_sector(sector, SECTOR);
        }
        self.durable.resize(self.bytes.len(), 0);
        self.len_dirty = false;
    }

    /// Some sectors reach the disk, the others never will, and all of them count as clean.
    fn fail_sync(&mut self, chance: &mut Chance) {
        let len = self.durable.len();
        for sector in std::mem::take(&mut self.dirty) {
            if chance.one_in(3) {
                self.put_sector(sector, SECTOR);
            }
        }
        if chance.one_in(2) {
            self.durable.resize(len.max(self.durable.len()).min(self.bytes.len()), 0);
        }
    }

    /// A few sectors are written back for no reason.
    fn write_back(&mut self, chance: &mut Chance) {
        let some: Vec<usize> = self.dirty.iter().copied().filter(|_| chance.one_in(2)).collect();
        for sector in some {
            self.dirty.remove(&sector);
            self.put_sector(sector, SECTOR);
        }
    }

    fn lose_power(&mut self, chance: &mut Chance) {
        if let Some(cut_to) = self.cut_to.take()
            && chance.one_in(2)
        {
            self.durable.truncate(cut_to);
        }
        let all_or_nothing = chance.below(4);
        let (old_len, new_len) = (self.durable.len(), self.bytes.len());
        for sector in std::mem::take(&mut self.dirty) {
            match (all_or_nothing, chance.below(4)) {
                (0, _) => {}
                (1, _) | (_, 0) => self.put_sector(sector, SECTOR),
                (_, 1) => {
                    let part = chance.index(SECTOR);
                    self.put_sector(sector, part);
                }
                (_, _) => {}
            }
        }
        let written = self.durable.len();
        let len = match chance.below(3) {
            // A file that was cut can be long again; one that grew can be short again.
            0 if self.len_dirty => old_len,
            1 if self.len_dirty => new_len,
            _ if self.len_dirty => written,
            _ => new_len.max(written),
        };
        self.durable.resize(len, 0);
        self.len_dirty = false;
        self.bytes = self.durable.clone();
    }
}

struct SimFile {
    disk: SimDisk,
    id: u64,
    life: u64,
    access: Access,
}

impl SimFile {
    /// The state, unless this handle belongs to a process that has ended.
    fn state(&self, kind: Kind) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.disk.state();
        if state.life != self.life {
            return Err(io::Error::other("the process that opened this has ended"));
        }
        state.begin(kind)?;
        Ok(state)
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("files are small here")
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state(Kind::Read)?.file(self.id).bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state(Kind::Read)?;
        let bytes = &state.file(self.id).bytes;
        let from = bytes.get(index(offset).min(bytes.len())..).unwrap_or_default();
        let got = from.len().min(into.len());
        if let (Some(into), Some(from)) = (into.get_mut(..got), from.get(..got)) {
            into.copy_from_slice(from);
        }
        Ok(got)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        let mut guard = self.disk.state();
        let state = &mut *guard;
        if state.life != self.life {
            return Err(io::Error::other("the process that opened this has ended"));
        }
        let result = state.begin(Kind::Change);
        let room = state.room();
        let chance = &mut state.chance;
        let file = state.files.get_mut(&self.id).expect("the handle is alive");
        if chance.one_in(8) {
            file.write_back(chance);
        }
        if let Err(e) = result {
            // A write that fails has been done in part.
            let part = chance.index(bytes.len() + 1);
            if chance.one_in(2) {
                file.write(index(offset), bytes.get(..part).unwrap_or_default());
            }
            return Err(e);
        }
        let grows = (offset + bytes.len() as u64).saturating_sub(file.bytes.len() as u64);
        if grows > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.write(index(offset), bytes);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.state(Kind::Change)?;
        let room = state.room();
        let file = state.file(self.id);
        if len.saturating_sub(file.bytes.len() as u64) > room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.set_len(index(len));
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut guard = self.disk.state();
        let state = &mut *guard;
        if state.life != self.life {
            return Err(io::Error::other("the process that opened this has ended"));
        }
        let off_before = state.faults.off_after.is_some_and(|after| state.operations >= after);
        let result = state.begin(Kind::Change);
        let chance = &mut state.chance;
        let file = state.files.get_mut(&self.id).expect("the handle is alive");
        match &result {
            Ok(()) => file.sync(),
            // The machine went off: what happens to the sectors is decided at the restart.
            Err(_) if off_before => {}
            Err(_) => file.fail_sync(chance),
        }
        result
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

impl SimDisk {
    fn handle(&self, id: u64, life: u64, access: Access) -> Box<dyn DiskFile> {
        Box::new(SimFile { disk: self.clone(), id, life, access })
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Change)?;
        state.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn is_dir(&self, dir: &Path) -> io::Result<bool> {
        let mut state = self.state();
        state.begin(Kind::Read)?;
        Ok(state.dirs.contains(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.begin(Kind::Read)?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        let names = inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        Ok(names.collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.begin(Kind::Change)?;
        if !path.parent().is_some_and(|dir| state.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let id = match state.find(path) {
            Ok(id) => {
                state.file(id).set_len(0);
                id
            }
            Err(_) => {
                state.next_file += 1;
                let id = state.next_file;
                state.files.insert(id, File::default());
                state.change_name(NameChange::Link(path.to_path_buf(), id));
                id
            }
        };
        Ok(self.handle(id, state.life, Access::ReadWrite))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.begin(Kind::Read)?;
        let id = state.find(path)?;
        Ok(self.handle(id, state.life, access))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Change)?;
        let id = state.find(from)?;
        state.change_name(NameChange::Rename(from.to_path_buf(), to.to_path_buf(), id));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Change)?;
        state.find(path)?;
        state.change_name(NameChange::Unlink(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin(Kind::Change)?;
        let (synced, other): (Vec<_>, Vec<_>) = std::mem::take(&mut state.pending)
            .into_iter()
            .partition(|change| change.dir() == Some(dir));
        for change in &synced {
            change.apply(&mut state.durable_names);
        }
        state.pending = other;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        let mut state = self.state();
        state.begin(Kind::Change)?;
        if !state.locks.insert(path.to_path_buf()) {
            return Ok(None);
        }
        let life = state.life;
        Ok(Some(Box::new(SimLock { disk: self.clone(), path: path.to_path_buf(), life })))
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.state().room())
    }
}

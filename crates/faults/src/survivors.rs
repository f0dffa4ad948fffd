//! The directory after a power loss, made from the watched directory and its shadow.
//!
//! What was synced survives. What was not may have reached the disk in part and in any order, so a
//! seeded choice of it survives too: of each file, some of the 512-byte sectors that differ; of
//! each directory, some of the names that differ. Two rules keep the choice possible on a real
//! disk: a sector is old or new as a whole, and a rename is atomic (the file has its old name or
//! its new one).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::listing::{Entry, Listing, inode_of};
use crate::rng::Rng;

const SECTOR_BYTES: usize = 512;

/// How much of the unsynced survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tear {
    /// Nothing: the most that a power loss may take.
    Nothing,
    /// A seeded part: names, and sectors in any order.
    Random,
}

/// What happened to the unsynced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    pub files_count: u64,
    /// Files of which some, not all, unsynced sectors survived.
    pub files_torn_count: u64,
    pub sectors_lost_count: u64,
    pub sectors_kept_count: u64,
    pub names_lost_count: u64,
}

/// Replaces `watched` by what survives of it. What was there is kept in `before`, the shadow is
/// removed: what survived is all that there is, and all of it is durable. A process that was killed
/// before its shadow was whole has changed nothing yet, so then everything survives.
pub fn lose_power(
    watched: &Path,
    store: &Path,
    before: &Path,
    tear: Tear,
    rng: &mut Rng,
) -> io::Result<Report> {
    let after = with_suffix(watched, ".after");
    remove_tree(&after)?;
    remove_tree(before)?;
    if !store.join("root").exists() {
        remove_tree(store)?;
        return Ok(Report::default());
    }
    let mut builder = Builder::new(watched, store, tear, rng)?;
    let root = inode_of(watched)?;
    builder.build_directory(root, &after)?;
    let report = builder.report;
    fs::rename(watched, before)?;
    fs::rename(&after, watched)?;
    remove_tree(store)?;
    Ok(report)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

struct Builder<'a> {
    store: &'a Path,
    tear: Tear,
    rng: &'a mut Rng,
    /// The watched directory as the killed process left it.
    real_directories: BTreeMap<u64, Listing>,
    real_files: BTreeMap<u64, PathBuf>,
    /// Where a file was built, for its second name.
    built: BTreeMap<u64, PathBuf>,
    report: Report,
}

impl<'a> Builder<'a> {
    fn new(watched: &Path, store: &'a Path, tear: Tear, rng: &'a mut Rng) -> io::Result<Self> {
        let mut builder = Self {
            store,
            tear,
            rng,
            real_directories: BTreeMap::new(),
            real_files: BTreeMap::new(),
            built: BTreeMap::new(),
            report: Report::default(),
        };
        builder.read_real(watched)?;
        Ok(builder)
    }

    fn read_real(&mut self, directory: &Path) -> io::Result<()> {
        let listing = Listing::of_directory(directory)?;
        for (name, entry) in &listing.entries {
            let path = directory.join(name);
            match entry {
                Entry::File(inode) => {
                    self.real_files.insert(*inode, path);
                }
                Entry::Directory(_) => self.read_real(&path)?,
            }
        }
        self.real_directories.insert(inode_of(directory)?, listing);
        Ok(())
    }

    fn build_directory(&mut self, id: u64, target: &Path) -> io::Result<()> {
        fs::create_dir(target)?;
        let durable = match fs::read(self.store.join("dirs").join(id.to_string())) {
            Ok(bytes) => Listing::decode(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Listing::default(),
            Err(error) => return Err(error),
        };
        let real = self.real_directories.get(&id).cloned();
        let chosen = match (self.tear, real) {
            (Tear::Nothing, Some(real)) => {
                self.count_lost_names(&durable, &real);
                durable
            }
            (Tear::Nothing | Tear::Random, None) => durable,
            (Tear::Random, Some(real)) => {
                let chosen = choose_names(&durable, &real, self.rng);
                self.count_lost_names(&chosen, &real);
                chosen
            }
        };
        for (name, entry) in chosen.entries {
            let path = target.join(name);
            match entry {
                Entry::File(id) => self.build_file(id, path)?,
                Entry::Directory(id) => self.build_directory(id, &path)?,
            }
        }
        Ok(())
    }

    fn count_lost_names(&mut self, chosen: &Listing, real: &Listing) {
        let lost = real
            .entries
            .iter()
            .filter(|(name, entry)| chosen.entries.get(name.as_os_str()) != Some(entry));
        self.report.names_lost_count += lost.count() as u64;
    }

    fn build_file(&mut self, id: u64, path: PathBuf) -> io::Result<()> {
        if let Some(first) = self.built.get(&id) {
            return fs::hard_link(first, path);
        }
        let durable = match fs::read(self.store.join("inodes").join(id.to_string())) {
            Ok(bytes) => bytes,
            // The name of a file that was never synced, and neither was its directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let real = match self.real_files.get(&id) {
            Some(path) => fs::read(path)?,
            None => durable.clone(),
        };
        let bytes = self.choose_bytes(durable, &real);
        fs::write(&path, bytes)?;
        self.report.files_count += 1;
        self.built.insert(id, path);
        Ok(())
    }

    fn choose_bytes(&mut self, durable: Vec<u8>, real: &[u8]) -> Vec<u8> {
        let differing = differing_sectors(&durable, real);
        let kept = match self.tear {
            Tear::Nothing => BTreeSet::new(),
            Tear::Random => choose_sectors(&differing, self.rng),
        };
        let lost_count = differing.len() - kept.len();
        self.report.sectors_kept_count += kept.len() as u64;
        self.report.sectors_lost_count += lost_count as u64;
        self.report.files_torn_count += u64::from(!kept.is_empty() && lost_count > 0);
        let mut bytes = durable;
        if self.tear == Tear::Random && bytes.len() != real.len() && self.rng.chance(1, 2) {
            // The length is metadata of its own and may be durable without the bytes.
            bytes.resize(real.len(), 0);
        }
        for sector in kept {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(real.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            if let (Some(to), Some(from)) = (bytes.get_mut(start..end), real.get(start..end)) {
                to.copy_from_slice(from);
            }
        }
        bytes
    }
}

/// The sectors of `real` that are not in `durable`, which counts as zeros beyond its end.
fn differing_sectors(durable: &[u8], real: &[u8]) -> Vec<usize> {
    let sectors = real.chunks(SECTOR_BYTES).enumerate();
    sectors
        .filter(|(sector, bytes)| {
            let start = (sector * SECTOR_BYTES).min(durable.len());
            let end = (start + bytes.len()).min(durable.len());
            let (old, new) = (durable.get(start..end).unwrap_or_default(), bytes);
            let (same, beyond) = new.split_at(old.len().min(new.len()));
            same != old || beyond.iter().any(|byte| *byte != 0)
        })
        .map(|(sector, _)| sector)
        .collect()
}

/// Which unsynced sectors reached the disk: none, all, the first ones, the last ones, or any.
fn choose_sectors(differing: &[usize], rng: &mut Rng) -> BTreeSet<usize> {
    if differing.is_empty() {
        return BTreeSet::new();
    }
    let count = differing.len();
    let cut = usize::try_from(rng.below(count as u64 + 1)).map_or(0, |cut| cut.min(count));
    let (first, last) = differing.split_at(cut);
    match rng.below(8) {
        0 | 1 => BTreeSet::new(),
        2 => differing.iter().copied().collect(),
        3 => first.iter().copied().collect(),
        4 => last.iter().copied().collect(),
        _ => {
            let part = rng.between(1, 3);
            differing.iter().copied().filter(|_| rng.chance(part, 4)).collect()
        }
    }
}

/// Which names are there: the durable ones, the ones the process saw, or some of each.
fn choose_names(durable: &Listing, real: &Listing, rng: &mut Rng) -> Listing {
    match rng.below(4) {
        0 | 1 => return durable.clone(),
        2 => return real.clone(),
        _ => {}
    }
    let names: BTreeSet<&OsString> = durable.entries.keys().chain(real.entries.keys()).collect();
    let mut chosen = Listing::default();
    for name in names {
        let side = if rng.chance(1, 2) { durable } else { real };
        if let Some(entry) = side.entries.get(name) {
            chosen.entries.insert(name.clone(), *entry);
        }
    }
    keep_renames_atomic(&mut chosen, durable, real);
    chosen
}

/// Gives every file that had a durable name and still has one a name in `chosen`. Each pass only
/// turns names to what they really are, so it ends.
fn keep_renames_atomic(chosen: &mut Listing, durable: &Listing, real: &Listing) {
    loop {
        let named: BTreeSet<Entry> = chosen.entries.values().copied().collect();
        let homeless: BTreeSet<Entry> =
            durable.entries.values().copied().filter(|entry| !named.contains(entry)).collect();
        let missing: Vec<(OsString, Entry)> = real
            .entries
            .iter()
            .filter(|(_, entry)| homeless.contains(entry))
            .map(|(name, entry)| (name.clone(), *entry))
            .collect();
        if missing.is_empty() {
            return;
        }
        chosen.entries.extend(missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(entries: &[(&str, u64)]) -> Listing {
        let entries = entries.iter().map(|(name, id)| (OsString::from(name), Entry::File(*id)));
        Listing { entries: entries.collect() }
    }

    #[test]
    fn a_rename_over_a_file_leaves_the_old_one_or_the_new_one() {
        let durable = listing(&[("epoch", 1), ("epoch.tmp", 2), ("log.1", 3), ("gone", 4)]);
        let real = listing(&[("epoch", 2), ("log.1", 3), ("log.2", 5)]);
        let mut seen = BTreeSet::new();
        for seed in 0..500 {
            let chosen = choose_names(&durable, &real, &mut Rng::new(seed));
            let epoch = chosen.entries.get(&OsString::from("epoch")).copied();
            assert!(epoch.is_some(), "seed {seed} lost both");
            assert!(chosen.entries.values().any(|entry| *entry == Entry::File(2)), "seed {seed}");
            assert_eq!(chosen.entries.get(&OsString::from("log.1")), Some(&Entry::File(3)));
            seen.insert((epoch, chosen.entries.contains_key(&OsString::from("log.2"))));
        }
        assert_eq!(seen.len(), 4, "both outcomes of the rename, with and without the new name");
    }

    #[test]
    fn a_sector_is_old_or_new_as_a_whole_and_durable_bytes_stay() {
        let durable = vec![1_u8; 1000];
        let mut real = durable.clone();
        real.resize(5000, 2);
        assert_eq!(differing_sectors(&durable, &real), (1..10).collect::<Vec<_>>());
        let (store, mut torn_count) = (Path::new("unused"), 0);
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut builder = Builder {
                store,
                tear: Tear::Random,
                rng: &mut rng,
                real_directories: BTreeMap::new(),
                real_files: BTreeMap::new(),
                built: BTreeMap::new(),
                report: Report::default(),
            };
            let bytes = builder.choose_bytes(durable.clone(), &real);
            torn_count += builder.report.files_torn_count;
            assert_eq!(bytes.get(..1000), Some(durable.as_slice()), "seed {seed}");
            for (sector, chunk) in bytes.chunks(SECTOR_BYTES).enumerate().skip(2) {
                let first = chunk.first().copied();
                assert!(chunk.iter().all(|byte| Some(*byte) == first), "seed {seed} {sector}");
            }
        }
        assert!(torn_count > 50, "{torn_count} of 200 files were torn");
    }
}

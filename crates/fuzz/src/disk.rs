//! Logs, snapshots and whole data directories.
//!
//! What it holds: nothing panics; a refusal leaves the directory as it was; a directory that was
//! accepted is accepted again, with the same state, after one more transaction was written; a tree
//! that was loaded is consistent.
//!
//! Checksums would hide everything behind them from mutated bytes, so a bit of the input says
//! whether they are made right first.

use crate::Verdict;
use crate::memory_disk::MemoryDisk;
use bellwether_store::{
    Disk, LogRange, LogReader, LogStart, LogStep, LogsWithoutSnapshot, Notice, Origin, Recovered,
    Role, SnapshotReader, SnapshotWriter, Store, StoreError, StoreOptions, Truncation,
};
use bellwether_tree::{Loader, Now, Progress, Tree, TreeOptions};
use bellwether_wire::disk::{FileHeader, Txn, TxnHeader, TxnRecord};
use bellwether_wire::{OpCode, OwnerFormat, SessionId, Zxid};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/data/version-2";
/// The longest record that targets take.
const RECORD_BYTES_MAX: usize = 1 << 16;

fn options() -> StoreOptions {
    let mut options = StoreOptions::new("/data");
    options.pre_alloc_bytes = 0;
    options.record_bytes_max = RECORD_BYTES_MAX;
    options
}

/// Corrects the checksums and ends of a log's records, as far as their lengths lead.
fn seal_log(bytes: &mut [u8]) {
    let mut at = FileHeader::BYTES;
    while let Some((head, rest)) =
        bytes.get_mut(at..).and_then(|rest| rest.split_at_mut_checked(12))
    {
        let Some((checksum, length)) = head.split_first_chunk_mut::<8>() else { return };
        let Ok(length) = <[u8; 4]>::try_from(&*length) else { return };
        let Ok(length) = usize::try_from(i32::from_be_bytes(length)) else { return };
        let Some(payload) = rest.get(..length).filter(|payload| !payload.is_empty()) else {
            return;
        };
        *checksum = u64::from(simd_adler32::adler32(&payload)).to_be_bytes();
        let Some(end) = rest.get_mut(length) else { return };
        *end = b'B';
        at += 12 + length + 1;
    }
}

/// Corrects the checksum of what a change of history has left to be done.
fn seal_cutback(bytes: &mut Vec<u8>) {
    const LINE: &[u8] = b"checksum ";
    let Some(at) = bytes.windows(LINE.len()).rposition(|window| window == LINE) else { return };
    bytes.truncate(at);
    let sum = crc32fast::hash(bytes);
    bytes.extend_from_slice(format!("checksum {sum:08x}\n").as_bytes());
}

/// Corrects the seals of a snapshot. The first `"/"` ends the nodes; each further one ends a seal.
fn seal_snapshot(bytes: &mut [u8]) {
    const SLASH: &[u8] = &[0, 0, 0, 1, b'/'];
    let ends: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(SLASH)))
        .collect();
    for end in ends.into_iter().skip(1) {
        let Some((before, seal)) = bytes.get_mut(..end).and_then(|b| b.split_last_chunk_mut::<8>())
        else {
            continue;
        };
        *seal = u64::from(simd_adler32::adler32(&&*before)).to_be_bytes();
    }
}

pub(crate) fn log(bytes: &[u8]) -> Verdict {
    let Some((kind, bytes)) = bytes.split_first() else { return Verdict::Refused };
    let mut bytes = bytes.to_vec();
    if kind % 2 == 1 {
        seal_log(&mut bytes);
    }
    let disk = MemoryDisk::default();
    let path = Path::new(DIR).join("log.1");
    let len = bytes.len() as u64;
    disk.put(path.clone(), bytes);
    read_log(&disk, &path, len).expect("a disk in memory does not fail")
}

fn read_log(disk: &MemoryDisk, path: &Path, len: u64) -> Result<Verdict, StoreError> {
    let mut reader = LogReader::open(disk, path, RECORD_BYTES_MAX)?;
    let start = reader.start()?;
    let mut last = (0, Zxid::ZERO);
    loop {
        match reader.step()? {
            LogStep::Record(record) => {
                assert!(record.offset >= last.0 && record.end > record.offset, "records overlap");
                assert!(record.end <= len, "a record ends behind the file");
                last = (record.end, record.record.header.zxid);
            }
            LogStep::Stop { offset, damage } => {
                assert!(offset <= len.max(FileHeader::BYTES as u64), "it stopped behind the file");
                assert!(!damage.to_string().is_empty(), "damage is explained");
                reader.behind(offset, last.1)?;
                assert!(reader.end_of_bytes(offset)? >= offset, "it ends before it begins");
                return Ok(Verdict::accepted_if(start == LogStart::Log && last.0 > 0));
            }
        }
    }
}

pub(crate) fn snapshot(bytes: &[u8]) -> Verdict {
    let Some((kind, bytes)) = bytes.split_first() else { return Verdict::Refused };
    let mut bytes = bytes.to_vec();
    if kind % 4 == 1 {
        seal_snapshot(&mut bytes);
    }
    let name = ["snapshot.5", "snapshot.5", "snapshot.5.gz", "snapshot.5.snappy"];
    let name = name.iter().cycle().nth(usize::from(*kind)).expect("there are names");
    let disk = MemoryDisk::default();
    let path = Path::new(DIR).join(name);
    disk.put(path.clone(), bytes);
    let verified = SnapshotReader::verify(&disk, &path).is_ok();
    let Ok(reader) = SnapshotReader::open(&disk, &path) else {
        assert!(!verified, "a snapshot that cannot be opened was verified");
        return Verdict::Refused;
    };
    let mut loader = Loader::new(tree_options());
    loader.start_at(Zxid(5));
    let mut whole = true;
    let mut loads = true;
    for item in reader {
        whole &= item.is_ok();
        loads = loads && item.is_ok_and(|item| loader.item(&item).is_ok());
    }
    assert_eq!(whole, verified, "a snapshot was verified and read differently");
    Verdict::accepted_if(loads && finish(loader).is_some())
}

/// The same tree for every target.
pub(crate) fn tree_options() -> TreeOptions {
    TreeOptions { owner_format: OwnerFormat::EXTENDED, ..TreeOptions::new([1, 2]) }
}

/// The loaded tree, if it can be one, and how many nodes of unknown sessions it lost.
fn finish(loader: Loader) -> Option<(Tree, u64)> {
    let now = Now { mono_ms: 1_000_000, wall_ms: 1_700_000_000_000 };
    let (tree, report) = loader.finish(now).ok()?;
    assert_eq!(tree.check(), Ok(()), "the loaded tree does not fit together");
    Some((tree, report.orphans))
}

/// What a recovery gave.
struct Loaded {
    state: Vec<Recovered>,
    tree: Tree,
    orphans: u64,
    store: Store,
    had_snapshot: bool,
}

pub(crate) fn directory(bytes: &[u8]) -> Verdict {
    let Some((flags, bytes)) = bytes.split_first() else { return Verdict::Refused };
    let disk = MemoryDisk::default();
    for (name, mut content) in files(bytes) {
        if flags & 1 != 0 && name.starts_with("log.") {
            seal_log(&mut content);
        }
        if flags & 1 != 0 && name.starts_with("snapshot.") {
            seal_snapshot(&mut content);
        }
        if flags & 1 != 0 && name == "bellwether.cutback" {
            seal_cutback(&mut content);
        }
        disk.put(Path::new(DIR).join(name), content);
    }
    let mut options = options();
    if flags & 2 != 0 {
        options.logs_without_snapshot = LogsWithoutSnapshot::Trust;
    }
    if flags & 4 != 0 {
        options.role = Role::Member;
        options.recent_max = 5;
    }
    let before = lasting(&disk);
    let Some(first) = recover(&disk, &options) else {
        // A change of history that was begun is ended before anything else is looked at.
        let begun = before.keys().any(|path| path.ends_with("bellwether.cutback"));
        let changed = lasting(&disk) != before;
        assert!(begun || flags & 4 != 0 || !changed, "a refused directory was changed");
        return Verdict::Refused;
    };
    let holds_something = !first.state.is_empty();
    if flags & 8 != 0 {
        cut(&disk, &options, first);
    } else {
        write_more(&disk, &options, first);
    }
    Verdict::accepted_if(holds_something)
}

/// Ends the history at a transaction in its middle, and reads it again.
fn cut(disk: &MemoryDisk, options: &StoreOptions, first: Loaded) {
    let Loaded { state, mut store, had_snapshot, .. } = first;
    let zxids: Vec<Zxid> = state
        .iter()
        .filter_map(|recovered| match recovered {
            Recovered::Txn(record) => Some(record.header.zxid),
            Recovered::Item(_) => None,
        })
        .collect();
    let Some(point) = zxids.get(zxids.len() / 2).copied().filter(|_| had_snapshot) else { return };
    check_range(disk, options, (point, &state));
    let before = lasting(disk);
    let truncated = store.truncate(point).expect("a disk in memory does not fail");
    assert!(store.last_zxid() >= point, "the history ends before the point");
    if truncated == Truncation::Absent {
        assert_eq!(lasting(disk), before, "a point that is absent changed something");
        return;
    }
    assert_eq!(store.last_zxid(), point, "the history ends elsewhere");
    drop(store);
    let again = recover(disk, options).expect("a directory that was cut is refused");
    assert_eq!(again.store.last_zxid(), point, "a start finds another end");
    let left = zxids.iter().filter(|zxid| **zxid <= point);
    let read = again.state.iter().filter_map(|recovered| match recovered {
        Recovered::Txn(record) => Some(&record.header.zxid),
        Recovered::Item(_) => None,
    });
    // An older snapshot may be what it begins with now: more is read then.
    assert!(read.collect::<Vec<_>>().ends_with(&left.collect::<Vec<_>>()), "other transactions");
}

/// A stretch of the logs is that of the history, where it can be read.
fn check_range(disk: &MemoryDisk, options: &StoreOptions, (after, state): (Zxid, &[Recovered])) {
    let records = state.iter().filter_map(|recovered| match recovered {
        Recovered::Txn(record) => Some(record),
        Recovered::Item(_) => None,
    });
    let expected: Vec<&TxnRecord> = records.filter(|r| r.header.zxid > after).collect();
    let up_to = expected.last().map_or(after, |record| record.header.zxid);
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let Ok(mut range) = LogRange::open(disk, options, (after, up_to), None) else { return };
    let mut read = Vec::new();
    loop {
        let batch = range.next_batch(1000).expect("what was found is there");
        if batch.is_empty() {
            break;
        }
        read.extend(batch);
    }
    assert!(read.iter().eq(expected), "the stretch is not that of the history");
}

/// Goes on as the server does, and starts again.
fn write_more(disk: &MemoryDisk, options: &StoreOptions, first: Loaded) {
    let Loaded { mut state, tree, orphans, mut store, had_snapshot } = first;
    if !had_snapshot {
        save(disk, options, &tree).expect("a disk in memory does not fail");
    }
    let record = store.last_zxid().next().map(error_txn);
    if let Some(record) = &record {
        store.append(record).expect("a disk in memory does not fail");
        store.sync().expect("a disk in memory does not fail");
    }
    state.extend(record.map(Recovered::Txn));
    let last = store.last_zxid();
    drop(store);
    let again = recover(disk, options).expect("a directory that was accepted is refused");
    assert_eq!(again.store.last_zxid(), last, "a written transaction is lost");
    // Such nodes are deleted at every start, as of the last transaction that there is then.
    let same_tree = orphans > 0 || again.tree.digest() == tree.digest();
    assert!(same_tree, "the second recovery made another tree");
    assert!(!had_snapshot || again.state == state, "the second recovery found another state");
}

fn save(disk: &MemoryDisk, options: &StoreOptions, tree: &Tree) -> Result<(), StoreError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut writer = SnapshotWriter::create(disk, options, tree.last_processed())?;
    let (mut cursor, mut items) = (tree.snapshot_start(), Vec::new());
    while tree.snapshot_next(&mut cursor, 100, &mut items) == Progress::More {}
    for item in &items {
        writer.write(item)?;
    }
    writer.finish().map(drop)
}

/// Files, one after the other: length and text of the name, length and bytes of the content.
fn files(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    while let Some((name_bytes, rest)) = bytes.split_first() {
        let Some((name, rest)) = rest.split_at_checked(usize::from(*name_bytes)) else { break };
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { break };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (content, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        let name = String::from_utf8_lossy(name).replace(['/', '\0'], "_");
        if !["", ".", ".."].contains(&name.as_str()) {
            files.push((name, content.to_vec()));
        }
        bytes = rest;
    }
    files
}

/// The files that a refusal must not touch: not the lock, nor what a write has left unfinished.
fn lasting(disk: &MemoryDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut contents = disk.contents();
    contents.retain(|path, _| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let unfinished = name.starts_with("snapshot.") && name.ends_with(".tmp");
        !(unfinished || name == "bellwether.lock" || name.starts_with("bellwether.tmp."))
    });
    contents
}

/// `None` where a server would not start.
fn recover(disk: &MemoryDisk, options: &StoreOptions) -> Option<Loaded> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let notify = Box::new(|notice: &Notice| {
        assert!(!notice.to_string().is_empty(), "a notice says something");
    });
    let mut recovery = Store::open(shared, options.clone(), notify).ok()?;
    let mut loader = Loader::new(tree_options());
    let had_snapshot = if let Origin::Snapshot { zxid, .. } = recovery.origin() {
        loader.start_at(*zxid);
        true
    } else {
        false
    };
    let mut state = Vec::new();
    for recovered in &mut recovery {
        let recovered = recovered.ok()?;
        match &recovered {
            Recovered::Item(item) => loader.item(item).ok()?,
            Recovered::Txn(record) => loader.replay(record).ok()?,
        }
        state.push(recovered);
    }
    let (tree, orphans) = finish(loader)?;
    let store = recovery.finish().expect("a disk in memory does not fail");
    Some(Loaded { state, tree, orphans, store, had_snapshot })
}

/// A transaction that changes nothing.
fn error_txn(zxid: Zxid) -> TxnRecord {
    let header = TxnHeader { session: SessionId(1), cxid: 1, zxid, time_ms: 0, op: OpCode::Error };
    TxnRecord { header, txn: Txn::Error { code: -101 }, digest: None }
}

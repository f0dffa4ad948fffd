//! A place for a data directory, and what the tests do with one.

use bellwether_sim::disk::SimDisk;
use bellwether_store::{
    Access, Corruption, Disk, LogReader, LogStep, Notice, OsDisk, Recovered, SnapshotWriter, Store,
    StoreError, StoreOptions, SyncReport,
};
use bellwether_wire::disk::{
    SnapshotItem, SnapshotNode, Txn, TxnHeader, TxnRecord, snapshot::OPEN_ACL_ID,
};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Data, OpCode, SessionId, Zxid};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A disk and a directory on it, gone when dropped.
pub(crate) struct Site {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: StoreOptions,
    real: Option<PathBuf>,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Site {
    pub(crate) fn simulated() -> Site {
        let options = small(StoreOptions::new("/data"));
        Site { disk: Arc::new(SimDisk::new(1)), options, real: None }
    }

    pub(crate) fn real() -> Site {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-store-{}-{n}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let options = small(StoreOptions::new(&dir));
        Site { disk: Arc::new(OsDisk), options, real: Some(dir) }
    }

    /// Runs a test on both kinds of disk.
    pub(crate) fn on_both(test: impl Fn(Site)) {
        test(Site::simulated());
        test(Site::real());
    }
}

fn small(mut options: StoreOptions) -> StoreOptions {
    options.pre_alloc_bytes = 8192;
    options
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(dir) = &self.real {
            std::fs::remove_dir_all(dir).ok();
        }
    }
}

/// What a start showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) items: Vec<SnapshotItem>,
    pub(crate) zxids: Vec<i64>,
    /// The first words of each notice's debug form.
    pub(crate) notices: Vec<String>,
}

impl Site {
    /// Opens the store and reads everything.
    pub(crate) fn open(&self) -> Result<(Store, Seen), StoreError> {
        let notices = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&notices);
        let notify = Box::new(move |notice: &Notice| {
            assert!(!notice.to_string().is_empty());
            let name = format!("{notice:?}");
            let name = name.split(' ').next().unwrap_or_default().to_owned();
            into.lock().unwrap().push(name);
        });
        let mut recovery = Store::open(Arc::clone(&self.disk), self.options.clone(), notify)?;
        let mut seen = Seen::default();
        for piece in &mut recovery {
            match piece? {
                Recovered::Item(item) => seen.items.push(item),
                Recovered::Txn(record) => seen.zxids.push(record.header.zxid.0),
            }
        }
        let store = recovery.finish()?;
        seen.notices = std::mem::take(&mut notices.lock().unwrap());
        Ok((store, seen))
    }

    /// What a start shows, in one line.
    pub(crate) fn outcome(&self) -> String {
        match self.open() {
            Ok((_, seen)) => {
                let zxids: Vec<_> = seen.zxids.iter().map(i64::to_string).collect();
                format!("{} {}", zxids.join(","), seen.notices.join(" ")).trim().to_owned()
            }
            Err(StoreError::Corrupt { corruption, .. }) => match corruption {
                Corruption::Content(_) => "refused: content".to_owned(),
                other => {
                    let name = format!("{other:?}");
                    let end = name.find([' ', '(']).unwrap_or(name.len());
                    format!("refused: {}", &name[..end])
                }
            },
            Err(e) => format!("refused: {e:?}").chars().take(40).collect(),
        }
    }

    /// Writes the snapshot that every directory begins with.
    pub(crate) fn save_snapshot(&self, zxid: i64) -> PathBuf {
        let mut writer =
            SnapshotWriter::create(Arc::clone(&self.disk), &self.options, Zxid(zxid)).unwrap();
        for item in items() {
            writer.write(&item).unwrap();
        }
        writer.finish().unwrap().path
    }

    /// A new directory with these batches in its first log.
    pub(crate) fn with_batches(&self, batches: &[&[i64]]) -> Store {
        let (mut store, _) = self.open().unwrap();
        self.save_snapshot(0);
        write(&mut store, batches);
        store
    }

    pub(crate) fn log(&self, first: i64) -> PathBuf {
        self.options.log_dir().join(format!("log.{first:x}"))
    }

    pub(crate) fn side(&self) -> PathBuf {
        self.options.log_dir().join("bellwether.synced")
    }

    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let file = self.disk.open(path, Access::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        self.disk.create(path).unwrap().write_at(0, bytes).unwrap();
    }

    pub(crate) fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes(path);
        edit(&mut bytes);
        self.put(path, &bytes);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.disk.list(&self.options.log_dir()).unwrap()
    }

    /// Where the records of a log stand: zxid, offset, end.
    pub(crate) fn places(&self, path: &Path) -> Vec<(i64, usize, usize)> {
        let max = self.options.record_bytes_max;
        let mut reader = LogReader::open(self.disk.as_ref(), path, max).unwrap();
        let mut places = Vec::new();
        while let LogStep::Record(record) = reader.step().unwrap() {
            let at = |offset: u64| usize::try_from(offset).unwrap();
            places.push((record.record.header.zxid.0, at(record.offset), at(record.end)));
        }
        places
    }
}

/// Appends and syncs batch by batch.
pub(crate) fn write(store: &mut Store, batches: &[&[i64]]) -> SyncReport {
    let mut report = SyncReport::default();
    for batch in batches {
        for zxid in *batch {
            store.append(&record(*zxid, 30)).unwrap();
        }
        report = store.sync().unwrap();
    }
    report
}

/// A transaction with so much data.
pub(crate) fn record(zxid: i64, size: usize) -> TxnRecord {
    let txn = Txn::SetData { path: "/a".into(), data: Some(Data::from(vec![7; size])), version: 3 };
    let header = TxnHeader {
        session: SessionId(9),
        cxid: 4,
        zxid: Zxid(zxid),
        time_ms: 5,
        op: OpCode::SetData,
    };
    TxnRecord { header, txn, digest: None }
}

/// A small state.
pub(crate) fn items() -> Vec<SnapshotItem> {
    let node = |path: &str| SnapshotNode {
        path: path.into(),
        data: Some(Data::from(path.as_bytes())),
        acl_id: OPEN_ACL_ID,
        stat: StatPersisted::default(),
    };
    vec![SnapshotItem::Node(node("")), SnapshotItem::Node(node("/a"))]
}

//! A data directory of a test's own, with logs and snapshots as the store writes them, to be
//! damaged on purpose.

use bellwether_store::{
    Compression, ForceSync, LogReader, LogStep, OsDisk, Recovered, Role, SnapshotWriter, Store,
    StoreOptions,
};
use bellwether_wire::disk::snapshot::OPEN_ACL_ID;
use bellwether_wire::disk::{SnapshotItem, SnapshotNode, Txn, TxnHeader, TxnRecord};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Data, OpCode, SessionId, Zxid};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

/// A process that is started has a copy of every descriptor until it has become its program, and
/// with it what looks like a log that is being written. So nothing is started while files are open
/// for writing: those who write are readers of this lock, those who start are its writers.
static STARTING: RwLock<()> = RwLock::new(());

/// Starts a process while nothing is open for writing.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _alone = STARTING.write().expect("nobody panics with it");
    command.spawn().expect("it runs")
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        std::thread::yield_now();
    }
}

/// A directory, gone when dropped.
pub(crate) struct Place {
    pub(crate) options: StoreOptions,
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    pub(crate) errors: String,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            code: output.status.code(),
            text: text(&output.stdout),
            errors: text(&output.stderr),
        }
    }

    /// All of `parts` are in the output, and the exit code is this one.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, parts: &[&str]) -> &Said {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for part in parts {
            let said = self.text.contains(part) || self.errors.contains(part);
            assert!(said, "{part:?} is not in {self:#?}");
        }
        self
    }
}

impl Place {
    pub(crate) fn new(name: &str) -> Place {
        let dir = std::env::temp_dir().join(format!("bellwether-{name}-{}", std::process::id()));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).expect("an old directory can be removed");
        }
        let mut options = StoreOptions::new(dir);
        options.pre_alloc_bytes = 8192;
        Place { options }
    }

    /// With the snapshot of an empty tree and these batches in `log.1`.
    pub(crate) fn with_batches(name: &str, by: ForceSync, batches: &[&[i64]]) -> Place {
        let mut place = Place::new(name);
        place.options.force_sync = by;
        place.append(&[]);
        place.save_snapshot(0, 0);
        place.append(batches);
        place
    }

    /// Three logs of ours, `1,2 3,4`, `5,6`, `7,8`, and the side file.
    pub(crate) fn with_logs(name: &str) -> Place {
        let place = Place::with_batches(name, ForceSync::Yes, &[&[1, 2], &[3, 4]]);
        for first in [5, 7] {
            place.append(&[&[first, first + 1]]);
        }
        place
    }

    /// Starts as a server does, appends and syncs batch by batch, and stops.
    pub(crate) fn append(&self, batches: &[&[i64]]) {
        append(&self.options, batches);
    }

    /// Appends one as a server that stands alone, wherever it leaves a gap.
    pub(crate) fn append_unchecked(&self, zxid: i64) {
        let options = StoreOptions { role: Role::Standalone, ..self.options.clone() };
        append(&options, &[&[zxid]]);
    }

    /// The snapshot of `zxid`, in which `/a` was last set by `set_by`.
    pub(crate) fn save_snapshot(&self, zxid: i64, set_by: i64) -> PathBuf {
        self.save(zxid, Compression::None, &[("", 0, b""), ("/a", set_by, b"of a")])
    }

    pub(crate) fn save(
        &self,
        zxid: i64,
        compression: Compression,
        nodes: &[(&str, i64, &[u8])],
    ) -> PathBuf {
        let _writing = STARTING.read().expect("nobody panics with it");
        let mut options = self.options.clone();
        options.compression = compression;
        let mut writer =
            SnapshotWriter::create(Arc::new(OsDisk), &options, Zxid(zxid)).expect("new");
        for (path, set_by, data) in nodes {
            let node = SnapshotNode {
                path: (*path).into(),
                data: Some(Data::from(*data)),
                acl_id: OPEN_ACL_ID,
                stat: StatPersisted { mzxid: Zxid(*set_by), ..StatPersisted::default() },
            };
            writer.write(&SnapshotItem::Node(node)).expect("it can be written");
        }
        writer.finish().expect("it can be written").path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.options.log_dir().join(name)
    }

    pub(crate) fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.options.log_dir()).expect("it is there");
        let names = entries.map(|entry| entry.expect("it is listed").file_name());
        let mut names: Vec<String> =
            names.map(|name| name.into_string().expect("it is text")).collect();
        names.sort();
        names
    }

    /// The content of every file but the lock.
    pub(crate) fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.names().into_iter().filter(|name| name != "bellwether.lock");
        names.map(|name| (name.clone(), std::fs::read(self.path(&name)).expect("a file"))).collect()
    }

    pub(crate) fn edit(&self, name: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let _writing = STARTING.read().expect("nobody panics with it");
        let mut bytes = std::fs::read(self.path(name)).expect("it is there");
        edit(&mut bytes);
        std::fs::write(self.path(name), bytes).expect("it can be written");
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let _writing = STARTING.read().expect("nobody panics with it");
        std::fs::write(self.path(name), bytes).expect("it can be written");
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).expect("it is there");
    }

    /// Where the record of a transaction begins and ends.
    pub(crate) fn place_of(&self, name: &str, zxid: i64) -> (usize, usize) {
        let mut log = LogReader::open(&OsDisk, &self.path(name), 1 << 20).expect("it is there");
        while let LogStep::Record(found) = log.step().expect("it can be read") {
            if found.record.header.zxid == Zxid(zxid) {
                let at = |offset: u64| usize::try_from(offset).expect("it is small");
                return (at(found.offset), at(found.end));
            }
        }
        panic!("{name} has no {zxid}");
    }

    /// Runs `bellwether` with these words; `DIR` and names with `@` stand for this directory.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        self.run_with_input(words, "")
    }

    pub(crate) fn run_with_input(&self, words: &[&str], input: &str) -> Said {
        use std::io::Write as _;
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        for word in words {
            match word.strip_prefix('@') {
                Some(name) => command.arg(self.path(name)),
                None if *word == "DIR" => command.arg(&self.options.data_dir),
                None => command.arg(word),
            };
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command);
        // A command that asks nothing may have ended already.
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).ok();
        Said::of(&child.wait_with_output().expect("it ends"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.options.data_dir).ok();
    }
}

fn append(options: &StoreOptions, batches: &[&[i64]]) {
    let _writing = STARTING.read().expect("nobody panics with it");
    let recovery = Store::open(Arc::new(OsDisk), options.clone(), Box::new(|_| {}));
    let mut recovery = recovery.expect("it opens");
    for piece in &mut recovery {
        assert!(matches!(piece.expect("it is sound"), Recovered::Item(_) | Recovered::Txn(_)));
    }
    let mut store = recovery.finish().expect("it can be written");
    for batch in batches {
        for zxid in *batch {
            store.append(&record(*zxid)).expect("it is appended");
        }
        store.sync().expect("it is synced");
    }
}

fn record(zxid: i64) -> TxnRecord {
    let data = Some(Data::from(vec![b'x'; 100]));
    let header = TxnHeader {
        session: SessionId(9),
        cxid: 4,
        zxid: Zxid(zxid),
        time_ms: 1_700_000_000_000,
        op: OpCode::SetData,
    };
    TxnRecord { header, txn: Txn::SetData { path: "/a".into(), data, version: 3 }, digest: None }
}

/// A file's path as text.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

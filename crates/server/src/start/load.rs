//! The data directory: opened, and made into a tree.
//!
//! What it keeps true: the tree has what the newest good snapshot and the log say; a directory that
//! had nothing gets a first snapshot, because Apache would not start from logs alone.

use super::Failure;
use crate::admin::Startup;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::disk::snapshots::Opener;
use crate::disk::{Loaded, LogFailure, Reload};
use crate::initialize::Initialize;
use crate::quorum::log_source::LogReader;
use crate::run::SnapshotFiles;
use bellwether_store::{
    Compression, Disk, Epochs, ForceSync, LogsWithoutSnapshot, MissingDirectories, Notice, Origin,
    ReceivedSnapshot, Recovered, Recovery, Role, SnapshotWriter, Store, StoreError, StoreOptions,
};
use bellwether_tree::{Loader, Progress, Tree, TreeOptions};
use bellwether_wire::Zxid;
use bellwether_wire::disk::SnapshotItem;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// What a record of the log has besides the transaction's body.
const TXN_HEADER_AND_DIGEST_BYTES: usize = 64;

/// `jute.maxbuffer` + `jute.maxbuffer.extrasize`, but never so little that the longest setData
/// would not fit.
pub(super) fn record_bytes_max(config: &Config) -> usize {
    let [frame, extra] = [config.jute_max_buffer, config.jute_extra_size]
        .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    frame.saturating_add(extra.max(2 * TXN_HEADER_AND_DIGEST_BYTES))
}

/// The longest body of a transaction.
pub(super) fn txn_bytes_max(config: &Config) -> usize {
    record_bytes_max(config) - TXN_HEADER_AND_DIGEST_BYTES
}

pub(super) fn store_options(config: &Config) -> StoreOptions {
    let mut options = StoreOptions::new(&config.data_dir);
    options.data_log_dir.clone_from(&config.data_log_dir);
    options.directories = if config.datadir_autocreate {
        MissingDirectories::Create
    } else {
        MissingDirectories::Refuse
    };
    options.logs_without_snapshot = if config.snapshot_trust_empty {
        LogsWithoutSnapshot::Trust
    } else {
        LogsWithoutSnapshot::Refuse
    };
    options.pre_alloc_bytes = config.pre_alloc_bytes;
    options.log_bytes_limit = config.txn_log_size_limit_bytes.map(std::num::NonZeroU64::get);
    options.record_bytes_max = record_bytes_max(config);
    options.force_sync = if config.force_sync { ForceSync::Yes } else { ForceSync::No };
    options.compression = match config.snapshot_compression {
        config::Compression::None => Compression::None,
        config::Compression::Gzip => Compression::Gzip,
        config::Compression::Snappy => Compression::Snappy,
    };
    if let Some(member) = &config.member {
        options.role = Role::Member;
        options.recent_max = usize::try_from(member.commit_log_count).unwrap_or(usize::MAX);
    }
    #[cfg(feature = "canaries")]
    {
        options.broken = canary();
    }
    options
}

/// How this build is to be broken: the crash rounds must notice it.
#[cfg(feature = "canaries")]
fn canary() -> Option<bellwether_store::Break> {
    use bellwether_store::Break;
    let name = std::env::var("BELLWETHER_BREAK").ok()?;
    let broken = match name.as_str() {
        "ack-before-sync" => Some(Break::AckBeforeSync),
        "no-dir-sync" => Some(Break::NoDirSync),
        "retry-after-failed-sync" => Some(Break::RetryAfterFailedSync),
        "rename-before-sync" => Some(Break::RenameBeforeSync),
        "snapshot-not-set-aside" => Some(Break::SnapshotNotSetAside),
        "cutback-not-noted" => Some(Break::CutbackNotNoted),
        _ => None,
    };
    warn!(name, known = broken.is_some(), "this build is broken on purpose; use it for tests only");
    broken
}

fn notice(notice: &Notice) {
    warn!("{notice}");
}

/// What a start has found.
pub(super) struct StartedUp {
    pub(super) loaded: Loaded,
    /// `None` for a server that runs alone.
    pub(super) epochs: Option<Epochs>,
    pub(super) startup: Startup,
}

/// A tree that was read, before the log may be written.
struct Read {
    tree: Tree,
    txns: u64,
    /// When the snapshot was loaded and the first transaction came, if one did.
    snapshot_loaded: Option<Duration>,
    had_snapshot: bool,
}

/// Reads everything: the newest good snapshot, then the log.
fn read(recovery: &mut Recovery, mut loader: Loader, clock: Clock) -> Result<Read, LogFailure> {
    let begun = Instant::now();
    let had_snapshot = match recovery.origin() {
        Origin::Snapshot { zxid, .. } => {
            loader.start_at(*zxid);
            true
        }
        Origin::Fresh | Origin::LogsAlone => false,
    };
    let mut snapshot_loaded = None;
    let mut txns = 0;
    for recovered in recovery.by_ref() {
        match recovered? {
            Recovered::Item(item) => loader.item(&item).map_err(LogFailure::Load)?,
            Recovered::Txn(record) => {
                snapshot_loaded.get_or_insert_with(|| begun.elapsed());
                txns += 1;
                loader.replay(&record).map_err(LogFailure::Load)?;
            }
        }
    }
    let (tree, report) = loader.finish(clock.now()).map_err(LogFailure::Load)?;
    if report.digest_mismatches > 0 {
        warn!(
            mismatches = report.digest_mismatches,
            "the tree's digest differed from the recorded one while the log was replayed; a few are \
             known of snapshots taken under load, many mean that the data is not what was written"
        );
    }
    Ok(Read { tree, txns, snapshot_loaded, had_snapshot })
}

/// Opens the data directory and rebuilds the tree.
pub(super) fn open(
    config: &Config,
    (disk, options): (Arc<dyn Disk>, &StoreOptions),
    (clock, tree_options): (Clock, TreeOptions),
) -> Result<StartedUp, Failure> {
    let begun = Instant::now();
    let mut loader = Loader::new(tree_options);
    let mut recovery = Store::open(disk.clone(), options.clone(), Box::new(notice))?;
    let initialize = Initialize::look(config).map_err(Failure::Initialize)?;
    let is_missing = *recovery.origin() == Origin::Fresh && !initialize.allows_empty();
    if is_missing {
        initialize.refuse();
        loader.start_at(Zxid::MISSING);
    }
    let Read { tree, txns, snapshot_loaded, had_snapshot } = read(&mut recovery, loader, clock)?;
    let (epochs, recent) = (recovery.epochs(), recovery.take_recent());
    let store = recovery.finish()?;
    if !had_snapshot && !is_missing {
        // Without a snapshot Apache would not start from the logs.
        let writer = SnapshotWriter::create(disk, options, tree.last_processed())?;
        save_snapshot(&tree, writer, config.serialize_last_processed_zxid)?;
    }
    initialize.finish().map_err(Failure::Initialize)?;
    let millis = |elapsed: Duration| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let load_ms = millis(begun.elapsed());
    let until_txns = snapshot_loaded.map_or(load_ms, millis).min(load_ms);
    info!(
        nodes = tree.node_count(), last_zxid = %tree.last_processed(), txns, load_ms,
        "the data directory is loaded"
    );
    let startup = Startup {
        load_ms: Some(load_ms),
        snapshot_load_ms: had_snapshot.then_some(until_txns),
        txns_load_ms: Some(load_ms - until_txns),
        txns_loaded: Some(txns),
    };
    let recent = recent.into_iter().map(Arc::new).collect();
    Ok(StartedUp { loaded: Loaded { store, tree, recent }, epochs, startup })
}

/// Loads what is left of a history that was cut, on the log's thread.
pub(super) fn reload(clock: Clock, tree_options: TreeOptions) -> Reload {
    Box::new(move |mut recovery| {
        let read = read(&mut recovery, Loader::new(tree_options.clone()), clock)?;
        let recent = recovery.take_recent().into_iter().map(Arc::new).collect();
        let Read { tree, txns, .. } = read;
        info!(last_zxid = %tree.last_processed(), txns, "what is left of the history is loaded");
        Ok(Loaded { store: recovery.finish()?, tree, recent })
    })
}

fn save_snapshot(
    tree: &Tree,
    mut writer: SnapshotWriter,
    last_zxid: bool,
) -> Result<(), StoreError> {
    let mut cursor = tree.snapshot_start();
    let mut items = Vec::new();
    loop {
        let progress =
            tree.snapshot_next(&mut cursor, bellwether_node::limits::VISITS_PER_STEP, &mut items);
        for item in items.drain(..) {
            writer.write(&item)?;
        }
        match progress {
            Progress::More => {}
            Progress::Done => break,
        }
    }
    if last_zxid {
        writer.write(&SnapshotItem::LastProcessed(tree.last_processed()))?;
    }
    writer.finish()?;
    Ok(())
}

/// The snapshot files and logs of a data directory.
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    options: StoreOptions,
    /// `snapshotSizeFactor`.
    share: f64,
}

impl Files {
    pub(super) fn new((disk, options): (Arc<dyn Disk>, StoreOptions), config: &Config) -> Files {
        let share = config.member.as_ref().map_or(0.0, |member| member.snapshot_size_factor);
        Files { disk, options, share }
    }
}

impl SnapshotFiles for Files {
    fn own(&self, zxid: Zxid) -> Opener {
        let (disk, options) = (self.disk.clone(), self.options.clone());
        Opener::Own(Box::new(move || SnapshotWriter::create(disk, &options, zxid)))
    }

    fn received(&self, zxid: Zxid) -> Opener {
        let (disk, options) = (self.disk.clone(), self.options.clone());
        Opener::Received(Box::new(move || ReceivedSnapshot::create(disk, &options, zxid)))
    }

    fn log_reader(&self) -> LogReader {
        LogReader { disk: self.disk.clone(), options: self.options.clone(), share: self.share }
    }
}

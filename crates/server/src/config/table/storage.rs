//! Rows: the data directory, the log, snapshots and what is purged.

use super::super::kinds::Kind::Choice;
use super::super::kinds::{Kind, Reading};
use super::super::setting::Place::{Both, BothAnd, File};
use super::super::setting::Setting;
use super::super::setting::Status::{Honoured, WithoutEffect};
use super::{FLAG, INT, INT_DECODED, INT_MAX, LONG_DECODED, decoded, int, setting_rows};

/// The largest number of KiB whose bytes still fit where Apache counts bytes.
const KIB_MAX: i64 = i64::MAX / 1024;
const ON_UNLESS_NO: Kind = Kind::Flag(Reading::NoOrElseYes);

pub(super) const ROWS: &[Setting] = setting_rows! { Storage
    ["snapCount", Both, decoded(0, INT_MAX), "100000", "transactions", "3.0.0", Honoured,
     "How many transactions are logged between two snapshots, less a random share of up to half \
      of them so that servers do not take snapshots together. Below 2 it is 2."]
    ["snapSizeLimitInKb", Both, decoded(-KIB_MAX, KIB_MAX), "4194304", "KiB", "3.6.0", Honoured,
     "How much is logged between two snapshots, less a random share of up to half of it. 0 or \
      below: no limit."]
    ["txnLogSizeLimitInKb", Both, decoded(-KIB_MAX, KIB_MAX), "-1", "KiB", "3.6.0", Honoured,
     "The size at which a new log file is begun. 0 or below: only a snapshot begins one. What was \
      written counts; Apache counts what preAllocSize reserves too, so that below it every commit \
      begins a file."]
    ["preAllocSize", Both, int(0, KIB_MAX), "65536", "KiB", "3.0.0", Honoured,
     "How much space a log file reserves at a time."]
    ["forceSync", Both, ON_UNLESS_NO, "yes", "", "3.0.0", Honoured,
     "Whether a write is answered only after it is on stable storage. With `no`, a crash of the \
      machine loses writes that clients were told are done."]
    ["fsync.warningthresholdms", BothAnd("fsync.warningthresholdms"), LONG_DECODED, "1000", "ms",
     "3.3.4", Honoured, "A sync of the log that takes longer is logged as a warning."]
    ["datadir.autocreate", Both, FLAG, "true", "", "3.5.0", Honoured,
     "Whether missing data directories are created; with false, the server stops instead."]
    ["db.autocreate", Both, FLAG, "true", "", "3.6.0", Honoured,
     "Whether a server without any data begins an empty database. With false it does so only where \
      a file `initialize` stands in dataLogDir, which is removed at the start; without one it \
      starts and refuses every session."]
    ["digest.enabled", Both, FLAG, "true", "", "3.6.0", Honoured,
     "Whether a digest of the whole tree is kept, written beside every transaction and compared."]
    ["closeSessionTxn.enabled", Both, FLAG, "true", "", "3.6.0", Honoured,
     "Whether the transaction that closes a session lists the ephemeral nodes it deletes."]
    ["serializeLastProcessedZxid.enabled", Both, FLAG, "true", "", "3.9.0", Honoured,
     "Whether a snapshot ends with the zxid it was taken at."]
    ["snapshot.compression.method", Both, Choice(&["gz", "snappy", ""]), "", "", "3.6.0", Honoured,
     "How snapshots are compressed; empty: not at all. All three are read, whatever is set."]
    ["snapshot.trust.empty", Both, FLAG, "false", "", "3.5.6", Honoured,
     "Whether a log without any snapshot is loaded; the snapshot may have been lost."]
    ["autopurge.snapRetainCount", File, INT, "3", "snapshots", "3.4.0", Honoured,
     "How many snapshots a purge keeps, with the log files they need; at least 3."]
    ["autopurge.purgeInterval", File, int(i32::MIN as i64, i32::MAX as i64 / 3600), "0", "h",
     "3.4.0", Honoured,
     "How often old snapshots and log files are purged, the first time at start; 0 or below: never."]
    ["snapshotSizeFactor", Both, Kind::Real, "0.33", "", "3.5.0", Honoured,
     "Up to which share of a snapshot's size the log is sent to a follower in its place."]
    ["commitLogCount", Both, INT_DECODED, "500", "transactions", "3.6.0", Honoured,
     "How many committed transactions are kept in memory for followers that were away."]
    ["flushDelay", Both, LONG_DECODED, "0", "ms", "3.6.0",
     WithoutEffect("the log is synced as soon as the disk is free, and whatever arrives meanwhile \
                    shares the next sync: to wait for more would only make every answer later"),
     "How long to wait for more transactions before the log is synced."]
    ["maxWriteQueuePollTime", Both, LONG_DECODED, "", "ms", "3.6.0",
     WithoutEffect("nothing is waited for before a sync, so there is no wait to shorten"),
     "How long to wait for one more transaction while flushDelay runs; a third of it if unset."]
    ["maxBatchSize", Both, INT_DECODED, "1000", "transactions", "3.6.0",
     WithoutEffect("a sync takes whatever came during the one before, which is never more than is in \
                    flight; no answer waits for a batch to fill"),
     "How many transactions may share one sync of the log."]
};

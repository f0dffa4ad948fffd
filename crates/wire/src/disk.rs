//! What stands in Apache's data directory: records of the log, headers of files.

pub mod header;
pub mod snapshot;
pub mod txn;

pub use header::FileHeader;
pub use snapshot::{SnapshotItem, SnapshotNode};
pub use txn::{CreateTxn, Txn, TxnDigest, TxnHeader, TxnRecord};

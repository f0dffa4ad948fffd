//! Bytes ↔ typed values for everything that leaves a process: records of clients and of the disk,
//! and what the servers of an ensemble say to each other.
//!
//! Invariants of this crate:
//! - Decoding never panics and never allocates more than the input justifies, whatever the bytes
//!   are.
//! - What decodes, encodes back to the same bytes, but for the leniencies that Java shows too
//!   (malformed UTF-8 becomes U+FFFD, a boolean is true unless it is 0).
//! - A table row per operation ([`ops`]) and per error code ([`errors`]); names, docs and decoding
//!   come from the row.
//!
//! The crate knows formats, not meaning: what a request does belongs to `tree` and `node`.

pub mod acl;
pub mod client;
pub mod disk;
pub mod errors;
pub mod jute;
pub mod limits;
pub mod ops;
pub mod owner;
pub mod path;
pub mod quorum;
pub mod quota;
pub mod session;
pub mod stat;
pub mod zxid;

pub use acl::{Acl, Perms};
pub use errors::ErrorCode;
pub use jute::{DecodeError, Reader};
pub use ops::OpCode;
pub use owner::{Owner, OwnerFormat};
pub use path::{PathError, ZPath};
pub use quota::{QuotaNode, StatsTrack};
pub use session::{Password, SessionId};
pub use stat::Stat;
pub use zxid::Zxid;

/// The bytes of a znode: shared by the tree, the log and the replies, never copied once decoded.
pub type Data = std::sync::Arc<[u8]>;

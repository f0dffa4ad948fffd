//! The content of a snapshot, piece by piece, in the order of the file.
//!
//! The tree gives and takes these pieces; `store` turns them into files and back, with headers,
//! counts, seals and compression.

use crate::Data;
use crate::acl::Acl;
use crate::disk::txn::TxnDigest;
use crate::jute::{Decoded, Put, Reader};
use crate::session::SessionId;
use crate::stat::StatPersisted;
use crate::zxid::Zxid;

/// The ACL id that stands for "everything to everybody" and is in no table.
pub const OPEN_ACL_ID: i64 = -1;

/// A piece of a snapshot. All sessions come first, then all ACLs, then all nodes, each parent
/// before its children, then at most one of each of the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotItem {
    /// A session and its timeout in milliseconds.
    Session { id: SessionId, timeout_ms: i32 },
    /// An ACL that nodes refer to by `id`.
    Acl { id: i64, acl: Vec<Acl> },
    /// A node. The root's path is empty.
    Node(SnapshotNode),
    /// The digest of the tree at `zxid`, which may be later than the snapshot's own.
    Digest { zxid: Zxid, digest: TxnDigest },
    /// The last transaction whose effects are all in (3.9, on demand).
    LastProcessed(Zxid),
}

/// A node in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotNode {
    /// The full path, empty for the root.
    pub path: Box<str>,
    /// Its data; null is kept as null.
    pub data: Option<Data>,
    /// Its ACL's id in the table, or [`OPEN_ACL_ID`].
    pub acl_id: i64,
    /// Its stat.
    pub stat: StatPersisted,
}

impl SnapshotNode {
    /// Reads what follows the path.
    pub fn decode_rest(path: Box<str>, r: &mut Reader<'_>) -> Decoded<SnapshotNode> {
        let data = r.buffer("node.data")?.map(Data::from);
        let acl_id = r.long("node.acl")?;
        Ok(SnapshotNode { path, data, acl_id, stat: StatPersisted::decode(r)? })
    }

    /// Appends path and the rest.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_text(&self.path);
        out.put_data(self.data.as_ref());
        out.put_long(self.acl_id);
        self.stat.encode(out);
    }
}

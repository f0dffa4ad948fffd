//! Nodes by path, and what is known of the whole.

use crate::acl::Identity;
use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::{Acl, ErrorCode, OwnerFormat, SessionId, Zxid};

/// Both clocks. Monotonic for expiry, wall only for stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since some start; never steps back.
    pub mono_ms: u64,
    /// Milliseconds since 1970; may step.
    pub wall_ms: i64,
}

/// Whether sliced work has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again.
    More,
    /// All is done.
    Done,
}

/// The settings that the tree obeys.
#[derive(Clone, Debug)]
pub struct TreeOptions {
    /// Seeds of the hash tables.
    pub hash_seed: [u64; 2],
    /// How owners are read: `extendedTypesEnabled`, `emulate353TTLNodes`.
    pub owner_format: OwnerFormat,
    /// Whether transactions carry digests (`digest.enabled`).
    pub digest: bool,
    /// Whether ACLs are not checked (`skipACL`).
    pub skip_acl: bool,
    /// Whether closeSession lists the nodes to delete (`closeSessionTxn.enabled`).
    pub close_session_list: bool,
}

/// The replicated state.
pub struct Tree {
    options: TreeOptions,
}

impl Tree {
    /// A tree with the system nodes: `/`, `/zookeeper`, `/zookeeper/quota`, `/zookeeper/config`.
    pub fn new(options: TreeOptions) -> Tree {
        Tree { options }
    }

    /// The settings.
    pub fn options(&self) -> &TreeOptions {
        &self.options
    }

    /// Answers a read; it sets no watch.
    pub fn read(
        &self,
        request: &Request,
        session: SessionId,
        identities: &[Identity],
    ) -> Result<ReplyBody, ErrorCode> {
        let _ = (request, session, identities);
        unimplemented!()
    }

    /// Whether `acl` lets any of `identities` read: the filter of watch events.
    pub fn may_read(&self, acl: &[Acl], identities: &[Identity]) -> bool {
        let _ = (acl, identities);
        unimplemented!()
    }

    /// The newest transaction whose effects are all in.
    pub fn last_processed(&self) -> Zxid {
        unimplemented!()
    }

    /// The digest of all nodes.
    pub fn digest(&self) -> u64 {
        unimplemented!()
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> u64 {
        unimplemented!()
    }

    /// How many of them are ephemeral.
    pub fn ephemerals_count(&self) -> u64 {
        unimplemented!()
    }

    /// The bytes of paths and data, as Apache counts them.
    pub fn approximate_data_size(&self) -> u64 {
        unimplemented!()
    }

    /// How many sessions there are.
    pub fn sessions_count(&self) -> u64 {
        unimplemented!()
    }

    /// The sessions and their timeouts in milliseconds, by id.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, i32)> {
        std::iter::empty()
    }

    /// A session's timeout in milliseconds; `None` where there is no such session.
    pub fn session_timeout_ms(&self, session: SessionId) -> Option<i32> {
        let _ = session;
        unimplemented!()
    }

    /// Compares every maintained figure with a full walk, for tests.
    pub fn check(&self) -> Result<(), String> {
        unimplemented!()
    }
}

impl Tree {
    /// A node's stat, whoever asks.
    pub fn stat(&self, _path: &str) -> Option<bellwether_wire::Stat> {
        unimplemented!()
    }
}

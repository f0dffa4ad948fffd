//! A committed transaction's effect on the tree. It obeys and never refuses.
//!
//! The same code replays a log over a snapshot that was written while transactions went on: what it
//! comes across may be in already. Then versions of parents are raised and never lowered, a node
//! that exists stays (but for its ACL), and a node that is missing is passed over.

use crate::change::split;
use crate::quota::signed;
use crate::tree::{Now, Tree};
use bellwether_wire::client::{OpResult, ReplyBody};
use bellwether_wire::disk::txn::{CreateTxn, Txn, TxnDigest, TxnHeader, TxnRecord};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, ErrorCode, OpCode, Owner, SessionId, Stat};
use std::sync::Arc;

/// What a transaction answers to the client that asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The reply, or the code of a refused write.
    pub result: Result<ReplyBody, ErrorCode>,
    /// Whether the tree has the digest that the transaction carries; `None`: nothing to compare.
    pub digest_matches: Option<bool>,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was set.
    DataChanged,
}

/// A change that watches may fire for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which node.
    pub path: Box<str>,
    /// The node's ACL; of a deleted node, its last one.
    pub acl: Arc<[Acl]>,
    /// The parent's ACL.
    pub parent_acl: Arc<[Acl]>,
}

/// The transaction that is being applied, and where its changes go.
struct Applying<'a> {
    header: &'a TxnHeader,
    mono_ms: i64,
    /// `None` where nobody watches anything.
    changes: Option<&'a mut Vec<Change>>,
}

impl Applying<'_> {
    fn changed(&mut self, change: impl FnOnce() -> Change) {
        if let Some(changes) = &mut self.changes {
            changes.push(change());
        }
    }
}

impl Tree {
    /// Applies a committed transaction and appends what watches may fire for, if any are set.
    pub fn apply(
        &mut self,
        now: Now,
        record: &TxnRecord,
        changes: Option<&mut Vec<Change>>,
    ) -> Outcome {
        let mono_ms = i64::try_from(now.mono_ms).unwrap_or(i64::MAX);
        let mut applying = Applying { header: &record.header, mono_ms, changes };
        let result = if let Txn::Multi(parts) = &record.txn {
            Ok(ReplyBody::Multi(self.apply_multi(&mut applying, parts)))
        } else {
            self.apply_txn(&mut applying, record.header.op, &record.txn)
        };
        // Last: whoever reads this figure may rely on the whole transaction being in.
        self.last_processed = self.last_processed.max(record.header.zxid);
        self.digest_log.applied(record.header.zxid, self.digest);
        Outcome { result, digest_matches: self.digest_matches(record.digest) }
    }

    fn digest_matches(&self, digest: Option<TxnDigest>) -> Option<bool> {
        let comparable = digest.filter(|digest| digest.version == TxnDigest::VERSION);
        let digest = comparable.filter(|_| self.options.digest)?;
        Some(digest.digest == self.digest.cast_signed())
    }

    fn apply_multi(
        &mut self,
        applying: &mut Applying<'_>,
        parts: &[(OpCode, Txn)],
    ) -> Vec<OpResult> {
        let failed_at = parts.iter().position(|(op, _)| *op == OpCode::Error);
        parts
            .iter()
            .enumerate()
            .map(|(at, (op, txn))| match (failed_at, txn) {
                (None, txn) => match self.apply_txn(applying, *op, txn) {
                    Ok(body) => op_result(*op, body),
                    Err(code) => OpResult::Error(code),
                },
                (Some(_), Txn::Error { code }) => OpResult::Error(error_code(*code)),
                // What stands before the part that failed was possible; nothing is applied.
                (Some(failed_at), _) if at < failed_at => OpResult::Error(ErrorCode::Ok),
                (Some(_), _) => OpResult::Error(ErrorCode::RuntimeInconsistency),
            })
            .collect()
    }

    fn apply_txn(
        &mut self,
        applying: &mut Applying<'_>,
        op: OpCode,
        txn: &Txn,
    ) -> Result<ReplyBody, ErrorCode> {
        let created = |stat, create: &CreateTxn| {
            let path = create.path.clone();
            if op == OpCode::Create {
                ReplyBody::Path(path)
            } else {
                ReplyBody::PathStat(path, stat)
            }
        };
        match txn {
            Txn::Create { create, ephemeral } => {
                let session = applying.header.session;
                let owner = if *ephemeral { Owner::Session(session) } else { Owner::None };
                Ok(created(self.apply_create(applying, create, owner)?, create))
            }
            Txn::CreateContainer(create) => {
                Ok(created(self.apply_create(applying, create, Owner::Container)?, create))
            }
            Txn::CreateTtl { create, ttl_ms } => {
                let owner = Owner::Ttl { ttl_ms: *ttl_ms };
                Ok(created(self.apply_create(applying, create, owner)?, create))
            }
            Txn::Delete { path } => {
                self.apply_delete(applying, path)?;
                Ok(ReplyBody::Empty)
            }
            Txn::SetData { path, data, version } => {
                let stat = self.apply_set_data(applying, path, data, *version)?;
                let is_reconfig = op == OpCode::Reconfig;
                Ok(if is_reconfig {
                    ReplyBody::Data(data.clone(), stat)
                } else {
                    ReplyBody::Stat(stat)
                })
            }
            Txn::SetAcl { path, acl, version } => {
                let id = self.set_node_acl(path, acl, *version)?;
                let format = self.options.owner_format;
                Ok(ReplyBody::Stat(self.nodes.get(id).wire_stat(format)))
            }
            Txn::Check { .. } => Ok(ReplyBody::Empty),
            Txn::Multi(_) => Err(ErrorCode::MarshallingError), // There is none within a multi.
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(applying.header.session, *timeout_ms);
                Ok(ReplyBody::Empty)
            }
            Txn::CloseSession { paths } => {
                self.apply_close_session(applying, paths.as_deref().unwrap_or_default());
                Ok(ReplyBody::Empty)
            }
            Txn::Error { code } => Err(error_code(*code)),
        }
    }

    fn apply_create(
        &mut self,
        applying: &mut Applying<'_>,
        create: &CreateTxn,
        owner: Owner,
    ) -> Result<Stat, ErrorCode> {
        let path = &*create.path;
        let zxid = applying.header.zxid;
        let (parent_path, name) = split(path).ok_or(ErrorCode::NodeExists)?;
        let parent = self.nodes.find(parent_path).ok_or(ErrorCode::NoNode)?;
        if let Some(existing) = self.nodes.find(path) {
            self.replace_acl(existing, &create.acl);
            self.raise_cversion(parent_path, parent, create.parent_cversion, zxid);
            return Err(ErrorCode::NodeExists);
        }
        self.raise_cversion(parent_path, parent, create.parent_cversion, zxid);
        let stat = created_stat(applying.header, owner);
        let acl = self.acls.acquire(&create.acl);
        let id = self.attach_to(parent, path, name, create.data.clone(), (acl, stat));
        self.touch(id, applying.mono_ms);
        applying.changed(|| Change {
            kind: ChangeKind::Created,
            path: path.into(),
            acl: Arc::clone(self.acls.get(acl)),
            parent_acl: self.acl_of(parent),
        });
        let node = self.nodes.get(id);
        // The stat is the one before a quota's statistics are counted.
        let (stat, len) = (node.wire_stat(self.options.owner_format), node.data_len());
        self.quota_created(id, path, len);
        Ok(stat)
    }

    fn apply_delete(&mut self, applying: &mut Applying<'_>, path: &str) -> Result<(), ErrorCode> {
        let zxid = applying.header.zxid;
        let (parent_path, _) = split(path).ok_or(ErrorCode::BadArguments)?;
        let parent = self.nodes.find(parent_path).ok_or(ErrorCode::NoNode)?;
        self.change_stat(parent_path, parent, |stat| stat.pzxid = stat.pzxid.max(zxid));
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let acl = self.acl_of(id);
        let node = self.nodes.get(id);
        let (bytes, count) = (node.subtree_bytes(), i64::from(node.descendants()) + 1);
        self.detach(path, id);
        self.update_quota(path, -signed(bytes), -count);
        applying.changed(|| Change {
            kind: ChangeKind::Deleted,
            path: path.into(),
            acl,
            parent_acl: self.acl_of(parent),
        });
        Ok(())
    }

    fn apply_set_data(
        &mut self,
        applying: &mut Applying<'_>,
        path: &str,
        data: &Option<Data>,
        version: i32,
    ) -> Result<Stat, ErrorCode> {
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let header = applying.header;
        let bytes_before = self.nodes.get(id).data_len() as u64;
        self.set_node_data(path, id, data.clone(), |stat| {
            stat.version = version;
            stat.mtime = header.time_ms;
            stat.mzxid = header.zxid;
        });
        self.touch(id, applying.mono_ms);
        let node = self.nodes.get(id);
        let stat = node.wire_stat(self.options.owner_format);
        applying.changed(|| Change {
            kind: ChangeKind::DataChanged,
            path: path.into(),
            acl: self.acl_of(id),
            parent_acl: self.acl_of(node.parent),
        });
        self.quotas.written(id, path, data.as_deref());
        let bytes = data.as_ref().map_or(0, |data| data.len() as u64);
        self.update_quota(path, signed(bytes) - signed(bytes_before), 0);
        Ok(stat)
    }

    /// Deletes what the transaction lists, then what this tree knows of the session besides: all
    /// of it, where the transaction has no list.
    fn apply_close_session(&mut self, applying: &mut Applying<'_>, listed: &[Box<str>]) {
        let session = applying.header.session;
        self.sessions.remove(&session);
        for path in listed {
            // A node that is gone already is no news; the parent's pzxid counts all the same.
            let (Ok(()) | Err(_)) = self.apply_delete(applying, path);
        }
        for path in self.ephemeral_paths(session) {
            let (Ok(()) | Err(_)) = self.apply_delete(applying, &path);
        }
    }

    /// The paths of a session's nodes, sorted.
    pub(crate) fn ephemeral_paths(&self, session: SessionId) -> Vec<String> {
        let ids = self.ephemerals.get(&session);
        let mut paths: Vec<String> =
            ids.into_iter().flatten().map(|id| self.nodes.path(*id)).collect();
        paths.sort_unstable();
        paths
    }

    fn acl_of(&self, id: crate::nodes::NodeId) -> Arc<[Acl]> {
        Arc::clone(self.acls.get(self.nodes.get(id).acl))
    }
}

/// The stat of a node that a transaction creates.
pub(crate) fn created_stat(header: &TxnHeader, owner: Owner) -> StatPersisted {
    StatPersisted {
        czxid: header.zxid,
        mzxid: header.zxid,
        ctime: header.time_ms,
        mtime: header.time_ms,
        version: 0,
        cversion: 0,
        aversion: 0,
        ephemeral_owner: owner.encode(),
        pzxid: header.zxid,
    }
}

/// A code that this release does not know stands for a failure all the same.
fn error_code(code: i32) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::SystemError)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other bodies answer no part of a multi")]
fn op_result(op: OpCode, body: ReplyBody) -> OpResult {
    match body {
        ReplyBody::Path(path) => OpResult::Create(path),
        ReplyBody::PathStat(path, stat) => OpResult::CreateStat(path, stat),
        ReplyBody::Stat(stat) => OpResult::SetData(stat),
        _ if op == OpCode::Check => OpResult::Check,
        _ => OpResult::Delete,
    }
}

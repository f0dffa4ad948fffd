//! A request becomes a transaction, or a refusal that is a transaction too.
//!
//! What is checked, and in which order, is Apache's: the order shows in the code that a client gets
//! for a request that is wrong in two ways. It is: flags, session, path, new ACL, the node or its
//! parent, permission, quota, version, and what the kind of write asks for besides.
//!
//! Everything is judged by the tree as it will be once all pending transactions are applied. Two
//! things differ from Apache, whose answers depend on how far the pipeline happens to have come: a
//! pending setACL counts for the requests behind it, and so does a pending closeSession for the
//! number of a parent's children.

pub(crate) mod create;
pub(crate) mod multi;

use crate::acl::{self, Identity};
use crate::change::split;
use crate::pending::{Key, NodeChange, NodeView, Pending, SessionChange};
use crate::quota::signed;
use crate::tree::{Tree, is_system_node};
use bellwether_wire::client::Request;
use bellwether_wire::disk::txn::{Txn, TxnDigest, TxnHeader, TxnRecord};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, ErrorCode, OpCode, Owner, Perms, SessionId, ZPath, Zxid};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the leader adds to a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Its place in the order.
    pub zxid: Zxid,
    /// The leader's wall clock, milliseconds since 1970.
    pub time_ms: i64,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The session.
    pub session: SessionId,
    /// The client's xid.
    pub cxid: i32,
    /// The identities of its connection.
    pub identities: &'a [Identity],
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Write {
    /// A client's request, of [`bellwether_wire::ops::Kind::Write`].
    Request(Request),
    /// A body that could not be decoded.
    Malformed,
    /// A session begins.
    CreateSession { timeout_ms: i32 },
    /// The caller's session ends.
    CloseSession,
    /// A container or TTL node is to go.
    DeleteContainer { path: Box<str> },
    /// Whoever calls has refused it already.
    Refused(ErrorCode),
}

/// An operation and its transaction, or why there is none.
type Prepared = Result<(OpCode, Txn), ErrorCode>;

/// One write on its way to a transaction.
struct Preparation<'a> {
    tree: &'a Tree,
    pending: &'a mut Pending,
    stamp: Stamp,
    caller: Caller<'a>,
}

impl Tree {
    /// Turns a write into a transaction; a refused write into one of type error.
    pub fn prepare(
        &self,
        pending: &mut Pending,
        stamp: Stamp,
        caller: Caller<'_>,
        write: Write,
    ) -> TxnRecord {
        let mut preparation = Preparation { tree: self, pending, stamp, caller };
        let prepared = preparation.write(write);
        preparation.record(prepared)
    }
}

impl Preparation<'_> {
    /// A refused write carries no digest, since it changes nothing; a failed multi does.
    fn record(&self, prepared: Prepared) -> TxnRecord {
        let (op, txn, digest) = match prepared {
            Ok((op, txn)) => (op, txn, self.digest()),
            Err(code) => (OpCode::Error, Txn::Error { code: code.code() }, None),
        };
        TxnRecord { header: self.header(op), txn, digest }
    }

    fn header(&self, op: OpCode) -> TxnHeader {
        let Caller { session, cxid, .. } = self.caller;
        TxnHeader { session, cxid, zxid: self.stamp.zxid, time_ms: self.stamp.time_ms, op }
    }

    fn digest(&self) -> Option<TxnDigest> {
        let digest = self.tree.digest.wrapping_add(self.pending.digest()).cast_signed();
        let digest = TxnDigest { version: TxnDigest::VERSION, digest };
        self.tree.options.digest.then_some(digest)
    }

    fn write(&mut self, write: Write) -> Prepared {
        match write {
            Write::Request(Request::Multi(requests)) => self.multi(requests),
            // It would show what is there to who may not read; alone it is no operation.
            Write::Request(Request::Check { .. }) => Err(ErrorCode::Unimplemented),
            Write::Request(Request::CloseSession) | Write::CloseSession => Ok(self.close_session()),
            Write::Request(request) => self.single(request),
            Write::Malformed => Err(ErrorCode::MarshallingError),
            Write::CreateSession { timeout_ms } => {
                let Caller { session, .. } = self.caller;
                self.pending.change_session(self.stamp.zxid, session, SessionChange::Begins);
                Ok((OpCode::CreateSession, Txn::CreateSession { timeout_ms }))
            }
            Write::DeleteContainer { path } => self.delete_container(path),
            Write::Refused(code) => Err(code),
        }
    }

    /// A request of its own.
    fn single(&mut self, request: Request) -> Prepared {
        // Only an ACL can make a transaction much longer than its request: it names the creator's
        // identities where the request says "auth".
        let may_grow = !matches!(request, Request::SetData { .. } | Request::Delete { .. });
        if !may_grow {
            return self.request(request);
        }
        self.pending.begin_undo();
        let prepared = self.request(request).and_then(|prepared| self.fits(prepared));
        match &prepared {
            Ok(_) => self.pending.keep(),
            Err(_) => self.pending.roll_back(),
        }
        prepared
    }

    /// Refuses a transaction that no reader of the log would take: Apache writes it, and then none
    /// of its servers starts.
    fn fits(&self, (op, txn): (OpCode, Txn)) -> Prepared {
        let fits = txn.encoded_bytes() <= self.tree.options.txn_bytes_max;
        if fits { Ok((op, txn)) } else { Err(ErrorCode::BadArguments) }
    }

    /// One request, alone or within a multi.
    fn request(&mut self, request: Request) -> Prepared {
        match request {
            Request::Create(create) => self.create(OpCode::Create, create, None),
            Request::Create2(create) => self.create(OpCode::Create2, create, None),
            Request::CreateContainer(create) => self.create(OpCode::CreateContainer, create, None),
            Request::CreateTtl { create, ttl_ms } => {
                self.create(OpCode::CreateTtl, create, Some(ttl_ms))
            }
            Request::Delete { path, version } => self.delete(path, version),
            Request::SetData { path, data, version } => self.set_data(path, data, version),
            Request::SetAcl { path, acl, version } => self.set_acl(path, acl, version),
            Request::Check { path, version } => self.check(path, version),
            Request::Reconfig { .. } => Err(ErrorCode::ReconfigDisabled),
            Request::Exists { .. }
            | Request::GetData { .. }
            | Request::GetAcl { .. }
            | Request::GetChildren { .. }
            | Request::GetChildren2 { .. }
            | Request::Sync { .. }
            | Request::Ping
            | Request::Multi(_)
            | Request::MultiRead(_)
            | Request::CheckWatches { .. }
            | Request::RemoveWatches { .. }
            | Request::Auth { .. }
            | Request::SetWatches(_)
            | Request::SetWatches2(_)
            | Request::Sasl { .. }
            | Request::GetEphemerals { .. }
            | Request::GetAllChildrenNumber { .. }
            | Request::AddWatch { .. }
            | Request::WhoAmI
            | Request::CloseSession => Err(ErrorCode::Unimplemented), // No writes of one node.
        }
    }

    fn delete(&mut self, path: Box<str>, version: i32) -> Prepared {
        self.check_session()?;
        let parent_key = self.key(deletable(&path)?);
        let parent = self.view(parent_key)?;
        self.check_acl(&parent, Perms::DELETE)?;
        let key = self.key(&path);
        let node = self.view(key)?;
        next_version(node.stat.version, version)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove((parent_key, parent), (key, node));
        Ok((OpCode::Delete, Txn::Delete { path }))
    }

    /// What the reaper found may have been deleted, or created again as another kind of node, which
    /// Apache would delete.
    fn delete_container(&mut self, path: Box<str>) -> Prepared {
        let parent_key = self.key(deletable(&path)?);
        let key = self.key(&path);
        let node = self.view(key)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        match Owner::decode(node.stat.ephemeral_owner, self.tree.options.owner_format) {
            Owner::Container | Owner::Ttl { .. } => {}
            Owner::None | Owner::Session(_) | Owner::Unknown => return Err(ErrorCode::BadVersion),
        }
        let parent = self.view(parent_key)?;
        self.remove((parent_key, parent), (key, node));
        Ok((OpCode::DeleteContainer, Txn::Delete { path }))
    }

    fn set_data(&mut self, path: Box<str>, data: Option<Data>, version: i32) -> Prepared {
        self.check_session()?;
        check_path(&path)?;
        let key = self.key(&path);
        let mut node = self.view(key)?;
        self.check_acl(&node, Perms::WRITE)?;
        let bytes = |data: &Option<Data>| data.as_ref().map_or(0, |data| data.len() as u64);
        self.check_quota(&path, signed(bytes(&data)) - signed(bytes(&node.data)), 0)?;
        let version = next_version(node.stat.version, version)?;
        let before = node.counts;
        node.stat.version = version;
        node.stat.mtime = self.stamp.time_ms;
        node.stat.mzxid = self.stamp.zxid;
        node.data.clone_from(&data);
        node.counts = self.tree.counts(&path, data.as_deref(), &node.stat);
        self.replace(key, before, node);
        Ok((OpCode::SetData, Txn::SetData { path, data, version }))
    }

    fn set_acl(&mut self, path: Box<str>, acl: Option<Vec<Acl>>, version: i32) -> Prepared {
        self.check_session()?;
        check_path(&path)?;
        let acl = acl::fix(&self.tree.options.schemes, acl, self.caller.identities)?;
        let key = self.key(&path);
        let mut node = self.view(key)?;
        self.check_acl(&node, Perms::ADMIN)?;
        let version = next_version(node.stat.aversion, version)?;
        node.acl = self.shared(&acl);
        self.change_stat(key, node, |stat| stat.aversion = version);
        Ok((OpCode::SetAcl, Txn::SetAcl { path, acl, version }))
    }

    fn check(&mut self, path: Box<str>, version: i32) -> Prepared {
        self.check_session()?;
        check_path(&path)?;
        let node = self.view(self.key(&path))?;
        self.check_acl(&node, Perms::READ)?;
        let version = next_version(node.stat.version, version)?;
        Ok((OpCode::Check, Txn::Check { path, version }))
    }

    fn close_session(&mut self) -> (OpCode, Txn) {
        let session = self.caller.session;
        let mut paths: BTreeSet<Arc<str>> =
            self.tree.ephemeral_paths(session).into_iter().map(Arc::from).collect();
        paths.extend(self.pending.ephemeral_paths(session).cloned());
        let mut deleted = Vec::with_capacity(paths.len());
        for path in paths {
            // What is pending may have deleted the node, or made it another session's.
            let key = self.key(&path);
            let Ok(node) = self.view(key) else { continue };
            let owner = Owner::decode(node.stat.ephemeral_owner, self.tree.options.owner_format);
            if owner != Owner::Session(session) {
                continue;
            }
            let (parent_path, _) = split(&path).expect("an ephemeral node has a parent");
            let parent_key = self.key(parent_path);
            let parent = self.view(parent_key).expect("a node's parent exists");
            self.remove((parent_key, parent), (key, node));
            deleted.push((*path).into());
        }
        self.pending.change_session(self.stamp.zxid, session, SessionChange::Ends);
        let paths = self.tree.options.close_session_list.then_some(deleted);
        match self.fits((OpCode::CloseSession, Txn::CloseSession { paths })) {
            Ok(prepared) => prepared,
            // Without a list it means "what the session has", which is the same.
            Err(_too_long) => (OpCode::CloseSession, Txn::CloseSession { paths: None }),
        }
    }

    /// A session that is about to end is refused as an expired one is.
    fn check_session(&self) -> Result<(), ErrorCode> {
        match self.pending.session(self.caller.session) {
            Some(SessionChange::Begins) => Ok(()),
            Some(SessionChange::Ends) => Err(ErrorCode::SessionExpired),
            None if self.tree.sessions.contains_key(&self.caller.session) => Ok(()),
            None => Err(ErrorCode::UnknownSession),
        }
    }

    fn check_quota(&mut self, path: &str, bytes: i64, count: i64) -> Result<(), ErrorCode> {
        self.tree.check_quota(self.pending, path, (bytes, count))
    }

    fn check_acl(&self, node: &NodeView, wanted: Perms) -> Result<(), ErrorCode> {
        let permitted = self.tree.permits(&node.acl, wanted, self.caller.identities);
        if permitted { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }

    fn key<'p>(&self, path: &'p str) -> Key<'p> {
        Key::new(self.tree, path)
    }

    /// A node as it will be.
    fn view(&self, key: Key<'_>) -> Result<NodeView, ErrorCode> {
        if let Some(pending) = self.pending.get(key) {
            return pending.cloned().ok_or(ErrorCode::NoNode);
        }
        let nodes = &self.tree.nodes;
        let node = nodes.get(nodes.find_hashed(key.path, key.hash).ok_or(ErrorCode::NoNode)?);
        Ok(NodeView {
            stat: node.stat,
            children: node.children_count(),
            acl: Arc::clone(self.tree.acls.get(node.acl)),
            data: node.data.clone(),
            counts: node.counts,
        })
    }

    fn exists(&self, key: Key<'_>) -> bool {
        match self.pending.get(key) {
            Some(state) => state.is_some(),
            None => self.tree.nodes.find_hashed(key.path, key.hash).is_some(),
        }
    }

    /// The tree's own copy of an ACL, if it has one.
    fn shared(&self, acl: &[Acl]) -> Arc<[Acl]> {
        self.tree.acls.shared(acl).unwrap_or_else(|| acl.into())
    }

    /// A node will be `node` with another stat.
    fn change_stat(
        &mut self,
        key: Key<'_>,
        mut node: NodeView,
        change: impl FnOnce(&mut StatPersisted),
    ) {
        let before = node.counts;
        change(&mut node.stat);
        node.counts = self.tree.counts(key.path, node.data.as_deref(), &node.stat);
        self.replace(key, before, node);
    }

    /// A node will be `node`; it counted `before` in the digest.
    fn replace(&mut self, key: Key<'_>, before: u32, node: NodeView) {
        let digest = u64::from(node.counts).wrapping_sub(u64::from(before));
        let change = NodeChange { state: Some(node), digest, owner: None };
        self.pending.change_node(self.stamp.zxid, key, change);
    }

    /// A node will be gone, and its parent have a child less.
    fn remove(
        &mut self,
        (parent_key, mut parent): (Key<'_>, NodeView),
        (key, node): (Key<'_>, NodeView),
    ) {
        parent.children -= 1;
        let zxid = self.stamp.zxid;
        self.change_stat(parent_key, parent, |stat| stat.pzxid = stat.pzxid.max(zxid));
        let digest = 0u64.wrapping_sub(u64::from(node.counts));
        let change = NodeChange { state: None, digest, owner: None };
        self.pending.change_node(self.stamp.zxid, key, change);
    }
}

fn check_path(path: &str) -> Result<(), ErrorCode> {
    ZPath::check(path).or(Err(ErrorCode::BadArguments))
}

/// The parent of a path that may be deleted. A delete does not look at the path any closer: one
/// that cannot be has no node.
fn deletable(path: &str) -> Result<&str, ErrorCode> {
    let (parent, _) = path.rsplit_once('/').ok_or(ErrorCode::BadArguments)?;
    let forbidden = path.contains('\0') || is_system_node(path);
    if forbidden { Err(ErrorCode::BadArguments) } else { Ok(parent) }
}

/// The version after this one, if it is the expected one; -1 expects any.
fn next_version(version: i32, expected: i32) -> Result<i32, ErrorCode> {
    let matches = expected == -1 || expected == version;
    if matches { Ok(version.wrapping_add(1)) } else { Err(ErrorCode::BadVersion) }
}

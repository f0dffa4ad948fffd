//! A naive tree that believes nothing: it follows the transactions one by one and says when one of
//! them makes no sense after those before it.
//!
//! It shares no code with `tree`. Every transaction was prepared against all before it, so each
//! must be possible in exactly this state; a refused one is possible anywhere.

use bellwether_wire::disk::{CreateTxn, Txn, TxnRecord};
use bellwether_wire::stat::StatPersisted;
use bellwether_wire::{Acl, Data, OpCode, Owner, OwnerFormat, SessionId, Stat, Zxid};
use std::collections::{BTreeMap, BTreeSet};

/// TTL nodes exist in the simulator.
pub(crate) const OWNER_FORMAT: OwnerFormat = OwnerFormat::EXTENDED;

/// A node as the model knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Znode {
    pub(crate) data: Option<Data>,
    pub(crate) acl: Vec<Acl>,
    pub(crate) stat: StatPersisted,
    pub(crate) children: BTreeSet<String>,
}

/// What a transaction did to a node, for the watches.
#[derive(Clone, Debug)]
pub(crate) struct ModelChange {
    pub(crate) kind: ModelChangeKind,
    pub(crate) path: String,
    pub(crate) acl: Vec<Acl>,
    pub(crate) parent_acl: Vec<Acl>,
}

/// See [`ModelChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelChangeKind {
    Created,
    Deleted,
    DataChanged,
}

/// The state after a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<String, Znode>,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    pub(crate) zxid: Zxid,
}

/// The parent of a path other than the root.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(slash) => path.get(..slash).unwrap_or("/"),
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

impl Znode {
    fn new(create: (Option<Data>, Vec<Acl>), zxid: Zxid, time_ms: i64, owner: i64) -> Znode {
        let (data, acl) = create;
        let stat = StatPersisted {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time_ms,
            mtime: time_ms,
            ephemeral_owner: owner,
            ..StatPersisted::default()
        };
        Znode { data, acl, stat, children: BTreeSet::new() }
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner::decode(self.stat.ephemeral_owner, OWNER_FORMAT)
    }

    /// The stat as clients see it.
    pub(crate) fn wire_stat(&self) -> Stat {
        let stat = &self.stat;
        let children = i32::try_from(self.children.len()).expect("models are small");
        let data_length = self.data.as_ref().map_or(0, |data| data.len());
        Stat {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            cversion: 2 * stat.cversion - children,
            aversion: stat.aversion,
            ephemeral_owner: self.owner().on_the_wire(),
            data_length: i32::try_from(data_length).expect("models are small"),
            num_children: children,
            pzxid: stat.pzxid,
        }
    }
}

impl Model {
    /// The state before the first transaction.
    pub(crate) fn new() -> Model {
        let mut nodes = BTreeMap::new();
        for path in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
            let root = Znode::new((Some(Data::from(&b""[..])), Vec::new()), Zxid::ZERO, 0, 0);
            nodes.insert(path.to_string(), root);
        }
        let mut link = |parent: &str, name: &str| {
            if let Some(node) = nodes.get_mut(parent) {
                node.children.insert(name.to_string());
            }
        };
        link("/", "zookeeper");
        link("/zookeeper", "quota");
        link("/zookeeper", "config");
        if let Some(root) = nodes.get_mut("/") {
            root.acl = vec![Acl::world_all()];
        }
        Model { nodes, sessions: BTreeMap::new(), zxid: Zxid::ZERO }
    }

    /// Follows a transaction.
    pub(crate) fn apply(&mut self, record: &TxnRecord) -> Result<Vec<ModelChange>, String> {
        let header = &record.header;
        if !follows(self.zxid, header.zxid) {
            return Err(format!("{} follows {}", header.zxid, self.zxid));
        }
        self.zxid = header.zxid;
        let refused = changes_nothing(&record.txn);
        let closes = matches!(record.txn, Txn::CloseSession { .. });
        let from_client = header.cxid != 0;
        if from_client && !refused && !closes && !self.sessions.contains_key(&header.session) {
            return Err(format!("{} is of a session that does not live", header.zxid));
        }
        let mut changes = Vec::new();
        self.txn(record, header.op, &record.txn, &mut changes)
            .map_err(|problem| format!("transaction {} is impossible: {problem}", header.zxid))?;
        Ok(changes)
    }

    fn txn(
        &mut self,
        record: &TxnRecord,
        op: OpCode,
        txn: &Txn,
        changes: &mut Vec<ModelChange>,
    ) -> Result<(), String> {
        let session = record.header.session;
        match txn {
            Txn::Create { create, ephemeral } => {
                let owner = if *ephemeral { Owner::Session(session) } else { Owner::None };
                self.create(record, create, owner, changes)
            }
            Txn::CreateContainer(create) => self.create(record, create, Owner::Container, changes),
            Txn::CreateTtl { create, ttl_ms } => {
                self.create(record, create, Owner::Ttl { ttl_ms: *ttl_ms }, changes)
            }
            Txn::Delete { path } => {
                if op == OpCode::DeleteContainer {
                    self.check_reaped(path)?;
                }
                self.delete(record.header.zxid, path, changes)
            }
            Txn::SetData { path, data, version } => {
                self.set(record, (path, data, *version), changes)
            }
            Txn::SetAcl { path, acl, version } => {
                let node = self.node(path)?;
                next_version("aversion", node.stat.aversion, *version)?;
                node.stat.aversion = *version;
                node.acl = acl.clone();
                Ok(())
            }
            Txn::Check { path, .. } => self.node(path).map(|_| ()),
            Txn::Multi(parts) => self.multi(record, parts, changes),
            Txn::CreateSession { timeout_ms } => match self.sessions.insert(session, *timeout_ms) {
                None => Ok(()),
                Some(_) => Err(format!("session {session} exists")),
            },
            Txn::CloseSession { paths } => {
                self.close(record.header.zxid, (session, paths.as_deref()), changes)
            }
            Txn::Error { .. } => Ok(()),
        }
    }

    fn multi(
        &mut self,
        record: &TxnRecord,
        parts: &[(OpCode, Txn)],
        changes: &mut Vec<ModelChange>,
    ) -> Result<(), String> {
        // A multi that failed keeps the parts before the one that was refused, and none of them
        // happens.
        if is_refused(parts) {
            return Ok(());
        }
        parts.iter().try_for_each(|(op, txn)| self.txn(record, *op, txn, changes))
    }

    fn create(
        &mut self,
        record: &TxnRecord,
        create: &CreateTxn,
        owner: Owner,
        changes: &mut Vec<ModelChange>,
    ) -> Result<(), String> {
        let header = &record.header;
        if let Owner::Session(session) = owner
            && !self.sessions.contains_key(&session)
        {
            return Err(format!("{} belongs to no living session", create.path));
        }
        if self.nodes.contains_key(&*create.path) {
            return Err(format!("{} exists", create.path));
        }
        let above = self.node(parent(&create.path))?;
        if matches!(above.owner(), Owner::Session(_)) {
            return Err(format!("{} is below an ephemeral node", create.path));
        }
        next_version("cversion", above.stat.cversion, create.parent_cversion)?;
        above.stat.cversion = create.parent_cversion;
        above.stat.pzxid = header.zxid;
        above.children.insert(name(&create.path).to_string());
        let parent_acl = above.acl.clone();
        let content = (create.data.clone(), create.acl.clone());
        let node = Znode::new(content, header.zxid, header.time_ms, owner.encode());
        self.nodes.insert(create.path.to_string(), node);
        self.count_anew(&create.path);
        self.count(&create.path, (1, len(&create.data)));
        changes.push(ModelChange {
            kind: ModelChangeKind::Created,
            path: create.path.to_string(),
            acl: create.acl.clone(),
            parent_acl,
        });
        Ok(())
    }

    fn delete(
        &mut self,
        zxid: Zxid,
        path: &str,
        changes: &mut Vec<ModelChange>,
    ) -> Result<(), String> {
        if !self.node(path)?.children.is_empty() {
            return Err(format!("{path} has children"));
        }
        let node = self.nodes.remove(path).ok_or("it was there")?;
        let above = self.node(parent(path))?;
        above.children.remove(name(path));
        above.stat.pzxid = zxid;
        let parent_acl = above.acl.clone();
        self.count(path, (-1, -len(&node.data)));
        changes.push(ModelChange {
            kind: ModelChangeKind::Deleted,
            path: path.to_string(),
            acl: node.acl,
            parent_acl,
        });
        Ok(())
    }

    fn set(
        &mut self,
        record: &TxnRecord,
        (path, data, version): (&str, &Option<Data>, i32),
        changes: &mut Vec<ModelChange>,
    ) -> Result<(), String> {
        let header = &record.header;
        let node = self.node(path)?;
        next_version("version", node.stat.version, version)?;
        let bytes = len(data) - len(&node.data);
        node.data = data.clone();
        node.stat.version = version;
        node.stat.mzxid = header.zxid;
        node.stat.mtime = header.time_ms;
        let acl = node.acl.clone();
        self.count(path, (0, bytes));
        changes.push(ModelChange {
            kind: ModelChangeKind::DataChanged,
            path: path.to_string(),
            acl,
            parent_acl: Vec::new(),
        });
        Ok(())
    }

    fn close(
        &mut self,
        zxid: Zxid,
        (session, paths): (SessionId, Option<&[Box<str>]>),
        changes: &mut Vec<ModelChange>,
    ) -> Result<(), String> {
        // A session may be closed twice, by its client and by its expiry.
        self.sessions.remove(&session);
        for path in paths.unwrap_or_default() {
            if self.node(path)?.owner() != Owner::Session(session) {
                return Err(format!("{path} does not belong to {session}"));
            }
            self.delete(zxid, path, changes)?;
        }
        match self.ephemerals(session).first() {
            None => Ok(()),
            Some(path) => Err(format!("{path} outlives its session")),
        }
    }

    /// The nodes of a session.
    pub(crate) fn ephemerals(&self, session: SessionId) -> Vec<&str> {
        let owned = |node: &Znode| node.owner() == Owner::Session(session);
        self.nodes.iter().filter(|(_, node)| owned(node)).map(|(path, _)| &**path).collect()
    }

    fn check_reaped(&mut self, path: &str) -> Result<(), String> {
        match self.node(path)?.owner() {
            Owner::Container | Owner::Ttl { .. } => Ok(()),
            Owner::None | Owner::Session(_) | Owner::Unknown => {
                Err(format!("{path} is neither container nor TTL node, but was reaped"))
            }
        }
    }

    fn node(&mut self, path: &str) -> Result<&mut Znode, String> {
        self.nodes.get_mut(path).ok_or_else(|| format!("{path} does not exist"))
    }
}

/// Quotas as the workload makes them: none below another, limits before statistics, neither written
/// again. So their statistics are always what a count says.
impl Model {
    /// A statistics node that was created counts what is there.
    fn count_anew(&mut self, path: &str) {
        let on = path.strip_prefix("/zookeeper/quota").and_then(|path| path.strip_suffix(STATS));
        let Some(on) = on else { return };
        let below = format!("{on}/");
        let is_counted = |other: &str| other == on || other.starts_with(&below);
        let counted = self.nodes.iter().filter(|(other, _)| is_counted(other));
        let (count, bytes) =
            counted.fold((0, 0), |(count, bytes), (_, node)| (count + 1, bytes + len(&node.data)));
        self.write_statistics(path, count, bytes);
    }

    /// Adds to the statistics of the quota above, if there is one.
    fn count(&mut self, path: &str, (count, bytes): (i64, i64)) {
        if self.nodes.get("/zookeeper/quota").is_none_or(|quotas| quotas.children.is_empty()) {
            return;
        }
        let mut on = path;
        while !self.nodes.contains_key(&format!("/zookeeper/quota{on}/zookeeper_limits")) {
            if on == "/" {
                return;
            }
            on = parent(on);
        }
        let statistics = format!("/zookeeper/quota{on}{STATS}");
        let Some(node) = self.nodes.get(&statistics) else { return };
        let text = String::from_utf8_lossy(node.data.as_deref().unwrap_or_default());
        let numbers: Vec<i64> =
            text.split(',').filter_map(|pair| pair.split_once('=')?.1.parse().ok()).collect();
        if let [old_count, old_bytes] = numbers[..] {
            self.write_statistics(&statistics, old_count + count, old_bytes + bytes);
        }
    }

    fn write_statistics(&mut self, path: &str, count: i64, bytes: i64) {
        if let Some(node) = self.nodes.get_mut(path) {
            node.data = Some(format!("count={count},bytes={bytes}").into_bytes().into());
        }
    }
}

const STATS: &str = "/zookeeper_stats";

fn len(data: &Option<Data>) -> i64 {
    data.as_ref().map_or(0, |data| i64::try_from(data.len()).expect("models are small"))
}

/// Whether nothing was left out between these two. A leader of a new epoch begins to count anew.
fn follows(last: Zxid, next: Zxid) -> bool {
    let in_epoch = next.epoch() == last.epoch() && next.0 == last.0 + 1;
    in_epoch || (next.epoch() > last.epoch() && next.counter() == 1)
}

fn is_refused(parts: &[(OpCode, Txn)]) -> bool {
    parts.iter().any(|(_, txn)| matches!(txn, Txn::Error { .. }))
}

/// Whether it is a refusal. A multi without parts has nothing to refuse.
fn changes_nothing(txn: &Txn) -> bool {
    let nothing = |parts: &Vec<_>| parts.is_empty() || is_refused(parts);
    matches!(txn, Txn::Error { .. }) || matches!(txn, Txn::Multi(parts) if nothing(parts))
}

fn next_version(what: &str, old: i32, new: i32) -> Result<(), String> {
    if new == old + 1 { Ok(()) } else { Err(format!("{what} goes from {old} to {new}")) }
}

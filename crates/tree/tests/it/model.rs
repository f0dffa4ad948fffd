//! A naive tree: a map of paths, rules written out one after the other, no figure kept that can be
//! counted. It executes writes one by one and is what the tree's answers are compared with.

use bellwether_tree::Identity;
use bellwether_wire::client::request::Create;
use bellwether_wire::client::{OpResult, ReplyBody, Request};
use bellwether_wire::{Acl, Data, ErrorCode, SessionId, Stat, ZPath, Zxid};
use std::collections::{BTreeMap, BTreeSet};

const CONTAINER: i64 = i64::MIN;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NaiveNode {
    pub(crate) data: Option<Data>,
    pub(crate) acl: Vec<Acl>,
    pub(crate) creates: i32,
    pub(crate) stat: Stat,
}

#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<String, NaiveNode>,
    pub(crate) sessions: BTreeSet<SessionId>,
    /// Whether hard quotas refuse.
    pub(crate) enforce_quota: bool,
    /// The nodes before a multi, by which quotas are judged within it.
    applied: Option<BTreeMap<String, NaiveNode>>,
}

/// Who asks, when.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) zxid: i64,
    pub(crate) time_ms: i64,
    pub(crate) session: SessionId,
    pub(crate) identities: &'a [Identity],
}

type Answer<T> = Result<T, ErrorCode>;

fn parent_of(path: &str) -> String {
    let cut = path.rfind('/').expect("paths here have a slash");
    path[..cut].to_owned()
}

fn key(path: &str) -> String {
    if path == "/" { String::new() } else { path.to_owned() }
}

impl Model {
    pub(crate) fn new() -> Model {
        let node = |acl: Acl| NaiveNode {
            data: Some([].into()),
            acl: vec![acl],
            creates: 0,
            stat: Stat::default(),
        };
        let read = Acl { perms: bellwether_wire::Perms(1), ..Acl::world_all() };
        let mut config = node(read);
        config.stat.aversion = -1;
        let open = || node(Acl::world_all());
        let nodes = [
            (String::new(), open()),
            ("/zookeeper".to_owned(), open()),
            ("/zookeeper/quota".to_owned(), open()),
            ("/zookeeper/config".to_owned(), config),
        ];
        Model {
            nodes: nodes.into(),
            sessions: BTreeSet::new(),
            enforce_quota: false,
            applied: None,
        }
    }

    pub(crate) fn children(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}/");
        let below = self.nodes.keys().filter_map(|other| other.strip_prefix(&prefix));
        below.filter(|name| !name.contains('/')).map(str::to_owned).collect()
    }

    pub(crate) fn stat(&self, path: &str) -> Stat {
        let node = &self.nodes[path];
        let children = i32::try_from(self.children(path).len()).expect("few");
        let owner = node.stat.ephemeral_owner;
        Stat {
            cversion: 2 * node.creates - children,
            num_children: children,
            data_length: node.data.as_ref().map_or(0, |data| data.len() as i32),
            ephemeral_owner: if is_session(owner) { owner } else { 0 },
            ..node.stat
        }
    }

    /// Executes a request; a refused one changes nothing.
    pub(crate) fn execute(&mut self, asking: Asking<'_>, request: &Request) -> Answer<ReplyBody> {
        match request {
            Request::Create(create) => {
                let path = self.create(asking, create, 0, None)?;
                self.created(&path);
                Ok(ReplyBody::Path(path.into()))
            }
            Request::Create2(create) => {
                let path = self.create(asking, create, 0, None)?;
                let stat = self.created(&path);
                Ok(ReplyBody::PathStat(path.into(), stat))
            }
            Request::CreateContainer(create) => {
                let path = self.create(asking, create, CONTAINER, None)?;
                let stat = self.created(&path);
                Ok(ReplyBody::PathStat(path.into(), stat))
            }
            Request::CreateTtl { create, ttl_ms } => {
                let owner = (0xff << 56) | ttl_ms;
                let path = self.create(asking, create, owner, Some(*ttl_ms))?;
                let stat = self.created(&path);
                Ok(ReplyBody::PathStat(path.into(), stat))
            }
            Request::Delete { path, version } => {
                self.delete(asking, path, *version)?;
                Ok(ReplyBody::Empty)
            }
            Request::SetData { path, data, version } => {
                self.check_node(asking, path, 2, -1, |stat| stat.version)?;
                let bytes = len(data) - len(&self.nodes[&key(path)].data);
                self.judge(path, (0, bytes))?;
                self.check_node(asking, path, 2, *version, |stat| stat.version)?;
                let node = self.nodes.get_mut(&key(path)).expect("it was checked");
                node.data = data.clone();
                let stat = self.stat(&key(path));
                self.count(path, (0, bytes));
                let node = self.nodes.get_mut(&key(path)).expect("it was checked");
                node.stat.version += 1;
                node.stat.mtime = asking.time_ms;
                node.stat.mzxid = Zxid(asking.zxid);
                let node = &node.stat;
                let (version, mtime, mzxid) = (node.version, node.mtime, node.mzxid);
                Ok(ReplyBody::Stat(Stat { version, mtime, mzxid, ..stat }))
            }
            Request::SetAcl { path, acl, version } => {
                self.check_path_and_session(asking, path)?;
                let acl = fix_acl(asking, acl)?;
                self.check_node(asking, path, 16, *version, |stat| stat.aversion)?;
                let node = self.nodes.get_mut(&key(path)).expect("it was checked");
                node.acl = acl;
                node.stat.aversion += 1;
                Ok(ReplyBody::Stat(self.stat(&key(path))))
            }
            Request::Check { path, version } => {
                self.check_node(asking, path, 1, *version, |stat| stat.version)?;
                Ok(ReplyBody::Empty)
            }
            Request::Multi(requests) => Ok(ReplyBody::Multi(self.multi(asking, requests))),
            Request::CloseSession => {
                self.close(asking);
                Ok(ReplyBody::Empty)
            }
            other => panic!("{other:?} is not asked here"),
        }
    }

    fn multi(&mut self, asking: Asking<'_>, requests: &[Request]) -> Vec<OpResult> {
        let before = self.clone();
        self.applied = Some(before.nodes.clone());
        let mut results = Vec::new();
        for request in requests {
            results.push(match self.execute(asking, request) {
                Err(code) => {
                    *self = before;
                    let mut failed = vec![OpResult::Error(ErrorCode::Ok); results.len()];
                    failed.push(OpResult::Error(code));
                    let rest = OpResult::Error(ErrorCode::RuntimeInconsistency);
                    failed.resize(requests.len(), rest);
                    return failed;
                }
                Ok(ReplyBody::Path(path)) => OpResult::Create(path),
                Ok(ReplyBody::PathStat(path, stat)) => OpResult::CreateStat(path, stat),
                Ok(ReplyBody::Stat(stat)) => OpResult::SetData(stat),
                Ok(_) if matches!(request, Request::Check { .. }) => OpResult::Check,
                Ok(_) => OpResult::Delete,
            });
        }
        self.applied = None;
        results
    }

    fn create(
        &mut self,
        asking: Asking<'_>,
        create: &Create,
        owner: i64,
        ttl_ms: Option<i64>,
    ) -> Answer<String> {
        let (is_ephemeral, is_sequential) = match create.flags {
            0 | 4 | 5 => (false, false),
            1 => (true, false),
            2 | 6 => (false, true),
            3 => (true, true),
            _ => return Err(ErrorCode::BadArguments),
        };
        let wants_ttl = create.flags == 5 || create.flags == 6;
        if wants_ttl != ttl_ms.is_some_and(|ttl_ms| ttl_ms > 0 && ttl_ms < 1 << 40) {
            return Err(ErrorCode::BadArguments);
        }
        if !self.sessions.contains(&asking.session) {
            return Err(ErrorCode::SessionExpired);
        }
        if !create.path.contains('/') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = fix_acl(asking, &create.acl)?;
        let parent_path = parent_of(&create.path);
        let parent = self.nodes.get(&key(&parent_path)).ok_or(ErrorCode::NoNode)?;
        permit(asking, &parent.acl, 4)?;
        let number = if is_sequential { format!("{:010}", parent.creates) } else { String::new() };
        let path = format!("{}{number}", create.path);
        ZPath::check(&path).or(Err(ErrorCode::BadArguments))?;
        if self.nodes.contains_key(&key(&path)) {
            return Err(ErrorCode::NodeExists);
        }
        if is_session(parent.stat.ephemeral_owner) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        self.judge(&path, (1, len(&create.data)))?;
        let parent = self.nodes.get_mut(&parent_path).expect("it was just found");
        parent.creates += 1;
        parent.stat.pzxid = Zxid(asking.zxid);
        let zxid = Zxid(asking.zxid);
        let owner = if owner == 0 && is_ephemeral { asking.session.0 } else { owner };
        let stat = Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: asking.time_ms,
            mtime: asking.time_ms,
            ephemeral_owner: owner,
            ..Stat::default()
        };
        let node = NaiveNode { data: create.data.clone(), acl, creates: 0, stat };
        self.nodes.insert(path.clone(), node);
        Ok(path)
    }

    fn delete(&mut self, asking: Asking<'_>, path: &str, version: i32) -> Answer<()> {
        if !self.sessions.contains(&asking.session) {
            return Err(ErrorCode::SessionExpired);
        }
        let system = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        if !path.contains('/') || system.contains(&path) {
            return Err(ErrorCode::BadArguments);
        }
        let parent = self.nodes.get(&key(&parent_of(path))).ok_or(ErrorCode::NoNode)?;
        permit(asking, &parent.acl, 8)?;
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        if version != -1 && version != node.stat.version {
            return Err(ErrorCode::BadVersion);
        }
        if !self.children(path).is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(asking, path);
        Ok(())
    }

    fn remove(&mut self, asking: Asking<'_>, path: &str) {
        let node = self.nodes.remove(path).expect("it is there");
        let parent = self.nodes.get_mut(&parent_of(path)).expect("a node has a parent");
        parent.stat.pzxid = Zxid(asking.zxid);
        self.count(path, (-1, -len(&node.data)));
    }

    fn close(&mut self, asking: Asking<'_>) {
        self.sessions.remove(&asking.session);
        let owned = |node: &NaiveNode| node.stat.ephemeral_owner == asking.session.0;
        let own = self.nodes.iter().filter(|(_, node)| owned(node));
        for path in own.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
            self.remove(asking, &path);
        }
    }

    fn check_path_and_session(&self, asking: Asking<'_>, path: &str) -> Answer<()> {
        if !self.sessions.contains(&asking.session) {
            return Err(ErrorCode::SessionExpired);
        }
        ZPath::check(path).or(Err(ErrorCode::BadArguments))
    }

    fn check_node(
        &self,
        asking: Asking<'_>,
        path: &str,
        perm: i32,
        expected: i32,
        version: impl Fn(&Stat) -> i32,
    ) -> Answer<()> {
        self.check_path_and_session(asking, path)?;
        let node = self.nodes.get(&key(path)).ok_or(ErrorCode::NoNode)?;
        permit(asking, &node.acl, perm)?;
        let matches = expected == -1 || expected == version(&node.stat);
        if matches { Ok(()) } else { Err(ErrorCode::BadVersion) }
    }
}

/// Quotas, written out.
impl Model {
    /// Counts a node that was created; its stat is the one before that.
    fn created(&mut self, path: &str) -> Stat {
        let stat = self.stat(path);
        let on = path.strip_prefix("/zookeeper/quota").and_then(|p| p.strip_suffix(STATS));
        if let Some(on) = on.filter(|on| on.starts_with('/')) {
            let below = |other: &str| other == on || other.starts_with(&format!("{on}/"));
            let found: Vec<_> = self.nodes.iter().filter(|(other, _)| below(other)).collect();
            let bytes = found.iter().map(|(_, node)| len(&node.data)).sum::<i64>();
            let text = format!("count={},bytes={bytes}", found.len());
            self.nodes.get_mut(path).expect("it is there").data = Some(text.as_bytes().into());
        }
        self.count(path, (1, i64::from(stat.data_length)));
        stat
    }

    /// Adds to the statistics of the closest quota.
    fn count(&mut self, path: &str, (count, bytes): (i64, i64)) {
        let Some(on) = closest(&self.nodes, path) else { return };
        let Some(node) = self.nodes.get_mut(&format!("/zookeeper/quota{on}{STATS}")) else {
            return;
        };
        let Some(mut numbers) = numbers(&node.data) else { return };
        *numbers.entry("count".into()).or_insert(-1) += count;
        *numbers.entry("bytes".into()).or_insert(-1) += bytes;
        let (count, bytes) = (numbers.remove("count"), numbers.remove("bytes"));
        let mut text = format!("count={},bytes={}", count.unwrap_or(-1), bytes.unwrap_or(-1));
        let rest: String = numbers.iter().map(|(key, n)| format!(";{key}={n}")).collect();
        if !rest.is_empty() {
            text += &format!("={rest}");
        }
        node.data = Some(text.as_bytes().into());
    }

    /// Whether hard quotas, as they are applied, let a write through.
    fn judge(&self, path: &str, (count, bytes): (i64, i64)) -> Answer<()> {
        let nodes = self.applied.as_ref().unwrap_or(&self.nodes);
        let Some(on) = closest(nodes, path).filter(|_| self.enforce_quota) else { return Ok(()) };
        let read =
            |name| nodes.get(&format!("/zookeeper/quota{on}{name}")).map(|n| numbers(&n.data));
        let limits = read(LIMITS).expect("it is the closest").ok_or(ErrorCode::MarshallingError)?;
        let of = |numbers: &BTreeMap<String, i64>, key| numbers.get(key).copied().unwrap_or(-1);
        let is_limited = |soft, hard| of(&limits, soft) > -1 || of(&limits, hard) > -1;
        let counts = count != 0 && is_limited("count", "countHardLimit");
        let weighs = bytes != 0 && is_limited("bytes", "byteHardLimit");
        if !counts && !weighs {
            return Ok(());
        }
        let Some(stats) = read(STATS) else { return Ok(()) };
        let stats = stats.ok_or(ErrorCode::MarshallingError)?;
        let exceeds =
            |key, more, hard| of(&limits, hard) > -1 && of(&stats, key) + more > of(&limits, hard);
        let refused = counts && exceeds("count", count, "countHardLimit")
            || weighs && exceeds("bytes", bytes, "byteHardLimit");
        if refused { Err(ErrorCode::QuotaExceeded) } else { Ok(()) }
    }
}

const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

fn len(data: &Option<Data>) -> i64 {
    data.as_ref().map_or(0, |data| data.len() as i64)
}

/// The closest path at or above this one that has limits.
fn closest(nodes: &BTreeMap<String, NaiveNode>, path: &str) -> Option<String> {
    let mut on = path.to_owned();
    while on.len() > 1 {
        if nodes.contains_key(&format!("/zookeeper/quota{on}{LIMITS}")) {
            return Some(on);
        }
        on = parent_of(&on);
    }
    None
}

/// The numbers of a text as the sequences make them, or none.
fn numbers(data: &Option<Data>) -> Option<BTreeMap<String, i64>> {
    let text = String::from_utf8(data.as_ref()?.to_vec()).expect("they are text");
    let pairs = text.split([',', ';']).filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, number) = pair.trim_end_matches('=').split_once('=')?;
            Some((key.to_owned(), number.parse().ok()?))
        })
        .collect()
}

/// Containers and TTL nodes have an owner that is no session.
fn is_session(owner: i64) -> bool {
    owner > 0
}

fn permit(asking: Asking<'_>, acl: &[Acl], perm: i32) -> Answer<()> {
    let is_caller = |entry: &Acl| {
        let me = |id: &Identity| id.scheme == entry.scheme && id.id == entry.id;
        &*entry.scheme == "world" || asking.identities.iter().any(me)
    };
    let is_super = asking.identities.iter().any(|identity| &*identity.scheme == "super");
    let granted = acl.iter().any(|entry| entry.perms.0 & perm != 0 && is_caller(entry));
    if granted || is_super { Ok(()) } else { Err(ErrorCode::NoAuth) }
}

fn fix_acl(asking: Asking<'_>, acl: &Option<Vec<Acl>>) -> Answer<Vec<Acl>> {
    let mut fixed: Vec<Acl> = Vec::new();
    let mut seen: Vec<&Acl> = Vec::new();
    for entry in acl.iter().flatten() {
        if seen.contains(&entry) {
            continue;
        }
        seen.push(entry);
        match &*entry.scheme {
            "world" | "digest" | "ip" => fixed.push(entry.clone()),
            "auth" => {
                let digests = asking.identities.iter().filter(|id| &*id.scheme == "digest");
                let ids: Vec<_> = digests.collect();
                if ids.is_empty() {
                    return Err(ErrorCode::InvalidAcl);
                }
                for id in ids {
                    let (scheme, id) = (id.scheme.clone(), id.id.clone());
                    fixed.push(Acl { perms: entry.perms, scheme, id });
                }
            }
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    if fixed.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(fixed) }
}

//! The tree answers and becomes what the naive model answers and becomes, however the writes are
//! pipelined.

use crate::model::{Asking, Model};
use crate::script::{World, identities, options, session};
use crate::sequence::{WHO, content, open, request, snapshot};
use arbtest::arbitrary::{Result, Unstructured};
use bellwether_tree::{TreeOptions, Write};
use bellwether_wire::client::request::Create;
use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::disk::txn::{CreateTxn, Txn, TxnHeader, TxnRecord};
use bellwether_wire::{Acl, ErrorCode, OpCode, SessionId, Zxid};
use std::collections::BTreeSet;

/// The tree and the model, side by side.
struct Pair {
    world: World,
    model: Model,
    waiting: Vec<(String, TxnRecord, std::result::Result<ReplyBody, ErrorCode>)>,
}

impl Pair {
    fn new(options: TreeOptions) -> Pair {
        let mut pair =
            Pair { world: World::new(options), model: Model::new(), waiting: Vec::new() };
        pair.model.enforce_quota = pair.world.tree.options().enforce_quota;
        for who in WHO {
            pair.open(who);
        }
        for path in ["/a", "/a/b", "/zookeeper/quota/a", "/zookeeper/quota/a/b"] {
            let acl = Some(vec![Acl::world_all()]);
            let create = Create { path: path.into(), data: None, acl, flags: 0 };
            pair.ask("s0", &Request::Create(create));
        }
        pair.apply_all();
        pair
    }

    fn open(&mut self, who: &str) {
        let record = self.world.prepare(who, open());
        self.model.sessions.insert(session(who));
        self.waiting.push((format!("{who} opens"), record, Ok(ReplyBody::Empty)));
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let who = *u.choose(&WHO)?;
        if !self.model.sessions.contains(&session(who)) {
            if u.ratio(1, 2)? {
                self.open(who);
                return Ok(());
            }
            // Whether it is unknown or expired depends on how much is applied.
            self.apply_all();
        }
        self.ask(who, &request(u)?);
        Ok(())
    }

    fn ask(&mut self, who: &str, request: &Request) {
        let zxid = self.world.zxid + 1;
        let identities = identities(who);
        let asking =
            Asking { zxid, time_ms: 1000 * zxid, session: session(who), identities: &identities };
        let expected = self.model.execute(asking, request);
        let record = self.world.prepare(who, Write::Request(request.clone()));
        self.waiting.push((format!("{who} {request:?}"), record, expected));
    }

    /// Applies the oldest of what waits; the rest stays pending.
    fn apply(&mut self, count: usize) {
        for (what, record, expected) in self.waiting.drain(..count) {
            let got = self.world.apply(&record);
            assert_eq!(unify(got), unify(expected), "{what}");
        }
    }

    fn apply_all(&mut self) {
        self.apply(self.waiting.len());
        assert!(self.world.pending.is_empty());
    }

    /// The whole content is the same.
    fn compare(&mut self) {
        self.apply_all();
        assert_eq!(self.world.tree.check(), Ok(()));
        let (nodes, sessions) = content(&snapshot(&self.world.tree, 1000));
        assert_eq!(sessions.into_keys().collect::<BTreeSet<SessionId>>(), self.model.sessions);
        assert!(nodes.keys().eq(self.model.nodes.keys()));
        for (path, (data, acl, stat)) in nodes {
            let naive = &self.model.nodes[&path];
            assert_eq!((&data, &acl, stat.cversion), (&naive.data, &naive.acl, naive.creates));
            assert_eq!(stat.ephemeral_owner, naive.stat.ephemeral_owner);
            assert_eq!(self.world.tree.stat_of(&path), Some(self.model.stat(&path)), "{path}");
            let super_user = identities("s0");
            let ls = Request::GetChildren { path: path.as_str().into(), watch: false };
            match self.world.tree.read(&ls, session("s0"), &super_user) {
                Ok(ReplyBody::Children(names)) => {
                    assert!(names.names().iter().map(|n| &**n).eq(self.model.children(&path)));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The model does not tell an unknown session from an expired one.
fn unify(
    answer: std::result::Result<ReplyBody, ErrorCode>,
) -> std::result::Result<ReplyBody, ErrorCode> {
    use bellwether_wire::client::OpResult;
    let unify =
        |code| if code == ErrorCode::UnknownSession { ErrorCode::SessionExpired } else { code };
    answer.map_err(unify).map(|body| match body {
        ReplyBody::Multi(results) => ReplyBody::Multi(
            results
                .into_iter()
                .map(|result| match result {
                    OpResult::Error(code) => OpResult::Error(unify(code)),
                    other => other,
                })
                .collect(),
        ),
        other => other,
    })
}

fn agree(u: &mut Unstructured<'_>, options: TreeOptions) -> Result<()> {
    let enforced = options.enforce_quota;
    let mut pair = Pair::new(options);
    for _ in 0..u.int_in_range(0..=60)? {
        pair.step(u)?;
        if enforced {
            // What is in flight does not count, so answers depend on how far it has come.
            pair.apply_all();
        } else if u.ratio(1, 4)? {
            let count = u.int_in_range(0..=pair.waiting.len())?;
            pair.apply(count);
        }
    }
    pair.compare();
    Ok(())
}

#[test]
fn pipelined_writes_answer_as_if_they_were_made_one_by_one() {
    arbtest::arbtest(|u| agree(u, options())).budget_ms(3_000).size_max(8_000);
}

#[test]
fn without_digests_and_lists_of_a_closed_session_nothing_else_changes() {
    let options = TreeOptions { digest: false, close_session_list: false, ..options() };
    arbtest::arbtest(|u| agree(u, options.clone())).budget_ms(1_000).size_max(8_000);
}

#[test]
fn hard_quotas_refuse_what_the_model_refuses() {
    let options = TreeOptions { enforce_quota: true, ..options() };
    arbtest::arbtest(|u| agree(u, options.clone())).budget_ms(2_000).size_max(8_000);
}

fn any_path(u: &mut Unstructured<'_>) -> Result<Box<str>> {
    let paths = [
        "/a",
        "/a/b",
        "/a/b/c",
        "/b",
        "",
        "/",
        "//",
        "//a",
        "/a/",
        "a",
        "a/b",
        "/a//b",
        "/zookeeper",
        "/zookeeper/config",
        "/\u{1f600}",
        "/zookeeper/quota",
        "/zookeeper/quota/a",
        "/zookeeper/quota/a/zookeeper_limits",
        "/zookeeper/quota/a/zookeeper_stats",
    ];
    Ok((*u.choose(&paths)?).into())
}

fn any_txn(u: &mut Unstructured<'_>, depth: usize) -> Result<(OpCode, Txn)> {
    let path = any_path(u)?;
    let acl = match u.int_in_range(0..=2)? {
        0 => vec![],
        1 => vec![Acl::world_all()],
        _ => vec![Acl { perms: bellwether_wire::Perms(u.arbitrary()?), ..Acl::world_all() }],
    };
    let version = u.arbitrary()?;
    let data = Some(u.choose(&["", "xyz"])?.as_bytes().into());
    let create = || CreateTxn {
        path: path.clone(),
        data: data.clone(),
        acl: acl.clone(),
        parent_cversion: version,
    };
    Ok(match u.int_in_range(0..=12)? {
        0..=2 => (OpCode::Create, Txn::Create { create: create(), ephemeral: u.arbitrary()? }),
        3 => (OpCode::CreateContainer, Txn::CreateContainer(create())),
        4 => (OpCode::CreateTtl, Txn::CreateTtl { create: create(), ttl_ms: u.arbitrary()? }),
        5 | 6 => (OpCode::Delete, Txn::Delete { path }),
        7 => (OpCode::SetData, Txn::SetData { path, data, version }),
        8 => (OpCode::SetAcl, Txn::SetAcl { path, acl, version }),
        9 => (OpCode::Error, Txn::Error { code: u.arbitrary()? }),
        10 => {
            let paths = if u.arbitrary()? { Some(vec![path, any_path(u)?]) } else { None };
            (OpCode::CloseSession, Txn::CloseSession { paths })
        }
        11 if depth < 2 => {
            let parts = (0..u.int_in_range(0..=3)?).map(|_| any_txn(u, depth + 1));
            (OpCode::Multi, Txn::Multi(parts.collect::<Result<_>>()?))
        }
        _ => (OpCode::CreateSession, Txn::CreateSession { timeout_ms: version }),
    })
}

#[test]
fn whatever_a_log_holds_applying_it_keeps_every_figure_right() {
    arbtest::arbtest(|u| {
        let mut world = World::new(options());
        for _ in 0..u.int_in_range(0..=40)? {
            let (op, txn) = any_txn(u, 0)?;
            let session = SessionId(u.int_in_range(1..=3)?);
            let zxid = Zxid(u.int_in_range(0..=50)?);
            let header = TxnHeader { session, cxid: 0, zxid, time_ms: u.arbitrary()?, op };
            let _answer = world.apply(&TxnRecord { header, txn, digest: None });
        }
        assert_eq!(world.tree.check(), Ok(()));
        Ok(())
    })
    .budget_ms(1_000)
    .size_max(8_000);
}

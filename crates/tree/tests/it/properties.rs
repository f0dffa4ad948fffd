//! The tree answers and becomes what the naive model answers and becomes, however the writes are
//! pipelined.

use crate::model::{Asking, Model};
use crate::script::{World, identities, options, session};
use crate::sequence::{WHO, content, open, request, snapshot};
use arbtest::arbitrary::{Result, Unstructured};
use bellwether_tree::{TreeOptions, Write};
use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::{ErrorCode, SessionId};
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
        for who in WHO {
            pair.open(who);
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
        let request = request(u)?;
        let zxid = self.world.zxid + 1;
        let identities = identities(who);
        let asking =
            Asking { zxid, time_ms: 1000 * zxid, session: session(who), identities: &identities };
        let expected = self.model.execute(asking, &request);
        let record = self.world.prepare(who, Write::Request(request.clone()));
        self.waiting.push((format!("{who} {request:?}"), record, expected));
        Ok(())
    }

    fn apply_all(&mut self) {
        for (what, record, expected) in std::mem::take(&mut self.waiting) {
            let got = self.world.apply(&record);
            assert_eq!(unify(got), unify(expected), "{what}");
        }
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
    let mut pair = Pair::new(options);
    for _ in 0..u.int_in_range(0..=60)? {
        pair.step(u)?;
        if u.ratio(1, 6)? {
            pair.apply_all();
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

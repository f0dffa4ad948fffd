//! No step of the node does more than its share, whatever waits to be done.
//!
//! The node is driven directly here. What a step did is counted by its effects; what it visited
//! without an effect (watches of closed connections) by the figures before and after.

use bellwether_node::limits::VISITS_PER_STEP;
use bellwether_node::{ConnId, Effect, Event, LogToken, Node, ReaperSettings, Settings};
use bellwether_tree::{Identity, Now, Tree, TreeOptions};
use bellwether_wire::client::request::{Create, SetWatches};
use bellwether_wire::client::{ConnectRequest, Request, RequestHeader};
use bellwether_wire::{Acl, Data, OwnerFormat, SessionId, Zxid};
use std::collections::BTreeMap;

/// A step may use up its visits, and then do one more thing to its end: the reply to a transaction
/// and what the event itself asks for.
const EFFECTS_PER_STEP: usize = VISITS_PER_STEP + 2;

struct Driver {
    node: Node,
    now: Now,
    appended: LogToken,
    last_xid: BTreeMap<u64, i32>,
    /// The most effects, and the most watches forgotten, that a step had.
    effects_max: usize,
    forgotten_max: usize,
    steps: usize,
}

impl Driver {
    fn new(snap_count: u64) -> Driver {
        let owner_format = OwnerFormat::EXTENDED;
        let tree = TreeOptions { owner_format, digest: false, ..TreeOptions::new([3, 4]) };
        let settings = Settings {
            tick_ms: 2000,
            session_timeout_ms_min: 4000,
            session_timeout_ms_max: 40_000,
            server_id: 1,
            reconfig_enabled: false,
            audit: false,
            enforced_schemes: Vec::new(),
            throttle: None,
            snap_count,
            snap_bytes: 0,
            snapshot_last_zxid: false,
            reaper: ReaperSettings {
                interval_ms: 60_000,
                per_minute_max: 100_000,
                never_used_ms: 1,
            },
            seed: 5,
            tree: tree.clone(),
        };
        let now = Now { mono_ms: 0, wall_ms: 1_600_000_000_000 };
        Driver {
            node: Node::new(settings, Tree::new(tree), now),
            now,
            appended: LogToken(0),
            last_xid: BTreeMap::new(),
            effects_max: 0,
            forgotten_max: 0,
            steps: 0,
        }
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        let before = self.node.watches().len();
        self.node.step(self.now, event, &mut out);
        self.effects_max = self.effects_max.max(weight(&out));
        let forgotten = before.saturating_sub(self.node.watches().len());
        self.forgotten_max = self.forgotten_max.max(forgotten);
        self.steps += 1;
        for effect in &out {
            if let Effect::Append(token, _) = effect {
                self.appended = *token;
            }
        }
        out
    }

    /// Goes on until nothing is left to do.
    fn settle(&mut self) -> Vec<Effect> {
        let mut all = Vec::new();
        while self.node.has_work() {
            all.extend(self.step(Event::Continue));
        }
        all
    }

    fn sync(&mut self) -> Vec<Effect> {
        let token = self.appended;
        let mut all = self.step(Event::Durable { token, bytes: 0 });
        all.extend(self.settle());
        all
    }

    fn connect(&mut self, conn: u64) {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 40_000,
            session: SessionId::NONE,
            password: Box::new([]),
            read_only: Some(false),
        };
        let identity = Identity { scheme: "ip".into(), id: "127.0.0.1".into() };
        self.step(Event::Connect { conn: ConnId(conn), request, identities: vec![identity] });
    }

    fn ask(&mut self, conn: u64, request: Request) -> Vec<Effect> {
        let xid = self.last_xid.entry(conn).or_default();
        *xid += 1;
        let header = RequestHeader { xid: *xid, op: request.op().code() };
        self.step(Event::Frame { conn: ConnId(conn), header, request: Some(Ok(request)) })
    }

    /// Forgets what was counted so far.
    fn count_anew(&mut self) {
        (self.effects_max, self.forgotten_max, self.steps) = (0, 0, 0);
    }
}

/// Effects of one step; a slice of a snapshot weighs as much as its items.
fn weight(effects: &[Effect]) -> usize {
    let weigh = |effect: &Effect| match effect {
        Effect::SnapshotSlice { items, .. } => items.len(),
        Effect::Connected(..)
        | Effect::Reply(..)
        | Effect::Notify(..)
        | Effect::Close(_)
        | Effect::Append(..)
        | Effect::Audit(_)
        | Effect::QuotaExceeded(_)
        | Effect::Ensemble(_)
        | Effect::StartSnapshot(_) => 1,
    };
    effects.iter().map(weigh).sum()
}

fn create(path: &str, flags: i32) -> Create {
    let acl = Some(vec![Acl::world_all()]);
    Create { path: path.into(), data: Some(Data::from(&b"x"[..])), acl, flags }
}

fn replies(effects: &[Effect]) -> Vec<i32> {
    let xid = |effect: &Effect| match effect {
        Effect::Reply(_, reply) => Some(reply.xid),
        Effect::Connected(..)
        | Effect::Notify(..)
        | Effect::Close(_)
        | Effect::Append(..)
        | Effect::StartSnapshot(_)
        | Effect::Audit(_)
        | Effect::QuotaExceeded(_)
        | Effect::Ensemble(_)
        | Effect::SnapshotSlice { .. } => None,
    };
    effects.iter().filter_map(xid).collect()
}

#[test]
fn watch_events_are_made_in_slices() {
    let mut driver = Driver::new(1_000_000);
    driver.connect(1);
    driver.sync();
    driver.ask(1, Request::Create(create("/a", 0)));
    driver.sync();
    for conn in 2..10_002 {
        driver.connect(conn);
    }
    driver.sync();
    for conn in 2..10_002 {
        driver.ask(conn, Request::GetData { path: "/a".into(), watch: true });
    }
    driver.count_anew();
    driver.ask(1, Request::Delete { path: "/a".into(), version: -1 });
    let said = driver.sync();
    assert_eq!(said.len(), 10_001);
    assert!(driver.effects_max <= EFFECTS_PER_STEP, "{}", driver.effects_max);
    assert!(driver.steps >= 10, "{}", driver.steps);
}

#[test]
fn a_thousand_commits_are_replied_to_in_slices() {
    let mut driver = Driver::new(1_000_000);
    driver.connect(1);
    driver.sync();
    driver.count_anew();
    for i in 0..5000 {
        driver.ask(1, Request::Create(create(&format!("/n{i}"), 0)));
        driver.ask(1, Request::Ping);
    }
    let said = driver.sync();
    assert_eq!(replies(&said).len(), 10_000);
    assert!(driver.effects_max <= EFFECTS_PER_STEP, "{}", driver.effects_max);
}

#[test]
fn watches_of_closed_connections_are_forgotten_in_slices() {
    let mut driver = Driver::new(1_000_000);
    driver.connect(1);
    driver.sync();
    for i in 0..20_000 {
        driver.ask(1, Request::Exists { path: format!("/n{i}").into(), watch: true });
    }
    driver.count_anew();
    driver.step(Event::ClientGone(ConnId(1)));
    driver.settle();
    assert_eq!(driver.node.watches().len(), 0);
    assert!(driver.forgotten_max <= VISITS_PER_STEP, "{}", driver.forgotten_max);
}

#[test]
fn set_watches_is_done_in_slices() {
    let mut driver = Driver::new(1_000_000);
    driver.connect(1);
    driver.sync();
    driver.count_anew();
    let data = (0..15_000).map(|i| format!("/n{i}").into()).collect();
    let mut said =
        driver.ask(1, Request::SetWatches(Box::new(SetWatches { data, ..Default::default() })));
    said.extend(driver.settle());
    assert_eq!(said.len(), 15_001);
    assert!(driver.effects_max <= EFFECTS_PER_STEP, "{}", driver.effects_max);
}

#[test]
fn sessions_expire_in_slices() {
    let mut driver = Driver::new(1_000_000);
    for conn in 1..=3000 {
        driver.connect(conn);
    }
    for node in 0..9 {
        driver.ask(1, Request::Create(create(&format!("/e{node}"), 1)));
    }
    driver.sync();
    driver.count_anew();
    // The first tick after the silence only notices it.
    driver.now.mono_ms += 100_000;
    driver.step(Event::Tick);
    let mut ended = Vec::new();
    while ended.iter().sum::<usize>() < 3000 {
        driver.now.mono_ms = driver.node.next_deadline();
        ended.push(driver.step(Event::Tick).len());
    }
    // A session's ephemeral nodes are visits as the session itself is one.
    let first = ended.iter().find(|sessions| **sessions > 0);
    assert_eq!(first, Some(&(VISITS_PER_STEP - 9)));
    assert!(ended.iter().all(|sessions| *sessions <= VISITS_PER_STEP), "{ended:?}");
    driver.sync();
    assert_eq!(driver.node.status().sessions, 0);
    assert!(driver.effects_max <= EFFECTS_PER_STEP, "{}", driver.effects_max);
}

#[test]
fn containers_are_reaped_in_slices() {
    let mut driver = Driver::new(1_000_000);
    driver.connect(1);
    driver.sync();
    for i in 0..5000 {
        driver.ask(1, Request::CreateContainer(create(&format!("/c{i}"), 4)));
    }
    driver.sync();
    driver.count_anew();
    driver.now.mono_ms += 60_000;
    driver.step(Event::Tick);
    driver.settle();
    driver.sync();
    assert_eq!(driver.node.status().node_count, 5);
    assert!(driver.effects_max <= EFFECTS_PER_STEP, "{}", driver.effects_max);
    assert!(driver.steps >= 10, "{}", driver.steps);
}

#[test]
fn snapshots_are_handed_out_in_slices() {
    let mut driver = Driver::new(6000);
    driver.connect(1);
    driver.sync();
    for i in 0..6000 {
        driver.ask(1, Request::Create(create(&format!("/n{i}"), 0)));
    }
    driver.count_anew();
    let mut said = driver.sync();
    let mut items = 0;
    loop {
        let mut complete = false;
        for effect in &said {
            if let Effect::SnapshotSlice { items: slice, last } = effect {
                items += slice.len();
                complete = *last;
            }
        }
        if complete {
            break;
        }
        said = driver.step(Event::SnapshotSliceTaken);
        said.extend(driver.settle());
    }
    assert!(items > 3000, "{items}");
    assert!(driver.effects_max <= EFFECTS_PER_STEP, "{}", driver.effects_max);
}

/// A million events of one transaction take a thousand steps. As many requests may come meanwhile,
/// more than one step can take up again: none of them may be overtaken.
#[test]
fn requests_that_come_while_watches_fire_keep_their_order() {
    const CONNECTIONS: u64 = 1100;
    let mut driver = Driver::new(1_000_000);
    for conn in 1..=CONNECTIONS + 1 {
        driver.connect(conn);
    }
    driver.sync();
    for i in 0..VISITS_PER_STEP {
        driver.ask(1, Request::Create(create(&format!("/e{i}"), 1)));
    }
    driver.sync();
    for conn in 2..=CONNECTIONS + 1 {
        driver.ask(conn, Request::AddWatch { path: "/".into(), mode: 1 });
    }
    driver.ask(1, Request::CloseSession);
    let token = driver.appended;
    let mut said = driver.step(Event::Durable { token, bytes: 0 });
    let mut asked = 1;
    while driver.node.outstanding() > 0 || asked < 1500 {
        said.extend(driver.ask(2, Request::Exists { path: "/e".into(), watch: false }));
        asked += 1;
    }
    let mine: Vec<_> = said
        .iter()
        .filter_map(|effect| match effect {
            Effect::Reply(ConnId(2), reply) => Some(reply.xid),
            Effect::Reply(..)
            | Effect::Connected(..)
            | Effect::Notify(..)
            | Effect::Close(_)
            | Effect::Append(..)
            | Effect::StartSnapshot(_)
            | Effect::Audit(_)
            | Effect::QuotaExceeded(_)
            | Effect::Ensemble(_)
            | Effect::SnapshotSlice { .. } => None,
        })
        .collect();
    assert_eq!(mine, (2..=asked).collect::<Vec<i32>>());
    assert!(driver.effects_max <= EFFECTS_PER_STEP, "{}", driver.effects_max);
}

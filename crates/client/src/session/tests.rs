//! The session against a server made of frames: what goes in is called, what comes out is a trace.

use super::*;
use crate::hosts::Servers;
use arbtest::arbitrary::{self, Unstructured};
use bellwether_wire::client::request::RequestHeader;
use bellwether_wire::client::{
    EventType, KeeperState, OpResult, Reply, Request, reply::ReplyHeader, xid,
};
use bellwether_wire::{ErrorCode, Reader, Stat};
use expect_test::{Expect, expect};

mod sasl;
mod seek;

/// A session, its clock, and the trace of its effects.
struct Scene {
    session: Session,
    now: u64,
    trace: String,
    next_id: u64,
}

impl Scene {
    fn new(servers: &str) -> Scene {
        let hosts = Servers::parse(servers).unwrap().hosts;
        let config = Config { timeout: Millis(9_000), access: Access::ReadWrite, sasl: None };
        let session = Session::new(config, hosts, 1, Millis(0));
        Scene { session, now: 0, trace: String::new(), next_id: 0 }
    }

    /// A session with id 7 and a timeout of 9 s, its trace not yet begun.
    fn connected() -> Scene {
        let mut scene = Scene::new("a");
        scene.step(Event::Tick);
        scene.step(Event::Opened);
        scene.greeted(7, 9_000);
        scene.trace.clear();
        scene
    }

    fn step(&mut self, event: Event<'_>) {
        let mut out = Vec::new();
        self.session.step(Millis(self.now), event, &mut out);
        for effect in out {
            self.trace.push_str(&format!("{} {}\n", self.now, show(&effect)));
        }
    }

    /// Lets time pass to each deadline up to `until`.
    fn pass(&mut self, until: u64) {
        while let Some(deadline) = self.session.next_deadline().filter(|d| d.0 <= until) {
            self.now = self.now.max(deadline.0);
            self.step(Event::Tick);
        }
        self.now = until;
    }

    fn greeted(&mut self, session: i64, timeout_ms: i32) {
        self.greeted_by(session, timeout_ms, false);
    }

    fn greeted_by(&mut self, session: i64, timeout_ms: i32, read_only: bool) {
        let response = ConnectResponse {
            timeout_ms,
            session: SessionId(session),
            password: Password([3; 16]),
            read_only: Some(read_only),
        };
        let mut bytes = Vec::new();
        response.encode(&mut bytes);
        self.step(Event::Frame(&bytes));
    }

    fn reconnect(&mut self) {
        self.step(Event::Lost("reset".into()));
        let Some(pause) = self.session.next_deadline() else { panic!("it has ended") };
        self.now = pause.0;
        self.step(Event::Tick);
        self.step(Event::Opened);
        self.greeted(7, 9_000);
    }

    fn submit(&mut self, request: &Request, watch: Option<(u64, WatchKind)>) {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        let path = path_of(request);
        let watch =
            watch.map(|(id, kind)| Registration { id: WatchId(id), path: path.into(), kind });
        let (op, frame) = (request.op(), encode(0, request));
        self.step(Event::Submit(Submission { id, op, frame, watch }));
    }

    fn reply(&mut self, xid: i32, zxid: i64, result: Result<ReplyBody, ErrorCode>) {
        let mut bytes = Vec::new();
        Reply { xid, zxid: Zxid(zxid), result }.encode(&mut bytes);
        self.step(Event::Frame(&bytes));
    }

    fn fire(&mut self, event: EventType, path: &str) {
        let state = KeeperState::SyncConnected;
        let mut bytes = Vec::new();
        WatchEvent { zxid: Zxid(99), event, state, path: path.into() }.encode(&mut bytes);
        self.step(Event::Frame(&bytes));
    }

    #[track_caller]
    fn check(&mut self, expected: Expect) {
        expected.assert_eq(&std::mem::take(&mut self.trace));
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only these are used here")]
fn path_of(request: &Request) -> &str {
    match request {
        Request::GetData { path, .. }
        | Request::Exists { path, .. }
        | Request::GetChildren2 { path, .. }
        | Request::AddWatch { path, .. }
        | Request::Delete { path, .. } => path,
        _ => "",
    }
}

fn show(effect: &Effect) -> String {
    match effect {
        Effect::Dial(host) => format!("dial {host}"),
        Effect::Probe(host) => format!("probe {host}"),
        Effect::Send(bytes) => format!("send {}", show_sent(bytes)),
        Effect::HangUp => "hang up".into(),
        Effect::Complete(id, Ok(ReplyBody::Stat(_))) => format!("complete {} stat", id.0),
        Effect::Complete(id, Ok(ReplyBody::Data(..))) => format!("complete {} data", id.0),
        Effect::Complete(id, Ok(body)) => format!("complete {} {body:?}", id.0),
        Effect::Complete(id, Err(failure)) => format!("complete {} {failure:?}", id.0),
        Effect::Notification(event) => format!("notification {:?} {}", event.event, event.path),
        Effect::Notify(watch, event) => {
            format!("notify {} {:?} {}", watch.0, event.event, event.path)
        }
        Effect::Gap(watch) => format!("gap {}", watch.0),
        Effect::Session(SessionEvent::Connected { session, resumed, .. }) => {
            format!("connected {session} resumed={resumed:?}")
        }
        Effect::Session(SessionEvent::Disconnected { reason }) => format!("disconnected: {reason}"),
        Effect::Session(SessionEvent::AttemptFailed { server, reason }) => {
            format!("attempt failed: {server}: {reason}")
        }
        Effect::Session(SessionEvent::Ended(end)) => format!("ended {end:?}"),
    }
}

fn show_sent(bytes: &[u8]) -> String {
    let body = &bytes[4..];
    // A connect request has the protocol's version, 0, where others have an xid.
    if body[..4] == [0; 4] {
        let request = ConnectRequest::decode(body).unwrap();
        return format!("connect {} seen {}", request.session, request.last_zxid_seen);
    }
    let r = &mut Reader::new(body);
    let header = RequestHeader::decode(r).unwrap();
    let op = OpCode::from_code(header.op).unwrap();
    let request = Request::decode(op, r).unwrap();
    format!("{} {request:?}", header.xid)
}

fn get(path: &str, watch: bool) -> Request {
    Request::GetData { path: path.into(), watch }
}

fn data() -> Result<ReplyBody, ErrorCode> {
    Ok(ReplyBody::Data(None, Stat::default()))
}

#[test]
fn a_session_begins_and_what_waited_is_sent_in_order() {
    let mut scene = Scene::new("a");
    scene.submit(&get("/a", false), None);
    scene.submit(&get("/b", false), None);
    scene.step(Event::Tick);
    scene.step(Event::Opened);
    scene.greeted(7, 9_000);
    scene.reply(1, 5, data());
    scene.reply(2, 5, Err(ErrorCode::NoNode));
    scene.check(expect![[r#"
        0 dial a:2181
        0 send connect 0x0 seen 0x0
        0 connected 0x7 resumed=No
        0 send 1 GetData { path: "/a", watch: false }
        0 send 2 GetData { path: "/b", watch: false }
        0 complete 0 data
        0 complete 1 Code(-101)
    "#]]);
}

#[test]
fn attempts_go_through_the_hosts_and_pause_between_rounds() {
    let mut scene = Scene::new("a,b");
    for _ in 0..4 {
        let due = scene.session.next_deadline().unwrap().0;
        scene.pass(due);
        scene.step(Event::Lost("refused".into()));
    }
    scene.pass(60_000);
    let dials = scene.trace.lines().filter(|line| line.contains("dial")).count();
    assert!((10..80).contains(&dials), "{dials} attempts in a minute");
    let third_hosts: Vec<&str> =
        scene.trace.lines().filter_map(|line| line.split("dial ").nth(1)).take(4).collect();
    assert_eq!(third_hosts[0], third_hosts[2]);
    assert_eq!(third_hosts[1], third_hosts[3]);
    assert_ne!(third_hosts[0], third_hosts[1]);
}

#[test]
fn silence_is_met_with_pings_then_the_connection_is_given_up_then_the_session() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", false), None);
    scene.pass(20_000);
    let trace = std::mem::take(&mut scene.trace);
    let kept: Vec<&str> =
        trace.lines().filter(|line| !line.contains("dial") && !line.contains("attempt")).collect();
    let expected = expect![[r#"
        0 send 1 GetData { path: "/a", watch: false }
        1500 send -2 Ping
        3000 send -2 Ping
        4500 send -2 Ping
        6000 complete 0 ConnectionLost
        6000 hang up
        6000 disconnected: the server was silent for 6000 ms
        12000 hang up
        12000 ended Expired"#]];
    expected.assert_eq(&kept.join("\n"));
    scene.submit(&get("/a", false), None);
    scene.check(expect![[r#"
        20000 complete 1 Ended(Expired, No)
    "#]]);
}

#[test]
fn answered_pings_keep_the_connection() {
    let mut scene = Scene::connected();
    for _ in 0..3 {
        scene.pass(scene.now + 1_500);
        scene.reply(xid::PING, 0, Ok(ReplyBody::Empty));
    }
    scene.check(expect![[r#"
        1500 send -2 Ping
        3000 send -2 Ping
        4500 send -2 Ping
    "#]]);
}

#[test]
fn the_session_is_certain_for_two_thirds_of_its_timeout_after_a_quorum_was_asked() {
    let mut scene = Scene::connected();
    let certain = |scene: &Scene| scene.session.certain_until().map(|until| until.0);
    assert_eq!(certain(&scene), Some(6_000));
    scene.pass(1_000);
    scene.submit(&get("/a", false), None);
    scene.submit(&Request::Sync { path: "/".into() }, None);
    scene.submit(&Request::Delete { path: "/a".into(), version: -1 }, None);
    scene.pass(1_400);
    scene.reply(1, 0, Err(ErrorCode::NoNode));
    scene.reply(2, 0, Ok(ReplyBody::Path("/".into())));
    assert_eq!(certain(&scene), Some(6_000), "a server answers by itself");
    scene.reply(3, 0, Ok(ReplyBody::Empty));
    assert_eq!(certain(&scene), Some(7_000), "a write counts from when it was sent");
    scene.pass(2_600);
    scene.reply(xid::PING, 0, Ok(ReplyBody::Empty));
    assert_eq!(certain(&scene), Some(7_000), "a server answers pings by itself, too");
    scene.step(Event::Lost("reset".into()));
    scene.pass(scene.session.next_deadline().unwrap().0);
    let asked = scene.now;
    scene.step(Event::Opened);
    scene.pass(asked + 100);
    scene.greeted(7, 9_000);
    assert_eq!(certain(&scene), Some(7_000), "nobody may follow the one who took it over");
    scene.pass(asked + 15_000);
    assert_eq!(certain(&scene), None, "it has expired");
}

#[test]
fn a_quorum_is_asked_where_pings_would_be_while_somebody_needs_certainty() {
    let mut scene = Scene::connected();
    scene.step(Event::Keep(Keep::Certain));
    scene.pass(1_500);
    scene.reply(1, 0, Ok(ReplyBody::Multi(vec![OpResult::Check])));
    scene.pass(2_000);
    scene.submit(&get("/a", false), None);
    scene.reply(2, 0, Err(ErrorCode::NoNode));
    scene.pass(3_000);
    scene.reply(3, 0, Ok(ReplyBody::Multi(vec![OpResult::Check])));
    scene.step(Event::Keep(Keep::Alive));
    scene.pass(4_500);
    scene.check(expect![[r#"
        1500 send 1 Multi([Check { path: "/zookeeper/config", version: -1 }])
        2000 send 2 GetData { path: "/a", watch: false }
        2000 complete 0 Code(-101)
        3000 send 3 Multi([Check { path: "/zookeeper/config", version: -1 }])
        4500 send -2 Ping
    "#]]);
}

#[test]
fn an_answer_after_a_silence_of_two_thirds_of_the_timeout_proves_nothing() {
    let mut scene = Scene::connected();
    // The process was stopped. A follower answers; its leader may let the session expire before it
    // hears of that, but not after it was asked for a new connection.
    scene.now = 7_000;
    scene.submit(&get("/a", false), None);
    scene.reply(1, 0, Err(ErrorCode::NoNode));
    assert_eq!(scene.session.certain_until(), Some(Millis(6_000)));
    scene.check(expect![[r#"
        7000 send 1 GetData { path: "/a", watch: false }
        7000 complete 0 ConnectionLost
        7000 hang up
        7000 disconnected: the server was silent for 6000 ms
    "#]]);
}

#[test]
fn a_lost_connection_fails_what_was_sent_and_keeps_what_was_not() {
    let mut scene = Scene::connected();
    scene.submit(&get("/sent", false), None);
    scene.step(Event::Lost("reset".into()));
    scene.submit(&get("/waits", false), None);
    scene.pass(scene.session.next_deadline().unwrap().0);
    scene.step(Event::Opened);
    scene.greeted(7, 9_000);
    let trace = std::mem::take(&mut scene.trace);
    let untimed: Vec<&str> =
        trace.lines().map(|line| line.split_once(' ').map_or("", |(_, effect)| effect)).collect();
    expect![[r#"
        send 1 GetData { path: "/sent", watch: false }
        complete 0 ConnectionLost
        hang up
        disconnected: reset
        dial a:2181
        send connect 0x7 seen 0x0
        connected 0x7 resumed=Yes
        send 1 GetData { path: "/waits", watch: false }"#]]
    .assert_eq(&untimed.join("\n"));
}

#[test]
fn a_session_that_the_server_does_not_know_any_more_has_expired() {
    let mut scene = Scene::connected();
    scene.step(Event::Lost("reset".into()));
    scene.submit(&get("/a", false), None);
    scene.now = scene.session.next_deadline().unwrap().0;
    scene.step(Event::Tick);
    scene.step(Event::Opened);
    scene.trace.clear();
    scene.now = 0;
    scene.greeted(0, 0);
    scene.check(expect![[r#"
        0 complete 0 Ended(Expired, No)
        0 hang up
        0 ended Expired
    "#]]);
    assert_eq!(scene.session.next_deadline(), None);
}

/// The id that the next connect request asks for, after the connection was lost.
fn asked_for_again(scene: &mut Scene) -> Option<String> {
    scene.step(Event::Lost("reset".into()));
    scene.now = scene.session.next_deadline()?.0;
    scene.step(Event::Tick);
    scene.trace.clear();
    scene.step(Event::Opened);
    scene.trace.split_whitespace().nth(3).map(str::to_owned)
}

#[test]
fn only_a_session_that_the_ensemble_knows_is_asked_for_again() {
    let mut scene = Scene::new("a");
    scene.step(Event::Tick);
    scene.step(Event::Opened);
    scene.greeted_by(7, 9_000, true);
    assert_eq!(asked_for_again(&mut scene).as_deref(), Some("0x0"));
    scene.trace.clear();
    scene.greeted_by(8, 9_000, false);
    assert!(scene.trace.contains("connected 0x8 resumed=No"), "{}", scene.trace);
    assert_eq!(asked_for_again(&mut scene).as_deref(), Some("0x8"));
    scene.greeted_by(8, 9_000, true);
    assert_eq!(asked_for_again(&mut scene).as_deref(), Some("0x8"));
}

/// Steps of every kind in any order, with frames that are due, not due, or no frames at all.
fn random_step(scene: &mut Scene, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    match u.int_in_range(0..=12)? {
        0 => scene.step(Event::Tick),
        1 => scene.pass(scene.now + u.int_in_range(0..=7_000)?),
        2 => scene.step(Event::Opened),
        3 => scene.greeted(7, *u.choose(&[0, 1, 9_000, 9_000, 9_000])?),
        4 => scene.step(Event::Lost("lost".into())),
        5..=7 => {
            let kinds = [None, Some(WatchKind::Data), Some(WatchKind::Persistent)];
            let watch = u.choose(&kinds)?.map(|kind| (scene.next_id, kind));
            scene.submit(&get("/a", watch.is_some()), watch);
        }
        8 => {
            scene.next_id += 1;
            let id = RequestId(scene.next_id - 1);
            let (scheme, auth) = ("digest".into(), b""[..].into());
            scene.step(Event::AddAuth { id, scheme, auth });
        }
        9 => {
            let watch = WatchId(u.int_in_range(0..=scene.next_id)?);
            let waiting: Option<RequestId> = u.arbitrary::<bool>()?.then(|| {
                scene.next_id += 1;
                RequestId(scene.next_id - 1)
            });
            scene.step(Event::Unwatch(watch, waiting));
        }
        10 => {
            let xid = u.int_in_range(-5..=20)?;
            let codes = [ErrorCode::NoNode, ErrorCode::NoWatcher, ErrorCode::AuthFailed];
            let failed = u.int_in_range(0..=3)?;
            let result = codes.get(failed).map_or_else(data, |code| Err(*code));
            scene.reply(xid, 5, result);
        }
        11 => scene.fire(EventType::NodeDeleted, "/a"),
        _ => {
            let bytes: Vec<u8> = u.arbitrary()?;
            scene.step(Event::Frame(&bytes));
        }
    }
    Ok(())
}

#[test]
fn every_request_is_completed_exactly_once_whatever_happens() {
    arbtest::arbtest(|u| {
        let mut scene = Scene::new("a,b");
        for _ in 0..u.int_in_range(0..=60)? {
            random_step(&mut scene, u)?;
        }
        scene.step(Event::Close);
        scene.pass(scene.now + 60_000);
        assert!(scene.session.ended().is_some(), "{}", scene.trace);
        let mut completed: Vec<u64> = scene
            .trace
            .lines()
            .filter_map(|line| line.split_once(" complete "))
            .filter_map(|(_, rest)| rest.split(' ').next()?.parse().ok())
            .collect();
        completed.sort_unstable();
        let submitted: Vec<u64> = (0..scene.next_id).collect();
        assert_eq!(completed, submitted, "{}", scene.trace);
        let after_the_end =
            scene.trace.lines().skip_while(|line| !line.contains(" ended ")).skip(1);
        assert!(after_the_end.into_iter().all(|line| line.contains("complete")), "{}", scene.trace);
        Ok(())
    });
}

#[test]
fn identities_and_then_watches_are_shown_to_the_next_server() {
    let mut scene = Scene::connected();
    let (scheme, auth) = ("digest".into(), b"u:p"[..].into());
    scene.step(Event::AddAuth { id: RequestId(50), scheme, auth });
    scene.reply(xid::AUTH, 0, Ok(ReplyBody::Empty));
    scene.submit(&get("/d", true), Some((1, WatchKind::Data)));
    scene.reply(1, 5, data());
    let exists = Request::Exists { path: "/e".into(), watch: true };
    scene.submit(&exists, Some((2, WatchKind::Data)));
    scene.reply(2, 6, Err(ErrorCode::NoNode));
    let add = Request::AddWatch { path: "/p".into(), mode: 0 };
    scene.submit(&add, Some((3, WatchKind::Persistent)));
    scene.reply(3, 7, Ok(ReplyBody::ErrorRecord));
    scene.trace.clear();
    scene.reconnect();
    let trace = std::mem::take(&mut scene.trace);
    let untimed: Vec<&str> =
        trace.lines().map(|line| line.split_once(' ').map_or("", |(_, effect)| effect)).collect();
    expect![[r#"
        hang up
        disconnected: reset
        dial a:2181
        send connect 0x7 seen 0x7
        connected 0x7 resumed=Yes
        send -4 Auth { scheme: "digest", auth: Some([117, 58, 112]) }
        send -8 SetWatches2(SetWatches { relative_zxid: Zxid(7), data: ["/d"], exist: ["/e"], child: [], persistent: ["/p"], persistent_recursive: [] })
        gap 3"#]]
    .assert_eq(&untimed.join("\n"));
}

#[test]
fn an_identity_waits_over_a_reconnect_for_its_answer() {
    let mut scene = Scene::connected();
    let (scheme, auth) = ("digest".into(), b"u:p"[..].into());
    scene.step(Event::AddAuth { id: RequestId(50), scheme, auth });
    scene.reconnect();
    scene.trace.clear();
    scene.now = 0;
    scene.reply(xid::AUTH, 0, Ok(ReplyBody::Empty));
    scene.check(expect![[r#"
        0 complete 50 Empty
    "#]]);
}

#[test]
fn a_refused_identity_ends_the_session() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", false), None);
    let (scheme, auth) = ("nonsense".into(), b""[..].into());
    scene.step(Event::AddAuth { id: RequestId(50), scheme, auth });
    scene.reply(xid::AUTH, 0, Err(ErrorCode::AuthFailed));
    scene.check(expect![[r#"
        0 send 1 GetData { path: "/a", watch: false }
        0 send -4 Auth { scheme: "nonsense", auth: Some([]) }
        0 complete 0 Ended(AuthFailed(Identity), Yes)
        0 complete 50 Ended(AuthFailed(Identity), Yes)
        0 hang up
        0 ended AuthFailed(Identity)
    "#]]);
}

#[test]
fn identities_are_limited() {
    let mut scene = Scene::connected();
    let auth = |scene: &mut Scene| {
        scene.trace.clear();
        let (scheme, auth) = ("digest".into(), b""[..].into());
        scene.step(Event::AddAuth { id: RequestId(9), scheme, auth });
    };
    for _ in 0..AUTHS_MAX {
        auth(&mut scene);
        assert!(scene.trace.contains("send -4"), "{}", scene.trace);
    }
    auth(&mut scene);
    scene.check(expect![[r#"
        0 complete 9 TooManyAuths
    "#]]);
}

#[test]
fn a_watch_fires_once_and_is_told_before_the_reply_that_follows() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    scene.reply(1, 5, data());
    scene.submit(&get("/a", false), None);
    scene.fire(EventType::NodeDataChanged, "/a");
    scene.reply(2, 6, data());
    scene.fire(EventType::NodeDataChanged, "/a");
    scene.check(expect![[r#"
        0 send 1 GetData { path: "/a", watch: true }
        0 complete 0 data
        0 send 2 GetData { path: "/a", watch: false }
        0 notification NodeDataChanged /a
        0 notify 1 NodeDataChanged /a
        0 complete 1 data
        0 notification NodeDataChanged /a
    "#]]);
}

#[test]
fn a_watch_that_failed_is_not_held() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    scene.reply(1, 5, Err(ErrorCode::NoNode));
    scene.fire(EventType::NodeCreated, "/a");
    scene.check(expect![[r#"
        0 send 1 GetData { path: "/a", watch: true }
        0 complete 0 Code(-101)
        0 notification NodeCreated /a
    "#]]);
}

#[test]
fn the_last_value_of_a_watch_removes_it_from_the_server() {
    let mut scene = Scene::connected();
    for watch in 1..=2 {
        scene.submit(&get("/a", true), Some((watch, WatchKind::Data)));
        scene.reply(i32::try_from(watch).unwrap(), 5, data());
    }
    scene.trace.clear();
    scene.step(Event::Unwatch(WatchId(1), None));
    scene.step(Event::Unwatch(WatchId(2), Some(RequestId(60))));
    scene.fire(EventType::NodeDataChanged, "/a");
    scene.reply(3, 5, Err(ErrorCode::NoWatcher));
    scene.check(expect![[r#"
        0 send 3 RemoveWatches { path: "/a", watcher: 2 }
        0 notification NodeDataChanged /a
        0 complete 60 Empty
    "#]]);
}

#[test]
fn a_removal_spares_the_watch_that_is_just_being_set() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    scene.reply(1, 5, data());
    scene.submit(&get("/a", true), Some((2, WatchKind::Data)));
    scene.trace.clear();
    scene.step(Event::Unwatch(WatchId(1), None));
    scene.reply(2, 5, data());
    scene.fire(EventType::NodeDeleted, "/a");
    scene.check(expect![[r#"
        0 complete 1 data
        0 notification NodeDeleted /a
        0 notify 2 NodeDeleted /a
    "#]]);
}

#[test]
fn a_value_dropped_before_the_reply_has_its_watch_removed_after_it() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    scene.step(Event::Unwatch(WatchId(1), None));
    scene.reply(1, 5, data());
    scene.check(expect![[r#"
        0 send 1 GetData { path: "/a", watch: true }
        0 complete 0 data
        0 send 2 RemoveWatches { path: "/a", watcher: 2 }
    "#]]);
}

#[test]
fn a_removal_that_is_under_way_when_the_connection_is_lost_has_succeeded() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    scene.reply(1, 5, data());
    scene.step(Event::Unwatch(WatchId(1), Some(RequestId(60))));
    scene.trace.clear();
    scene.reconnect();
    assert!(scene.trace.contains("complete 60 Empty"), "{}", scene.trace);
    assert!(!scene.trace.contains("SetWatches"), "{}", scene.trace);
}

#[test]
fn a_value_dropped_while_its_request_waits_sets_no_watch() {
    let mut scene = Scene::new("a");
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    scene.step(Event::Unwatch(WatchId(1), None));
    scene.step(Event::Tick);
    scene.step(Event::Opened);
    scene.greeted(7, 9_000);
    scene.reply(1, 5, data());
    scene.trace.clear();
    scene.reconnect();
    assert!(!scene.trace.contains("SetWatches"), "{}", scene.trace);
}

#[test]
fn a_watch_event_does_not_move_what_counts_as_seen() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    scene.reply(1, 5, data());
    scene.fire(EventType::NodeDataChanged, "/elsewhere");
    scene.reconnect();
    assert!(scene.trace.contains("connect 0x7 seen 0x5"), "{}", scene.trace);
    assert!(scene.trace.contains("relative_zxid: Zxid(5)"), "{}", scene.trace);
}

#[test]
fn closing_waits_for_what_was_sent_and_refuses_what_comes_after() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", false), None);
    scene.step(Event::Close);
    scene.submit(&get("/b", false), None);
    scene.reply(1, 5, data());
    scene.reply(2, 6, Ok(ReplyBody::Empty));
    scene.check(expect![[r#"
        0 send 1 GetData { path: "/a", watch: false }
        0 send 2 CloseSession
        0 complete 1 Ended(Closed, No)
        0 complete 0 data
        0 hang up
        0 ended Closed
    "#]]);
}

#[test]
fn closing_does_not_wait_for_ever() {
    let mut scene = Scene::connected();
    scene.step(Event::Close);
    scene.pass(5_000);
    scene.check(expect![[r#"
        0 send 1 CloseSession
        1500 send -2 Ping
        3000 hang up
        3000 ended Closed
    "#]]);
}

#[test]
fn closing_without_a_connection_ends_at_once() {
    let mut scene = Scene::new("a");
    scene.submit(&get("/a", false), None);
    scene.step(Event::Close);
    scene.step(Event::Close);
    scene.check(expect![[r#"
        0 complete 0 Ended(Closed, No)
        0 hang up
        0 ended Closed
    "#]]);
}

#[test]
fn replies_out_of_order_and_nonsense_end_the_connection_not_the_session() {
    let mut wrong_xid = Vec::new();
    Reply { xid: 9, zxid: Zxid(1), result: Ok(ReplyBody::Empty) }.encode(&mut wrong_xid);
    let mut short_body = Vec::new();
    Reply { xid: 1, zxid: Zxid(1), result: Ok(ReplyBody::Empty) }.encode(&mut short_body);
    for (bytes, reason) in [
        (&wrong_xid[..], "reply 9 where Some(1) is due"),
        (&short_body[..], "data at byte 16: the input ends too early"),
        (b"", "reply.xid at byte 0: the input ends too early"),
    ] {
        let mut scene = Scene::connected();
        scene.submit(&get("/a", false), None);
        scene.step(Event::Frame(bytes));
        assert!(scene.trace.contains("complete 0 ConnectionLost"), "{}", scene.trace);
        assert!(scene.trace.contains(&format!("disconnected: {reason}")), "{}", scene.trace);
        assert_eq!(scene.session.ended(), None);
    }
}

#[test]
fn a_server_that_cannot_set_the_watches_again_is_left() {
    let mut scene = Scene::connected();
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    scene.reply(1, 5, data());
    scene.reconnect();
    scene.trace.clear();
    scene.reply(xid::SET_WATCHES, 5, Err(ErrorCode::Unimplemented));
    assert!(scene.trace.contains("did not set the watches again: error -6"), "{}", scene.trace);
}

#[test]
fn xids_stay_above_the_ones_with_a_meaning() {
    let mut link = Link::new(Millis(0), (Millis(0), Millis(0)), Millis(9_000), Keep::Alive);
    let out = &mut Vec::new();
    link.set_next_xid(i32::MAX);
    for id in 0..2 {
        let (op, frame) = (OpCode::WhoAmI, encode(0, &Request::WhoAmI));
        link.send(Millis(0), Submission { id: RequestId(id), op, frame, watch: None }, out);
    }
    let shown: Vec<String> = out.iter().map(show).collect();
    assert_eq!(shown, ["send 2147483647 WhoAmI", "send 1 WhoAmI"]);
}

#[test]
fn an_unknown_error_code_reaches_the_caller_as_a_number() {
    let mut scene = Scene::connected();
    scene.submit(&Request::WhoAmI, None);
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&1i32.to_be_bytes());
    bytes.extend_from_slice(&5i64.to_be_bytes());
    bytes.extend_from_slice(&(-99i32).to_be_bytes());
    assert!(ReplyHeader::decode(&mut Reader::new(&bytes)).is_ok());
    scene.step(Event::Frame(&bytes));
    scene.check(expect![[r#"
        0 send 1 WhoAmI
        0 complete 0 Code(-99)
    "#]]);
}

#[test]
fn a_multi_with_errors_is_a_result_like_any_other() {
    let mut scene = Scene::connected();
    let delete = Request::Delete { path: "/a".into(), version: 1 };
    scene.submit(&Request::Multi(vec![delete]), None);
    let results = vec![OpResult::Error(ErrorCode::BadVersion)];
    scene.reply(1, 5, Ok(ReplyBody::Multi(results)));
    assert!(scene.trace.contains("complete 0 Multi([Error(BadVersion)])"), "{}", scene.trace);
}

//! Sessions whose client proves who it is: the exchange comes first, on every connection, and
//! without it there is no session.

use super::*;
use crate::error::AuthFailure;
use crate::sasl::digest_md5::Credentials;
use bellwether_wire::Data;

const CHALLENGE: &str = "realm=\"zk-sasl-md5\",nonce=\"n\",charset=utf-8,algorithm=md5-sess";
/// What a server that knows the password says last, in the first and in the second exchange.
const PROOFS: [&str; 2] =
    ["rspauth=8abc13ce163f5838a95d7e1b00c906ef", "rspauth=9b8ff0acaa382b68f5582f2fab27d47c"];

/// A session that is about to prove that it is `bob`, its trace not yet begun.
fn proving() -> Scene {
    let mut scene = Scene::new("a");
    let credentials = Credentials::new("bob", "builder", [0; 16]);
    scene.session.config.sasl = Some(Arc::new(credentials));
    scene.step(Event::Tick);
    scene.step(Event::Opened);
    scene.trace.clear();
    scene.greeted(7, 9_000);
    scene
}

impl Scene {
    fn token(&mut self, xid: i32, token: &str) {
        let token = Some(Data::from(token.as_bytes()));
        self.reply(xid, 0, Ok(ReplyBody::Token(token)));
    }

    /// The trace, with tokens that are not empty as their length alone.
    fn check_exchange(&mut self, expected: Expect) {
        let trace = std::mem::take(&mut self.trace);
        let short = |line: &str| match line.split_once("token: [") {
            Some((before, "] }")) => format!("{before}no token\n"),
            Some((before, token)) => {
                format!("{before}{} bytes\n", token.split(',').count())
            }
            None => format!("{line}\n"),
        };
        expected.assert_eq(&trace.lines().map(short).collect::<String>());
    }
}

#[test]
fn the_proof_comes_before_everything_else_on_every_connection() {
    let mut scene = proving();
    scene.submit(&get("/a", true), Some((1, WatchKind::Data)));
    let (scheme, auth) = ("digest".into(), b"u:p"[..].into());
    scene.step(Event::AddAuth { id: RequestId(50), scheme, auth });
    scene.token(1, CHALLENGE);
    scene.token(2, PROOFS[0]);
    scene.reply(xid::AUTH, 0, Ok(ReplyBody::Empty));
    scene.reply(1, 5, data());
    scene.check_exchange(expect![[r#"
        0 send 1 Sasl { no token
        0 send 2 Sasl { 198 bytes
        0 connected 0x7 resumed=No
        0 send -4 Auth { scheme: "digest", auth: Some([117, 58, 112]) }
        0 send 1 GetData { path: "/a", watch: true }
        0 complete 50 Empty
        0 complete 0 data
    "#]]);
    scene.reconnect();
    scene.submit(&get("/b", false), None);
    scene.token(1, CHALLENGE);
    scene.token(2, PROOFS[1]);
    scene.check_exchange(expect![[r#"
        0 hang up
        0 disconnected: reset
        65 dial a:2181
        65 send connect 0x7 seen 0x5
        65 send 1 Sasl { no token
        65 send 2 Sasl { 198 bytes
        65 connected 0x7 resumed=Yes
        65 send -4 Auth { scheme: "digest", auth: Some([117, 58, 112]) }
        65 send -8 SetWatches(SetWatches { relative_zxid: Zxid(5), data: ["/a"], exist: [], child: [], persistent: [], persistent_recursive: [] })
        65 send 1 GetData { path: "/b", watch: false }
    "#]]);
}

#[test]
fn a_refused_proof_ends_the_session_with_its_reason() {
    let mut scene = proving();
    scene.submit(&get("/a", false), None);
    scene.token(1, CHALLENGE);
    scene.reply(2, 0, Err(ErrorCode::AuthFailed));
    scene.check_exchange(expect![[r#"
        0 send 1 Sasl { no token
        0 send 2 Sasl { 198 bytes
        0 complete 0 Ended(AuthFailed(SaslRefused(-115)), No)
        0 hang up
        0 ended AuthFailed(SaslRefused(-115))
    "#]]);
}

/// How a session ends whose server sends these tokens, null for `None`.
#[track_caller]
fn check_end(tokens: &[Option<&str>], expected: AuthFailure) {
    let mut scene = proving();
    for (xid, token) in (1..).zip(tokens) {
        let token = token.map(|token| Data::from(token.as_bytes()));
        scene.reply(xid, 0, Ok(ReplyBody::Token(token)));
    }
    assert_eq!(scene.session.ended(), Some(SessionEnd::AuthFailed(expected)), "{}", scene.trace);
}

#[test]
fn a_server_that_takes_no_part_or_proves_nothing_ends_the_session() {
    check_end(&[None], AuthFailure::SaslNotOffered);
    check_end(&[Some(CHALLENGE), None], AuthFailure::SaslRefused(-115));
    check_end(&[Some(CHALLENGE), Some("rspauth=0")], AuthFailure::ServerNotProven);
    check_end(&[Some("nonce")], AuthFailure::SaslChallenge("a directive has no value"));
}

#[test]
fn a_connection_lost_during_the_proof_is_an_attempt_that_failed() {
    let mut scene = proving();
    scene.token(1, CHALLENGE);
    scene.submit(&get("/a", false), None);
    scene.reconnect();
    scene.token(1, CHALLENGE);
    scene.token(2, PROOFS[1]);
    scene.check_exchange(expect![[r#"
        0 send 1 Sasl { no token
        0 send 2 Sasl { 198 bytes
        0 hang up
        0 attempt failed: a:2181: reset
        165 dial a:2181
        165 send connect 0x7 seen 0x0
        165 send 1 Sasl { no token
        165 send 2 Sasl { 198 bytes
        165 connected 0x7 resumed=No
        165 send 1 GetData { path: "/a", watch: false }
    "#]]);
}

#[test]
fn a_server_that_is_silent_during_the_proof_is_left_and_the_session_expires_in_time() {
    let mut scene = proving();
    scene.pass(12_000);
    assert!(scene.trace.contains("did not finish the SASL exchange"), "{}", scene.trace);
    assert_eq!(scene.session.ended(), Some(SessionEnd::Expired));
}

#[test]
fn an_answer_to_something_else_during_the_proof_ends_the_connection() {
    let mut scene = proving();
    scene.token(2, CHALLENGE);
    assert!(scene.trace.contains("reply 2 where 1 of SASL is due"), "{}", scene.trace);
    assert_eq!(scene.session.ended(), None);
}

/// Every step that a session can take, and tokens that are due, not due, null, or refusals.
#[test]
fn whatever_happens_nothing_is_sent_before_the_proof() {
    arbtest::arbtest(|u| {
        let mut scene = proving();
        for _ in 0..u.int_in_range(0..=60)? {
            match u.int_in_range(0..=8)? {
                0 => scene.greeted(7, 9_000),
                1 => scene.token(1, CHALLENGE),
                2 => scene.token(2, PROOFS[usize::from(u.arbitrary::<bool>()?)]),
                3 => {
                    let due = u.int_in_range(1..=2)?;
                    scene.reply(due, 0, Ok(ReplyBody::Token(None)));
                }
                _ => random_step(&mut scene, u)?,
            }
        }
        let mut linked = false;
        for line in scene.trace.lines() {
            let (_, effect) = line.split_once(' ').unwrap_or_default();
            linked |= effect.starts_with("connected ");
            linked &= !effect.starts_with("hang up");
            let of_the_proof = effect.starts_with("send connect ") || effect.contains(" Sasl {");
            assert!(linked || !effect.starts_with("send ") || of_the_proof, "{}", scene.trace);
            assert!(!linked || !of_the_proof, "{}", scene.trace);
        }
        Ok(())
    });
}

#[test]
fn closing_during_the_proof_ends_at_once() {
    let mut scene = proving();
    scene.step(Event::Close);
    scene.check_exchange(expect![[r#"
        0 send 1 Sasl { no token
        0 hang up
        0 ended Closed
    "#]]);
}

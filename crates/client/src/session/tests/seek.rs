//! A server that only reads has the session: another that writes is looked for, and taken.

use super::*;

/// A session that a server without its ensemble has, its trace not yet begun.
fn reading(servers: &str) -> Scene {
    let mut scene = Scene::new(servers);
    scene.session.config.access = Access::ReadOnlyAllowed;
    scene.step(Event::Tick);
    scene.step(Event::Opened);
    scene.greeted_by(7, 9_000, true);
    scene.trace.clear();
    scene
}

impl Scene {
    fn probed(&mut self, writes: Writes) {
        let asked = self.trace.lines().rev().find_map(|line| line.split("probe ").nth(1));
        let server = Servers::parse(asked.expect("somebody was asked")).unwrap().hosts.remove(0);
        self.step(Event::Probed(server, writes));
    }

    /// Passes time while the server answers pings, which are left out of the trace.
    fn pass_quietly(&mut self, until: u64) {
        while self.now < until {
            self.pass((self.now + 1_500).min(until));
            let pings = self.trace.matches("send -2 Ping\n").count();
            let kept = self.trace.split_inclusive('\n').filter(|line| !line.contains("Ping"));
            self.trace = kept.collect();
            (0..pings).for_each(|_| self.reply(xid::PING, 0, Ok(ReplyBody::Empty)));
        }
    }
}

#[test]
fn others_are_asked_in_turn_and_the_session_moves_to_one_that_writes() {
    let mut scene = reading("a,b");
    scene.pass_quietly(1_400);
    scene.probed(Writes::No);
    scene.pass_quietly(4_000);
    scene.probed(Writes::Yes);
    scene.step(Event::Opened);
    scene.greeted(8, 9_000);
    scene.pass_quietly(100_000);
    scene.check(expect![[r#"
        1000 probe b:2181
        3400 probe b:2181
        4000 hang up
        4000 disconnected: moving to b:2181, which writes
        4000 dial b:2181
        4000 send connect 0x0 seen 0x0
        4000 connected 0x8 resumed=No
    "#]]);
}

#[test]
fn what_is_on_its_way_is_waited_for_but_not_for_long() {
    let mut scene = reading("a,b");
    scene.pass_quietly(1_400);
    scene.submit(&get("/a", false), None);
    scene.probed(Writes::Yes);
    scene.reply(1, 5, data());
    scene.check(expect![[r#"
        1000 probe b:2181
        1400 send 1 GetData { path: "/a", watch: false }
        1400 complete 0 data
        1400 hang up
        1400 disconnected: moving to b:2181, which writes
        1400 dial b:2181
    "#]]);
    let mut scene = reading("a,b");
    scene.pass_quietly(1_400);
    scene.submit(&get("/a", false), None);
    scene.probed(Writes::Yes);
    scene.pass(2_500);
    scene.check(expect![[r#"
        1000 probe b:2181
        1400 send 1 GetData { path: "/a", watch: false }
        2400 complete 0 ConnectionLost
        2400 hang up
        2400 disconnected: moving to b:2181, which writes
        2400 dial b:2181
    "#]]);
}

#[test]
fn the_only_server_is_not_asked() {
    let mut scene = reading("a");
    scene.pass_quietly(100_000);
    scene.check(expect![""]);
}

#[test]
fn a_server_that_makes_no_session_is_passed_over_with_its_reason() {
    let mut scene = Scene::new("a,b");
    scene.step(Event::Tick);
    scene.step(Event::Opened);
    scene.trace.clear();
    let mut bytes = Vec::new();
    Reply { xid: 0, zxid: Zxid(5), result: Err(ErrorCode::NotReadOnly) }.encode(&mut bytes);
    scene.step(Event::Frame(&bytes));
    scene.check(expect![[r#"
        0 hang up
        0 attempt failed: a:2181: it makes no session: NOTREADONLY
    "#]]);
}

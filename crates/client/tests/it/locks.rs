//! A lock: whoever passes its check is the only one, and what a session says of its own life is
//! true.
//!
//! Sessions are as short as they may be for members that tick every 500 ms: whatever a member
//! takes to notice, that its leader does not hear it or that nobody follows it, is longer.
//! Clocks of clients run within a hundredth; one that is slow by more than certainty allows for is
//! found out.

use crate::faults::{CALM_MEMBERS, Fault, ROUGH_MEMBERS, Rate, Span, rate};
use crate::pace::{DRIFTING, Paces};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use bellwether_client::recipes::{Held, Lock};
use bellwether_client::{Client, SessionId, SessionState, Zxid};
use std::cell::RefCell;
use std::collections::BTreeSet;

const TIMEOUT_MS: u64 = 1_500;

/// Long enough for a session to expire, or just not.
const LONG: &[Rate] = &[
    rate(Span(5_000, 20_000), Fault::Stop, Span(1_000, 18_000)),
    rate(Span(5_000, 20_000), Fault::CutOff, Span(1_000, 18_000)),
    rate(Span(10_000, 40_000), Fault::Kill, Span(100, 4_000)),
    rate(Span(2_000, 9_000), Fault::Break, Span(0, 0)),
];

#[derive(Clone, Debug)]
enum Saw {
    /// The lock was held for certain, with this token.
    Holds(Zxid),
    /// The session lives for certain until then, by the stage's clock.
    Certain(SessionId, u64),
    /// The session is being closed.
    Closes(SessionId),
}

/// When a holder looks whether it still is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    Always,
    /// Wrong: it may be another's by then.
    Once,
}

async fn holder(here: Here<Saw>, (timeout_ms, looks): (u64, Looks)) {
    let mut chance = here.chance();
    while !here.is_over() {
        let client = here.connected(timeout_ms + chance.below(timeout_ms / 4)).await;
        let lock = Lock::new(&client, "/lock");
        while !here.is_over() && !matches!(client.state(), SessionState::Ended(_)) {
            let held = tokio::select! {
                biased;
                held = lock.acquire() => held,
                () = here.over() => break,
            };
            let Ok(held) = held else { break };
            // Now and then it has the time to be wrong: longer than a session can be silent.
            let longest_ms = match looks {
                Looks::Once => 30_000,
                Looks::Always if chance.one_in(3) => 6 * timeout_ms,
                Looks::Always => timeout_ms,
            };
            hold(&here, (&held, &client), (chance.below(longest_ms), looks)).await;
            held.release().await.ok();
            here.pause(chance.below(300)).await;
        }
        here.note(Saw::Closes(client.session_id()));
        client.close().await;
    }
}

/// Holds it for so long, or as long as it can.
async fn hold(here: &Here<Saw>, (held, client): (&Held, &Client), (ms, looks): (u64, Looks)) {
    let until_ms = here.now_ms() + ms;
    while here.now_ms() < until_ms {
        match held.check() {
            Ok(fence) => here.note(Saw::Holds(fence.0)),
            Err(_) if looks == Looks::Once => here.note(Saw::Holds(held.fence().0)),
            Err(_) => return,
        }
        if let Some(until) = client.certain_until() {
            here.note(Saw::Certain(client.session_id(), here.ms_of(until)));
        }
        here.pause(20).await;
    }
}

/// What was said of sessions, held against those that live.
#[derive(Default)]
struct Claims {
    read: usize,
    closing: BTreeSet<SessionId>,
}

impl Claims {
    /// Judges what was noted since this was asked last.
    fn judge(&mut self, stage: &Stage<Saw>) {
        let (sessions, now_ms) = (stage.truth().sessions(), stage.now_ms());
        stage.with_notes(|notes| {
            let news = notes.get(self.read..).unwrap_or_default();
            self.closing.extend(news.iter().filter_map(|noted| match noted.what {
                Saw::Closes(session) => Some(session),
                Saw::Holds(_) | Saw::Certain(..) => None,
            }));
            for noted in news {
                let Saw::Certain(session, until_ms) = noted.what else { continue };
                let lives = sessions.contains(&session) || self.closing.contains(&session);
                assert!(lives || until_ms < now_ms, "{noted:?}: it is dead at {now_ms} ms");
            }
            self.read = notes.len();
        });
    }
}

/// Everything goes on until then, and no session dies before it may.
fn go_on(stage: &mut Stage<Saw>, until_ms: u64) {
    let claims = RefCell::new(Claims::default());
    let ms = until_ms.saturating_sub(stage.now_ms()) + 1_000;
    stage.run_until("the time is over", ms, |stage| {
        claims.borrow_mut().judge(stage);
        stage.now_ms() >= until_ms
    });
}

fn play(mut stage: Stage<Saw>, (looks, paces): (Looks, Paces)) -> Stage<Saw> {
    stage.set_paces(paces);
    for _ in 0..4 {
        stage.process(move |here| holder(here, (TIMEOUT_MS, looks)));
    }
    stage.strike(LONG);
    go_on(&mut stage, 60_000);
    stage.heal();
    stage.finish();
    stage
}

/// Whoever holds it later has a higher token, and whoever has a lower one does not hold it.
fn judge(stage: &Stage<Saw>) {
    let mut holds: Vec<_> = stage
        .notes()
        .into_iter()
        .filter_map(|noted| match noted.what {
            Saw::Holds(fence) => Some((noted.at_ms, fence, noted.process)),
            Saw::Certain(..) | Saw::Closes(_) => None,
        })
        .collect();
    holds.sort_unstable();
    for pair in holds.windows(2) {
        assert!(pair[0].1 <= pair[1].1, "two hold it: {pair:?}");
    }
    assert!(!holds.is_empty(), "it was never held: nothing is proved");
}

#[test]
fn one_holds_the_lock_at_a_time_and_knows_until_when() {
    seeds::check("one_holds_the_lock_at_a_time_and_knows_until_when", |seed| {
        judge(&play(Stage::new(seed, ROUGH_MEMBERS), (Looks::Always, DRIFTING)));
    });
}

/// What certainty stands on is heard by an observer, and by the leader only from that.
#[test]
fn one_holds_the_lock_at_a_time_through_observers() {
    seeds::check("one_holds_the_lock_at_a_time_through_observers", |seed| {
        judge(&play(Stage::of_observers(seed, ROUGH_MEMBERS), (Looks::Always, DRIFTING)));
    });
}

/// Two thirds of a timeout by such a clock are more than a timeout of the leader's.
#[test]
fn a_clock_that_runs_at_half_the_pace_is_found_out() {
    seeds::is_found_out(60, "it is dead at", |seed| {
        let slow = Paces::of(-500_000..=-500_000);
        play(Stage::new(seed, ROUGH_MEMBERS), (Looks::Always, slow));
    });
}

#[test]
fn whoever_looks_only_once_is_found_out() {
    seeds::is_found_out(20, "two hold it", |seed| {
        judge(&play(Stage::new(seed, ROUGH_MEMBERS), (Looks::Once, DRIFTING)));
    });
}

/// A follower answers, and the leader hears of that only with its next ping: what is answered after
/// a long silence does not make a session certain.
#[test]
fn whoever_comes_back_just_in_time_is_not_certain_too_soon() {
    seeds::check("whoever_comes_back_just_in_time_is_not_certain_too_soon", |seed| {
        const SHORT_MS: u64 = 3_000;
        let mut stage = Stage::new(seed, CALM_MEMBERS);
        let seats: Vec<usize> =
            (0..3).map(|_| stage.process(|here| holder(here, (SHORT_MS, Looks::Always)))).collect();
        for turn in 0..10 {
            let until_ms = stage.now_ms() + 3 * SHORT_MS;
            let ms = SHORT_MS + (turn * 400 + seed * 37) % 900;
            seats.iter().for_each(|seat| stage.hit(*seat, Fault::Stop, ms));
            go_on(&mut stage, until_ms);
        }
        judge(&stage);
        stage.finish();
    });
}

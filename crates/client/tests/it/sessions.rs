//! A process that stands still for longer than its session may be silent finds it expired, and
//! what was ephemeral is gone; one that stands still for less keeps it.

use crate::faults::{CALM_MEMBERS, Fault};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use bellwether_client::{Create, CreateMode, SessionEnd, SessionId, SessionState};

const TIMEOUT_MS: u64 = 3_000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Saw {
    Session(SessionId),
    Ended(SessionEnd),
}

/// Holds an ephemeral node and waits for the end of its session.
async fn holder(here: Here<Saw>) {
    let client = here.connected(TIMEOUT_MS).await;
    here.note(Saw::Session(client.peer().expect("it is connected").session));
    client.create(Create::new("/mine", CreateMode::Ephemeral)).await.unwrap();
    loop {
        if let SessionState::Ended(end) = client.state() {
            return here.note(Saw::Ended(end));
        }
        if here.is_over() {
            return client.close().await;
        }
        here.pause(50).await;
    }
}

fn has_node(stage: &Stage<Saw>) -> bool {
    stage.truth().nodes().contains_key("/mine")
}

/// Stops the process for so long; gives what it saw before it came to its end.
fn stopped_for(seed: u64, ms: u64) -> Stage<Saw> {
    let mut stage = Stage::new(seed, CALM_MEMBERS);
    let seat = stage.process(holder);
    stage.run_until("the node is there", 30_000, has_node);
    stage.run_for(1_000 + seed % 700);
    stage.hit(seat, Fault::Stop, ms);
    stage.run_for(ms);
    stage
}

#[test]
fn whoever_stands_still_for_too_long_finds_the_session_expired() {
    seeds::check("whoever_stands_still_for_too_long_finds_the_session_expired", |seed| {
        // A timeout, and a tick of the members, by which expiry is rounded up.
        let mut stage = stopped_for(seed, 2 * TIMEOUT_MS);
        assert!(!has_node(&stage), "its time was over");
        let sessions = stage.truth().sessions();
        let saw = stage.notes().remove(0).what;
        assert!(matches!(saw, Saw::Session(id) if !sessions.contains(&id)));
        stage.run_until("it has seen the end", 5_000, |stage| stage.notes().len() == 2);
        assert_eq!(stage.notes()[1].what, Saw::Ended(SessionEnd::Expired));
        stage.finish();
    });
}

#[test]
fn whoever_stands_still_for_a_moment_keeps_the_session() {
    seeds::check("whoever_stands_still_for_a_moment_keeps_the_session", |seed| {
        // It pings after a third of the timeout, so that two thirds are left in any case.
        let mut stage = stopped_for(seed, TIMEOUT_MS / 2);
        stage.run_for(2 * TIMEOUT_MS);
        assert!(has_node(&stage));
        assert_eq!(stage.notes().len(), 1);
        stage.finish();
        assert!(!has_node(&stage), "the session was closed");
    });
}

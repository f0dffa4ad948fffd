//! What a member or an instance says of itself can be said again after a time that was given up.

use crate::faults::CALM_MEMBERS;
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use bellwether_client::recipes::{Group, Instance, Registry};
use std::time::Duration;
use tokio::time::timeout;

/// Whether an update was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct GivenUp(bool);

async fn speaker(here: Here<GivenUp>) {
    let mut chance = here.chance();
    let client = here.connected(6_000).await;
    let group = Group::new(&client, "/group");
    let mut membership = group.join(b"").await.expect("nothing is in its way");
    let registry = Registry::new(&client, "/services");
    let instance = Instance::new("one", "here", 1);
    let mut registration =
        registry.register("s", instance.clone()).await.expect("nothing is in its way");
    for number in 1..=10 {
        let limit = Duration::from_millis(chance.below(8));
        let given_up = timeout(limit, membership.update(b"given up")).await.is_err();
        here.note(GivenUp(given_up));
        let words = number.to_string();
        membership.update(words.as_bytes()).await.expect("the node is this one's");
        let port = Instance { port: number, ..instance.clone() };
        let other = Instance { port: 99, ..instance.clone() };
        let given_up = timeout(limit, registration.update(other)).await.is_err();
        here.note(GivenUp(given_up));
        registration.update(port).await.expect("the node is this one's");
    }
    let members = group.members().await.expect("a server answers");
    assert_eq!(members.first().map(|member| &*member.data), Some(&b"10"[..]));
    assert_eq!(registration.instance().port, 10);
    client.close().await;
}

#[test]
fn an_update_that_was_given_up_is_no_obstacle() {
    seeds::check("an_update_that_was_given_up_is_no_obstacle", |seed| {
        let mut stage = Stage::new(seed, CALM_MEMBERS);
        stage.process(speaker);
        stage.run_for(20_000);
        stage.finish();
        let notes = stage.notes();
        assert_eq!(notes.len(), 20, "it did not come to its end");
        assert!(notes.iter().any(|noted| noted.what == GivenUp(true)), "none was given up");
    });
}

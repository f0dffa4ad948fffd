//! The example of docs/testing.md: an office that one process at a time holds, by an ephemeral
//! node.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use bellwether_client::{Create, CreateMode, Zxid};

/// Somebody took office, under this number.
#[derive(Clone, Debug)]
struct Took(Zxid);

async fn candidate(here: Here<Took>) {
    while !here.is_over() {
        let client = here.connected(3_000).await;
        if let Ok(made) = client.create(Create::new("/office", CreateMode::Ephemeral)).await {
            here.note(Took(made.stat.czxid));
        }
        here.pause(500).await;
        client.close().await;
    }
}

#[test]
fn no_two_terms_have_the_same_number() {
    seeds::check("no_two_terms_have_the_same_number", |seed| {
        let mut stage = Stage::new(seed, ROUGH_MEMBERS);
        for _ in 0..4 {
            stage.process(candidate);
        }
        stage.strike(ROUGH);
        stage.run_for(30_000);
        stage.heal();
        stage.finish();
        let terms = stage.truth().created().filter(|path| *path == "/office").count();
        let notes = stage.notes();
        let mut numbers: Vec<Zxid> = notes.iter().map(|noted| noted.what.0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), notes.len(), "two have the same number");
        assert!(numbers.len() > 10 && numbers.len() <= terms, "{} of {terms}", numbers.len());
    });
}

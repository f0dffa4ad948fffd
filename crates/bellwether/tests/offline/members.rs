//! Directories of an ensemble's members: what a member refuses, with the words of the page, and
//! what the commands say about such a directory.

use crate::place::Place;
use bellwether_store::{ForceSync, Notice, OsDisk, Recovered, Role, Store};
use std::sync::{Arc, Mutex};

/// A member's directory with four transactions and nothing that tells of gaps.
fn member(name: &str, epochs: (u32, u32)) -> Place {
    let mut place = Place::with_batches(name, ForceSync::No, &[&[1, 2], &[3, 4]]);
    place.options.role = Role::Member;
    place.put("acceptedEpoch", epochs.0.to_string().as_bytes());
    place.put("currentEpoch", epochs.1.to_string().as_bytes());
    place
}

/// All that a start says: its warnings, and why it is refused.
fn start(place: &Place) -> String {
    let said = Arc::new(Mutex::new(String::new()));
    let heard = Arc::clone(&said);
    let notify = Box::new(move |notice: &Notice| {
        *heard.lock().expect("nobody panics with it") += &format!("{notice}\n");
    });
    let opened = Store::open(Arc::new(OsDisk), place.options.clone(), notify);
    let refused = match opened {
        Ok(mut recovery) => recovery.find_map(Result::<Recovered, _>::err),
        Err(error) => Some(error),
    };
    let mut said = said.lock().expect("nobody panics with it").clone();
    if let Some(error) = refused {
        said += &error.to_string();
    }
    said
}

#[test]
fn the_page_has_the_words_of_a_member() {
    let mut said = String::new();
    let place = member("gap", (0, 0));
    place.append_unchecked(6);
    said += &start(&place);
    let place = member("broken", (0, 0));
    place.put("snapshot.9", b"broken");
    said += &start(&place);
    let place = member("accepted", (0, 3));
    said += &start(&place);
    let place = member("number", (0, 0));
    place.put("currentEpoch", b"x");
    said += &start(&place);
    for accepted in [0, 5] {
        let place = member("last", (accepted, 0));
        place.append_unchecked((3 << 32) + 1);
        said += &start(&place);
    }
    let place = member("waits", (0, 0));
    place.put("bellwether.cutback", b"");
    said += &place.run(&["log", "recover", "DIR"]).errors;

    let page = include_str!("../../../../docs/tools.md");
    let (_, table) = page.split_once("| a member says |").expect("the table is there");
    let (table, _) = table.split_once("\n\n").expect("it ends");
    let cells = table.lines().skip(2).filter_map(|row| row.split('|').nth(1));
    let phrases: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(phrases.len() >= 9, "{phrases:?}");
    for phrase in phrases {
        assert!(said.contains(phrase), "{phrase:?} is said nowhere:\n{said}");
    }
}

#[test]
fn recover_says_that_the_others_have_what_is_lost() {
    let place = member("advice", (0, 0));
    place.append_unchecked(6);
    let said = place.run_with_input(&["log", "recover", "DIR"], "no\n");
    said.expect(1, &["a member of an ensemble", "lost: transaction 0x5"]);
}

#[test]
fn nothing_is_changed_while_a_change_waits_to_be_completed() {
    let place = member("waiting", (0, 0));
    place.put("bellwether.cutback", b"");
    let before = place.contents();
    for words in [&["log", "recover", "DIR"][..], &["log", "cut", "--after", "0x2", "DIR"]] {
        place.run(words).expect(3, &["was interrupted", "start it once"]);
    }
    place.run(&["purge", "DIR", "-n", "3"]).expect(0, &[]);
    assert_eq!(before, place.contents());
}

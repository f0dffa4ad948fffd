//! A setting: each version has one value, whoever set it knows which, and each version's
//! predecessor is kept.
//!
//! Seed 5 of this, with four setters, once found a change that was denied after it had happened:
//! others had set the value before the connection was back.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::Here;
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::lives;
use bellwether_client::recipes::Setting;
use bellwether_client::{Error, Fate};
use bellwether_sim::disk::Chance;
use std::collections::BTreeMap;

const PATH: &str = "/setting";
/// More than are set.
const KEPT: usize = 10_000;

#[derive(Clone, Debug)]
enum Saw {
    Set(i32, String),
    Failed(String, Fate),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InDoubt {
    LeaveIt,
    /// Wrong: it may be set already.
    Deny,
}

async fn setter(here: Here<Saw>, in_doubt: InDoubt) {
    let mut chance = here.chance();
    let mut number = 0;
    while !here.is_over() {
        let client = here.connected(1_500 + chance.below(3_000)).await;
        let setting: Setting<String> = Setting::new(&client, PATH).keep(KEPT);
        while !here.is_over() && lives(&client) {
            number += 1;
            let value = format!("{}-{}-{number}", here.process, here.life);
            here.note(match set(&setting, &value, &mut chance).await {
                Ok(version) => Saw::Set(version, value),
                Err(_) if in_doubt == InDoubt::Deny => Saw::Failed(value, Fate::DidNotHappen),
                Err(error) => Saw::Failed(value, error.fate()),
            });
            here.pause(chance.below(400)).await;
        }
        client.close().await;
    }
}

/// Whatever the version is, or the one that was read.
async fn set(setting: &Setting<String>, value: &String, chance: &mut Chance) -> Result<i32, Error> {
    if chance.one_in(2) {
        return setting.set(value).await;
    }
    match setting.get().await? {
        Some(reading) => setting.set_if(value, reading.version).await,
        None => setting.set_first(value).await,
    }
}

/// Every value that there was, by its version.
fn values(stage: &Stage<Saw>) -> BTreeMap<i32, String> {
    let nodes = stage.truth().nodes();
    let known = nodes.iter().filter_map(|(path, (data, stat))| {
        let version = match path.strip_prefix(PATH)? {
            "" => stat.version,
            past => past.strip_prefix("/history/")?.parse().ok()?,
        };
        let value = data.as_deref().map(|data| String::from_utf8_lossy(data).into_owned());
        Some((version, value.unwrap_or_default()))
    });
    known.collect()
}

fn play(seed: u64, in_doubt: InDoubt) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    for _ in 0..3 {
        stage.process(move |here| setter(here, in_doubt));
    }
    stage.strike(ROUGH);
    stage.run_for(20_000);
    stage.heal();
    stage.finish();
    let values = values(&stage);
    for (at, version) in values.keys().enumerate() {
        assert_eq!(i32::try_from(at), Ok(*version), "a version is missing");
    }
    let mut set = 0;
    for noted in stage.notes() {
        match noted.what {
            Saw::Set(version, value) => {
                assert_eq!(values.get(&version), Some(&value), "version {version} has another");
                set += 1;
            }
            Saw::Failed(value, Fate::DidNotHappen) => {
                assert!(values.values().all(|it| *it != value), "{value} was set after all");
            }
            Saw::Failed(_, Fate::MayHaveHappened) => {}
        }
    }
    assert!(set > 30, "only {set} were set: nothing is proved");
}

#[test]
fn each_version_of_a_setting_is_kept_and_known_to_its_setter() {
    seeds::check("each_version_of_a_setting_is_kept_and_known_to_its_setter", |seed| {
        play(seed, InDoubt::LeaveIt);
    });
}

#[test]
fn a_setter_that_denies_what_may_have_happened_is_found_out() {
    seeds::is_found_out(20, "was set after all", |seed| play(seed, InDoubt::Deny));
}

//! A setting: each version has one value, whoever set it knows which, and each version's
//! predecessor is kept. A version that was rolled back to is what stood before the one that it
//! takes the place of, whoever else sets it meanwhile.
//!
//! Seed 5 of this, with four setters, once found a change that was denied after it had happened:
//! others had set the value before the connection was back. Each seed found a version that was
//! rolled back to the one before another's, when that was set meanwhile.

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
    RolledBack(i32),
    Failed(String, Fate),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InDoubt {
    LeaveIt,
    /// Wrong: it may be set already.
    Deny,
}

/// How the value before is brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RollsBack {
    AsItIs,
    /// Wrong: another may have set it since this one looked.
    ByHand,
}

/// `None` if nothing is known, or there was none before.
async fn roll_back(setting: &Setting<String>, rolls: RollsBack) -> Option<i32> {
    match rolls {
        RollsBack::AsItIs => setting.roll_back().await.ok(),
        RollsBack::ByHand => {
            let before = setting.earlier().await.ok()?.into_iter().next()?;
            setting.set(&before.value.ok()?).await.ok()
        }
    }
}

async fn setter(here: Here<Saw>, (in_doubt, rolls): (InDoubt, RollsBack)) {
    let mut chance = here.chance();
    let mut number = 0;
    while !here.is_over() {
        let client = here.connected(1_500 + chance.below(3_000)).await;
        let setting: Setting<String> = Setting::new(&client, PATH).keep(KEPT);
        while !here.is_over() && lives(&client) {
            number += 1;
            let value = format!("{}-{}-{number}", here.process, here.life);
            if chance.one_in(4) {
                let rolled_back = roll_back(&setting, rolls).await.map(Saw::RolledBack);
                rolled_back.into_iter().for_each(|saw| here.note(saw));
            }
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

fn play(seed: u64, in_doubt: InDoubt, rolls: RollsBack) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    for _ in 0..3 {
        stage.process(move |here| setter(here, (in_doubt, rolls)));
    }
    stage.strike(ROUGH);
    stage.run_for(20_000);
    stage.heal();
    stage.finish();
    let values = values(&stage);
    for (at, version) in values.keys().enumerate() {
        assert_eq!(i32::try_from(at), Ok(*version), "a version is missing");
    }
    let (mut set, mut rolled_back) = (0, 0);
    for noted in stage.notes() {
        match noted.what {
            Saw::Set(version, value) => {
                assert_eq!(values.get(&version), Some(&value), "version {version} has another");
                set += 1;
            }
            Saw::RolledBack(version) => {
                let (value, before) = (values.get(&version), values.get(&(version - 2)));
                assert_eq!(value, before, "version {version} is not what it was rolled back to");
                rolled_back += 1;
            }
            Saw::Failed(value, Fate::DidNotHappen) => {
                assert!(values.values().all(|it| *it != value), "{value} was set after all");
            }
            Saw::Failed(_, Fate::MayHaveHappened) => {}
        }
    }
    let few = format!("only {set} were set and {rolled_back} rolled back: nothing is proved");
    assert!(set > 30 && rolled_back > 5, "{few}");
}

#[test]
fn each_version_of_a_setting_is_kept_and_known_to_its_setter() {
    seeds::check("each_version_of_a_setting_is_kept_and_known_to_its_setter", |seed| {
        play(seed, InDoubt::LeaveIt, RollsBack::AsItIs);
    });
}

#[test]
fn a_setter_that_denies_what_may_have_happened_is_found_out() {
    seeds::is_found_out(100, "was set after all", |seed| {
        play(seed, InDoubt::Deny, RollsBack::AsItIs);
    });
}

#[test]
fn whoever_rolls_back_without_looking_is_found_out() {
    seeds::is_found_out(20, "is not what it was rolled back to", |seed| {
        play(seed, InDoubt::LeaveIt, RollsBack::ByHand);
    });
}

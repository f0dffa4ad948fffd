//! A registry: what is registered for certain is there under its id and is listed by everybody in
//! the end, and what is not is not.
//!
//! Seeds of this once found a registration that was gone though it was held: another's value had
//! been dropped, or unregistered, its delete had happened when the connection was lost, and the
//! delete that was repeated met the next one of that id.

use crate::faults::{ROUGH, ROUGH_MEMBERS};
use crate::process::{Here, Noted};
use crate::seeds;
use crate::stage::Stage;
use crate::tenures::{Calm, lives};
use bellwether_client::recipes::{Health, Instance, Registration, Registry};
use bellwether_client::{Client, Error, ErrorCode};
use bellwether_sim::disk::Chance;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

const BASE: &str = "/services";
const SERVICE: &str = "orders";
const DIRECTORY: &str = "/services/orders/";
/// Fewer than there are who want one.
const IDS: [&str; 2] = ["a", "b"];
const REGISTRARS: usize = 3;
const WATCHERS: usize = 2;

/// An id, and an address that says who has registered it.
type Listed = (String, String);

#[derive(Clone, Debug)]
enum Saw {
    Registered(Listed),
    /// It is registered and the session is certain.
    Certain(Listed),
    /// It is being given up.
    Ends,
    /// It was unregistered.
    Gone(Listed),
    Lists(BTreeSet<Listed>),
}

/// What programs do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The id is another's.
    TakesWhatIsTaken,
    /// After a lost connection, what has the id may be another's.
    RemovesWhateverIsThere,
    /// Others come and go.
    ListsOnce,
}

async fn registrar(here: Here<Saw>, calm: Calm, wrong: Wrong) {
    let mut chance = here.chance();
    let mut number = 0;
    while !here.is_over() {
        let client = here.connected(1_500 + chance.below(1_500)).await;
        let _certain = client.keep_certain();
        while !here.is_over() && lives(&client) {
            // Now and then the same once more, which must not be taken for the one before.
            if chance.one_in(2) {
                number += 1;
            }
            let id = IDS[chance.index(IDS.len())];
            let address = format!("{}-{}-{number}", here.process, here.life);
            let instance = Instance::new(id, &address, 80);
            let registered = register(&client, &instance, (&mut chance, &calm, wrong)).await;
            if let Some(registration) = registered {
                let listed = (id.to_string(), address);
                here.note(Saw::Registered(listed.clone()));
                serve(&here, &client, (registration, listed), (&mut chance, &calm, wrong)).await;
            }
            here.pause(chance.below(100)).await;
        }
        client.close().await;
    }
}

/// What is held: nothing, if it is believed to be registered without being so.
type Registered = Option<Registration>;

async fn register(
    client: &Client,
    instance: &Instance,
    (chance, calm, wrong): (&mut Chance, &Calm, Wrong),
) -> Option<Registered> {
    let registry = Registry::new(client, BASE);
    let register = registry.register(SERVICE, instance.clone());
    if chance.one_in(4) && !calm.has_come() {
        // The future is dropped, whatever it has done.
        let limit = Duration::from_millis(chance.below(40));
        let registered = tokio::time::timeout(limit, register).await;
        return registered.ok()?.ok().map(Some);
    }
    match register.await {
        Ok(registration) => Some(Some(registration)),
        Err(error)
            if wrong == Wrong::TakesWhatIsTaken && error.code() == Some(ErrorCode::NodeExists) =>
        {
            Some(None)
        }
        Err(_) => None,
    }
}

async fn serve(
    here: &Here<Saw>,
    client: &Client,
    (mut registration, listed): (Registered, Listed),
    (chance, calm, wrong): (&mut Chance, &Calm, Wrong),
) {
    let until_ms = here.now_ms() + chance.below(2_000);
    while !here.is_over() && lives(client) && (here.now_ms() < until_ms || calm.has_come()) {
        if client.is_certain() {
            here.note(Saw::Certain(listed.clone()));
        }
        if let Some(registration) = registration.as_mut().filter(|_| chance.one_in(20)) {
            let health = if chance.one_in(2) { Health::Up } else { Health::Draining };
            registration.set_health(health).await.ok();
        }
        here.pause(20).await;
    }
    here.note(Saw::Ends);
    let Some(registration) = registration else { return };
    if wrong == Wrong::RemovesWhateverIsThere {
        let path = format!("{DIRECTORY}{}", listed.0);
        while let Err(Error::ConnectionLost) = client.delete(&path, None).await {}
    } else if chance.one_in(2) {
        drop(registration);
    } else if registration.unregister().await.is_ok() {
        here.note(Saw::Gone(listed));
    }
}

async fn watcher(here: Here<Saw>, wrong: Wrong) {
    while !here.is_over() {
        let client = here.connected(3_000).await;
        while !here.is_over() && lives(&client) {
            // It ends with the session, or when it is over.
            look_on(&here, &client, wrong).await.ok();
        }
        client.close().await;
    }
}

async fn look_on(here: &Here<Saw>, client: &Client, wrong: Wrong) -> Result<(), Error> {
    let mut discovery = Registry::new(client, BASE).discover(SERVICE).await?;
    loop {
        let instances = tokio::select! {
            biased;
            instances = discovery.changed() => instances?,
            () = here.over() => return Ok(()),
        };
        let listed = |it: &Instance| (it.id.to_string(), it.address.to_string());
        here.note(Saw::Lists(instances.iter().map(listed).collect()));
        if wrong == Wrong::ListsOnce {
            here.over().await;
        }
    }
}

/// The data of what is registered, by id.
fn there(stage: &Stage<Saw>) -> BTreeMap<String, String> {
    let nodes = stage.truth().nodes();
    let instances = nodes.iter().filter_map(|(path, (data, _))| {
        let data = data.map_or(&[][..], |data| &data[..]);
        let id = path.strip_prefix(DIRECTORY)?.to_string();
        Some((id, String::from_utf8_lossy(data).into_owned()))
    });
    instances.collect()
}

fn says(data: &str, address: &str) -> bool {
    data.contains(&format!("\"{address}\""))
}

/// What was said of registrations, held against what is there.
#[derive(Default)]
struct Judge {
    read: usize,
    /// What each process has registered.
    held: BTreeMap<usize, Listed>,
    certain: usize,
}

impl Judge {
    /// Judges what was noted since this was asked last.
    fn judge(&mut self, stage: &Stage<Saw>) {
        stage.with_notes(|notes| {
            let news = notes.get(self.read..).unwrap_or_default();
            if news.is_empty() {
                return;
            }
            self.read = notes.len();
            self.take_in(news);
            let there = there(stage);
            for noted in news {
                let held = self.held.get(&noted.process);
                match &noted.what {
                    Saw::Certain(listed) if held == Some(listed) => {
                        self.certain += 1;
                        let data = there.get(&listed.0).map_or("", String::as_str);
                        assert!(says(data, &listed.1), "{noted:?} is not there: {there:?}");
                    }
                    Saw::Gone(listed) if held != Some(listed) => {
                        let data = there.get(&listed.0).map_or("", String::as_str);
                        assert!(!says(data, &listed.1), "{noted:?} is still there");
                    }
                    Saw::Registered(_)
                    | Saw::Certain(_)
                    | Saw::Ends
                    | Saw::Gone(_)
                    | Saw::Lists(_) => {} // It is over by now, or judged in the end.
                }
            }
        });
    }

    fn take_in(&mut self, news: &[Noted<Saw>]) {
        for noted in news {
            match &noted.what {
                Saw::Registered(listed) => drop(self.held.insert(noted.process, listed.clone())),
                Saw::Ends => drop(self.held.remove(&noted.process)),
                Saw::Certain(_) | Saw::Gone(_) | Saw::Lists(_) => {}
            }
        }
    }

    /// Whether every id is one's who holds it, and everybody lists who that is. What was held by
    /// somebody who was killed stands in nobody's way.
    fn is_plain(&self, stage: &Stage<Saw>, registrars: Range<usize>) -> bool {
        let there = there(stage);
        let stands = |(seat, listed): (&usize, &Listed)| {
            let stands = there.get(&listed.0).is_some_and(|data| says(data, &listed.1));
            (stands && registrars.contains(seat)).then(|| listed.clone())
        };
        let held: BTreeSet<Listed> = self.held.iter().filter_map(stands).collect();
        let mut plain = held.len() == IDS.len() && there.len() == IDS.len();
        stage.with_notes(|notes| {
            let last = |seat| notes.iter().rev().find(|noted| noted.process == seat);
            plain &= (REGISTRARS..REGISTRARS + WATCHERS).all(|seat| {
                last(seat).is_some_and(|it| matches!(&it.what, Saw::Lists(seen) if *seen == held))
            });
        });
        plain
    }
}

/// Everything goes on until something is so, and is judged meanwhile.
fn go_on(
    stage: &mut Stage<Saw>,
    (judge, what, ms_max): (&RefCell<Judge>, &str, u64),
    so: impl Fn(&Stage<Saw>, &Judge) -> bool,
) {
    stage.run_until(what, ms_max, |stage| {
        judge.borrow_mut().judge(stage);
        so(stage, &judge.borrow())
    });
}

fn play(seed: u64, wrong: Wrong) {
    let mut stage = Stage::new(seed, ROUGH_MEMBERS);
    let calm = Calm::default();
    for _ in 0..REGISTRARS {
        let calm = calm.clone();
        stage.process(move |here| registrar(here, calm.clone(), wrong));
    }
    for _ in 0..WATCHERS {
        stage.process(move |here| watcher(here, wrong));
    }
    let judge = RefCell::default();
    stage.strike(ROUGH);
    go_on(&mut stage, (&judge, "the time is over", 31_000), |stage, _| stage.now_ms() >= 30_000);
    stage.heal();
    calm.begin();
    let what = "everybody lists what is registered";
    go_on(&mut stage, (&judge, what, 20_000), |stage, judge| judge.is_plain(stage, 0..REGISTRARS));
    // One of them dies, and another has its id.
    stage.end(0);
    go_on(&mut stage, (&judge, what, 20_000), |stage, judge| judge.is_plain(stage, 1..REGISTRARS));
    stage.finish();
    let certain = judge.into_inner().certain;
    assert!(certain > 300, "only {certain} were certain: nothing is proved");
}

#[test]
fn what_is_registered_is_there_and_listed_and_nothing_else() {
    seeds::check("what_is_registered_is_there_and_listed_and_nothing_else", |seed| {
        play(seed, Wrong::Nothing);
    });
}

#[test]
fn whoever_takes_an_id_that_is_taken_is_found_out() {
    seeds::is_found_out(20, "is not there", |seed| play(seed, Wrong::TakesWhatIsTaken));
}

#[test]
fn whoever_removes_whatever_has_its_id_is_found_out() {
    seeds::is_found_out(100, "is not there", |seed| play(seed, Wrong::RemovesWhateverIsThere));
}

#[test]
fn a_watcher_of_services_that_looks_only_once_is_found_out() {
    seeds::is_found_out(20, "waited in vain: everybody lists", |seed| {
        play(seed, Wrong::ListsOnce);
    });
}

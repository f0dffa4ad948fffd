//! A queue while a server is killed: what was put is done once, by one at a time.

use super::judges::one_at_a_time;
use super::{Desk, Log, Turn, pause};
use crate::{Checked, Failed, equal, holds};
use bellwether_client::recipes::{Fence, Item, Queue};
use bellwether_client::{Client, Fate};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// More are not put as long as so many are.
const LONGEST: usize = 20;

#[derive(Clone, Debug)]
enum Saw {
    Puts,
    Put,
    /// It certainly was not put.
    Denied,
    /// It is one's for certain, in the entry of this name.
    Works(String, Fence),
    /// Somebody is going to be done with it.
    Finishes,
    Done,
}

type Record = Log<(String, Saw)>;

/// Two put and three take; one in eight items is given back, or dropped.
pub(super) async fn queue(desk: Desk) -> Checked {
    let (log, waiting): (Record, Rc<Cell<usize>>) = (Log::new(), Rc::default());
    let numbers = Rc::new(Cell::new(0_usize));
    let (desk_of, log_of, waiting_of) = (desk.clone(), log.clone(), waiting.clone());
    let producer = async move |client: &Client, _| {
        if waiting_of.get() >= LONGEST {
            pause(5).await;
            return Ok(());
        }
        let number = numbers.get();
        numbers.set(number + 1);
        let data = number.to_string();
        let note = |saw| log_of.note((data.clone(), saw));
        note(Saw::Puts);
        match Queue::new(client, desk_of.path()).put(data.as_bytes(), 100).await {
            Ok(()) => {
                note(Saw::Put);
                waiting_of.set(waiting_of.get() + 1);
                Ok(())
            }
            Err(error) => {
                if error.fate() == Fate::DidNotHappen {
                    note(Saw::Denied);
                }
                Err(error.into())
            }
        }
    };
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let worker = async move |client: &Client, turn: Turn| {
        let queue = Queue::new(client, desk_of.path());
        let Some(item) = desk_of.unless_over(queue.take()).await.transpose()? else {
            return Ok(());
        };
        if work(&log_of, item, turn.number).await? {
            waiting.set(waiting.get().saturating_sub(1));
            desk_of.step();
        }
        Ok(())
    };
    tokio::try_join!(desk.crew(2, producer), desk.crew(3, worker))?;
    let client = desk.client(0).await?;
    let queue = Queue::new(&client, desk.path());
    client.retrying().sync(desk.path()).await?;
    while !queue.is_empty().await? {
        // What was just given back may not be free yet.
        match queue.try_take().await? {
            Some(item) => drop(work(&log, item, 1).await?),
            None => pause(5).await,
        }
    }
    judge(log.take())
}

/// Whether it is done.
async fn work(log: &Record, item: Item, number: usize) -> Result<bool, Failed> {
    let data = String::from_utf8_lossy(&item.data).into_owned();
    let note = |saw| log.note((data.clone(), saw));
    for _ in 0..3 {
        if let Ok(fence) = item.check() {
            note(Saw::Works(item.name().to_owned(), fence));
        }
        pause(1).await;
    }
    match number % 16 {
        0 => drop(item),
        8 => item.give_back().await?,
        _ => {
            note(Saw::Finishes);
            item.done().await?;
            note(Saw::Done);
            return Ok(true);
        }
    }
    Ok(false)
}

#[derive(Default)]
struct Told {
    put: bool,
    denied: bool,
    finished: bool,
    done: usize,
    entries: BTreeSet<String>,
    fences: Vec<Fence>,
}

fn judge(record: Vec<(String, Saw)>) -> Checked {
    let mut all: BTreeMap<String, Told> = BTreeMap::new();
    for (data, saw) in record {
        let begun = all.contains_key(&data);
        let told = all.entry(data.clone()).or_default();
        let name = |what: &str| format!("{data}: {what}");
        match saw {
            Saw::Puts => holds(&name("it is put once"), !begun)?,
            Saw::Put => told.put = true,
            Saw::Denied => told.denied = true,
            Saw::Works(entry, fence) => {
                holds(&name("what was never put is taken"), begun)?;
                holds(&name("what is done is taken"), told.done == 0)?;
                told.entries.insert(entry);
                told.fences.push(fence);
            }
            Saw::Finishes => told.finished = true,
            Saw::Done => told.done += 1,
        }
    }
    for (data, told) in &all {
        let name = |what: &str| format!("{data}: {what}");
        holds(&name("it is lost"), !told.put || told.finished)?;
        holds(&name("it is done twice"), told.done <= 1)?;
        holds(&name("it was put all the same"), !told.denied || told.entries.is_empty())?;
        holds(&name("it was put twice"), told.entries.len() <= 1)?;
        if !told.fences.is_empty() {
            one_at_a_time(&told.fences).map_err(|why| format!("{data}: {why}"))?;
        }
    }
    let done = all.values().filter(|told| told.done == 1).count();
    equal("some are done", done > 0, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_client::Zxid;

    fn judged(record: &[(&str, Saw)]) -> Result<(), String> {
        let record = record.iter().map(|(data, saw)| ((*data).to_owned(), saw.clone())).collect();
        judge(record).map_err(|why| why.to_string())
    }

    fn works(entry: &str, fence: i64) -> Saw {
        Saw::Works(entry.to_owned(), Fence(Zxid(fence)))
    }

    #[test]
    fn an_entry_lost_or_taken_twice_is_found_out() {
        use Saw::{Denied, Done, Finishes, Put, Puts};
        let good = [("a", Puts), ("a", Put), ("a", works("e", 1)), ("a", Finishes), ("a", Done)];
        assert_eq!(judged(&good), Ok(()));
        let check = |more: &[(&str, Saw)], why: &str| {
            let found = judged(&[good.as_slice(), more].concat());
            assert!(found.as_ref().is_err_and(|it| it.contains(why)), "{found:?}, not {why}");
        };
        check(&[("b", Puts), ("b", Put)], "it is lost");
        check(&[("a", works("e", 2))], "what is done is taken");
        check(&[("a", Done)], "it is done twice");
        check(&[("b", works("e", 2))], "what was never put is taken");
        check(&[("b", Puts), ("b", Denied), ("b", works("f", 2))], "all the same");
        let twice = [("b", Puts), ("b", works("f", 2)), ("b", works("g", 3))];
        check(&twice, "it was put twice");
        let both = [("b", Puts), ("b", works("f", 3)), ("b", works("f", 2))];
        check(&both, "two hold it");
    }
}

//! Workers that change a shared node in two steps under a lock, while the server is killed.
//!
//! What it shows: the lock excludes, across crashes. A worker reads a number and writes the next
//! one without a version, so that two at a time would lose one.

use super::{Bench, Checked, equal, holds};
use bellwether_client::recipes::{Fence, Lock};
use bellwether_client::{Client, Create, CreateMode, Error, Fate};
use std::io::BufRead as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WORKERS: usize = 6;
const CRASHES: u32 = 3;
/// Steps between two crashes.
const STEPS: usize = 150;

/// What was done, in order.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<(Fence, u64)>>>);

impl Record {
    fn add(&self, fence: Fence, number: u64) {
        self.0.lock().expect("nobody panics with it").push((fence, number));
    }

    fn len(&self) -> usize {
        self.0.lock().expect("nobody panics with it").len()
    }
}

pub(super) async fn run(address: &str) -> Checked {
    let bench = Bench { address: address.to_owned(), path: "/check-crash".to_owned() };
    let client = bench.client().await?;
    client.retrying().ensure_path(&bench.path).await?;
    let counter = format!("{}/counter", bench.path);
    let create = Create::new(&counter, CreateMode::Persistent).data(b"0");
    client.retrying().create(create).await?;
    let record = Record::default();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(bench.clone(), record.clone(), stopped.clone()));
    }
    for _ in 0..CRASHES {
        more(&record, &mut workers).await?;
        super::say("CRASH");
        // Read in a thread of its own, so that the workers go on meanwhile.
        let answer = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next());
        holds("the server is back", answer.await?.is_some())?;
    }
    more(&record, &mut workers).await?;
    stop.send_replace(true);
    while let Some(done) = workers.join_next().await {
        done??;
    }
    judge(&client, &counter, &record).await
}

/// Waits for some more steps; a worker that ends before has failed.
async fn more(record: &Record, workers: &mut tokio::task::JoinSet<Checked>) -> Checked {
    let enough = record.len() + STEPS;
    while record.len() < enough {
        tokio::select! {
            done = workers.join_next() => {
                return done.ok_or("no worker")??.and(Err("a worker ended".into()));
            }
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    Ok(())
}

async fn work(
    bench: Bench,
    record: Record,
    stopped: tokio::sync::watch::Receiver<bool>,
) -> Checked {
    let mut client = bench.client().await?;
    let counter = format!("{}/counter", bench.path);
    while !*stopped.borrow() {
        match step(&client, &bench.path, &counter, &record).await {
            Ok(()) => {}
            // The server was away for longer than the session.
            Err(Error::SessionEnded(..)) => client = bench.client().await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn step(client: &Client, path: &str, counter: &str, record: &Record) -> Result<(), Error> {
    let held = Lock::new(client, &format!("{path}/lock")).acquire().await?;
    let (data, _) = client.retrying().get_data(counter).await?;
    let number: u64 = text(data.as_deref().unwrap_or_default()).parse().unwrap_or(0);
    let next = number + 1;
    // Without a version: only the lock keeps others from writing the same number.
    if held.check().is_err() {
        return Ok(());
    }
    match client.set_data(counter, next.to_string().as_bytes(), None).await {
        Ok(_) => record.add(held.fence(), next),
        Err(error) if error.fate() == Fate::DidNotHappen => return Err(error),
        Err(error) => {
            // It is held all the same if the session goes on: look what became of it.
            let (data, _) = client.retrying().get_data(counter).await?;
            client.retrying().sync(counter).await?;
            let (synced, _) = client.retrying().get_data(counter).await?;
            let found = synced.or(data);
            if text(found.as_deref().unwrap_or_default()) == next.to_string() {
                record.add(held.fence(), next);
            }
            if matches!(error, Error::SessionEnded(..)) {
                return Err(error);
            }
        }
    }
    held.release().await
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

async fn judge(client: &Client, counter: &str, record: &Record) -> Checked {
    let (data, _) = client.retrying().get_data(counter).await?;
    let last: u64 = text(data.as_deref().unwrap_or_default()).parse()?;
    let steps = record.0.lock().expect("nobody panics with it").clone();
    let numbers: Vec<u64> = steps.iter().map(|(_, number)| *number).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    sorted.dedup();
    equal("each number was written once", sorted.len(), numbers.len())?;
    holds("numbers grow", numbers.is_sorted())?;
    let fences: Vec<Fence> = steps.iter().map(|(fence, _)| *fence).collect();
    holds("tokens grow with them", fences.is_sorted())?;
    holds("the last number is the node's", numbers.last().is_some_and(|number| *number <= last))?;
    super::say(&format!(
        "ok   {} steps under a lock, {CRASHES} crashes, up to {last}",
        steps.len()
    ));
    Ok(())
}

//! Queues: order, loss, leases, many entries and many who take them.

use super::{A_WHILE, Check, Checked, World, ensure, names, of, polled, until};
use bellwether_client::recipes::{Lost, Queue};
use bellwether_client::{Client, ErrorCode};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

pub(super) const CHECKS: &[Check] = &[
    ("queue keeps the order of priorities", |bench| Box::pin(of(bench, order))),
    ("queue gives an item to one at a time", |bench| Box::pin(of(bench, one))),
    ("queue waits for what is put or given back", |bench| Box::pin(of(bench, waits))),
    ("queue takes back what the dead had", |bench| Box::pin(of(bench, death))),
    ("queue ends a lease", |bench| Box::pin(of(bench, lease))),
    ("queue through cuts", |bench| Box::pin(of(bench, cuts))),
    ("queue with dropped futures", |bench| Box::pin(of(bench, drops))),
    ("queue of thousands", |bench| Box::pin(of(bench, thousands))),
];

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into()
}

async fn order(world: &World, path: &str) -> Checked {
    let queue = Queue::new(&world.steady, path);
    ensure!(queue.try_take().await?.is_none() && queue.is_empty().await?, "it is not empty");
    ensure!(queue.put(b"x", 1000).await.is_err(), "1000 is no priority");
    queue.put_all([b"c".as_slice(), b"d"], 100).await?;
    queue.put(b"e", 999).await?;
    queue.put(b"a", 0).await?;
    queue.put(b"b", 99).await?;
    ensure!(queue.len().await? == 5, "it has {} entries", queue.len().await?);
    let mut taken = String::new();
    let mut last = None;
    while let Some(item) = queue.try_take().await? {
        taken.push_str(&text(&item.data));
        ensure!(last < Some(item.check()?), "the fencing tokens do not grow");
        last = Some(item.fence());
        item.done().await?;
    }
    ensure!(taken == "abcde", "they came as {taken}");
    ensure!(queue.is_empty().await?, "something is left");
    Ok(())
}

async fn one(world: &World, path: &str) -> Checked {
    let (here, there) = (Queue::new(&world.steady, path), Queue::new(&world.flaky, path));
    here.put(b"a", 5).await?;
    let item = here.take().await?;
    ensure!((item.priority, item.attempt) == (5, 1), "{item:?}");
    ensure!(there.try_take().await?.is_none(), "two have it");
    let first = item.fence();
    item.give_back().await?;
    let item = there.take().await?;
    ensure!(item.attempt == 2 && item.fence() > first, "{item:?}");
    drop(item);
    let item = here.take().await?;
    ensure!(item.attempt == 3, "{item:?}");
    // Somebody deletes its node by hand: it is known, and it is not done.
    let taken = format!("{path}/taken/{}", item.name());
    world.flaky.delete(&taken, None).await?;
    ensure!(item.lost().await == Lost::Deleted, "it does not know");
    let again = there.take().await?;
    let refused = item.done().await.err().and_then(|error| error.code());
    // One that is not held is not done, or the node of the next holder would go with it.
    ensure!(refused == Some(ErrorCode::NoNode), "it was done: {refused:?}");
    again.check()?;
    again.done().await?;
    ensure!(here.is_empty().await?, "something is left");
    Ok(())
}

async fn waits(world: &World, path: &str) -> Checked {
    let (here, there) = (Queue::new(&world.steady, path), Queue::new(&world.flaky, path));
    ensure!(here.take_within(A_WHILE).await?.is_none(), "it took something of nothing");
    let put = async {
        tokio::time::sleep(A_WHILE).await;
        there.put(b"a", 1).await
    };
    let (item, put) = tokio::join!(here.take_within(LONG), put);
    put?;
    let item = item?.ok_or("what was put did not come")?;
    let give_back = async {
        tokio::time::sleep(A_WHILE).await;
        item.give_back().await
    };
    let (item, given) = tokio::join!(there.take_within(LONG), give_back);
    given?;
    item?.ok_or("what was given back did not come")?.done().await?;
    Ok(())
}

async fn death(world: &World, path: &str) -> Checked {
    let mortal = world.client().await?;
    let here = Queue::new(&world.steady, path);
    here.put(b"a", 1).await?;
    let item = Queue::new(&mortal, path).take().await?;
    mortal.close().await;
    ensure!(item.check().is_err(), "the dead hold it");
    let again = here.take_within(LONG).await?.ok_or("the dead keep it")?;
    ensure!(item.done().await.is_err(), "the dead have done it");
    again.done().await?;
    Ok(())
}

async fn lease(world: &World, path: &str) -> Checked {
    let here = Queue::new(&world.steady, path).lease(A_WHILE);
    let there = Queue::new(&world.flaky, path);
    here.put(b"a", 1).await?;
    let item = here.take().await?;
    item.check()?;
    let again = there.take_within(LONG).await?.ok_or("it was not given back")?;
    ensure!(item.check() == Err(Lost::TimeOver), "two hold it");
    ensure!(item.lost().await == Lost::TimeOver, "it is not lost");
    ensure!(item.done().await.is_err(), "it was done by the one whose time is over");
    again.check()?;
    again.done().await?;
    Ok(())
}

async fn cuts(world: &World, path: &str) -> Checked {
    let (here, there) = (Queue::new(&world.steady, path), Queue::new(&world.flaky, path));
    let run = async |number: usize| {
        let data = number.to_string();
        there.put(data.as_bytes(), 1).await?;
        ensure!(here.len().await? == 1, "it was put {} times", here.len().await?);
        there.take().await?.give_back().await?;
        let item = there.take().await?;
        ensure!(*item.data == *data.as_bytes() && item.attempt == 2, "{item:?}");
        item.check()?;
        item.done().await?;
        ensure!(names(&world.steady, &format!("{path}/entries")).await?.is_empty(), "not done");
        clean(world, path).await
    };
    world.with_every_cut(run).await
}

/// Waits until nothing is left beside the entries.
async fn clean(world: &World, path: &str) -> Checked {
    let gone = async |name| {
        names(&world.steady, &format!("{path}/{name}")).await.map(|names| names.is_empty())
    };
    until(async || Ok(gone("taken").await? && gone("receipts").await?)).await
}

async fn drops(world: &World, path: &str) -> Checked {
    let (here, there) = (Queue::new(&world.steady, path), Queue::new(&world.flaky, path));
    let mut finished = 0;
    for times in 1.. {
        let put = polled(times, there.put(b"a", 1)).await.transpose()?;
        clean(world, path).await?;
        let count = here.len().await?;
        // A put that was dropped may have happened.
        ensure!(count == 1 || count == 0 && put.is_none(), "polled {times} times: {count} are put");
        if count == 0 {
            here.put(b"b", 1).await?;
        }
        let taken = polled(times, there.take()).await.transpose()?;
        let was_taken = taken.is_some();
        if let Some(item) = taken {
            polled(finished + 1, item.done()).await.transpose()?;
            finished += 1;
        }
        clean(world, path).await.map_err(|error| format!("polled {times} times: {error}"))?;
        while let Some(item) = here.try_take().await? {
            item.done().await?;
        }
        ensure!(here.is_empty().await?, "polled {times} times: somebody keeps it");
        if put.is_some() && was_taken && finished > 4 {
            return Ok(());
        }
    }
    Ok(())
}

async fn work(client: &Client, path: &str) -> Result<Vec<String>, bellwether_client::Error> {
    let queue = Queue::new(client, path);
    let mut done = Vec::new();
    while let Some(item) = queue.try_take().await? {
        let data = text(&item.data);
        item.done().await?;
        done.push(data);
    }
    Ok(done)
}

async fn thousands(world: &World, path: &str) -> Checked {
    const ENTRIES: usize = 3000;
    let queue = Queue::new(&world.steady, path);
    let all: Vec<String> = (0..ENTRIES).map(|number| number.to_string()).collect();
    let start = Instant::now();
    for some in all.chunks(500) {
        queue.put_all(some.iter().map(String::as_bytes), 100).await?;
    }
    let put = start.elapsed();
    let other = world.client().await?;
    let (a, b, c) =
        tokio::try_join!(work(&world.steady, path), work(&world.flaky, path), work(&other, path))?;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for data in [a, b, c].concat() {
        *times.entry(data).or_default() += 1;
    }
    let once = all.iter().all(|data| times.get(data) == Some(&1));
    ensure!(once && times.len() == ENTRIES, "not all were done, or one twice");
    let took = start.elapsed() - put;
    super::super::say(&format!(
        "   {ENTRIES} entries put in {put:?}, taken and done by three in {took:?}"
    ));
    Ok(())
}

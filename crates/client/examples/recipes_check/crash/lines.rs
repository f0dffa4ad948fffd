//! What one has, or so many, while a server is killed: locks, leases, offices and claims.

use super::judges::{Kind, at_most, nobody_beside_a_writer, one_at_a_time};
use super::{Desk, Log, lives, pause, seen};
use crate::{Checked, equal, holds};
use bellwether_client::recipes::{Claim, Election, Fence, Lock, Lost, RwLock, Semaphore};
use bellwether_client::{Client, Create, CreateMode, Error, Fate};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How often a holder looks whether it still is one.
const LOOKS: usize = 4;
const LEASES: usize = 2;

/// Notes each time that it is held.
async fn hold<K: Copy>(log: &Log<(Fence, K)>, kind: K, check: impl Fn() -> Result<Fence, Lost>) {
    for _ in 0..LOOKS {
        if let Ok(fence) = check() {
            log.note((fence, kind));
        }
        pause(1).await;
    }
}

fn fences<K>(log: &Log<(Fence, K)>) -> Vec<Fence> {
    log.take().into_iter().map(|(fence, _)| fence).collect()
}

/// Also changes a number in two steps, without a version: two at a time would lose one.
pub(super) async fn lock(desk: Desk) -> Checked {
    let client = desk.client(0).await?;
    client.retrying().ensure_path(desk.path()).await?;
    let number = format!("{}/number", desk.path());
    let node = Create::new(&number, CreateMode::Persistent).data(b"0");
    client.retrying().create(node).await?;
    let (held_log, written) = (Log::new(), Log::new());
    let (desk_of, held_of, written_of) = (desk.clone(), held_log.clone(), written.clone());
    let path = number.clone();
    let turn = async move |client: &Client, _| {
        let held = Lock::new(client, desk_of.path()).acquire().await?;
        hold(&held_of, (), || held.check()).await;
        let next = read(client, &path).await? + 1;
        if held.check().is_ok() && write(client, &path, next).await? {
            written_of.note(next);
            desk_of.step();
        }
        Ok(held.release().await?)
    };
    desk.crew(4, turn).await?;
    let written = written.take();
    holds("each number was written once, in order", written.is_sorted_by(|a, b| a < b))?;
    client.retrying().sync(&number).await?;
    let last = read(&client, &number).await?;
    holds("the last number is the node's", written.last().is_some_and(|it| *it <= last))?;
    one_at_a_time(&fences(&held_log))
}

async fn read(client: &Client, path: &str) -> Result<u64, Error> {
    let (data, _) = client.retrying().get_data(path).await?;
    let text = String::from_utf8_lossy(data.as_deref().unwrap_or_default()).into_owned();
    text.parse().map_err(|_no_number| Error::Argument("the node holds no number"))
}

/// Whether it was written, as far as anybody can know.
async fn write(client: &Client, path: &str, number: u64) -> Result<bool, Error> {
    match client.set_data(path, number.to_string().as_bytes(), None).await {
        Ok(_) => Ok(true),
        // The lock is held all the same if the session goes on: look what became of it.
        Err(error) if error.fate() == Fate::MayHaveHappened => {
            client.retrying().sync(path).await?;
            Ok(read(client, path).await? == number)
        }
        Err(error) => Err(error),
    }
}

pub(super) async fn rwlock(desk: Desk) -> Checked {
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, turn: super::Turn| {
        let lock = RwLock::new(client, desk_of.path());
        let (kind, held) = if (turn.worker + turn.number).is_multiple_of(4) {
            (Kind::Write, lock.write().await?)
        } else {
            (Kind::Read, lock.read().await?)
        };
        hold(&log_of, kind, || held.check()).await;
        held.release().await?;
        desk_of.step();
        Ok(())
    };
    desk.crew(4, turn).await?;
    nobody_beside_a_writer(&log.take())
}

pub(super) async fn semaphore(desk: Desk) -> Checked {
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, _| {
        let held = Semaphore::new(client, desk_of.path(), LEASES)?.acquire().await?;
        hold(&log_of, (), || held.check()).await;
        held.release().await?;
        desk_of.step();
        Ok(())
    };
    desk.crew(4, turn).await?;
    at_most(LEASES, &log.take())
}

/// Those that look on see at last who leads.
pub(super) async fn election(desk: Desk) -> Checked {
    let log = Log::new();
    let leaders: [Rc<Cell<Option<Fence>>>; 2] = Default::default();
    let (path, leaders_of) = (desk.path().to_owned(), leaders.clone());
    let mut onlookers = desk.onlookers(leaders.len(), async move |client, number| {
        let mut watch = Election::new(client, &path).observe().await?;
        let seen = leaders_of.get(number).ok_or("nobody has this number")?;
        loop {
            seen.set(watch.next().await?.map(|leader| leader.fence));
        }
    });
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, _| {
        let office = Election::new(client, desk_of.path()).campaign(b"me").await?;
        hold(&log_of, (), || office.check()).await;
        office.resign().await?;
        desk_of.step();
        Ok(())
    };
    desk.crew(3, turn).await?;
    one_at_a_time(&fences(&log))?;
    let client = desk.client(0).await?;
    let last = Election::new(&client, desk.path()).campaign(b"the last").await?;
    let sees = || leaders.iter().all(|leader| leader.get() == Some(last.fence()));
    seen(&mut onlookers, "all see who leads", sees).await?;
    equal("the last one's check", last.check(), Ok(last.fence()))
}

/// A third of the tenures is left to end by its time, and some are renewed.
pub(super) async fn claim(desk: Desk) -> Checked {
    const LENGTH: Duration = Duration::from_millis(300);
    let log = Log::new();
    let (desk_of, log_of) = (desk.clone(), log.clone());
    let turn = async move |client: &Client, turn: super::Turn| {
        let claim = Claim::new(client, desk_of.path()).owner(&format!("owner {}", turn.worker));
        let taken = desk_of.unless_over(claim.take(LENGTH)).await;
        let Some(mut tenure) = taken.transpose()? else { return Ok(()) };
        hold(&log_of, (), || tenure.check()).await;
        if turn.number.is_multiple_of(4) && tenure.renew(LENGTH).await? {
            hold(&log_of, (), || tenure.check()).await;
        }
        if turn.number.is_multiple_of(3) {
            while tenure.check().is_ok() && lives(client) {
                hold(&log_of, (), || tenure.check()).await;
            }
        } else {
            tenure.release().await?;
        }
        desk_of.step();
        Ok(())
    };
    desk.crew(3, turn).await?;
    one_at_a_time(&fences(&log))
}

//! Every recipe at work while a server is killed: several clients each, and a judge that holds what
//! each of them was told against the recipe's promise.
//!
//! `CRASH` is printed when every recipe has done its amount of work since the last time. Whoever
//! reads it kills the server, or the leader of an ensemble, starts it again on its data, and
//! answers with a line; meanwhile the recipes go on.
//!
//! What it keeps true: one thread runs everything, and nobody waits between what a check says and
//! its note, so that the order of a record is that of what happened. One more recipe is one more
//! row.

use super::{Bench, Checked, Failed, answered, holds, say};
use bellwether_client::{Client, Connector, Error, SessionState};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, LocalSet};

mod counts;
mod flows;
mod judges;
mod lines;
mod meetings;
mod views;

/// A recipe's name, its steps between two crashes, and how it is played to its end and judged.
type Row = (&'static str, usize, fn(Desk) -> Pin<Box<dyn Future<Output = Checked>>>);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("lock",           30, |desk| Box::pin(lines::lock(desk))),
    ("rwlock",         40, |desk| Box::pin(lines::rwlock(desk))),
    ("semaphore",      40, |desk| Box::pin(lines::semaphore(desk))),
    ("election",       25, |desk| Box::pin(lines::election(desk))),
    ("claim",          8, |desk| Box::pin(lines::claim(desk))),
    ("group",          30, |desk| Box::pin(views::group(desk))),
    ("subtree",        30, |desk| Box::pin(views::subtree(desk))),
    ("setting",        30, |desk| Box::pin(views::setting(desk))),
    ("registry",       30, |desk| Box::pin(views::registry(desk))),
    ("ballot",         10, |desk| Box::pin(counts::ballot(desk))),
    ("counter",        40, |desk| Box::pin(counts::counter(desk))),
    ("counter, exact", 30, |desk| Box::pin(counts::exact_counter(desk))),
    ("once",           30, |desk| Box::pin(counts::once(desk))),
    ("queue",          30, |desk| Box::pin(flows::queue(desk))),
    ("barrier",        15, |desk| Box::pin(meetings::barrier(desk))),
    ("double barrier", 20, |desk| Box::pin(meetings::double_barrier(desk))),
];

const CRASHES: u32 = 3;
/// What one amount of work, or the end of a recipe, may take.
const LIMIT: Duration = Duration::from_secs(90);

/// Where a recipe works.
#[derive(Clone)]
struct Desk {
    bench: Bench,
    steps: Rc<Cell<usize>>,
    over: watch::Receiver<bool>,
}

/// Whose turn it is, and how many this worker has had.
#[derive(Clone, Copy)]
struct Turn {
    worker: usize,
    number: usize,
}

impl Desk {
    fn path(&self) -> &str {
        &self.bench.path
    }

    /// Something was done.
    fn step(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// `None` if it is over before this is done.
    async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut over = self.over.clone();
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = over.wait_for(|over| *over) => None,
        }
    }

    /// Sessions that the fall of a server outlasts, just or by far.
    async fn client(&self, worker: usize) -> Result<Client, Error> {
        let timeout = Duration::from_secs(if worker % 2 == 1 { 2 } else { 6 });
        Connector::new().session_timeout(timeout).connect(&self.bench.address).await
    }

    /// Has so many at work until it is over, each with a session of its own, and another one when
    /// that has ended. A turn that ends with its session is had again.
    async fn crew(
        &self,
        workers: usize,
        turn: impl AsyncFn(&Client, Turn) -> Checked + 'static,
    ) -> Checked {
        let turn = Rc::new(turn);
        let mut all = JoinSet::new();
        for worker in 0..workers {
            let (desk, turn) = (self.clone(), turn.clone());
            all.spawn_local(async move { desk.turns(worker, &*turn).await });
        }
        while let Some(done) = all.join_next().await {
            done??;
        }
        Ok(())
    }

    async fn turns(&self, worker: usize, turn: &impl AsyncFn(&Client, Turn) -> Checked) -> Checked {
        let mut number = 0;
        let mut client = self.client(worker).await?;
        while !self.is_over() {
            match turn(&client, Turn { worker, number }).await {
                Ok(()) => number += 1,
                Err(why) if is_session_end(&why) => client = self.client(worker).await?,
                Err(why) => return Err(why),
            }
        }
        client.close().await;
        Ok(())
    }

    /// Has so many look on, until the value is dropped.
    fn onlookers(
        &self,
        count: usize,
        look: impl AsyncFn(&Client, usize) -> Checked + 'static,
    ) -> JoinSet<Checked> {
        let look = Rc::new(look);
        let mut all = JoinSet::new();
        for number in 0..count {
            let (desk, look) = (self.clone(), look.clone());
            all.spawn_local(async move {
                loop {
                    let client = desk.client(number).await?;
                    match look(&client, number).await {
                        Err(why) if !is_session_end(&why) => return Err(why),
                        Ok(()) | Err(_) => client.close().await,
                    }
                }
            });
        }
        all
    }
}

fn is_session_end(why: &Failed) -> bool {
    matches!(why.downcast_ref(), Some(Error::SessionEnded(..)))
}

fn lives(client: &Client) -> bool {
    !matches!(client.state(), SessionState::Ended(_))
}

/// A change that may have failed, or may have happened, if only its session goes on.
fn whatever<T>(done: Result<T, Error>) -> Result<(), Error> {
    match done {
        Err(error @ Error::SessionEnded(..)) => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Lets the others run.
async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Waits until those that look on see it; one that ends before has failed.
async fn seen(onlookers: &mut JoinSet<Checked>, what: &str, sees: impl Fn() -> bool) -> Checked {
    let wait = async {
        while !sees() {
            tokio::select! {
                biased;
                Some(ended) = onlookers.join_next() => return ended?,
                () = pause(5) => {}
            }
        }
        Ok(())
    };
    let waited = tokio::time::timeout(LIMIT, wait).await;
    waited.unwrap_or_else(|_| Err(format!("waited in vain: {what}").into()))
}

/// What happened, in order.
struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T> Log<T> {
    fn new() -> Log<T> {
        Log(Rc::default())
    }

    fn note(&self, what: T) {
        self.0.borrow_mut().push(what);
    }

    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of it; nobody notes anything any more.
    fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Log<T> {
        Log(self.0.clone())
    }
}

/// A recipe at work.
struct Play {
    name: &'static str,
    amount: usize,
    desk: Desk,
    playing: JoinHandle<Checked>,
}

/// All rows, or those whose names begin so. Gives how many passed and failed.
pub(super) async fn run(address: &str, wanted: &[String]) -> Result<(u32, u32), Failed> {
    let all = async {
        let (stop, over) = watch::channel(false);
        let plays = ROWS.iter().filter(|(name, ..)| super::is_wanted(name, wanted));
        let mut plays: Vec<Play> = plays.map(|row| begin(row, address, &over)).collect();
        holds("there is such a recipe", !plays.is_empty())?;
        for crash in 0..=CRASHES {
            work(&plays).await;
            if crash < CRASHES {
                say("CRASH");
                answered("the server is back").await?;
            }
        }
        stop.send_replace(true);
        let (mut passed, mut failed) = (0, 0);
        for play in &mut plays {
            if end(play).await { passed += 1 } else { failed += 1 }
        }
        Ok((passed, failed))
    };
    LocalSet::new().run_until(all).await
}

fn begin((name, amount, play): &Row, address: &str, over: &watch::Receiver<bool>) -> Play {
    let path = format!("/crash-{}", name.replace([' ', ','], "-"));
    let bench = Bench { address: address.to_owned(), path };
    let desk = Desk { bench, steps: Rc::default(), over: over.clone() };
    let playing = tokio::task::spawn_local(play(desk.clone()));
    Play { name, amount: *amount, desk, playing }
}

/// Waits until each has done its amount, or has failed, or hangs.
async fn work(plays: &[Play]) {
    let goals: Vec<usize> = plays.iter().map(|play| play.desk.steps.get() + play.amount).collect();
    let done = |(play, goal): (&Play, &usize)| {
        play.playing.is_finished() || play.desk.steps.get() >= *goal
    };
    let all = async {
        while !plays.iter().zip(&goals).all(done) {
            pause(5).await;
        }
    };
    if tokio::time::timeout(LIMIT, all).await.is_err() {
        for (play, goal) in plays.iter().zip(&goals).filter(|it| !done(*it)) {
            play.playing.abort();
            say(&format!("{} hangs: {} of {goal} steps", play.name, play.desk.steps.get()));
        }
    }
}

async fn end(play: &mut Play) -> bool {
    let done = tokio::time::timeout(LIMIT, &mut play.playing).await;
    let done = match done {
        Ok(Ok(done)) => done,
        Ok(Err(gone)) => Err(gone.into()),
        Err(_) => Err(format!("no end within {LIMIT:?}").into()),
    };
    let (name, steps) = (play.name, play.desk.steps.get());
    match &done {
        Ok(()) => say(&format!("ok   {name}: {steps} steps, {CRASHES} crashes")),
        Err(why) => say(&format!("FAIL {name}: {why}")),
    }
    done.is_ok()
}

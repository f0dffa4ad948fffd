//! A simulated client process: a tokio runtime of its own with a clock that only the stage moves.
//!
//! What it keeps true:
//! - Its clock runs at its own [`Pace`]. It is never behind what that makes of the stage's time,
//!   and never more than a millisecond ahead of it, unless it is stopped.
//! - While it is stopped nothing of it runs and its clock stands; when it goes on the clock jumps
//!   by all that was missed at once, as after SIGSTOP.
//! - When it is killed nothing of it runs any more, not even what would say goodbye.

use crate::desk::{Desk, Socket, Wish};
use crate::pace::Pace;
use bellwether_client::{Client, Connector, Error};
use bellwether_sim::disk::Chance;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What a process does, from its start on.
pub(crate) type Program<T> =
    Arc<dyn Fn(Here<T>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Something that a process noted: what, who and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted<T> {
    /// As the stage counts, unless it had been stopped.
    pub(crate) at_ms: u64,
    pub(crate) process: usize,
    /// Which life of it.
    pub(crate) life: u64,
    pub(crate) what: T,
}

pub(crate) type Notes<T> = Arc<Mutex<Vec<Noted<T>>>>;

/// What a program knows of the process that it runs in.
pub(crate) struct Here<T> {
    pub(crate) process: usize,
    /// 1 for the first, one more after each kill.
    pub(crate) life: u64,
    servers: Arc<str>,
    seed: u64,
    desk: Desk,
    notes: Notes<T>,
    clock: Clock,
    over: watch::Receiver<bool>,
}

impl<T> Clone for Here<T> {
    fn clone(&self) -> Here<T> {
        let Here { process, life, seed, .. } = *self;
        let (servers, desk) = (self.servers.clone(), self.desk.clone());
        let (notes, clock, over) = (self.notes.clone(), self.clock.clone(), self.over.clone());
        Here { process, life, servers, seed, desk, notes, clock, over }
    }
}

/// What a process and the stage know of the process's clock.
#[derive(Clone, Debug)]
struct Clock {
    pace: Pace,
    /// When the process was started, as the stage counts, and by its own clock.
    started_ms: u64,
    started: Instant,
    /// The time of the stage at which the process ran last, which its clock is too coarse to tell.
    reached_ms: Arc<AtomicU64>,
}

impl Clock {
    /// What it shows at a time of the stage, in milliseconds after its start.
    fn shown_ms(&self, at_ms: u64) -> u64 {
        self.pace.shown_ms(at_ms.saturating_sub(self.started_ms))
    }

    /// The time of the stage.
    fn now_ms(&self) -> u64 {
        let shown_ms = milliseconds(self.started.elapsed());
        let at_ms = self.started_ms + self.pace.true_ms(shown_ms);
        // Relaxed: one thread runs them all.
        at_ms.max(self.reached_ms.load(Ordering::Relaxed))
    }

    fn reached(&self, at_ms: u64) {
        self.reached_ms.fetch_max(at_ms, Ordering::Relaxed);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

impl<T> Here<T> {
    /// Begins a session of so many milliseconds with any of the members.
    pub(crate) async fn connect(&self, session_timeout_ms: u64) -> Result<Client, Error> {
        let timeout = Duration::from_millis(session_timeout_ms);
        let connector = Connector::new().session_timeout(timeout).seed(self.seed);
        connector.connect_over(self.desk.clone(), &self.servers).await
    }

    /// Likewise, as often as it takes.
    pub(crate) async fn connected(&self, session_timeout_ms: u64) -> Client {
        loop {
            if let Ok(client) = self.connect(session_timeout_ms).await {
                return client;
            }
        }
    }

    /// What the time is by the stage's clock, in milliseconds. What the client does by itself, and
    /// [`Here::pause`], go by the process's own.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The last millisecond of the stage's clock that is not behind a moment of the process's.
    pub(crate) fn ms_of(&self, moment: Instant) -> u64 {
        let Clock { pace, started_ms, started, .. } = &self.clock;
        started_ms + pace.true_ms_before(milliseconds(moment - *started))
    }

    /// Notes something for whoever judges the run.
    pub(crate) fn note(&self, what: T) {
        let Here { process, life, .. } = *self;
        self.notes.lock().unwrap().push(Noted { at_ms: self.now_ms(), process, life, what });
    }

    /// Whether the process shall come to an end.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits until it shall come to an end.
    pub(crate) async fn over(&self) {
        // An error says that there is no stage any more, and no process.
        self.over.clone().wait_for(|over| *over).await.ok();
    }

    /// Waits for a while, by the process's clock.
    pub(crate) async fn pause(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Chance of the process's own, the same in every run of this seed.
    pub(crate) fn chance(&self) -> Chance {
        Chance::new(self.seed ^ 0x0070_726f_6365_7373)
    }
}

/// Something that came for a process, to be handed in when it runs.
#[derive(Debug)]
pub(crate) enum News {
    Answered(Socket, bool),
    Bytes(Socket, Vec<u8>),
    Ended(Socket),
}

/// What a process looks at first when it goes on after it had been stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    Timers,
    Sockets,
}

/// See the module's own words.
pub(crate) struct Process {
    runtime: Runtime,
    program: Option<JoinHandle<()>>,
    desk: Desk,
    clock: Clock,
    /// What its clock shows, in milliseconds after its start.
    shown_ms: u64,
    news: Vec<News>,
    stopped: bool,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("shown_ms", &self.shown_ms).finish_non_exhaustive()
    }
}

/// What a process is started with.
pub(crate) struct Start<'a, T> {
    pub(crate) process: usize,
    pub(crate) life: u64,
    pub(crate) servers: Arc<str>,
    pub(crate) seed: u64,
    pub(crate) pace: Pace,
    pub(crate) notes: Notes<T>,
    pub(crate) over: watch::Receiver<bool>,
    pub(crate) program: &'a Program<T>,
}

impl Process {
    pub(crate) fn start<T: Send + 'static>(start: Start<'_, T>, now_ms: u64) -> Process {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime without IO needs nothing of the system");
        let Start { process, life, servers, seed, pace, notes, over, program } = start;
        let started = runtime.block_on(async { Instant::now() });
        let (reached_ms, desk) = (Arc::new(AtomicU64::new(now_ms)), Desk::default());
        let clock = Clock { pace, started_ms: now_ms, started, reached_ms };
        let (its_desk, its_clock) = (desk.clone(), clock.clone());
        let here =
            Here { process, life, servers, seed, desk: its_desk, notes, clock: its_clock, over };
        let program = Some(runtime.spawn(program(here)));
        Process { runtime, program, desk, clock, shown_ms: 0, news: Vec::new(), stopped: false }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// It runs up to here and stands still.
    pub(crate) fn stop(&mut self, now_ms: u64) {
        self.run_to(now_ms);
        self.stopped = true;
    }

    /// It goes on; what it missed is over at once.
    pub(crate) fn go_on(&mut self, now_ms: u64, first: First) {
        if !std::mem::take(&mut self.stopped) {
            return;
        }
        if first == First::Sockets {
            self.hand_in();
        }
        let shown_ms = self.clock.shown_ms(now_ms).max(self.shown_ms);
        let missed = Duration::from_millis(shown_ms - self.shown_ms);
        self.clock.reached(now_ms);
        self.runtime.block_on(async { tokio::time::advance(missed).await });
        self.shown_ms = shown_ms;
    }

    /// Something came for it.
    pub(crate) fn tell(&mut self, news: News) {
        self.news.push(news);
    }

    /// Whether something has come that it has not looked at.
    pub(crate) fn has_news(&self) -> bool {
        !self.stopped && !self.news.is_empty()
    }

    /// Whether there is a reason to let it run at this time.
    pub(crate) fn is_due(&self, now_ms: u64, idle_ms: u64) -> bool {
        let idle = now_ms >= self.clock.reached_ms.load(Ordering::Relaxed) + idle_ms;
        self.has_news() || (!self.stopped && idle)
    }

    /// It runs until it has done what it can do at this time; its timers have rung meanwhile. If
    /// its clock is ahead already, what has come waits until the next millisecond of it.
    pub(crate) fn run(&mut self, now_ms: u64) {
        self.run_to(now_ms);
        let next_ms = self.clock.shown_ms(now_ms) + 1;
        if !self.news.is_empty() && self.shown_ms < next_ms {
            self.hand_in();
            // Time moves only when nobody can do anything, so that all is done by then.
            self.show(next_ms);
        }
    }

    fn hand_in(&mut self) {
        for news in self.news.drain(..) {
            match news {
                News::Answered(socket, connected) => self.desk.answered(socket, connected),
                News::Bytes(socket, bytes) => self.desk.received(socket, &bytes),
                News::Ended(socket) => self.desk.ended(socket),
            }
        }
    }

    fn run_to(&mut self, now_ms: u64) {
        self.show(self.clock.shown_ms(now_ms));
        self.clock.reached(now_ms);
    }

    /// Its clock goes on until it shows this.
    fn show(&mut self, shown_ms: u64) {
        if shown_ms > self.shown_ms {
            let at = self.clock.started + Duration::from_millis(shown_ms);
            self.runtime.block_on(async { tokio::time::sleep_until(at).await });
            self.shown_ms = shown_ms;
        }
    }

    /// What it wants of the network.
    pub(crate) fn take_wishes(&mut self) -> Vec<Wish> {
        self.desk.take_wishes()
    }

    pub(crate) fn has(&self, socket: Socket) -> bool {
        self.desk.has(socket)
    }

    /// Whether its program has come to its end. A panic of it goes on here.
    pub(crate) fn has_ended(&mut self) -> bool {
        if let Some(program) = self.program.take_if(|program| program.is_finished())
            && let Err(error) = self.runtime.block_on(program)
        {
            std::panic::resume_unwind(error.into_panic());
        }
        self.program.is_none()
    }
}

//! The loop: wait for sockets, take replies in, send the next requests, and know which of that
//! counts.

use super::connection::{Connection, Unsent};
use super::error::BenchError;
use super::load::Source;
use super::process::{self, Usage};
use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// When to begin and to stop counting.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// So many operations, all of which count.
    Count(u64),
    /// Until the source has no more.
    All,
    /// What arrives in a span of time, after another one that does not count.
    Time { warmup: Duration, measured: Duration },
}

/// Latencies are kept in nanoseconds with three digits, up to a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;
const LATENCY_DIGITS: u8 = 3;

/// Replies that are read in one go from one connection.
const SCRATCH_BYTES: usize = 256 << 10;

/// Without any reply for so long something is wrong.
const SILENCE: Duration = Duration::from_secs(30);

/// How often silence is looked for.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// What was measured.
pub(super) struct Window {
    pub(super) ops: u64,
    pub(super) errors: u64,
    first_error: i32,
    pub(super) elapsed: Duration,
    /// In nanoseconds.
    pub(super) latencies: Histogram<u64>,
    /// CPU time of the server within the window, and the peak of its memory at the end of it.
    pub(super) server: Option<Usage>,
    /// CPU time of this process within the window.
    pub(super) client_cpu: Duration,
}

impl Window {
    fn new() -> Window {
        let latencies = Histogram::new_with_bounds(1, LATENCY_NS_MAX, LATENCY_DIGITS);
        Window {
            ops: 0,
            errors: 0,
            first_error: 0,
            elapsed: Duration::ZERO,
            latencies: latencies.expect("the bounds are constants that fit"),
            server: None,
            client_cpu: Duration::ZERO,
        }
    }

    pub(super) fn expect_no_error(&self, what: &'static str) -> Result<(), BenchError> {
        if self.errors == 0 {
            return Ok(());
        }
        Err(BenchError::Refused { what, count: self.errors, code: self.first_error })
    }
}

/// Which part of the plan is on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Warmup {
        until: Instant,
        measured: Duration,
    },
    Measured {
        until: Option<Instant>,
    },
    /// No more is sent; what is in flight is waited for.
    Over,
}

struct Drive<'a> {
    inflight: usize,
    pids: &'a [u32],
    source: &'a mut dyn Source,
    phase: Phase,
    /// How many may still be sent.
    left: u64,
    begun: Instant,
    before: (Usage, Option<Usage>),
    window: Window,
    last_reply: Instant,
}

/// Runs a plan on `connections`, with so many requests in flight on each, looking at the processes
/// `pids` when counting begins and ends.
pub(super) fn drive(
    connections: &mut [Connection],
    (inflight, pids): (usize, &[u32]),
    source: &mut dyn Source,
    plan: Plan,
) -> Result<Window, BenchError> {
    let poll = watch(connections).map_err(BenchError::Poll)?;
    let mut drive = Drive::new((inflight, pids), source, plan)?;
    for (index, connection) in connections.iter_mut().enumerate() {
        drive.refill(&poll, index, connection)?;
    }
    let mut scratch = vec![0; SCRATCH_BYTES];
    let mut ready = Vec::with_capacity(connections.len());
    while connections.iter().any(|connection| connection.in_flight() > 0) {
        let timeout = drive.timeout();
        ready.clear();
        match epoll::wait(&poll, spare_capacity(&mut ready), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(BenchError::Poll(error.into())),
        }
        drive.advance(Instant::now())?;
        for event in &ready {
            let (index, connection) = connection_of(event, connections);
            // The event lies packed: its fields are copied, not borrowed.
            let flags = event.flags;
            if flags != epoll::EventFlags::OUT {
                drive.receive(connection, &mut scratch)?;
            }
            drive.refill(&poll, index, connection)?;
        }
    }
    drive.finish()
}

fn watch(connections: &[Connection]) -> io::Result<OwnedFd> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, connection) in connections.iter().enumerate() {
        epoll::add(&poll, connection, event_data(index), epoll::EventFlags::IN)?;
    }
    Ok(poll)
}

fn event_data(index: usize) -> epoll::EventData {
    epoll::EventData::new_u64(u64::try_from(index).expect("an index fits 64 bits"))
}

fn connection_of<'a>(
    event: &epoll::Event,
    connections: &'a mut [Connection],
) -> (usize, &'a mut Connection) {
    let index = usize::try_from(event.data.u64()).expect("it was given as an index");
    (index, connections.get_mut(index).expect("it was given as an index"))
}

impl<'a> Drive<'a> {
    fn new(
        (inflight, pids): (usize, &'a [u32]),
        source: &'a mut dyn Source,
        plan: Plan,
    ) -> Result<Drive<'a>, BenchError> {
        let before = process::look(pids)?;
        let now = Instant::now();
        let (phase, left) = match plan {
            Plan::Count(count) => (Phase::Measured { until: None }, count),
            Plan::All => (Phase::Measured { until: None }, u64::MAX),
            Plan::Time { warmup, measured } => {
                (Phase::Warmup { until: now + warmup, measured }, u64::MAX)
            }
        };
        let (last_reply, window) = (now, Window::new());
        Ok(Drive { inflight, pids, source, phase, left, begun: now, before, window, last_reply })
    }

    fn timeout(&self) -> Timespec {
        let until = match self.phase {
            Phase::Warmup { until, .. } | Phase::Measured { until: Some(until) } => {
                until.saturating_duration_since(Instant::now())
            }
            Phase::Measured { until: None } | Phase::Over => LOOK_AROUND,
        };
        let until = until.min(LOOK_AROUND);
        Timespec {
            tv_sec: i64::try_from(until.as_secs()).expect("it is at most a second"),
            tv_nsec: i64::from(until.subsec_nanos()),
        }
    }

    /// Goes on to the next phase if it is time.
    fn advance(&mut self, now: Instant) -> Result<(), BenchError> {
        if now.saturating_duration_since(self.last_reply) > SILENCE {
            return Err(BenchError::Silent { seconds: SILENCE.as_secs() });
        }
        match self.phase {
            Phase::Warmup { until, measured } if until <= now => {
                self.before = process::look(self.pids)?;
                self.begun = Instant::now();
                self.phase = Phase::Measured { until: Some(self.begun + measured) };
            }
            Phase::Measured { until: Some(until) } if until <= now => self.stop_counting()?,
            Phase::Warmup { .. } | Phase::Measured { .. } | Phase::Over => {} // Not yet.
        }
        Ok(())
    }

    fn stop_counting(&mut self) -> Result<(), BenchError> {
        let (client, server) = process::look(self.pids)?;
        let (client_before, server_before) = self.before;
        self.window.elapsed = self.begun.elapsed();
        self.window.client_cpu = client.cpu.saturating_sub(client_before.cpu);
        self.window.server = server.zip(server_before).map(|(after, before)| Usage {
            cpu: after.cpu.saturating_sub(before.cpu),
            rss_peak_bytes: after.rss_peak_bytes,
        });
        self.phase = Phase::Over;
        Ok(())
    }

    fn receive(
        &mut self,
        connection: &mut Connection,
        scratch: &mut [u8],
    ) -> Result<(), BenchError> {
        let now = Instant::now();
        self.last_reply = now;
        let counts = matches!(self.phase, Phase::Measured { .. });
        let window = &mut self.window;
        connection.receive(scratch, |done| {
            if !counts {
                return;
            }
            window.ops += 1;
            let latency = now.saturating_duration_since(done.sent).as_nanos();
            window.latencies.saturating_record(u64::try_from(latency).unwrap_or(u64::MAX));
            if done.err != 0 {
                window.errors += 1;
                if window.first_error == 0 {
                    window.first_error = done.err;
                }
            }
        })
    }

    /// Sends until enough is in flight, and asks to be woken if the socket takes no more.
    fn refill(
        &mut self,
        poll: &OwnedFd,
        index: usize,
        connection: &mut Connection,
    ) -> Result<(), BenchError> {
        let now = Instant::now();
        let was_full = connection.is_waiting_to_write();
        while self.phase != Phase::Over && self.left > 0 && connection.in_flight() < self.inflight {
            if !connection.queue(now, index, self.source) {
                break;
            }
            self.left -= 1;
        }
        let is_full = connection.flush()? == Unsent::Some;
        if was_full != is_full {
            let out = if is_full { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
            epoll::modify(poll, &*connection, event_data(index), epoll::EventFlags::IN | out)
                .map_err(|error| BenchError::Poll(error.into()))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Window, BenchError> {
        if self.phase != Phase::Over {
            self.stop_counting()?;
        }
        Ok(self.window)
    }
}

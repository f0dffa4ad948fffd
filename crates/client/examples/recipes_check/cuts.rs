//! Barriers, queues, counters, once-only marks and claims, with connections that break.
//!
//! Most operations are done once for each request that they send, with the connection cut just
//! before that request or just after its answer, and once for each moment at which their future
//! may be dropped.

use super::{Bench, Check, Checked};
use bellwether_client::{Client, Connector, Error, ErrorCode};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

mod barriers;
mod flaky;
mod marks;
mod queues;

use flaky::{Cut, Flaky, Plan};

pub(super) const CHECKS: [&[Check]; 3] = [barriers::CHECKS, queues::CHECKS, marks::CHECKS];

/// Fails the check if it does not hold.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+).into());
        }
    };
}
use ensure;

/// How long to look for something that shall not happen.
const A_WHILE: Duration = Duration::from_millis(300);

/// What all checks share.
struct World {
    address: String,
    /// A client whose connection stays.
    steady: Client,
    /// One whose connection is cut according to plan.
    flaky: Client,
    plan: Plan,
}

fn connector() -> Connector {
    Connector::new().session_timeout(Duration::from_secs(10))
}

/// A check that works with both clients.
async fn of(bench: Bench, check: impl AsyncFnOnce(&World, &str) -> Checked) -> Checked {
    let world = World::new(&bench.address).await?;
    check(&world, &bench.path).await?;
    world.flaky.close().await;
    world.steady.close().await;
    Ok(())
}

impl World {
    async fn new(address: &str) -> Result<World, Error> {
        let plan = Plan::default();
        let steady = connector().connect(address).await?;
        let flaky = connector().connect_over(Flaky::new(&plan), address).await?;
        Ok(World { address: address.into(), steady, flaky, plan })
    }

    /// A client of its own.
    async fn client(&self) -> Result<Client, Error> {
        connector().connect(&self.address).await
    }

    /// Runs it with the connection of the flaky client cut at each of the requests that it sends,
    /// before and after, until one run sends no more of them. It is told the number of the run.
    async fn with_every_cut(&self, run: impl AsyncFn(usize) -> Checked) -> Checked {
        let mut number = 0;
        for cut in [Cut::Before, Cut::After] {
            for request in 1.. {
                self.plan.arm(cut, request);
                number += 1;
                let done = run(number).await;
                let was_cut = self.plan.disarm();
                done.map_err(|error| format!("cut {cut:?} request {request}: {error}"))?;
                if !was_cut {
                    ensure!(request > 1, "no connection was cut");
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Waits until it holds.
async fn until(holds: impl AsyncFn() -> Result<bool, Error>) -> Checked {
    let wait = async {
        while !holds().await? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<(), Error>(())
    };
    match tokio::time::timeout(Duration::from_secs(20), wait).await {
        Ok(done) => Ok(done?),
        Err(_) => Err("what was waited for did not come".into()),
    }
}

/// The names below a path, in order; none if it is missing.
async fn names(client: &Client, path: &str) -> Result<Vec<Box<str>>, Error> {
    client.retrying().sync(path).await?;
    match client.retrying().get_children(path).await {
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(Vec::new()),
        Ok(mut names) => {
            names.sort();
            Ok(names)
        }
        known => known,
    }
}

/// A future that is dropped after it was polled so often; `None` if that came first.
struct Polled<F> {
    inner: Pin<Box<F>>,
    left: usize,
}

fn polled<F: Future>(times: usize, inner: F) -> Polled<F> {
    Polled { inner: Box::pin(inner), left: times }
}

impl<F: Future> Future for Polled<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        self.left = self.left.saturating_sub(1);
        match self.inner.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

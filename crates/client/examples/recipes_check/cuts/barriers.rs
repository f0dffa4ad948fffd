//! Barriers and double barriers.

use super::{A_WHILE, Check, Checked, World, ensure, names, of, polled, until};
use bellwether_client::recipes::{Barrier, DoubleBarrier, Lost};
use bellwether_client::{Create, CreateMode};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

pub(super) const CHECKS: &[Check] = &[
    ("barrier lets nobody pass while it is up", |bench| Box::pin(of(bench, barrier))),
    ("barrier is raised and lowered through cuts", |bench| Box::pin(of(bench, cuts))),
    ("double barrier opens for so many", |bench| Box::pin(of(bench, rounds))),
    ("double barrier leaves the dead behind", |bench| Box::pin(of(bench, death))),
    ("double barrier forgets an old ready", |bench| Box::pin(of(bench, leftover))),
    ("double barrier keeps newcomers out", |bench| Box::pin(of(bench, newcomer))),
    ("double barrier through cuts", |bench| Box::pin(of(bench, double_cuts))),
    ("double barrier entered by dropped futures", |bench| Box::pin(of(bench, drops))),
];

async fn barrier(world: &World, path: &str) -> Checked {
    let (here, there) = (Barrier::new(&world.steady, path), Barrier::new(&world.flaky, path));
    here.wait().await?;
    here.raise().await?;
    here.raise().await?;
    ensure!(there.is_raised().await?, "it is not seen");
    ensure!(there.wait_within(A_WHILE).await?.is_none(), "somebody passed");
    let change = async {
        world.steady.set_data(path, b"still", None).await?;
        tokio::time::sleep(A_WHILE).await;
        here.is_raised().await
    };
    let mut passed = std::pin::pin!(there.wait());
    tokio::select! {
        biased;
        _ = &mut passed => return Err("somebody passed when the data changed".into()),
        raised = change => ensure!(raised?, "it was lowered by nobody"),
    }
    here.lower().await?;
    passed.await?;
    here.lower().await?;
    ensure!(!there.is_raised().await?, "it is up again");
    Ok(())
}

async fn cuts(world: &World, path: &str) -> Checked {
    let (here, there) = (Barrier::new(&world.steady, path), Barrier::new(&world.flaky, path));
    let run = async |_| {
        there.raise().await?;
        ensure!(here.is_raised().await?, "it is not up");
        there.lower().await?;
        ensure!(!here.is_raised().await?, "it is not down");
        there.wait().await?;
        Ok(())
    };
    world.with_every_cut(run).await
}

/// Twice, since the second round must not be let in by what the first one left.
async fn rounds(world: &World, path: &str) -> Checked {
    let at = |client| DoubleBarrier::new(client, path).identifier(b"somebody");
    let (a, b, c) = (at(&world.steady), at(&world.flaky), at(&world.steady));
    for round in 1..=2 {
        let early = tokio::join!(a.enter_within(3, A_WHILE), b.enter_within(3, A_WHILE));
        ensure!(early.0?.is_none() && early.1?.is_none(), "round {round}: two were enough");
        until(async || Ok(names(&world.steady, path).await?.is_empty())).await?;
        let (a, b, c) = tokio::try_join!(a.enter(3), b.enter(3), c.enter(3))?;
        a.check()?;
        let one = a.leave_within(A_WHILE).await?;
        ensure!(one.is_none(), "round {round}: one left while two were inside");
        tokio::try_join!(b.leave(), c.leave())?;
        let left = names(&world.steady, path).await?;
        ensure!(left.is_empty(), "round {round}: {left:?} is left over");
    }
    Ok(())
}

async fn death(world: &World, path: &str) -> Checked {
    let mortal = world.client().await?;
    let at = |client| DoubleBarrier::new(client, path);
    let (a, b, c) = (at(&world.steady), at(&world.flaky), at(&mortal));
    let (a, b, c) = tokio::try_join!(a.enter(3), b.enter(3), c.enter(3))?;
    mortal.close().await;
    ensure!(matches!(c.lost().await, Lost::SessionEnded(_)), "it does not know that it is dead");
    let left = tokio::try_join!(a.leave_within(LONG), b.leave_within(LONG))?;
    ensure!(left == (Some(()), Some(())), "they wait for the dead");
    Ok(())
}

/// All died inside, so that nobody removed `ready`.
async fn leftover(world: &World, path: &str) -> Checked {
    let mortal = world.client().await?;
    let (a, b) = (DoubleBarrier::new(&mortal, path), DoubleBarrier::new(&mortal, path));
    let inside = tokio::try_join!(a.enter(2), b.enter(2))?;
    let at = |client| DoubleBarrier::new(client, path);
    mortal.close().await;
    until(async || Ok(names(&world.steady, path).await?.len() == 1)).await?;
    for round in 1..=3 {
        let a = at(&world.steady);
        ensure!(a.enter_within(2, A_WHILE).await?.is_none(), "round {round}: one was enough");
        let b = at(&world.flaky);
        let (a, b) = tokio::try_join!(a.enter(2), b.enter(2))?;
        // The first time they go without a word again, the second time properly.
        if round != 1 {
            tokio::try_join!(a.leave(), b.leave())?;
        }
    }
    drop(inside);
    Ok(())
}

async fn newcomer(world: &World, path: &str) -> Checked {
    let at = |client| DoubleBarrier::new(client, path);
    let (a, b, new) = (at(&world.steady), at(&world.flaky), at(&world.steady));
    let (a, b) = tokio::try_join!(a.enter(2), b.enter(2))?;
    ensure!(new.enter_within(2, A_WHILE).await?.is_none(), "a newcomer came in");
    // One that waits outside does not keep those inside from leaving, and they do not count for it.
    let late = at(&world.flaky);
    let mut outside = std::pin::pin!(new.enter(2));
    let leave = async {
        tokio::time::sleep(A_WHILE).await;
        tokio::try_join!(a.leave(), b.leave())
    };
    tokio::select! {
        biased;
        _ = &mut outside => return Err("a newcomer came in while they left".into()),
        left = leave => drop(left?),
    }
    let (new, late) = tokio::try_join!(outside, late.enter(2))?;
    tokio::try_join!(new.leave(), late.leave())?;
    Ok(())
}

async fn double_cuts(world: &World, path: &str) -> Checked {
    let run = async |number| {
        let path = format!("{path}/{number}");
        let at = |client| DoubleBarrier::new(client, &path);
        let (a, b) = (at(&world.steady), at(&world.flaky));
        let (a, b) = tokio::try_join!(a.enter(2), b.enter(2))?;
        tokio::try_join!(a.leave(), b.leave())?;
        let left = names(&world.steady, &path).await?;
        ensure!(left.is_empty(), "{left:?} is left over");
        Ok(())
    };
    world.with_every_cut(run).await
}

async fn drops(world: &World, path: &str) -> Checked {
    world.steady.create(Create::new(path, CreateMode::Persistent)).await?;
    for times in 1.. {
        let barrier = DoubleBarrier::new(&world.flaky, path);
        let inside = polled(times, barrier.enter(1)).await;
        let is_inside = inside.is_some();
        if let Some(inside) = inside {
            polled(times % 7 + 1, inside?.leave()).await.transpose()?;
        }
        let gone = async || Ok(names(&world.steady, path).await?.iter().all(|n| **n == *"ready"));
        until(gone).await.map_err(|error| format!("dropped after {times} polls: {error}"))?;
        if is_inside && times > 30 {
            return Ok(());
        }
    }
    Ok(())
}

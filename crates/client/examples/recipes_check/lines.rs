//! Locks, leases and offices: who has them, in which order, and what losing them looks like.

use super::{Bench, Check, Checked, Failed, equal, holds, until};
use bellwether_client::recipes::{Election, Lock, Lost, RwLock, Semaphore};
use std::time::Duration;

pub(super) const CHECKS: &[Check] = &[
    ("lock one at a time", |bench| Box::pin(lock_one_at_a_time(bench))),
    ("lock in order", |bench| Box::pin(lock_in_order(bench))),
    ("lock leaves nothing behind", |bench| Box::pin(lock_leaves_nothing_behind(bench))),
    ("lock is lost when deleted", |bench| Box::pin(lock_lost_when_deleted(bench))),
    ("lock is lost with the session", |bench| Box::pin(lock_lost_with_session(bench))),
    ("lock revocation", |bench| Box::pin(lock_revocation(bench))),
    ("rwlock", |bench| Box::pin(rwlock(bench))),
    ("semaphore", |bench| Box::pin(semaphore(bench))),
    ("election", |bench| Box::pin(election(bench))),
];

async fn lock_one_at_a_time(bench: Bench) -> Checked {
    let (one, two) = (bench.client().await?, bench.client().await?);
    let first = Lock::new(&one, &bench.path).data(b"one");
    let second = Lock::new(&two, &bench.path).data(b"two");
    let held = first.acquire().await?;
    equal("the holder's check", held.check(), Ok(held.fence()))?;
    holds("a second try", second.try_acquire().await?.is_none())?;
    let waited = second.acquire_within(Duration::from_millis(50)).await?;
    holds("a second wait", waited.is_none())?;
    let names: Vec<Vec<u8>> = until_contenders(&first, 1).await?;
    equal("contenders", names, vec![b"one".to_vec()])?;
    let fence = held.fence();
    held.release().await?;
    let later = second.try_acquire().await?.ok_or("it is not free")?;
    holds("a later holder has a higher token", later.fence() > fence)?;
    later.release().await?;
    Ok(())
}

async fn until_contenders(lock: &Lock, count: usize) -> Result<Vec<Vec<u8>>, Failed> {
    until(|| async {
        let contenders = lock.contenders().await?;
        let names = contenders.iter().map(|contender| contender.data.to_vec()).collect();
        Ok((contenders.len() == count).then_some(names))
    })
    .await
}

async fn lock_in_order(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let lock = Lock::new(&client, &bench.path);
    let held = lock.acquire().await?;
    let mut waiting = tokio::task::JoinSet::new();
    for place in 0..5 {
        let lock = lock.clone();
        waiting.spawn(async move {
            let held = lock.acquire().await?;
            let fence = held.fence();
            held.release().await?;
            Ok::<_, Failed>((place, fence))
        });
        until_contenders(&Lock::new(&client, &bench.path), place + 2).await?;
    }
    let mut order = vec![held.fence()];
    held.release().await?;
    for place in 0..5 {
        let next = waiting.join_next().await.ok_or("nobody waits")?;
        let (who, fence) = next??;
        equal("whose turn it is", who, place)?;
        order.push(fence);
    }
    holds("tokens grow", order.is_sorted())
}

async fn lock_leaves_nothing_behind(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let lock = Lock::new(&client, &bench.path);
    let held = lock.acquire().await?;
    for wait_ms in 0..8 {
        let limit = Duration::from_millis(wait_ms);
        holds("it is held", lock.acquire_within(limit).await?.is_none())?;
    }
    until_contenders(&lock, 1).await?;
    drop(held);
    until_contenders(&lock, 0).await.map(drop)
}

async fn lock_lost_when_deleted(bench: Bench) -> Checked {
    let (one, two) = (bench.client().await?, bench.client().await?);
    let held = Lock::new(&one, &bench.path).acquire().await?;
    two.delete(&held.path(), None).await?;
    equal("why it is lost", held.lost().await, Lost::Deleted)?;
    equal("its check", held.check(), Err(Lost::Deleted))?;
    held.release().await?;
    Ok(())
}

async fn lock_lost_with_session(bench: Bench) -> Checked {
    let (one, two) = (bench.client().await?, bench.client().await?);
    let held = Lock::new(&one, &bench.path).acquire().await?;
    one.close().await;
    holds("the session has ended", matches!(held.lost().await, Lost::SessionEnded(_)))?;
    let next = Lock::new(&two, &bench.path).acquire().await?;
    next.release().await?;
    Ok(())
}

async fn lock_revocation(bench: Bench) -> Checked {
    let (one, two) = (bench.client().await?, bench.client().await?);
    let lock = Lock::new(&two, &bench.path);
    equal("nobody to ask", lock.request_revocation().await?, false)?;
    let held = Lock::new(&one, &bench.path).data(b"me").acquire().await?;
    equal("asked", lock.request_revocation().await?, true)?;
    held.revocation_requested().await;
    equal("it is held all the same", held.check(), Ok(held.fence()))?;
    held.release().await?;
    Ok(())
}

async fn rwlock(bench: Bench) -> Checked {
    let client = bench.client().await?;
    let lock = RwLock::new(&client, &bench.path);
    let (one, two) = (lock.read().await?, lock.read().await?);
    holds("no writer beside readers", lock.try_write().await?.is_none())?;
    let writer = tokio::spawn({
        let lock = lock.clone();
        async move { lock.write().await }
    });
    until(|| async {
        let count = lock.contenders().await?.len();
        Ok((count == 3).then_some(()))
    })
    .await?;
    holds("no reader before the writer", lock.try_read().await?.is_none())?;
    drop((one, two));
    let written = writer.await??;
    holds("no reader beside the writer", lock.try_read().await?.is_none())?;
    written.release().await?;
    let read = lock.read_within(Duration::from_secs(10)).await?;
    read.ok_or("it cannot be read again")?.release().await?;
    Ok(())
}

async fn semaphore(bench: Bench) -> Checked {
    let client = bench.client().await?;
    holds("none at all is refused", Semaphore::new(&client, &bench.path, 0).is_err())?;
    let leases = Semaphore::new(&client, &bench.path, 2)?;
    let one = leases.acquire().await?;
    let two = leases.acquire().await?;
    holds("there are two", leases.try_acquire().await?.is_none())?;
    let third = tokio::spawn({
        let leases = leases.clone();
        async move { leases.acquire().await }
    });
    two.release().await?;
    let three = third.await??;
    holds("tokens grow", three.fence() > one.fence())?;
    three.release().await?;
    one.release().await?;
    Ok(())
}

async fn election(bench: Bench) -> Checked {
    let (one, two, three) = (bench.client().await?, bench.client().await?, bench.client().await?);
    let mut watch = Election::new(&three, &bench.path).observe().await?;
    equal("nobody leads", watch.next().await?.is_none(), true)?;
    let first = Election::new(&one, &bench.path).campaign(b"one").await?;
    let seen = watch.next().await?.ok_or("nobody leads")?;
    equal("who leads", &*seen.data, b"one".as_slice())?;
    equal("the leader's token", seen.fence, first.check()?)?;
    let election = Election::new(&two, &bench.path);
    let next = tokio::spawn(async move { election.campaign(b"two").await });
    until(|| async {
        let candidates = Election::new(&three, &bench.path).candidates().await?;
        Ok((candidates.len() == 2).then_some(()))
    })
    .await?;
    one.close().await;
    let second = next.await??;
    holds("the first has lost", first.check().is_err())?;
    holds("tokens grow", second.fence() > seen.fence)?;
    let seen = watch.next().await?.ok_or("nobody leads")?;
    equal("who leads then", &*seen.data, b"two".as_slice())?;
    second.resign().await?;
    equal("nobody leads again", watch.next().await?.is_none(), true)
}

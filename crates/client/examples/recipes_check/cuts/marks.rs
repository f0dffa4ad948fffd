//! Counters, once-only marks and claims.

use super::{A_WHILE, Check, Checked, World, ensure, names, of, polled, until};
use bellwether_client::recipes::{Claim, Claimed, Counter, Lost, Once};
use bellwether_client::{Error, Fate};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

pub(super) const CHECKS: &[Check] = &[
    ("counter adds and compares", |bench| Box::pin(of(bench, counter))),
    ("counter shared by many loses nothing", |bench| Box::pin(of(bench, shared))),
    ("counter, exact, through cuts", |bench| Box::pin(of(bench, exact))),
    ("counter owns up to what it cannot know", |bench| Box::pin(of(bench, doubt))),
    ("once has one first", |bench| Box::pin(of(bench, once))),
    ("once is swept", |bench| Box::pin(of(bench, sweep))),
    ("once through cuts", |bench| Box::pin(of(bench, once_cuts))),
    ("claim is one owner's until it is over", |bench| Box::pin(of(bench, claim))),
    ("claim outlives its session", |bench| Box::pin(of(bench, outlives))),
    ("claim through cuts", |bench| Box::pin(of(bench, claim_cuts))),
    ("claim with dropped futures", |bench| Box::pin(of(bench, claim_drops))),
];

async fn counter(world: &World, path: &str) -> Checked {
    let (here, there) = (Counter::new(&world.steady, path), Counter::new(&world.flaky, path));
    ensure!(here.get().await? == 0, "one that is missing is not 0");
    ensure!(here.add(5).await? == 5 && there.exact().add(-7).await? == -2, "it cannot add");
    let (data, _) = world.steady.get_data(path).await?;
    ensure!(data.as_deref() == Some(b"-2"), "kazoo reads decimal text, this is {data:?}");
    ensure!(!here.compare_and_set(5, 9).await?, "it was set though it was not 5");
    ensure!(here.compare_and_set(-2, i64::MAX).await?, "it was not set");
    ensure!(matches!(here.add(1).await, Err(Error::Argument(_))), "it left its range");
    ensure!(here.get().await? == i64::MAX, "it left its range");
    world.steady.set_data(path, b"many", None).await?;
    ensure!(matches!(here.add(1).await, Err(Error::Argument(_))), "it counts words");
    Ok(())
}

async fn shared(world: &World, path: &str) -> Checked {
    let add = async |counter: Counter| {
        for _ in 0..100 {
            counter.add(1).await?;
        }
        Ok::<(), Error>(())
    };
    let at = |client| Counter::new(client, path);
    let (a, b, c) = (at(&world.steady), at(&world.flaky), at(&world.flaky).exact());
    tokio::try_join!(add(a.clone()), add(b), add(c))?;
    ensure!(a.get().await? == 300, "300 additions came to {}", a.get().await?);
    until(async || Ok(names(&world.steady, path).await?.is_empty())).await
}

async fn exact(world: &World, path: &str) -> Checked {
    let (here, there) = (Counter::new(&world.steady, path), Counter::new(&world.flaky, path));
    let there = there.exact();
    let run = async |_| {
        let before = here.get().await?;
        // Another adds the same meanwhile: what is found then looks like what was to be written.
        let (ours, theirs) = tokio::try_join!(there.add(1), here.add(1))?;
        ensure!(ours != theirs, "both came to {ours}");
        let after = here.get().await?;
        ensure!(after == before + 2, "from {before} to {after}");
        ensure!(there.compare_and_set(after, after + 1).await?, "it was not set");
        Ok(())
    };
    world.with_every_cut(run).await
}

async fn doubt(world: &World, path: &str) -> Checked {
    let (here, there) = (Counter::new(&world.steady, path), Counter::new(&world.flaky, path));
    here.add(1).await?;
    let run = async |_| {
        let before = here.get().await?;
        let added = there.add(1).await;
        let after = here.get().await?;
        match added {
            Ok(new) => ensure!(new == before + 1 && after == new, "{before}, {new}, {after}"),
            Err(error) => {
                ensure!(error.fate() == Fate::MayHaveHappened, "{error} says that it did not");
                ensure!(after == before || after == before + 1, "from {before} to {after}");
            }
        }
        Ok(())
    };
    world.with_every_cut(run).await
}

async fn once(world: &World, path: &str) -> Checked {
    let at = |owner| Once::new(&world.steady, path).owner(owner);
    let (a, b, c) = (at("a"), at("b"), Once::new(&world.flaky, path).owner("c"));
    let told = tokio::try_join!(a.claim("race"), b.claim("race"), c.claim("race"))?;
    let firsts = [told.0, told.1, told.2].iter().filter(|told| **told == Claimed::First).count();
    ensure!(firsts == 1, "{firsts} are the first");
    for _ in 0..2 {
        ensure!(a.claim("k").await? == Claimed::First, "the first is told something else");
    }
    let Claimed::Already { by, when_ms, result: None } = c.claim("k").await? else {
        return Err("another is told that it is the first".into());
    };
    ensure!(*by == *"a" && when_ms > 0, "by {by} at {when_ms}");
    ensure!(!c.done("k", b"mine").await? && c.result("k").await?.is_none(), "another has done it");
    ensure!(a.done("k", b"").await? && a.done("k", b"").await?, "it cannot be done");
    ensure!(!a.done("k", b"other").await?, "what stands was replaced");
    ensure!(c.result("k").await?.as_deref() == Some(b""), "there is no result");
    // Whoever comes back after it is done does not do it again.
    let told = a.claim("k").await?;
    ensure!(matches!(told, Claimed::Already { result: Some(_), .. }), "{told:?}");
    ensure!(a.claim("a/b").await.is_err() && a.claim("").await.is_err(), "that is no key");
    ensure!(at("two\nlines").claim("k").await.is_err(), "that is no owner");
    Ok(())
}

async fn sweep(world: &World, path: &str) -> Checked {
    let (here, there) = (Once::new(&world.steady, path), Once::new(&world.flaky, path));
    ensure!(here.sweep(Duration::ZERO).await? == Some(0), "there was something");
    let keys = ["1", "2", "3"];
    let run = async |_| {
        for key in keys {
            ensure!(here.claim(key).await? == Claimed::First, "{key} is known");
        }
        here.done("2", b"x").await?;
        ensure!(there.sweep(LONG).await? == Some(0), "what is young was swept");
        ensure!(there.sweep(Duration::ZERO).await? == Some(3), "not all was swept");
        let left = names(&world.steady, path).await?;
        ensure!(left == ["keys".into()], "{left:?} is left");
        Ok(())
    };
    world.with_every_cut(run).await
}

async fn once_cuts(world: &World, path: &str) -> Checked {
    let there = Once::new(&world.flaky, path);
    let run = async |number: usize| {
        let key = number.to_string();
        ensure!(there.claim(&key).await? == Claimed::First, "not the first");
        ensure!(there.done(&key, b"x").await?, "not done");
        Ok(())
    };
    world.with_every_cut(run).await
}

async fn claim(world: &World, path: &str) -> Checked {
    let at = |client, owner| Claim::new(client, path).owner(owner);
    let (a, b) = (at(&world.steady, "a"), at(&world.flaky, "b"));
    ensure!(a.claimant().await?.is_none(), "it is somebody's");
    let mut first = a.try_take(LONG).await?.ok_or("it is not to be had")?;
    ensure!(b.try_take(LONG).await?.is_none(), "two have it");
    let claimant = b.claimant().await?.ok_or("it is nobody's")?;
    ensure!(*claimant.owner == *"a" && claimant.deadline_ms == first.deadline_ms(), "{claimant:?}");
    // Shortened, and left to itself.
    let short = Duration::from_secs(1);
    ensure!(first.renew(short).await? && first.check().is_ok(), "it is not renewed");
    ensure!(b.take_within(LONG, A_WHILE).await?.is_none(), "it was taken too early");
    let second = b.take(LONG).await?;
    ensure!(first.check() == Err(Lost::TimeOver), "two hold it");
    ensure!(second.check()? > first.fence(), "the fencing tokens do not grow");
    ensure!(!first.renew(LONG).await?, "it was renewed though another has it");
    first.release().await?;
    ensure!(a.try_take(LONG).await?.is_none(), "it was released by one that did not have it");
    let release = async {
        tokio::time::sleep(A_WHILE).await;
        second.release().await
    };
    let (third, released) = tokio::join!(a.take_within(LONG, LONG), release);
    released?;
    let third = third?.ok_or("what was released was not taken")?;
    ensure!(a.try_take(Duration::ZERO).await.is_err(), "it was taken for no time");
    third.release().await?;
    Ok(())
}

async fn outlives(world: &World, path: &str) -> Checked {
    let mortal = world.client().await?;
    let mut old = Claim::new(&mortal, path).owner("a").take(LONG).await?;
    mortal.close().await;
    ensure!(old.check().is_ok(), "it ended with the session");
    let other = Claim::new(&world.steady, path).owner("b");
    ensure!(other.try_take(LONG).await?.is_none(), "it ended with the session");
    let back = Claim::new(&world.flaky, path).owner("a").try_take(LONG).await?;
    let back = back.ok_or("the owner does not get it back")?;
    ensure!(back.check()? > old.fence(), "the fencing tokens do not grow");
    ensure!(matches!(old.renew(LONG).await, Err(Error::SessionEnded(..))), "the dead renew");
    Ok(())
}

async fn claim_cuts(world: &World, path: &str) -> Checked {
    let here = Claim::new(&world.steady, path).owner("a");
    let there = Claim::new(&world.flaky, path).owner("b");
    let run = async |_| {
        let theirs = here.take(LONG).await?;
        ensure!(there.try_take(LONG).await?.is_none(), "two have it");
        let fence = theirs.fence();
        theirs.release().await?;
        let mut ours = there.try_take(LONG).await?.ok_or("it is not to be had")?;
        ensure!(ours.renew(LONG).await? && ours.renew(LONG).await?, "it is not renewed");
        ensure!(here.try_take(LONG).await?.is_none(), "two have it");
        ensure!(ours.check()? > fence, "the fencing tokens do not grow");
        ours.release().await?;
        ensure!(here.claimant().await?.is_none(), "it is not released");
        Ok(())
    };
    world.with_every_cut(run).await
}

/// Whatever was dropped, the owner gets its claim, and can renew and release it.
async fn claim_drops(world: &World, path: &str) -> Checked {
    let here = Claim::new(&world.steady, path).owner("a");
    let there = Claim::new(&world.flaky, path).owner("b");
    for times in 1.. {
        let taken = polled(times, there.try_take(LONG)).await.transpose()?.flatten();
        let was_taken = taken.is_some();
        let mut ours = there.try_take(LONG).await?.ok_or("its owner does not get it")?;
        if let Some(mut old) = taken {
            ensure!(!old.renew(LONG).await?, "the same owner has it twice");
        }
        let renewed = polled(times, ours.renew(A_WHILE)).await.transpose()?;
        let latest = tokio::time::Instant::now() + A_WHILE;
        let lost = tokio::time::timeout_at(latest, ours.lost()).await;
        ensure!(lost.is_ok(), "polled {times} times: believed for too long");
        ensure!(ours.renew(LONG).await?, "polled {times} times: it is lost");
        polled(times, ours.release()).await.transpose()?;
        let other = here.take_within(LONG, A_WHILE).await?;
        if let Some(other) = other {
            other.release().await?;
            if was_taken && renewed.is_some() {
                return Ok(());
            }
        }
    }
    Ok(())
}

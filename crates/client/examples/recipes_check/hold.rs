//! Takes part in a recipe beside another client library: does what standard input says, a word a
//! line, and answers with a line.

use super::{Bench, Checked, told};
use bellwether_client::recipes::{Election, Held, Leadership, Lock, RwLock};
use std::io::BufRead as _;
use std::time::Duration;

/// What one wait may take.
const WAIT: Duration = Duration::from_secs(10);

enum Holding {
    Nothing,
    Held(Held),
    Office(Leadership),
}

pub(super) async fn run(address: &str, kind: &str, path: &str) -> Checked {
    let bench = Bench { address: address.to_owned(), path: path.to_owned() };
    let client = bench.client().await?;
    let mut holding = Holding::Nothing;
    super::say("ready");
    loop {
        let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next());
        let Some(Ok(word)) = line.await.map_err(told)? else { break };
        let held = |held: Option<Held>| held.map_or(Holding::Nothing, Holding::Held);
        let (lock, shared) = (Lock::new(&client, path), RwLock::new(&client, path));
        holding = match (kind, word.as_str()) {
            ("lock", "acquire") => held(lock.acquire_within(WAIT).await.map_err(told)?),
            ("lock", "try") => held(lock.try_acquire().await.map_err(told)?),
            ("rwlock", "read") => held(shared.try_read().await.map_err(told)?),
            ("rwlock", "write") => held(shared.try_write().await.map_err(told)?),
            ("election", "campaign") => {
                let election = Election::new(&client, path);
                let office = election.campaign_within(b"bellwether", WAIT).await.map_err(told)?;
                office.map_or(Holding::Nothing, Holding::Office)
            }
            (_, "release") => release(holding).await?,
            (kind, word) => return Err(format!("{kind} cannot {word}")),
        };
        super::say(match &holding {
            Holding::Nothing => "nothing",
            Holding::Held(_) | Holding::Office(_) => "held",
        });
    }
    client.close().await;
    Ok(())
}

async fn release(holding: Holding) -> Result<Holding, String> {
    match holding {
        Holding::Held(held) => held.release().await.map_err(told)?,
        Holding::Office(office) => office.resign().await.map_err(told)?,
        Holding::Nothing => {}
    }
    Ok(Holding::Nothing)
}

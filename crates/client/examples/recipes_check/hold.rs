//! Takes part in a recipe beside another client library: does what standard input says, a word a
//! line with its argument, and answers with a line.

use super::{Bench, Checked, Failed};
use bellwether_client::Client;
use bellwether_client::recipes::{
    Barrier, Counter, Discovery, DoubleBarrier, Election, Health, Held, Inside, Instance, Item,
    Leadership, Lock, Queue, Registration, Registry, RwLock,
};
use std::io::BufRead as _;
use std::time::Duration;

/// What one wait may take.
const WAIT: Duration = Duration::from_secs(10);

/// What is held from one line to the next.
enum Holding {
    Nothing,
    Held(Held),
    Office(Leadership),
    Item(Item),
    Inside(Inside),
    Registered(Registration),
}

impl Holding {
    fn of<T>(found: Option<T>, holding: fn(T) -> Holding) -> Holding {
        found.map_or(Holding::Nothing, holding)
    }

    fn word(&self) -> String {
        match self {
            Holding::Nothing => "nothing".to_owned(),
            Holding::Held(_) | Holding::Office(_) | Holding::Inside(_) | Holding::Registered(_) => {
                "held".to_owned()
            }
            Holding::Item(item) => format!("item {}", String::from_utf8_lossy(&item.data)),
        }
    }
}

pub(super) async fn run(address: &str, kind: &str, path: &str) -> Checked {
    let bench = Bench { address: address.to_owned(), path: path.to_owned() };
    let client = bench.client().await?;
    let mut holding = Holding::Nothing;
    super::say("ready");
    loop {
        let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next());
        let Some(Ok(line)) = line.await? else { break };
        let (word, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let said = match kind {
            "lock" | "rwlock" | "election" => {
                holding = line_word(&client, path, (kind, word), holding).await?;
                holding.word()
            }
            "queue" => {
                holding = queue_word(&client, path, (word, argument), holding).await?;
                holding.word()
            }
            "registry" => {
                holding = registry_word(&client, path, (word, argument), holding).await?;
                holding.word()
            }
            "discovery" => found(&client, path, (word, argument)).await?,
            "double-barrier" => {
                holding = inside_word(&client, path, (word, argument), holding).await?;
                holding.word()
            }
            _ => free_word(&client, path, (kind, word), argument).await?,
        };
        super::say(&said);
    }
    drop(holding);
    client.close().await;
    Ok(())
}

async fn line_word(
    client: &Client,
    path: &str,
    said: (&str, &str),
    holding: Holding,
) -> Result<Holding, Failed> {
    let (lock, shared) = (Lock::new(client, path), RwLock::new(client, path));
    Ok(match said {
        ("lock", "acquire") => Holding::of(lock.acquire_within(WAIT).await?, Holding::Held),
        ("lock", "try") => Holding::of(lock.try_acquire().await?, Holding::Held),
        ("rwlock", "read") => Holding::of(shared.try_read().await?, Holding::Held),
        ("rwlock", "write") => Holding::of(shared.try_write().await?, Holding::Held),
        ("election", "campaign") => {
            let election = Election::new(client, path);
            let office = election.campaign_within(b"bellwether", WAIT).await?;
            Holding::of(office, Holding::Office)
        }
        (_, "release") => {
            match holding {
                Holding::Held(held) => held.release().await?,
                Holding::Office(office) => office.resign().await?,
                Holding::Nothing
                | Holding::Item(_)
                | Holding::Inside(_)
                | Holding::Registered(_) => {}
            }
            Holding::Nothing
        }
        (kind, word) => return Err(format!("{kind} cannot {word}").into()),
    })
}

async fn queue_word(
    client: &Client,
    path: &str,
    said: (&str, &str),
    holding: Holding,
) -> Result<Holding, Failed> {
    let queue = Queue::new(client, path);
    match (said, holding) {
        (("put", data), holding) => {
            queue.put(data.as_bytes(), 100).await?;
            Ok(holding)
        }
        (("take", _), _) => Ok(Holding::of(queue.take_within(WAIT).await?, Holding::Item)),
        (("try", _), _) => Ok(Holding::of(queue.try_take().await?, Holding::Item)),
        (("done", _), Holding::Item(item)) => {
            item.done().await?;
            Ok(Holding::Nothing)
        }
        (("give-back", _), Holding::Item(item)) => {
            item.give_back().await?;
            Ok(Holding::Nothing)
        }
        ((word, _), _) => Err(format!("a queue cannot {word}").into()),
    }
}

async fn inside_word(
    client: &Client,
    path: &str,
    said: (&str, &str),
    holding: Holding,
) -> Result<Holding, Failed> {
    match (said, holding) {
        (("enter", participants), _) => {
            let barrier = DoubleBarrier::new(client, path);
            let participants = participants.parse()?;
            let inside = barrier.enter_within(participants, WAIT).await?;
            Ok(Holding::of(inside, Holding::Inside))
        }
        (("leave", _), Holding::Inside(inside)) => {
            inside.leave_within(WAIT).await?.ok_or("the others do not leave")?;
            Ok(Holding::Nothing)
        }
        ((word, _), _) => Err(format!("a double barrier cannot {word}").into()),
    }
}

/// The service that is registered and looked for.
const SERVICE: &str = "orders";

async fn registry_word(
    client: &Client,
    path: &str,
    said: (&str, &str),
    holding: Holding,
) -> Result<Holding, Failed> {
    match (said, holding) {
        (("register", id), _) => {
            let instance = Instance::new(id, "127.0.0.1", 8080);
            let registry = Registry::new(client, path);
            Ok(Holding::Registered(registry.register(SERVICE, instance).await?))
        }
        (("weight", weight), Holding::Registered(mut registered)) => {
            let weight = weight.parse()?;
            let metadata = [("zone".to_owned(), "a".to_owned())].into();
            let instance = Instance { weight, metadata, ..registered.instance().clone() };
            registered.update(instance).await?;
            Ok(Holding::Registered(registered))
        }
        (("drain", _), Holding::Registered(mut registered)) => {
            registered.set_health(Health::Draining).await?;
            Ok(Holding::Registered(registered))
        }
        (("unregister", _), Holding::Registered(registered)) => {
            registered.unregister().await?;
            Ok(Holding::Nothing)
        }
        ((word, _), _) => Err(format!("a registry cannot {word}").into()),
    }
}

/// Waits until an instance is listed, or not any more, and says how, and who is chosen.
async fn found(client: &Client, path: &str, said: (&str, &str)) -> Result<String, Failed> {
    let mut discovery: Discovery = Registry::new(client, path).discover(SERVICE).await?;
    let (word, id) = said;
    loop {
        let instances = discovery.changed().await?;
        let found = instances.iter().find(|instance| *instance.id == *id);
        let chosen =
            discovery.choose().map_or("nobody".into(), |chosen| chosen.instance.id.clone());
        match (word, found) {
            ("find", Some(Instance { id, address, port, weight, health, .. })) => {
                return Ok(format!("{id} {address}:{port} {weight} {health:?}, chosen {chosen}"));
            }
            ("miss", None) => return Ok(format!("no {id}, chosen {chosen}")),
            ("find", None) | ("miss", Some(_)) => {} // It may come, or go.
            (word, _) => return Err(format!("a discovery cannot {word}").into()),
        }
    }
}

/// What holds nothing.
async fn free_word(
    client: &Client,
    path: &str,
    said: (&str, &str),
    argument: &str,
) -> Result<String, Failed> {
    let (counter, barrier) = (Counter::new(client, path), Barrier::new(client, path));
    match said {
        ("counter", "add") => {
            let delta = argument.parse()?;
            Ok(counter.add(delta).await?.to_string())
        }
        ("barrier", "raise") => barrier.raise().await.map(|()| "up".into()).map_err(Failed::from),
        ("barrier", "lower") => barrier.lower().await.map(|()| "down".into()).map_err(Failed::from),
        ("barrier", "wait") => {
            let waited = barrier.wait_within(WAIT).await?;
            Ok(if waited.is_some() { "passed" } else { "nothing" }.to_owned())
        }
        (kind, word) => Err(format!("{kind} cannot {word}").into()),
    }
}

//! Services that register, and those that look for them and choose among them. Registrations are
//! stored as Curator's service discovery stores them.
//!
//! What it keeps true: an instance is listed while its session lives and it is registered; what is
//! chosen is one of those that are listed as up and have not failed this process lately. The end of
//! a registration never removes another one of the same id: before its node is known, it is told
//! from others by its session and the time in its data, which no other of this process has, and
//! then by the zxid that created it.

use super::assignment::{Worker, rendezvous, scattered};
use super::exact::{Removal, Whose, delete_this, set_own};
use super::nodes::{child, create_below, names};
use super::subtree::{Snapshot, Subtree, SubtreeWatch};
use crate::{Client, Create, CreateMode, Created, Data, Error, ErrorCode, Stat};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// How long an instance that failed this process is passed over at first; it doubles with each
/// failure in a row.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// The longest it is passed over.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What a service says of its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Choose it.
    #[default]
    Up,
    /// It finishes what it has, and takes nothing new.
    Draining,
    /// It cannot work.
    Down,
}

impl Health {
    const ALL: [Health; 3] = [Health::Up, Health::Draining, Health::Down];

    fn word(self) -> &'static str {
        match self {
            Health::Up => "up",
            Health::Draining => "draining",
            Health::Down => "down",
        }
    }
}

/// An instance of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its id, which no other instance of the service has.
    pub id: Box<str>,
    /// Where it listens: a name or an address.
    pub address: Box<str>,
    /// And the port.
    pub port: u16,
    /// Its share of the work, beside that of the others.
    pub weight: u32,
    /// What it says of its health.
    pub health: Health,
    /// Whatever else it says of itself.
    pub metadata: BTreeMap<String, String>,
    /// When it registered, by its own clock, in milliseconds since 1970; `register` sets it.
    pub registered_ms: i64,
}

impl Instance {
    /// One of weight 1 that is up.
    pub fn new(id: &str, address: &str, port: u16) -> Instance {
        Instance {
            id: id.into(),
            address: address.into(),
            port,
            weight: 1,
            health: Health::Up,
            metadata: BTreeMap::new(),
            registered_ms: 0,
        }
    }

    /// As Curator's `ServiceInstance` has it; what that has no field for is in its payload. There
    /// is none if it would say nothing: whoever looks with `Void` fails on any.
    fn to_json(&self, service: &str) -> String {
        let plain = self.weight == 1 && self.metadata.is_empty() && self.health != Health::Draining;
        let payload = json!({
            "weight": self.weight,
            "health": self.health.word(),
            "metadata": self.metadata,
        });
        json!({
            "name": service,
            "id": &*self.id,
            "address": &*self.address,
            "port": self.port,
            "sslPort": null,
            "payload": if plain { Value::Null } else { payload },
            "registrationTimeUTC": self.registered_ms,
            "serviceType": "DYNAMIC",
            "uriSpec": null,
            "enabled": self.health == Health::Up,
        })
        .to_string()
    }

    /// `None` if these bytes are no instance.
    fn from_json(data: &[u8]) -> Option<Instance> {
        let words: Map<String, Value> = serde_json::from_slice(data).ok()?;
        let text = |name: &str| words.get(name).and_then(Value::as_str);
        let payload = words.get("payload").and_then(Value::as_object);
        let extra = |name: &str| payload.and_then(|payload| payload.get(name));
        let enabled = words.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        let said = extra("health").and_then(Value::as_str);
        let health = Health::ALL.into_iter().find(|health| Some(health.word()) == said);
        let weight = extra("weight").and_then(Value::as_u64).unwrap_or(1);
        let metadata = extra("metadata").and_then(Value::as_object);
        let pair =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        Some(Instance {
            id: text("id")?.into(),
            address: text("address")?.into(),
            port: u16::try_from(words.get("port").and_then(Value::as_u64).unwrap_or(0)).ok()?,
            weight: u32::try_from(weight).unwrap_or(u32::MAX),
            health: health.unwrap_or(if enabled { Health::Up } else { Health::Down }),
            metadata: metadata.into_iter().flatten().filter_map(pair).collect(),
            registered_ms: words.get("registrationTimeUTC").and_then(Value::as_i64).unwrap_or(0),
        })
    }
}

/// Where services are registered.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    base: Box<str>,
}

impl Registry {
    /// The registry below `base`: a node per service, and below it one per instance.
    pub fn new(client: &Client, base: &str) -> Registry {
        Registry { client: client.clone(), base: base.into() }
    }

    fn service(&self, name: &str) -> Result<String, Error> {
        if name.is_empty() || name.contains('/') {
            return Err(Error::Argument("a service's name is the name of a node"));
        }
        Ok(child(&self.base, name))
    }

    /// Registers an instance, until the value is dropped or the session ends. `NODEEXISTS` if
    /// another has this id.
    pub async fn register(&self, service: &str, instance: Instance) -> Result<Registration, Error> {
        if instance.id.is_empty() || instance.id.contains('/') {
            return Err(Error::Argument("an instance's id is the name of a node"));
        }
        let directory = self.service(service)?;
        let path = child(&directory, &instance.id);
        let instance = Instance { registered_ms: now_ms(), ..instance };
        let data: Data = instance.to_json(service).as_bytes().into();
        let mut removal = Removal::new(&self.client, &path, Whose::Says(data.clone()));
        let retrying = self.client.retrying();
        let node = Create::new(&path, CreateMode::Ephemeral).data(&data);
        let create = || retrying.create(node.clone());
        match create_below(&self.client, &directory, create).await {
            Ok(Created { stat, .. }) => {
                removal.created(stat.czxid);
                Ok(Registration { service: service.into(), instance, stat, removal })
            }
            Err(error) => {
                if error.code() == Some(ErrorCode::NodeExists) {
                    removal.forget(); // It is another's, or an earlier registration of this one's.
                }
                Err(error)
            }
        }
    }

    /// The services that have ever had an instance.
    pub async fn services(&self) -> Result<Vec<Box<str>>, Error> {
        let mut services = names(&self.client, &self.base).await?;
        services.sort();
        Ok(services)
    }

    /// Follows the instances of a service.
    pub async fn discover(&self, service: &str) -> Result<Discovery, Error> {
        let path = self.service(service)?;
        let subtree = Subtree::open(&self.client, &path).await?;
        let changes = subtree.watch();
        let local = Arc::new(Mutex::new(BTreeMap::new()));
        let turns = AtomicU64::new(0);
        Ok(Discovery { path: path.into(), subtree, changes, local, turns })
    }
}

/// The time, in milliseconds since 1970: always later than any that was given in this process.
fn now_ms() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let later = |last: i64| now.max(last.saturating_add(1));
    let next = |last: i64| Some(later(last));
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).map_or(now, later)
}

/// An instance that is registered. Dropping it ends that in the background.
#[derive(Debug)]
#[must_use = "dropping it ends the registration"]
pub struct Registration {
    service: Box<str>,
    instance: Instance,
    stat: Stat,
    removal: Removal,
}

impl Registration {
    /// What is registered.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Says something else of its health.
    pub async fn set_health(&mut self, health: Health) -> Result<(), Error> {
        let instance = Instance { health, ..self.instance.clone() };
        self.update(instance).await
    }

    /// Registers something else under the same id, since the same time. If the future is dropped,
    /// it may have.
    pub async fn update(&mut self, instance: Instance) -> Result<(), Error> {
        let Instance { id, registered_ms, .. } = self.instance.clone();
        let instance = Instance { id, registered_ms, ..instance };
        let data = instance.to_json(&self.service);
        let (client, path) = (self.removal.client(), self.removal.path());
        set_own(client, path, data.as_bytes(), &mut self.stat).await?;
        self.instance = instance;
        Ok(())
    }

    /// Ends the registration, and waits until nobody is told of it any more.
    pub async fn unregister(self) -> Result<(), Error> {
        delete_this(self.removal.client(), self.removal.path(), self.stat.czxid).await?;
        self.removal.forget();
        Ok(())
    }
}

/// What this process has seen of an instance.
#[derive(Clone, Debug, Default)]
struct Local {
    /// Uses that have begun and not ended.
    running: Arc<AtomicUsize>,
    failures: u32,
    /// Not chosen before.
    passed_over_until: Option<Instant>,
}

/// Follows the instances of a service and chooses among them.
#[derive(Debug)]
pub struct Discovery {
    path: Box<str>,
    subtree: Subtree,
    changes: SubtreeWatch,
    /// By id. Held only for the time of a look, never across a wait.
    local: Arc<Mutex<BTreeMap<Box<str>, Local>>>,
    turns: AtomicU64,
}

/// An instance in use by this process. Say how it went; dropping it says nothing.
#[derive(Debug)]
pub struct Choice {
    /// The instance.
    pub instance: Instance,
    running: Arc<AtomicUsize>,
    local: Arc<Mutex<BTreeMap<Box<str>, Local>>>,
}

impl Discovery {
    /// All instances, in the order of ids.
    pub fn instances(&self) -> Vec<Instance> {
        instances(&self.subtree.snapshot(), &self.path)
    }

    /// Whoever wants to be told of changes.
    pub fn watch(&self) -> DiscoveryWatch {
        DiscoveryWatch { path: self.path.clone(), changes: self.subtree.watch() }
    }

    /// Waits until the instances are not what the last call told; at once the first time.
    pub async fn changed(&mut self) -> Result<Vec<Instance>, Error> {
        let (_, snapshot) = self.changes.next().await?;
        Ok(instances(&snapshot, &self.path))
    }

    /// Those that are up and have not failed this process lately. If all of them have, all that are
    /// up: a choice that may fail is better than none.
    fn candidates(&self) -> Vec<Instance> {
        let up: Vec<Instance> =
            self.instances().into_iter().filter(|instance| instance.health == Health::Up).collect();
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        local.retain(|id, _| up.iter().any(|instance| instance.id == *id));
        let now = Instant::now();
        let good = |instance: &&Instance| {
            let seen = local.get(&instance.id).and_then(|local| local.passed_over_until);
            seen.is_none_or(|until| until <= now)
        };
        let good: Vec<Instance> = up.iter().filter(good).cloned().collect();
        if good.is_empty() { up } else { good }
    }

    /// The instance for a key: the same one for the same key, as long as it is there, and an even
    /// share of the keys by weight. `None` if there is none.
    pub fn choose_for(&self, key: &[u8]) -> Option<Choice> {
        let candidates = self.candidates();
        let workers: Vec<Worker> =
            candidates.iter().map(|one| Worker::new(&one.id).weight(one.weight)).collect();
        let id = rendezvous(key, &workers)?.id.clone();
        candidates.into_iter().find(|one| one.id == id).map(|one| self.begin(one))
    }

    /// The less busy of two that chance picks, by what this process has running there for their
    /// weight. `None` if there is none.
    pub fn choose(&self) -> Option<Choice> {
        let candidates = self.candidates();
        let count = u64::try_from(candidates.len()).ok().filter(|count| *count > 0)?;
        // Relaxed: the numbers only have to differ.
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let dice = scattered(turn) % (count * count.saturating_sub(1).max(1));
        // The second is one of the others, if there are any.
        let (first, step) = (dice % count, 1 + dice / count);
        let at = |place: u64| candidates.get(usize::try_from(place % count).unwrap_or(0));
        let (first, second) = (at(first)?, at(first + step)?);
        let busy = |instance: &Instance| {
            let local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
            let running =
                local.get(&instance.id).map(|local| local.running.load(Ordering::Relaxed));
            let running = u64::try_from(running.unwrap_or(0)).unwrap_or(u64::MAX);
            running.saturating_mul(1_000_000) / u64::from(instance.weight.max(1))
        };
        let less = if busy(second) < busy(first) { second } else { first };
        Some(self.begin(less.clone()))
    }

    fn begin(&self, instance: Instance) -> Choice {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        let running = local.entry(instance.id.clone()).or_default().running.clone();
        running.fetch_add(1, Ordering::Relaxed);
        Choice { instance, running, local: self.local.clone() }
    }
}

/// Tells the instances of a service whenever they change.
#[derive(Clone, Debug)]
pub struct DiscoveryWatch {
    path: Box<str>,
    changes: SubtreeWatch,
}

impl DiscoveryWatch {
    /// Waits until the instances are not what the last call told; the first time, until there are
    /// any, or there is at least the service.
    pub async fn next(&mut self) -> Result<Vec<Instance>, Error> {
        let (_, snapshot) = self.changes.next().await?;
        Ok(instances(&snapshot, &self.path))
    }
}

impl Choice {
    /// It answered: failures are forgotten.
    pub fn succeeded(self) {
        self.with(|local| {
            local.failures = 0;
            local.passed_over_until = None;
        });
    }

    /// It did not answer: it is passed over for a while, longer with each failure in a row.
    pub fn failed(self) {
        self.with(|local| {
            let pause = PAUSE_FIRST * 2_u32.saturating_pow(local.failures.min(16));
            local.failures = local.failures.saturating_add(1);
            local.passed_over_until = Some(Instant::now() + pause.min(PAUSE_MAX));
        });
    }

    fn with(&self, change: impl FnOnce(&mut Local)) {
        let mut all = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(local) = all.get_mut(&self.instance.id) {
            change(local);
        }
    }
}

impl Drop for Choice {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

fn instances(snapshot: &Snapshot, path: &str) -> Vec<Instance> {
    snapshot.children(path).filter_map(|(_, node)| Instance::from_json(&node.data)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_read_as_it_was_written() {
        let mut instance = Instance::new("a-1", "10.0.0.1", 8080);
        instance.weight = 3;
        instance.health = Health::Draining;
        instance.metadata.insert("zone".into(), "b".into());
        let text = instance.to_json("orders");
        assert_eq!(Instance::from_json(text.as_bytes()), Some(instance));
    }

    #[test]
    fn what_needs_no_payload_has_none() {
        let plain = Instance::new("a-1", "10.0.0.1", 8080);
        let check = |instance: &Instance, has: bool| {
            let text = instance.to_json("orders");
            let words: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(words["payload"].is_object(), has, "{text}");
            assert_eq!(Instance::from_json(text.as_bytes()).as_ref(), Some(instance));
        };
        check(&plain, false);
        check(&Instance { health: Health::Down, ..plain.clone() }, false);
        check(&Instance { health: Health::Draining, ..plain.clone() }, true);
        check(&Instance { weight: 2, ..plain.clone() }, true);
        let metadata = [("zone".to_owned(), "b".to_owned())].into();
        check(&Instance { metadata, ..plain }, true);
    }

    #[test]
    fn what_curator_writes_is_an_instance() {
        let text = br#"{"name":"orders","id":"7","address":"h","port":80,"sslPort":null,
            "payload":null,"registrationTimeUTC":5,"serviceType":"DYNAMIC","uriSpec":null,
            "enabled":true}"#;
        let read = Instance::from_json(text).unwrap();
        assert_eq!((&*read.id, read.port, read.weight, read.health), ("7", 80, 1, Health::Up));
        assert_eq!(Instance::from_json(b"no JSON"), None);
    }
}

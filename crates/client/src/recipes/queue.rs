//! A queue with priorities, in the layout of kazoo's `LockingQueue`: a node for each entry, and an
//! ephemeral one beside it while somebody works on it.
//!
//! What it keeps true: what was put is taken until somebody says that it is done, by one at a
//! time. `Ok` of a put says that it was put once.

use super::backlog::{Backlog, is_long};
use super::exact::{Removal, Whose, delete_this, find, is_mine, multi_once};
use super::guarded::Guarded;
use super::held::{Fence, Lost};
use super::line::ended;
use super::lock::within;
use super::nodes::{child, names, read};
use crate::random::Random;
use crate::{Client, Create, CreateMode, Data, Error, ErrorCode, Multi, OpCode, OpResult};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The highest number that a priority may have; the lowest number is taken first.
const PRIORITY_MAX: u16 = 999;
/// Among how many first entries one is chosen at most, when many take at the same time.
const REACH_MAX: usize = 64;

/// A queue at a path.
///
/// Guarantee: an entry is taken again and again until [`Item::done`]; of all [`Item`] values of one
/// entry, at most one passes [`Item::check`] at a moment, and later ones have higher fencing
/// tokens. Entries are taken lowest priority number first, then in the order of putting; of one
/// priority, those that several reach for at the same time, or that are given back, may change
/// places.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    path: Box<str>,
    entries: Box<str>,
    taken: Box<str>,
    lease: Option<Duration>,
    mind: Arc<Mutex<Mind>>,
}

/// What the clones of a queue share.
#[derive(Debug)]
struct Mind {
    /// While the queue is long.
    backlog: Option<Backlog>,
    /// Among how many first entries one is chosen: only one of all takers can have the first.
    /// Twice as many when another was faster, down to the first alone when none was.
    reach: usize,
    random: Random,
}

impl Mind {
    fn choose_of(&mut self, entries: Vec<Box<str>>, taken: Vec<Box<str>>) -> Option<Box<str>> {
        self.choose(&first(entries, taken, self.reach))
    }

    fn choose_kept(&mut self) -> Option<Box<str>> {
        self.backlog.take_if(|kept| !kept.refresh());
        let first = self.backlog.as_ref()?.first(self.reach);
        self.choose(&first)
    }

    /// This one could not be taken: names that say otherwise are of no use.
    fn doubt(&mut self, name: &str) {
        self.backlog.take_if(|kept| !kept.refresh() || kept.is_free(name));
    }

    fn choose(&mut self, first: &[Box<str>]) -> Option<Box<str>> {
        let count = u64::try_from(first.len()).expect("a length fits 64 bits");
        let index = usize::try_from(self.random.below(count)).expect("it is below a length");
        first.get(index).cloned()
    }

    fn learn(&mut self, was_first: bool) {
        self.reach = match was_first {
            true => (self.reach / 2).max(1),
            false => (self.reach * 2).min(REACH_MAX),
        };
    }
}

impl Queue {
    /// The queue at `path`. The nodes are made when they are missing.
    pub fn new(client: &Client, path: &str) -> Queue {
        let random = Random::new(client.session_id().0.cast_unsigned());
        Queue {
            client: client.clone(),
            path: path.into(),
            entries: child(path, "entries").into(),
            taken: child(path, "taken").into(),
            lease: None,
            mind: Arc::new(Mutex::new(Mind { backlog: None, reach: 1, random })),
        }
    }

    /// The longest time that this one works on an item: after it, the item is given back by itself.
    #[must_use]
    pub fn lease(mut self, longest: Duration) -> Queue {
        self.lease = Some(longest);
        self
    }

    /// Puts an entry into the queue, once.
    pub async fn put(&self, data: &[u8], priority: u16) -> Result<(), Error> {
        self.put_all([data], priority).await
    }

    /// Puts several entries of one priority into the queue, in this order: all of them, once, or
    /// none. Together they have to fit into one request.
    pub async fn put_all<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a [u8]>,
        priority: u16,
    ) -> Result<(), Error> {
        if priority > PRIORITY_MAX {
            return Err(Error::Argument("the priority of an entry is at most 999"));
        }
        let path = child(&self.entries, &format!("entry-{priority:03}-"));
        let mut writes = Multi::new();
        for data in entries {
            let create = Create::new(&path, CreateMode::PersistentSequential);
            writes = writes.create(create.data(data));
        }
        if writes.is_empty() {
            return Ok(());
        }
        // The name of an entry has no room for a mark by which it could be found again, and its
        // data are the caller's. So a node beside the entries tells whether it happened.
        let receipts = child(&self.path, "receipts");
        loop {
            match multi_once(&self.client, &receipts, &writes).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    self.client.retrying().ensure_path(&receipts).await?;
                    self.make_nodes().await?;
                }
                known => return known,
            }
        }
    }

    /// Waits until there is something to do, and takes it. Dropping the future takes nothing.
    pub async fn take(&self) -> Result<Item, Error> {
        loop {
            // Most of the time there is something, and there is nothing to wait for.
            if let Some(item) = self.take_first().await? {
                return Ok(item);
            }
            if let Some(item) = self.take_next_or_wait().await? {
                return Ok(item);
            }
        }
    }

    /// Likewise, for so long; `None` if there was nothing to be had.
    pub async fn take_within(&self, limit: Duration) -> Result<Option<Item>, Error> {
        within(limit, self.take()).await
    }

    /// Takes the next entry that nobody works on; `None` if there is none.
    pub async fn try_take(&self) -> Result<Option<Item>, Error> {
        if let Some(item) = self.take_first().await? {
            return Ok(Some(item));
        }
        // A server that lags behind may not have seen the newest.
        self.client.retrying().sync(&self.entries).await?;
        self.take_first().await
    }

    /// How many entries there are, with those that somebody works on.
    pub async fn len(&self) -> Result<usize, Error> {
        let stat = self.client.retrying().exists(&self.entries).await?;
        let count = stat.map_or(0, |stat| stat.num_children);
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Whether there is no entry, also none that somebody works on.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len().await? == 0)
    }

    async fn make_nodes(&self) -> Result<(), Error> {
        self.client.retrying().ensure_path(&self.entries).await?;
        self.client.retrying().ensure_path(&self.taken).await
    }

    /// Takes an entry that nobody works on; `None` if none was seen.
    async fn take_first(&self) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.take_kept().await? {
                return Ok(Some(item));
            }
            let entries = names(&self.client, &self.entries).await?;
            if entries.is_empty() {
                return Ok(None);
            }
            let taken = names(&self.client, &self.taken).await?;
            if is_long(entries.len(), taken.len()) {
                let backlog = Backlog::open(&self.client, &self.entries, &self.taken).await?;
                self.mind().backlog = Some(backlog);
                continue;
            }
            let Some(name) = self.mind().choose_of(entries, taken) else { return Ok(None) };
            if let Some(item) = self.take_this(&name).await? {
                return Ok(Some(item));
            }
        }
    }

    /// Likewise, of the names that are kept. `None` if there are none or they were of no use.
    async fn take_kept(&self) -> Result<Option<Item>, Error> {
        loop {
            let Some(name) = self.mind().choose_kept() else { return Ok(None) };
            if let Some(item) = self.take_this(&name).await? {
                return Ok(Some(item));
            }
            self.mind().doubt(&name);
        }
    }

    fn mind(&self) -> MutexGuard<'_, Mind> {
        self.mind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches, and takes what is there meanwhile; `None` if it has waited for a change.
    async fn take_next_or_wait(&self) -> Result<Option<Item>, Error> {
        let watched = async |path: &str| self.client.get_children_and_watch(path).await;
        let (entries, entries_changed) = match watched(&self.entries).await {
            Ok((entries, _, watcher)) => (entries, watcher),
            Err(error) => return self.make_or_fail(error).await,
        };
        if entries.is_empty() {
            // Nothing can be given back.
            entries_changed.changed().await.map_err(ended)?;
            return Ok(None);
        }
        let (taken, taken_changed) = match watched(&self.taken).await {
            Ok((taken, _, watcher)) => (taken, watcher),
            Err(error) => return self.make_or_fail(error).await,
        };
        if !first(entries, taken, 1).is_empty() {
            return self.take_first().await;
        }
        tokio::select! {
            biased;
            changed = entries_changed.changed() => changed.map(drop).map_err(ended)?,
            changed = taken_changed.changed() => changed.map(drop).map_err(ended)?,
        }
        Ok(None)
    }

    async fn make_or_fail(&self, error: Error) -> Result<Option<Item>, Error> {
        if error == Error::ConnectionLost {
            return Ok(None);
        }
        if error.code() == Some(ErrorCode::NoNode) {
            return self.make_nodes().await.map(|()| None);
        }
        Err(error)
    }

    /// Takes this entry; `None` if another has it or it is done.
    async fn take_this(&self, name: &str) -> Result<Option<Item>, Error> {
        let Some(priority) = priority(name) else { return Ok(None) };
        let (entry, taken) = (child(&self.entries, name), child(&self.taken, name));
        let words: Data = self.client.unique_name().as_bytes().into();
        let removal = Removal::new(&self.client, &taken, Whose::Says(words.clone()));
        let marked = self.mark_taken(&entry, &taken, &words).await?;
        self.mind().learn(marked.is_some());
        let Some(fence) = marked else {
            removal.forget();
            return Ok(None);
        };
        // Only somebody who did not have it can have deleted it.
        let Some((data, stat)) = read(&self.client, &entry).await? else { return Ok(None) };
        let attempt = u32::try_from(stat.cversion / 2).unwrap_or_default();
        let guarded = Guarded::new(&self.client, taken, fence);
        let hold = Hold::new(removal);
        let lease = self.lease.and_then(|longest| Lease::new(&hold, longest));
        let entry = entry.into();
        Ok(Some(Item { data, priority, attempt, entry, hold, guarded, lease }))
    }

    /// Makes the node that says who works on the entry, if the entry is there. A node below the
    /// entry that comes and goes counts the attempts, without a change of its data.
    async fn mark_taken(
        &self,
        entry: &str,
        taken: &str,
        words: &Data,
    ) -> Result<Option<Fence>, Error> {
        let tally = child(entry, "attempt");
        let multi = Multi::new()
            .create(Create::new(taken, CreateMode::Ephemeral).data(words))
            .create(Create::new(&tally, CreateMode::Persistent))
            .delete(&tally, None);
        let mut doubted = false;
        loop {
            match self.client.multi(multi.clone()).await {
                Ok(results) => {
                    // A server that does not say at which zxid is asked.
                    if let Some(OpResult::CreateStat(_, stat)) = results.first() {
                        return Ok(Some(Fence(stat.czxid)));
                    }
                }
                Err(Error::ConnectionLost) => doubted = true,
                Err(Error::Multi { code: ErrorCode::NodeExists, index: 0, .. }) => {
                    return Ok(None);
                }
                Err(Error::Multi { code: ErrorCode::NoNode, index: 1, .. }) => return Ok(None),
                Err(Error::Multi { code: ErrorCode::NoNode, .. }) => {
                    self.make_nodes().await?;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let found = match doubted {
                true => find(&self.client, taken).await?,
                false => read(&self.client, taken).await?,
            };
            match found {
                Some((data, stat)) if data == *words && is_mine(&self.client, &stat) => {
                    return Ok(Some(Fence(stat.czxid)));
                }
                Some(_) => return Ok(None),
                // It did not happen, or somebody has deleted it.
                None if doubted => doubted = false,
                None => return Ok(None),
            }
        }
    }
}

/// The priority in the name of an entry.
fn priority(name: &str) -> Option<u16> {
    let (priority, number) = name.strip_prefix("entry-")?.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // The number is negative after 2³¹ entries.
    let whole = digits(priority) && digits(number.strip_prefix('-').unwrap_or(number));
    if whole { priority.parse().ok() } else { None }
}

/// The first entries that are not taken, in kazoo's order, that of their names: so many at most.
fn first(mut entries: Vec<Box<str>>, taken: Vec<Box<str>>, count: usize) -> Vec<Box<str>> {
    let taken: BTreeSet<Box<str>> = taken.into_iter().collect();
    entries.sort();
    of_one_priority(entries.iter().filter(|name| !taken.contains(*name)), count)
}

/// The first of these, and those behind it that are no less urgent: so many at most.
pub(super) fn of_one_priority<'a>(
    names: impl Iterator<Item = &'a Box<str>>,
    count: usize,
) -> Vec<Box<str>> {
    let mut entries = names.filter_map(|name| Some((priority(name)?, name))).peekable();
    let Some((first, _)) = entries.peek().copied() else { return Vec::new() };
    let urgent = entries.take_while(|(priority, _)| *priority == first);
    urgent.take(count).map(|(_, name)| name.clone()).collect()
}

/// An entry that is being worked on. Dropping it gives it back in the background.
#[derive(Debug)]
#[must_use = "dropping it gives the entry back"]
pub struct Item {
    /// What was put.
    pub data: Data,
    /// The priority that it was put with.
    pub priority: u16,
    /// How often it was taken, this time included. What kazoo's clients took is not counted.
    pub attempt: u32,
    entry: Box<str>,
    hold: Hold,
    guarded: Guarded,
    lease: Option<Lease>,
}

/// The node that says who works on an entry. Whoever takes it out ends it, by removing the node or
/// the entry with it: the holder, or the end of the lease. Whoever came second would remove the
/// node of the next holder.
#[derive(Clone, Debug)]
struct Hold(Arc<Mutex<Option<Removal>>>);

impl Hold {
    fn new(removal: Removal) -> Hold {
        Hold(Arc::new(Mutex::new(Some(removal))))
    }

    fn end(&self) -> Option<Removal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The end of the time that an item was taken for.
#[derive(Debug)]
struct Lease {
    until: Instant,
    timer: JoinHandle<()>,
}

impl Lease {
    /// `None` if the time cannot come.
    fn new(hold: &Hold, longest: Duration) -> Option<Lease> {
        let until = Instant::now().checked_add(longest)?;
        let hold = hold.clone();
        let timer = tokio::spawn(async move {
            tokio::time::sleep_until(until).await;
            drop(hold.end());
        });
        Some(Lease { until, timer })
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        if let Some(lease) = &self.lease {
            lease.timer.abort();
        }
        drop(self.hold.end());
    }
}

impl Item {
    /// The fencing token.
    pub fn fence(&self) -> Fence {
        self.guarded.fence()
    }

    /// The name of the entry.
    pub fn name(&self) -> &str {
        self.entry.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is this one's for certain at this moment; the fencing token if so. It asks no
    /// server: call it before every step that nobody else may do.
    pub fn check(&self) -> Result<Fence, Lost> {
        let over = self.lease.as_ref().is_some_and(|lease| lease.until <= Instant::now());
        if over { Err(Lost::TimeOver) } else { self.guarded.check() }
    }

    /// Waits until it is not this one's for certain any more.
    pub async fn lost(&self) -> Lost {
        let over = async {
            match &self.lease {
                Some(lease) => tokio::time::sleep_until(lease.until).await,
                None => std::future::pending().await,
            }
        };
        let lost = tokio::select! {
            biased;
            lost = self.guarded.lost() => lost,
            () = over => Lost::TimeOver,
        };
        // When the time is over, the node is gone too.
        self.check().err().unwrap_or(lost)
    }

    /// It is done: the entry is removed. `NONODE` says that it was not this one's any more, and may
    /// be done again by another.
    ///
    /// Only if somebody deletes the holder's node by hand, and another takes the entry before this
    /// one hears of it, both may be done with it.
    pub async fn done(self) -> Result<(), Error> {
        self.guarded.stop();
        if self.guarded.check() == Err(Lost::Deleted) {
            return Err(self.not_mine());
        }
        let Some(removal) = self.hold.end() else { return Err(self.not_mine()) };
        let multi = Multi::new().delete(removal.path(), None).delete(&self.entry, None);
        loop {
            match removal.client().multi(multi.clone()).await {
                Ok(_) => break,
                Err(Error::ConnectionLost) => {}
                Err(error) => return Err(error),
            }
            match find(removal.client(), removal.path()).await? {
                Some((_, stat)) if stat.czxid == self.fence().0 => {}
                // Whatever became of its node: the entry is gone only if it is done.
                Some(_) | None => match read(removal.client(), &self.entry).await? {
                    Some(_) => return Err(self.not_mine()),
                    None => break,
                },
            }
        }
        removal.forget();
        Ok(())
    }

    /// Gives it back, and waits until another can have it.
    pub async fn give_back(self) -> Result<(), Error> {
        self.guarded.stop();
        let Some(removal) = self.hold.end() else { return Ok(()) };
        delete_this(removal.client(), removal.path(), self.fence().0).await?;
        removal.forget();
        Ok(())
    }

    fn not_mine(&self) -> Error {
        Error::Refused { op: OpCode::Multi, path: self.entry.clone(), code: ErrorCode::NoNode }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<Box<str>> {
        text.split_whitespace().map(Box::from).collect()
    }

    #[test]
    fn the_lowest_priority_number_comes_first_then_the_order_of_putting() {
        let entries = "entry-100-0000000003 entry-100-0000000001 entry-005-0000000009 \
                       entry-100-0000000002 entry-005-0000000004";
        let urgent = names("entry-005-0000000004 entry-005-0000000009");
        assert_eq!(first(names(entries), Vec::new(), 1), names("entry-005-0000000004"));
        assert_eq!(first(names(entries), Vec::new(), 9), urgent);
        let rest = names("entry-100-0000000001 entry-100-0000000002");
        assert_eq!(first(names(entries), urgent, 2), rest);
    }

    #[test]
    fn what_is_taken_or_no_entry_is_left_out() {
        let entries = names("entry-100-0000000001 entry-100-0000000002 note entry-x-0000000003");
        let taken = names("entry-100-0000000001 entry-100-0000000007");
        assert_eq!(first(entries, taken, 9), names("entry-100-0000000002"));
    }

    #[test]
    fn a_name_gives_the_priority() {
        assert_eq!(priority("entry-007-0000000001"), Some(7));
        assert_eq!(priority("entry-007--2147483648"), Some(7));
        assert_eq!(priority("entry-007-"), None);
        assert_eq!(priority("entry--0000000001"), None);
        assert_eq!(priority("entry-100000-0000000001"), None);
    }
}

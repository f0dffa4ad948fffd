//! A double barrier: so many begin together, and end together, in the layout of kazoo's
//! `DoubleBarrier`. Participants are ephemeral children with unique names, and `ready` says that
//! the barrier has been opened.
//!
//! What it keeps true: nobody gets in before so many were there at one moment, and nobody is told
//! that all have left while the node of one that got in is still there.
//!
//! How rounds are told apart. The barrier was opened at a zxid, its *opening*: that at which
//! `ready` was created, or a later one that its data name. A participant whose node is older got in
//! with it; one whose node is newer waits for another opening.
//!
//! - `ready` is removed by the last of those that got in, in one multi with its own node. So a
//!   participant that missed the event finds `ready` still there: none of its round can have left
//!   as the last before it.
//! - If the last one died, `ready` is left over. It lets nobody in, since it is older than they
//!   are. They open it once more by writing a later opening into it, once none of the old ones is
//!   there; an old one never comes back.
//! - That opening is the newest of the participants that were counted *before* `ready` was read
//!   and found to have the version that is set. If the write reaches another `ready`, that one was
//!   created after the count: its own zxid is later, counts, and nothing has changed.

use super::exact::{Removal, Whose};
use super::guarded::Guarded;
use super::held::{Fence, Lost};
use super::line::ended;
use super::lock::within;
use super::nodes::{child, create_below, delete, read};
use crate::{Client, Create, CreateMode, Data, Error, ErrorCode, EventType, Multi, OpCode, Stat};
use crate::{OneshotWatcher, Zxid};
use std::collections::BTreeMap;
use std::time::Duration;

/// The child that says that the barrier has been opened.
const READY: &str = "ready";

/// A double barrier at a path.
#[derive(Clone, Debug)]
pub struct DoubleBarrier {
    client: Client,
    path: Box<str>,
    identifier: Data,
}

impl DoubleBarrier {
    /// The double barrier at `path`, whose participants are below it. The node is made when it is
    /// missing.
    pub fn new(client: &Client, path: &str) -> DoubleBarrier {
        DoubleBarrier { client: client.clone(), path: path.into(), identifier: Data::default() }
    }

    /// What the participant says of itself: the data of its node.
    #[must_use]
    pub fn identifier(mut self, identifier: &[u8]) -> DoubleBarrier {
        self.identifier = identifier.into();
        self
    }

    /// Comes to the barrier, and waits until `participants` are there, this one among them. All
    /// have to name the same number. Dropping the future goes away again.
    ///
    /// One that comes while others are inside waits until they have left, and then for the next
    /// opening.
    pub async fn enter(&self, participants: usize) -> Result<Inside, Error> {
        let me = self.come().await?;
        let mut ages = Ages::default();
        loop {
            let names = self.names().await?;
            if !names.iter().any(|name| **name == *me.name) {
                return Err(me.gone());
            }
            let (ready, watcher) = self.ready().await?;
            match ready {
                Some(ready) if me.czxid < ready.opening => return Ok(me.inside(ready.opening)),
                Some(ready) => {
                    let others = ages.of(self, &names).await?;
                    let old = others.iter().find(|(_, czxid)| **czxid < ready.opening);
                    if let Some((old, _)) = old {
                        self.until_gone_or(old, watcher).await?;
                    } else if others.len() >= participants {
                        let newest = others.values().copied().max().unwrap_or(me.czxid);
                        self.open_again(&ready, newest).await?;
                    } else {
                        watcher.changed().await.map_err(ended)?;
                    }
                }
                // Counted after `ready` was found missing: nobody is left of an earlier round.
                None if self.names().await?.len() >= participants => self.open().await?,
                None => {
                    let event = watcher.changed().await.map_err(ended)?;
                    // A participant of kazoo's removes it when it leaves: it may be gone again.
                    if event.event == EventType::NodeCreated && self.ready().await?.0.is_none() {
                        return Ok(me.inside(Zxid(i64::MAX)));
                    }
                }
            }
        }
    }

    /// Likewise, for so long; `None` if the barrier was not opened in time.
    pub async fn enter_within(
        &self,
        participants: usize,
        limit: Duration,
    ) -> Result<Option<Inside>, Error> {
        within(limit, self.enter(participants)).await
    }

    /// The names of the participants that are there.
    pub async fn participants(&self) -> Result<Vec<Box<str>>, Error> {
        match self.names().await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(Vec::new()),
            known => known,
        }
    }

    async fn come(&self) -> Result<Participant, Error> {
        let name = self.client.unique_name();
        let path = child(&self.path, &name);
        let removal = Removal::new(&self.client, &path, Whose::Unique);
        let retrying = self.client.retrying();
        let node = Create::new(&path, CreateMode::Ephemeral).data(&self.identifier);
        let create = || retrying.create(node.clone());
        let czxid = create_below(&self.client, &self.path, create).await?.stat.czxid;
        Ok(Participant { barrier: self.clone(), name: name.into(), czxid, removal })
    }

    /// Everybody's names, without `ready`.
    async fn names(&self) -> Result<Vec<Box<str>>, Error> {
        let mut names = self.client.retrying().get_children(&self.path).await?;
        names.retain(|name| **name != *READY);
        names.sort();
        Ok(names)
    }

    /// What `ready` says, and a watch on it that was set before.
    async fn ready(&self) -> Result<(Option<Ready>, OneshotWatcher), Error> {
        let path = child(&self.path, READY);
        loop {
            match self.client.exists_and_watch(&path).await {
                Ok((None, watcher)) => return Ok((None, watcher)),
                Ok((Some(_), watcher)) => {
                    if let Some((data, stat)) = read(&self.client, &path).await? {
                        return Ok((Some(Ready::of(&data, &stat)), watcher));
                    }
                }
                Err(Error::ConnectionLost) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn open(&self) -> Result<(), Error> {
        let create = Create::new(&child(&self.path, READY), CreateMode::Persistent).data(b"");
        match self.client.create(create).await {
            // Whether it was this one, and whether it is there, is seen by looking again.
            Ok(_) | Err(Error::ConnectionLost) => Ok(()),
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn open_again(&self, ready: &Ready, opening: Zxid) -> Result<(), Error> {
        let path = child(&self.path, READY);
        let opening = opening.0.saturating_add(1).to_string();
        match self.client.set_data(&path, opening.as_bytes(), Some(ready.version)).await {
            // As above.
            Ok(_) | Err(Error::ConnectionLost) => Ok(()),
            Err(error) => match error.code() {
                Some(ErrorCode::BadVersion | ErrorCode::NoNode) => Ok(()),
                Some(_) | None => Err(error),
            },
        }
    }

    /// Waits until that participant is gone.
    async fn until_gone(&self, name: &str) -> Result<(), Error> {
        match self.client.exists_and_watch(&child(&self.path, name)).await {
            Ok((Some(_), watcher)) => watcher.changed().await.map(drop).map_err(ended),
            Ok((None, _)) | Err(Error::ConnectionLost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn until_gone_or(&self, name: &str, ready: OneshotWatcher) -> Result<(), Error> {
        tokio::select! {
            biased;
            gone = self.until_gone(name) => gone,
            changed = ready.changed() => changed.map(drop).map_err(ended),
        }
    }
}

/// The node that says that the barrier has been opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ready {
    /// Who is older got in.
    opening: Zxid,
    version: i32,
}

impl Ready {
    fn of(data: &[u8], stat: &Stat) -> Ready {
        let later = std::str::from_utf8(data).ok().and_then(|text| text.parse().ok());
        let opening = later.map_or(stat.czxid, |later| stat.czxid.max(Zxid(later)));
        Ready { opening, version: stat.version }
    }
}

/// When participants came, each read once: a name is never given again.
#[derive(Debug, Default)]
struct Ages {
    known: BTreeMap<Box<str>, Zxid>,
}

impl Ages {
    /// The ages of those that are still there.
    async fn of(
        &mut self,
        barrier: &DoubleBarrier,
        names: &[Box<str>],
    ) -> Result<BTreeMap<Box<str>, Zxid>, Error> {
        let mut found = BTreeMap::new();
        for name in names {
            let known = match self.known.get(name) {
                Some(czxid) => Some(*czxid),
                None => {
                    let path = child(&barrier.path, name);
                    barrier.client.retrying().exists(&path).await?.map(|stat| stat.czxid)
                }
            };
            found.extend(known.map(|czxid| (name.clone(), czxid)));
        }
        self.known.clone_from(&found);
        Ok(found)
    }
}

/// Someone at the barrier. Dropping it goes away.
#[derive(Debug)]
struct Participant {
    barrier: DoubleBarrier,
    name: Box<str>,
    czxid: Zxid,
    removal: Removal,
}

impl Participant {
    fn gone(&self) -> Error {
        let path = self.removal.path().into();
        Error::Refused { op: OpCode::GetData, path, code: ErrorCode::NoNode }
    }

    fn inside(self, opening: Zxid) -> Inside {
        let path = self.removal.path().to_owned();
        let guarded = Guarded::new(&self.barrier.client, path, Fence(self.czxid));
        Inside { participant: self, opening, guarded }
    }
}

/// The state of one that got in. Dropping it leaves in the background and waits for nobody.
#[derive(Debug)]
#[must_use = "dropping it leaves the barrier"]
pub struct Inside {
    participant: Participant,
    /// Who is older got in too.
    opening: Zxid,
    guarded: Guarded,
}

/// What a leaver does next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Nobody is left.
    Done,
    /// Removes its own node and `ready`: it is the last.
    Close,
    /// Removes its own node: another stays until the end.
    Leave,
    /// Waits until that one has left.
    After(Box<str>),
}

/// The first by name stays until the others have left, as in kazoo's: so each departure wakes one
/// process, and only the last one all.
fn step(inside: &[Box<str>], me: &str) -> Step {
    let here = inside.iter().any(|name| **name == *me);
    match inside {
        [] => Step::Done,
        [one] if **one == *me => Step::Close,
        [first, .., last] if **first == *me => Step::After(last.clone()),
        [_, ..] if here => Step::Leave,
        [first, ..] => Step::After(first.clone()),
    }
}

impl Inside {
    /// Whether this one's node is there for certain, so that the others wait for it; a fencing
    /// token if so. It asks no server.
    pub fn check(&self) -> Result<Fence, Lost> {
        self.guarded.check()
    }

    /// Waits until it is not.
    pub async fn lost(&self) -> Lost {
        self.guarded.lost().await
    }

    /// Leaves, and waits until all that got in have left or died. Dropping the future leaves too.
    pub async fn leave(self) -> Result<(), Error> {
        self.guarded.stop();
        let barrier = &self.participant.barrier;
        let mut ages = Ages::default();
        loop {
            let names = barrier.participants().await?;
            let mut inside = ages.of(barrier, &names).await?;
            inside.retain(|_, czxid| *czxid < self.opening);
            let inside: Vec<Box<str>> = inside.into_keys().collect();
            match step(&inside, &self.participant.name) {
                Step::Done => return Ok(()),
                Step::Close => self.close().await?,
                Step::Leave => self.remove().await?,
                Step::After(name) => barrier.until_gone(&name).await?,
            }
        }
    }

    /// Likewise, for so long; `None` if not all have left in time. This one has left in any case.
    pub async fn leave_within(self, limit: Duration) -> Result<Option<()>, Error> {
        within(limit, self.leave()).await
    }

    /// Removes `ready` and this one's node. If it happened and that is not known, the next attempt
    /// is refused as a whole: a `ready` of the next round stays.
    async fn close(&self) -> Result<(), Error> {
        let barrier = &self.participant.barrier;
        let ready = child(&barrier.path, READY);
        let multi = Multi::new().delete(self.participant.removal.path(), None).delete(&ready, None);
        match barrier.client.multi(multi).await {
            Ok(_) | Err(Error::ConnectionLost) => Ok(()),
            Err(Error::Multi { code: ErrorCode::NoNode, index: 0, .. }) => Ok(()),
            // A participant of kazoo's has removed it.
            Err(Error::Multi { code: ErrorCode::NoNode, .. }) => self.remove().await,
            Err(error) => Err(error),
        }
    }

    async fn remove(&self) -> Result<(), Error> {
        delete(&self.participant.barrier.client, self.participant.removal.path()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(inside: &[&str], me: &str, expected: &Step) {
        let inside: Vec<Box<str>> = inside.iter().copied().map(Box::from).collect();
        assert_eq!(step(&inside, me), *expected);
    }

    #[test]
    fn the_first_by_name_leaves_last_and_takes_ready_along() {
        check(&["a", "b", "c"], "a", &Step::After("c".into()));
        check(&["a", "b", "c"], "b", &Step::Leave);
        check(&["a", "c"], "b", &Step::After("a".into()));
        check(&["a"], "a", &Step::Close);
        check(&[], "a", &Step::Done);
    }

    #[test]
    fn whoever_has_left_waits_for_the_others_even_if_the_first_has_died() {
        check(&["b", "c"], "a", &Step::After("b".into()));
        check(&["c"], "b", &Step::After("c".into()));
    }

    #[test]
    fn an_opening_is_never_earlier_than_its_node() {
        let stat = Stat { czxid: Zxid(7), version: 3, ..Stat::default() };
        let opening = |data: &[u8]| Ready::of(data, &stat).opening;
        assert_eq!(opening(b""), Zxid(7));
        assert_eq!(opening(b"9"), Zxid(9));
        assert_eq!(opening(b"5"), Zxid(7));
        assert_eq!(opening(b"who knows"), Zxid(7));
    }
}

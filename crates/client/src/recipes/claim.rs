//! A claim on a unit of work, for a time, that outlives sessions: its owner may crash, come back
//! and go on, and is followed by another when its time is over.
//!
//! What it keeps true:
//! - The node is never deleted, so that a version is never given twice: a write that names one
//!   changes what its writer has seen, or nothing.
//! - Each taking has a word of its own in the data. So whoever reads after a lost connection, or a
//!   future that was dropped, knows whether it was its write that happened.
//! - Times are the leader's, and are taken from the stats of writes: the claim's own, and that of a
//!   node beside it that somebody writes who wants to know how late it is. A local clock is only
//!   compared with itself, and started before the write whose time it stands for.

use super::exact::find;
use super::held::{Fence, Lost};
use super::line::ended;
use super::lock::within;
use super::nodes::{child, read};
use crate::{Client, Error, ErrorCode, Stat};
use std::time::Duration;
use tokio::time::Instant;

/// A claim at a path.
///
/// Guarantee: of all [`Tenure`] values of one path, at most one passes [`Tenure::check`] at a
/// moment, and later ones have higher fencing tokens. That holds as long as the clocks of the
/// servers that lead one after the other are right to a tenth of the time that was claimed.
#[derive(Clone, Debug)]
pub struct Claim {
    client: Client,
    path: Box<str>,
    owner: Box<str>,
}

/// Whose a claim is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// The owner's name.
    pub owner: Box<str>,
    /// Until when, by the leader's clock, in milliseconds since 1970. It may be over.
    pub deadline_ms: i64,
}

/// What the node says. A node without data says that nobody has the claim.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    owner: Box<str>,
    /// The word of this taking.
    word: Box<str>,
    length_ms: i64,
}

impl Record {
    fn parse(data: &[u8]) -> Result<Option<Record>, Error> {
        if data.is_empty() {
            return Ok(None);
        }
        let record = std::str::from_utf8(data).ok().and_then(|text| {
            let mut lines = text.lines();
            let (owner, word) = (lines.next()?.into(), lines.next()?.into());
            Some(Record { owner, word, length_ms: lines.next()?.parse().ok()? })
        });
        let strange = Error::Argument("the node of the claim holds something else");
        record.map(Some).ok_or(strange)
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.owner, self.word, self.length_ms)
    }

    fn deadline_ms(&self, stat: &Stat) -> i64 {
        stat.mtime.saturating_add(self.length_ms)
    }
}

/// What an attempt to take it came to.
enum Taken {
    Mine(Tenure),
    /// Another's, as of this version of the node, and for so long.
    Theirs(i32, Duration),
}

impl Claim {
    /// The claim whose node is the one at `path`, which is made when it is missing, for an owner
    /// whose name nobody else has.
    pub fn new(client: &Client, path: &str) -> Claim {
        Claim { client: client.clone(), path: path.into(), owner: client.unique_name().into() }
    }

    /// For this owner. Whoever comes back and names itself as before gets its claim back at once;
    /// what it held before is no longer good. Two that name themselves alike take it from each
    /// other.
    #[must_use]
    pub fn owner(mut self, owner: &str) -> Claim {
        self.owner = owner.into();
        self
    }

    /// Takes it for so long if it is free, if its time is over or if it is this owner's. If the
    /// future is dropped, it may be this owner's for that time.
    pub async fn try_take(&self, length: Duration) -> Result<Option<Tenure>, Error> {
        match self.attempt(length).await? {
            Taken::Mine(tenure) => Ok(Some(tenure)),
            Taken::Theirs(..) => Ok(None),
        }
    }

    /// Waits until it can be had, and takes it for so long.
    pub async fn take(&self, length: Duration) -> Result<Tenure, Error> {
        loop {
            let (version, left) = match self.attempt(length).await? {
                Taken::Mine(tenure) => return Ok(tenure),
                Taken::Theirs(version, left) => (version, left),
            };
            match self.client.get_data_and_watch(&self.path).await {
                Ok((_, stat, watcher)) if stat.version == version => tokio::select! {
                    biased;
                    changed = watcher.changed() => drop(changed.map_err(ended)?),
                    () = tokio::time::sleep(left) => {}
                },
                Ok(_) | Err(Error::ConnectionLost) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Likewise, waiting at most `limit`; `None` if it was not to be had.
    pub async fn take_within(
        &self,
        length: Duration,
        limit: Duration,
    ) -> Result<Option<Tenure>, Error> {
        within(limit, self.take(length)).await
    }

    /// Whose it is, or was when its time was over; `None` if nobody has taken it since it was
    /// released.
    pub async fn claimant(&self) -> Result<Option<Claimant>, Error> {
        let Some((data, stat)) = read(&self.client, &self.path).await? else { return Ok(None) };
        let record = Record::parse(&data)?;
        Ok(record.map(|record| {
            let deadline_ms = record.deadline_ms(&stat);
            Claimant { owner: record.owner, deadline_ms }
        }))
    }

    async fn attempt(&self, length: Duration) -> Result<Taken, Error> {
        if self.owner.is_empty() || self.owner.lines().count() != 1 {
            return Err(Error::Argument("an owner is a name of one line"));
        }
        loop {
            let Some((data, stat)) = read(&self.client, &self.path).await? else {
                self.client.retrying().ensure_path(&self.path).await?;
                continue;
            };
            let stat = match Record::parse(&data)? {
                Some(record) if record.owner != self.owner => {
                    // Read again, since after the write it is not older than the time.
                    let now_ms = self.now_ms().await?;
                    match self.is_over(now_ms).await? {
                        Ok(stat) => stat,
                        Err(theirs) => return Ok(theirs),
                    }
                }
                Some(_) | None => stat,
            };
            if let Some(tenure) = self.write(length, &stat).await? {
                return Ok(Taken::Mine(tenure));
            }
        }
    }

    /// The node, if nobody's time runs at this moment of the leader's clock.
    async fn is_over(&self, now_ms: i64) -> Result<Result<Stat, Taken>, Error> {
        let (data, stat) = match read(&self.client, &self.path).await? {
            Some(found) => found,
            // It was deleted by hand. No version matches, so that it is looked at again.
            None => return Ok(Ok(Stat { version: i32::MAX, ..Stat::default() })),
        };
        let deadline_ms = match Record::parse(&data)? {
            Some(record) if record.owner != self.owner => record.deadline_ms(&stat),
            Some(_) | None => return Ok(Ok(stat)),
        };
        Ok(match u64::try_from(deadline_ms.saturating_sub(now_ms)) {
            Ok(left_ms @ 1..) => Err(Taken::Theirs(stat.version, Duration::from_millis(left_ms))),
            Ok(_) | Err(_) => Ok(stat),
        })
    }

    /// Takes it if the node is still as it was; `None` if it was not.
    async fn write(&self, length: Duration, old: &Stat) -> Result<Option<Tenure>, Error> {
        let record = Record {
            owner: self.owner.clone(),
            word: self.client.unique_name().into(),
            length_ms: milliseconds(length)?,
        };
        let asked = Instant::now();
        let text = record.text();
        let set = self.client.set_data(&self.path, text.as_bytes(), Some(old.version)).await;
        let stat = match set {
            Ok(stat) => stat,
            Err(Error::ConnectionLost) => match find(&self.client, &self.path).await? {
                Some((data, stat)) if *data == *text.as_bytes() => stat,
                Some(_) | None => return Ok(None),
            },
            Err(error) => match error.code() {
                Some(ErrorCode::BadVersion | ErrorCode::NoNode) => return Ok(None),
                Some(_) | None => return Err(error),
            },
        };
        Ok(Some(Tenure {
            claim: self.clone(),
            fence: Fence(stat.mzxid),
            version: stat.version,
            deadline_ms: record.deadline_ms(&stat),
            certain_until: asked + certain(length),
            record,
        }))
    }

    /// How late it is by the leader's clock: when a node was written that is there for this.
    async fn now_ms(&self) -> Result<i64, Error> {
        let clock = child(&self.path, "clock");
        loop {
            match self.client.set_data(&clock, b"", None).await {
                Ok(stat) => return Ok(stat.mtime),
                Err(Error::ConnectionLost) => {}
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    self.client.retrying().ensure_path(&clock).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn milliseconds(length: Duration) -> Result<i64, Error> {
    match i64::try_from(length.as_millis()) {
        Ok(length_ms @ 1..) => Ok(length_ms),
        Ok(_) | Err(_) => Err(Error::Argument("a claim is for at least one millisecond")),
    }
}

/// How long of it the owner trusts in. The rest is for clocks of different speeds.
fn certain(length: Duration) -> Duration {
    length / 10 * 9
}

/// A claim that is this owner's, for a time.
///
/// Dropping it changes nothing: the claim runs until its time is over, so that its owner can come
/// back to it. [`Tenure::release`] gives it up.
#[derive(Debug)]
#[must_use = "it is to be renewed, or released"]
pub struct Tenure {
    claim: Claim,
    record: Record,
    fence: Fence,
    /// The version of the node, if no renewal was dropped.
    version: i32,
    deadline_ms: i64,
    certain_until: Instant,
}

/// What came of a write that names the version.
enum Written {
    Done(Stat),
    /// It is still this one's, and the version is the right one by now.
    Again,
    /// It is another's, or nobody's.
    Lost,
}

impl Tenure {
    /// The fencing token: the zxid at which it was taken. Renewing does not change it.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// Until when it is this one's, by the leader's clock, in milliseconds since 1970.
    pub fn deadline_ms(&self) -> i64 {
        self.deadline_ms
    }

    /// Whether it is this one's for certain at this moment; the fencing token if so. It asks no
    /// server, and does not depend on the session.
    pub fn check(&self) -> Result<Fence, Lost> {
        if Instant::now() < self.certain_until { Ok(self.fence) } else { Err(Lost::TimeOver) }
    }

    /// Waits until it is not this one's for certain any more.
    pub async fn lost(&self) -> Lost {
        tokio::time::sleep_until(self.certain_until).await;
        Lost::TimeOver
    }

    /// From here on it is for so long; false if it is not this one's any more. It may be renewed
    /// after its time is over, if nobody has taken it.
    pub async fn renew(&mut self, length: Duration) -> Result<bool, Error> {
        self.record.length_ms = milliseconds(length)?;
        loop {
            let until = Instant::now() + certain(length);
            // Whoever drops this future does not know whether it is for less than before.
            self.certain_until = self.certain_until.min(until);
            match self.write(self.record.text().as_bytes()).await? {
                Written::Done(stat) => {
                    self.certain_until = until;
                    self.deadline_ms = self.record.deadline_ms(&stat);
                    return Ok(true);
                }
                Written::Again => {}
                Written::Lost => {
                    self.certain_until = Instant::now();
                    return Ok(false);
                }
            }
        }
    }

    /// Gives it up. If it is another's, that is left alone.
    pub async fn release(mut self) -> Result<(), Error> {
        while let Written::Again = self.write(b"").await? {}
        Ok(())
    }

    async fn write(&mut self, data: &[u8]) -> Result<Written, Error> {
        let Claim { client, path, .. } = &self.claim;
        match client.set_data(path, data, Some(self.version)).await {
            Ok(stat) => {
                self.version = stat.version;
                return Ok(Written::Done(stat));
            }
            Err(Error::ConnectionLost) => {}
            Err(error) => match error.code() {
                // A renewal whose future was dropped has this effect too.
                Some(ErrorCode::BadVersion) => {}
                Some(ErrorCode::NoNode) => return Ok(Written::Lost),
                Some(_) | None => return Err(error),
            },
        }
        let Some((data, stat)) = find(client, path).await? else { return Ok(Written::Lost) };
        match Record::parse(&data) {
            Ok(Some(record)) if record.word == self.record.word => {
                self.version = stat.version;
                Ok(Written::Again)
            }
            Ok(_) | Err(_) => Ok(Written::Lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let record = Record { owner: "host-3".into(), word: "w1".into(), length_ms: 1500 };
        assert_eq!(record.text(), "host-3\nw1\n1500\n");
        assert_eq!(Record::parse(record.text().as_bytes()), Ok(Some(record.clone())));
        assert_eq!(record.deadline_ms(&Stat { mtime: 1000, ..Stat::default() }), 2500);
    }

    #[test]
    fn a_node_without_data_is_free_and_one_with_others_is_left_alone() {
        assert_eq!(Record::parse(b""), Ok(None));
        for data in [b"host-3".as_slice(), b"a\nb\nc\n", b"\xff\n\n1\n"] {
            assert!(matches!(Record::parse(data), Err(Error::Argument(_))), "{data:?}");
        }
    }

    #[test]
    fn a_claim_has_a_length_and_is_trusted_for_nine_tenths_of_it() {
        assert_eq!(milliseconds(Duration::from_millis(1)), Ok(1));
        assert!(milliseconds(Duration::from_micros(999)).is_err());
        assert!(milliseconds(Duration::MAX).is_err());
        assert_eq!(certain(Duration::from_secs(10)), Duration::from_secs(9));
    }
}

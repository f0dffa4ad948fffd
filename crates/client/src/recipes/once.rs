//! A mark for each key that somebody has set about it, so that nobody else does: at most once.
//!
//! What it keeps true: of all owners, one is told that it is the first. It is told so again as
//! often as it asks, until it has recorded a result.

use super::exact::{Removal, Whose, delete_this, find, unknown};
use super::nodes::{child, read};
use crate::{Client, Create, CreateMode, Data, Error, ErrorCode, Multi, Stat};
use std::time::Duration;

/// Once-only marks below a path.
///
/// Each is a persistent node with the owner's name on the first line and, after a line feed, the
/// result once there is one. It stays until it is swept.
#[derive(Clone, Debug)]
pub struct Once {
    client: Client,
    keys: Box<str>,
    sweeper: Box<str>,
    owner: Box<str>,
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The caller's: it is to be done by it.
    First,
    /// Somebody has set about it, or the caller itself has done it.
    Already {
        /// Who.
        by: Box<str>,
        /// When, by the leader's clock, in milliseconds since 1970.
        when_ms: i64,
        /// What came out; `None` as long as it is not done.
        result: Option<Data>,
    },
}

/// What a key's node says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    owner: Box<str>,
    result: Option<Data>,
}

impl Record {
    fn parse(data: &[u8]) -> Record {
        let mut parts = data.splitn(2, |byte| *byte == b'\n');
        let owner = String::from_utf8_lossy(parts.next().unwrap_or_default()).into();
        Record { owner, result: parts.next().map(Data::from) }
    }
}

impl Once {
    /// The marks below `path`, for an owner whose name nobody else has.
    pub fn new(client: &Client, path: &str) -> Once {
        let (keys, sweeper) = (child(path, "keys").into(), child(path, "sweeper").into());
        Once { client: client.clone(), keys, sweeper, owner: client.unique_name().into() }
    }

    /// For this owner. Whoever comes back after a crash and names itself as before is told again
    /// that it is the first. Two that name themselves alike are one.
    #[must_use]
    pub fn owner(mut self, owner: &str) -> Once {
        self.owner = owner.into();
        self
    }

    /// Sets about a key: a name without a slash.
    ///
    /// A lost connection, or a future that was dropped, leaves nothing open: asking again is told
    /// the same.
    pub async fn claim(&self, key: &str) -> Result<Claimed, Error> {
        let path = self.path(key)?;
        let mut doubted = false;
        loop {
            let create = Create::new(&path, CreateMode::Persistent).data(self.owner.as_bytes());
            match self.client.create(create).await {
                Ok(_) => return Ok(Claimed::First),
                Err(Error::ConnectionLost) => doubted = true,
                Err(error) => match error.code() {
                    Some(ErrorCode::NodeExists) => {}
                    Some(ErrorCode::NoNode) => {
                        self.client.retrying().ensure_path(&self.keys).await?;
                    }
                    Some(_) | None if doubted => return Err(unknown(error)),
                    Some(_) | None => return Err(error),
                },
            }
            // If it is missing, it has been swept, or the create did not happen.
            let found = self.record(&path).await;
            let found = if doubted { found.map_err(unknown)? } else { found? };
            if let Some((record, stat)) = found {
                return Ok(self.judge(record, stat.ctime));
            }
        }
    }

    /// Records what came out; whether that is what stands. It is not if the key is not this
    /// owner's, or has another result already.
    pub async fn done(&self, key: &str, result: &[u8]) -> Result<bool, Error> {
        let path = self.path(key)?;
        let line = [self.owner.as_bytes(), b"\n", result].concat();
        let mut doubted = false;
        loop {
            let found = self.record(&path).await;
            let found = if doubted { found.map_err(unknown)? } else { found? };
            let Some((record, stat)) = found else { return Ok(false) };
            if record.owner != self.owner {
                return Ok(false);
            }
            if let Some(stands) = record.result {
                return Ok(*stands == *result);
            }
            match self.client.set_data(&path, &line, Some(stat.version)).await {
                Ok(_) => return Ok(true),
                // What stands is seen by looking: a result is written only once.
                Err(Error::ConnectionLost) => {
                    find(&self.client, &path).await?;
                    doubted = true;
                }
                Err(error) => match error.code() {
                    Some(ErrorCode::BadVersion | ErrorCode::NoNode) => {}
                    Some(_) | None if doubted => return Err(unknown(error)),
                    Some(_) | None => return Err(error),
                },
            }
        }
    }

    /// What came out; `None` as long as it is not done.
    pub async fn result(&self, key: &str) -> Result<Option<Data>, Error> {
        let record = self.record(&self.path(key)?).await?;
        Ok(record.and_then(|(record, _)| record.result))
    }

    /// Removes the marks that nobody has written for so long, done or not, and says how many. Their
    /// keys can be claimed anew. `None` if another is sweeping.
    ///
    /// The time is the leader's. An owner that may come back later than this must not be forgotten.
    pub async fn sweep(&self, older_than: Duration) -> Result<Option<usize>, Error> {
        // One sweeps at a time, and each deletion is refused if it is not this one: so between the
        // look at a mark and its deletion nobody can have removed it, and claimed it anew.
        self.client.retrying().ensure_path(&self.keys).await?;
        let words: Data = self.client.unique_name().as_bytes().into();
        let removal = Removal::new(&self.client, &self.sweeper, Whose::Says(words.clone()));
        let create = Create::new(&self.sweeper, CreateMode::Ephemeral).data(&words);
        let sweeper = match self.client.retrying().create(create).await {
            Err(error) if error.code() == Some(ErrorCode::NodeExists) => {
                removal.forget();
                return Ok(None);
            }
            known => known?.stat,
        };
        let older_than_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let before_ms = sweeper.ctime.saturating_sub(older_than_ms);
        let mut count = 0;
        for key in self.client.retrying().get_children(&self.keys).await? {
            count += usize::from(self.sweep_key(&child(&self.keys, &key), before_ms).await?);
        }
        delete_this(&self.client, &self.sweeper, sweeper.czxid).await?;
        removal.forget();
        Ok(Some(count))
    }

    async fn sweep_key(&self, path: &str, before_ms: i64) -> Result<bool, Error> {
        let old = match self.client.retrying().exists(path).await? {
            Some(stat) if stat.mtime <= before_ms => stat,
            Some(_) | None => return Ok(false),
        };
        loop {
            let delete = Multi::new().check(&self.sweeper, None).delete(path, Some(old.version));
            match self.client.multi(delete).await {
                Ok(_) => return Ok(true),
                Err(Error::ConnectionLost) => {}
                Err(Error::Multi { index: 1, code, .. })
                    if [ErrorCode::BadVersion, ErrorCode::NoNode].contains(&code) =>
                {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            // If another stands there, this one was removed, and claimed anew.
            match find(&self.client, path).await? {
                Some((_, stat)) if stat.czxid == old.czxid => {}
                Some(_) | None => return Ok(true),
            }
        }
    }

    fn path(&self, key: &str) -> Result<String, Error> {
        if key.is_empty() || key.contains('/') {
            return Err(Error::Argument("a key is a name without a slash"));
        }
        if self.owner.is_empty() || self.owner.contains('\n') {
            return Err(Error::Argument("an owner is a name of one line"));
        }
        Ok(child(&self.keys, key))
    }

    async fn record(&self, path: &str) -> Result<Option<(Record, Stat)>, Error> {
        let found = read(&self.client, path).await?;
        Ok(found.map(|(data, stat)| (Record::parse(&data), stat)))
    }

    fn judge(&self, record: Record, when_ms: i64) -> Claimed {
        match record {
            Record { owner, result: None } if owner == self.owner => Claimed::First,
            Record { owner, result } => Claimed::Already { by: owner, when_ms, result },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data: &[u8], owner: &str, result: Option<&[u8]>) {
        let expected = Record { owner: owner.into(), result: result.map(Data::from) };
        assert_eq!(Record::parse(data), expected);
    }

    #[test]
    fn a_line_feed_tells_an_empty_result_from_none() {
        check(b"host-3", "host-3", None);
        check(b"host-3\n", "host-3", Some(b""));
        check(b"host-3\nsent\n", "host-3", Some(b"sent\n"));
        check(b"", "", None);
    }
}

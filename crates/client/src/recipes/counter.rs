//! A number that many change, in the layout of kazoo's `Counter`: decimal text in one node.
//!
//! What it keeps true: each change starts from the number that the one before it left. `Ok` says
//! that it was made once; an error says by [`Error::fate`] whether it may have been.
//!
//! Why there are two ways. A write that names a version and whose answer was lost can be told only
//! as long as the version is the old one (it did not happen), or the data of the next one are not
//! what it would have left. If they are, another may have written the same: two that add one to
//! five both leave six. [`Counter::exact`] makes a node of this session in the same multi, by which
//! it can always be told, and removes it in the background: twice the writes.

use super::exact::{find, multi_once};
use super::nodes::read;
use crate::{Client, Error, ErrorCode, Multi, Stat};

/// A counter at a path.
#[derive(Clone, Debug)]
pub struct Counter {
    client: Client,
    path: Box<str>,
    proof: Proof,
}

/// How a lost answer is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// By the version, as far as that goes.
    Version,
    /// By a node that is made along with the change.
    Receipt,
}

/// What became of one attempt.
enum Attempt {
    Done,
    /// Another was faster, or it certainly did not happen.
    Again,
}

impl Counter {
    /// The counter whose node is the one at `path`. One that is missing is made, and counts as 0.
    pub fn new(client: &Client, path: &str) -> Counter {
        Counter { client: client.clone(), path: path.into(), proof: Proof::Version }
    }

    /// Changes leave no doubt as long as the session lives, at the price of a second write each.
    #[must_use]
    pub fn exact(mut self) -> Counter {
        self.proof = Proof::Receipt;
        self
    }

    /// The number.
    pub async fn get(&self) -> Result<i64, Error> {
        match read(&self.client, &self.path).await? {
            Some((data, _)) => number(&data),
            None => Ok(0),
        }
    }

    /// Adds to the number; the new one.
    ///
    /// `ConnectionLost`: it may have been added, and nobody can tell. That does not happen with
    /// [`Counter::exact`].
    pub async fn add(&self, delta: i64) -> Result<i64, Error> {
        loop {
            let (old, stat) = self.current().await?;
            let overflow = Error::Argument("the counter would leave the range of 64 bits");
            let new = old.checked_add(delta).ok_or(overflow)?;
            if let Attempt::Done = self.set(new, &stat).await? {
                return Ok(new);
            }
        }
    }

    /// Sets the number to `new` if it is `expected`; whether it was. For its doubts, see
    /// [`Counter::add`].
    pub async fn compare_and_set(&self, expected: i64, new: i64) -> Result<bool, Error> {
        loop {
            let (old, stat) = self.current().await?;
            if old != expected {
                return Ok(false);
            }
            if let Attempt::Done = self.set(new, &stat).await? {
                return Ok(true);
            }
        }
    }

    /// The number and the node, which is made if it is missing.
    async fn current(&self) -> Result<(i64, Stat), Error> {
        loop {
            if let Some((data, stat)) = read(&self.client, &self.path).await? {
                return Ok((number(&data)?, stat));
            }
            self.client.retrying().ensure_path(&self.path).await?;
        }
    }

    async fn set(&self, new: i64, old: &Stat) -> Result<Attempt, Error> {
        let (text, version) = (new.to_string(), Some(old.version));
        let set = match self.proof {
            Proof::Version => {
                self.client.set_data(&self.path, text.as_bytes(), version).await.map(drop)
            }
            Proof::Receipt => {
                let writes = Multi::new().set_data(&self.path, text.as_bytes(), version);
                multi_once(&self.client, &self.path, &writes).await
            }
        };
        match set {
            Ok(()) => Ok(Attempt::Done),
            Err(Error::ConnectionLost) if self.proof == Proof::Version => {
                match find(&self.client, &self.path).await? {
                    Some((data, stat)) if did_not_happen(old, (&data, &stat), &text) => {
                        Ok(Attempt::Again)
                    }
                    Some(_) | None => Err(Error::ConnectionLost),
                }
            }
            Err(error) => match error.code() {
                Some(ErrorCode::BadVersion | ErrorCode::NoNode) => Ok(Attempt::Again),
                Some(_) | None => Err(error),
            },
        }
    }
}

/// What the node says, in kazoo's way: nothing is 0.
fn number(data: &[u8]) -> Result<i64, Error> {
    let number = match std::str::from_utf8(data).map(str::trim_ascii) {
        Ok("") => Some(0),
        Ok(text) => text.parse().ok(),
        Err(_) => None,
    };
    number.ok_or(Error::Argument("the node of the counter holds no whole number of 64 bits"))
}

/// Whether what is found certainly shows that the text was not written upon `old`.
fn did_not_happen(old: &Stat, (data, stat): (&[u8], &Stat), text: &str) -> bool {
    let same_node = stat.czxid == old.czxid;
    let next = stat.version == old.version.wrapping_add(1);
    same_node && (stat.version == old.version || next && data != text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zxid;

    #[test]
    fn a_node_without_data_counts_as_zero() {
        assert_eq!(number(b""), Ok(0));
        assert_eq!(number(b"-17"), Ok(-17));
        for text in ["1.5", "one", "9223372036854775808", "\u{e9}"] {
            assert!(matches!(number(text.as_bytes()), Err(Error::Argument(_))), "{text}");
        }
    }

    #[track_caller]
    fn check(czxid: i64, version: i32, data: &str, expected: bool) {
        let old = Stat { czxid: Zxid(1), version: 4, ..Stat::default() };
        let found = Stat { czxid: Zxid(czxid), version, ..Stat::default() };
        assert_eq!(did_not_happen(&old, (data.as_bytes(), &found), "6"), expected);
    }

    #[test]
    fn only_the_old_version_or_other_data_show_that_nothing_was_written() {
        check(1, 4, "5", true);
        check(1, 5, "7", true);
        check(1, 5, "6", false);
        check(1, 6, "7", false);
        check(2, 4, "5", false);
    }
}

//! A command as words: some in their places, some `name=value`; and zxids as scenarios write them.

use bellwether_wire::Zxid;
use std::str::FromStr;

/// The words of a command that were not understood yet. Whoever understands a word takes it;
/// [`Words::end`] refuses what is left.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    left: Vec<&'a str>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a str) -> Words<'a> {
        Words { left: line.split_whitespace().collect() }
    }

    /// The next word.
    pub(crate) fn next(&mut self) -> Option<&'a str> {
        if self.left.is_empty() { None } else { Some(self.left.remove(0)) }
    }

    /// The next word, which must be there.
    pub(crate) fn need(&mut self, what: &str) -> Result<&'a str, String> {
        self.next().ok_or_else(|| format!("{what} is missing"))
    }

    /// The next word as a number.
    pub(crate) fn number<N: FromStr>(&mut self, what: &str) -> Result<N, String> {
        number(self.need(what)?, what)
    }

    /// Whether the flag is there.
    pub(crate) fn flag(&mut self, flag: &str) -> bool {
        let place = self.left.iter().position(|word| *word == flag);
        place.map(|place| self.left.remove(place)).is_some()
    }

    /// The value of `name=value`.
    pub(crate) fn named(&mut self, name: &str) -> Option<&'a str> {
        let is_it = |word: &&str| word.split_once('=').is_some_and(|(n, _)| n == name);
        let place = self.left.iter().position(is_it)?;
        self.left.remove(place).split_once('=').map(|(_, value)| value)
    }

    /// The value of `name=value` as a number.
    pub(crate) fn named_number<N: FromStr>(&mut self, name: &str) -> Result<Option<N>, String> {
        self.named(name).map(|value| number(value, name)).transpose()
    }

    /// The value of `name=value` as a zxid.
    pub(crate) fn named_zxid(&mut self, name: &str) -> Result<Option<Zxid>, String> {
        self.named(name).map(zxid).transpose()
    }

    /// The rest of the line.
    pub(crate) fn rest(&mut self) -> String {
        self.left.drain(..).collect::<Vec<_>>().join(" ")
    }

    /// The servers that are left: `1 2 3`, or `all` of these.
    pub(crate) fn servers(&mut self, all: impl Iterator<Item = i64>) -> Result<Vec<i64>, String> {
        if self.flag("all") {
            return Ok(all.collect());
        }
        let numbers = |word: &str| word.parse::<i64>().is_ok();
        let (servers, left) = self.left.iter().copied().partition::<Vec<_>, _>(|w| numbers(w));
        self.left = left;
        if servers.is_empty() {
            return Err("which server?".into());
        }
        servers.into_iter().map(|server| number(server, "the server")).collect()
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), String> {
        if self.left.is_empty() { Ok(()) } else { Err(format!("{:?} is not known", self.left)) }
    }
}

/// A number.
pub(crate) fn number<N: FromStr>(word: &str, what: &str) -> Result<N, String> {
    word.parse().ok().ok_or_else(|| format!("{what} must be a number, not {word:?}"))
}

/// `5:12`, the twelfth of epoch 5; `missing`, that of a server without a database.
pub(crate) fn zxid(word: &str) -> Result<Zxid, String> {
    if word == "missing" {
        return Ok(Zxid::MISSING);
    }
    let (epoch, counter) = word
        .split_once(':')
        .ok_or_else(|| format!("a zxid is written epoch:counter, as 5:12, and {word:?} is not"))?;
    let (epoch, counter): (u32, u32) = (number(epoch, "epoch")?, number(counter, "counter")?);
    Ok(Zxid(Zxid::first_of(epoch).0 | i64::from(counter)))
}

/// Two servers: `1->2`.
pub(crate) fn way(word: &str) -> Result<(i64, i64), String> {
    let (from, to) =
        word.split_once("->").ok_or_else(|| format!("expected FROM->TO, as 1->2, not {word:?}"))?;
    Ok((number(from, "the sender")?, number(to, "the receiver")?))
}

/// The ways between two servers: `1->2` is one, `1-2` are both.
pub(crate) fn ways(word: &str) -> Result<Vec<(i64, i64)>, String> {
    if word.contains("->") {
        return Ok(vec![way(word)?]);
    }
    let (a, b) =
        word.split_once('-').ok_or_else(|| format!("expected A-B, as 1-2, not {word:?}"))?;
    let (a, b) = (number(a, "a server")?, number(b, "a server")?);
    Ok(vec![(a, b), (b, a)])
}

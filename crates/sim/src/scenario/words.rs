//! A command as words: some in their places, some flags, some `name=value`.

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
        parse(self.need(what)?, what)
    }

    /// Whether the flag is there.
    pub(crate) fn flag(&mut self, flag: &str) -> bool {
        match self.left.iter().position(|word| *word == flag) {
            Some(place) => {
                self.left.remove(place);
                true
            }
            None => false,
        }
    }

    /// The value of `name=value`.
    pub(crate) fn named(&mut self, name: &str) -> Option<&'a str> {
        let is_it = |word: &&str| word.split_once('=').is_some_and(|(n, _)| n == name);
        let place = self.left.iter().position(is_it)?;
        self.left.remove(place).split_once('=').map(|(_, value)| value)
    }

    /// The value of `name=value` as a number.
    pub(crate) fn named_number<N: FromStr>(&mut self, name: &str) -> Result<Option<N>, String> {
        self.named(name).map(|value| parse(value, name)).transpose()
    }

    /// The values of `name=value,value`; `/a*3` stands for `/a1,/a2,/a3`.
    pub(crate) fn named_list(&mut self, name: &str) -> Result<Vec<Box<str>>, String> {
        let mut values = Vec::new();
        for value in self.named(name).unwrap_or_default().split(',').filter(|v| !v.is_empty()) {
            match value.split_once('*') {
                Some((stem, count)) => {
                    let count: u32 = parse(count, name)?;
                    values.extend((1..=count).map(|i| Box::from(format!("{stem}{i}"))));
                }
                None => values.push(value.into()),
            }
        }
        Ok(values)
    }

    /// What is left, as a line.
    pub(crate) fn rest(self) -> String {
        self.left.join(" ")
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), String> {
        if self.left.is_empty() { Ok(()) } else { Err(format!("{:?} is not known", self.left)) }
    }
}

fn parse<N: FromStr>(word: &str, what: &str) -> Result<N, String> {
    word.parse().ok().ok_or_else(|| format!("{what} must be a number, not {word:?}"))
}

/// A zxid, written as traces write it.
pub(crate) fn zxid(word: &str) -> Result<bellwether_wire::Zxid, String> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    i64::from_str_radix(digits, 16)
        .map(bellwether_wire::Zxid)
        .map_err(|error| format!("{word:?} is not a zxid: {error}"))
}

//! One stream on both servers, and where their transcripts part.

use crate::plan::Step;
use crate::side::{Lines, Side};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// The two servers. Nobody else may use them.
pub(crate) struct Servers {
    pub(crate) apache: SocketAddr,
    pub(crate) ours: SocketAddr,
}

/// Where two transcripts part.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// The step; behind the last one stands the tree.
    pub(crate) at: usize,
    pub(crate) apache: Lines,
    pub(crate) ours: Lines,
}

impl Difference {
    /// The first lines that differ, without their numbers: differences of one kind look alike.
    pub(crate) fn kind(&self) -> String {
        let pairs = self.apache.iter().zip(&self.ours).find(|(a, b)| a != b);
        let (a, b) = match pairs {
            Some((a, b)) => (a.clone(), b.clone()),
            None => (
                self.apache.get(self.ours.len()).cloned().unwrap_or_default(),
                self.ours.get(self.apache.len()).cloned().unwrap_or_default(),
            ),
        };
        format!("{} / {}", without_numbers(&a), without_numbers(&b))
    }
}

/// The beginning of a line without slot, xid and zxid, and without other digits.
fn without_numbers(line: &str) -> String {
    let (head, tail) = line.split_once(" zxid ").unwrap_or((line, ""));
    // A zxid is one word, or two when it is named after a request.
    let tail = tail.strip_prefix("of ").unwrap_or(tail);
    let tail = tail.split_once(' ').map_or("", |(_, rest)| rest);
    let words: Vec<&str> = head.split(' ').chain(tail.split(' ').take(3)).collect();
    words.join(" ").replace(|c: char| c.is_ascii_digit(), "").trim().to_owned()
}

/// What a run has compared, and how often which operation had which outcome, to see that it met
/// enough of them.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answers: usize,
    pub(crate) nodes: usize,
    pub(crate) outcomes: BTreeMap<String, usize>,
}

impl Tally {
    fn add(&mut self, all: &[Lines]) {
        let Some((tree, said)) = all.split_last() else { return };
        // Each node has four lines.
        self.nodes += tree.len() / 4;
        for line in said.iter().flatten() {
            self.answers += 1;
            *self.outcomes.entry(outcome(line)).or_default() += 1;
        }
    }
}

/// `create NONODE` of a reply, `event NodeCreated` of an event, and so on.
fn outcome(line: &str) -> String {
    let mut words = line.split(' ').skip(1).filter(|word| *word != "early");
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let outcome = match (second, words.nth(3)) {
        ("xid", Some(word)) if word.chars().all(|c| c.is_ascii_uppercase()) => word,
        ("xid", _) => "ok",
        _ => second.trim_matches(|c: char| !c.is_ascii_alphabetic()),
    };
    format!("{first} {outcome}").trim_end().to_owned()
}

/// Runs a stream on both; `run` is a number that no other run on these servers has.
pub(crate) fn compare(
    servers: &Servers,
    run: u64,
    steps: &[Step],
    tally: &mut Tally,
) -> io::Result<Option<Difference>> {
    let (apache, ours) = std::thread::scope(|scope| {
        let apache = scope.spawn(|| transcript(servers.apache, run, steps));
        let ours = transcript(servers.ours, run, steps);
        (apache.join().expect("the driver does not panic"), ours)
    });
    let (apache, ours) = (apache?, ours?);
    tally.add(&ours);
    Ok(apache.into_iter().zip(ours).enumerate().find_map(|(at, (mut apache, mut ours))| {
        level(&mut apache);
        level(&mut ours);
        (apache != ours).then_some(Difference { at, apache, ours })
    }))
}

/// What every step showed, and behind it the tree.
fn transcript(address: SocketAddr, run: u64, steps: &[Step]) -> io::Result<Vec<Lines>> {
    let mut side = Side::start(address, run)?;
    let mut all = steps.iter().map(|step| side.step(step)).collect::<io::Result<Vec<Lines>>>()?;
    all.push(side.tree()?);
    side.clean()?;
    Ok(all)
}

/// Deliberate: the end of a session deletes its nodes in no particular order in Apache's server,
/// and replies to auth and sasl are sent whenever they are ready.
fn level(lines: &mut Lines) {
    let ends = |l: &String| l.contains("closeSession") || l.contains("expired");
    if lines.iter().any(ends) {
        lines.sort();
    }
    let (early, rest): (Lines, Lines) =
        lines.drain(..).partition(|l| l.contains(" auth xid") || l.contains(" sasl xid"));
    let strip = |l: String| l.replace("early ", "");
    *lines = early.into_iter().chain(rest).map(strip).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_by_operation() {
        let check = |line: &str, expected: &str| assert_eq!(outcome(line), expected);
        check("0 create xid 4 zxid +2 NONODE", "create NONODE");
        check("2 early auth xid -4 zxid any ok", "auth ok");
        check("1 getChildren xid 7 zxid +2 [\"a\"]", "getChildren ok");
        check("1 event NodeCreated SyncConnected \"~/a\" zxid +2 err 0", "event NodeCreated");
        check("3 closed", "closed");
    }

    #[test]
    fn differences_of_one_kind_look_alike() {
        let of = |a: &str, b: &str| {
            Difference { at: 0, apache: vec![a.into()], ours: vec![b.into()] }.kind()
        };
        assert_eq!(
            of("0 delete xid 1 ok", "0 delete xid 1 NONODE"),
            of("3 delete xid 77 ok", "3 delete xid 77 NONODE")
        );
    }
}

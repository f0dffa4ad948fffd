//! A line of contenders: ephemeral sequential nodes below one node, in the order of their numbers.
//! Locks, semaphores and elections are lines with different rules of whose turn it is.
//!
//! What it keeps true: a contender has one node, whatever happens to connections while it is
//! created, and leaves none behind when its value is dropped, also in the middle of entering.

use super::held::Fence;
use super::nodes;
use crate::{AddWatchMode, Change, Client, Create, CreateMode, Data, Error, ErrorCode, SessionEnd};
use crate::{Sent, SessionId};
use tokio::runtime::Handle;

/// Where a line is, and what the names in it look like: kazoo's, 32 hexadecimal digits, a mark and
/// a number.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) client: Client,
    directory: Box<str>,
}

/// What a contender is, by the mark in its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) &'static str);

/// Whom a contender waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) mark: Mark,
    /// The marks of those before it that are in its way.
    pub(super) blockers: &'static [Mark],
    /// How many of them it takes.
    pub(super) places: usize,
}

/// Someone in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// The name of its node.
    pub name: Box<str>,
    /// What it says of itself.
    pub data: Data,
    /// Its fencing token.
    pub fence: Fence,
    /// Its session.
    pub session: SessionId,
    /// When it came into the line, by the leader's clock, in milliseconds since 1970.
    pub since_ms: i64,
}

/// A name of a line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing<'a> {
    name: &'a str,
    number: i64,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Turn<'a> {
    /// This one's.
    Mine,
    /// Not before that one has left.
    After(&'a str),
    /// Not before one of several has left.
    AfterOneOf(Vec<&'a str>),
    /// This one is not in the line.
    Gone,
}

/// The number at the end of a name with one of these marks. It is negative after 2³¹ nodes.
fn standing<'a>(name: &'a str, marks: &[Mark]) -> Option<Standing<'a>> {
    let (rest, digits) = name.split_at_checked(name.len().checked_sub(10)?)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    let positive = marks.iter().any(|mark| rest.ends_with(mark.0));
    let negative =
        rest.strip_suffix('-').is_some_and(|rest| marks.iter().any(|m| rest.ends_with(m.0)));
    match (positive, negative) {
        (true, _) => Some(Standing { name, number }),
        (false, true) => Some(Standing { name, number: -number }),
        (false, false) => None,
    }
}

/// The contenders with these marks, first come first.
fn in_order<'a>(names: &'a [Box<str>], marks: &[Mark]) -> Vec<Standing<'a>> {
    let mut line: Vec<_> = names.iter().filter_map(|name| standing(name, marks)).collect();
    line.sort_by_key(|standing| (standing.number, standing.name));
    line
}

fn turn<'a>(names: &'a [Box<str>], me: &str, rule: &Rule) -> Turn<'a> {
    let Some(mine) = standing(me, &[rule.mark]) else { return Turn::Gone };
    if !names.iter().any(|name| **name == *me) {
        return Turn::Gone;
    }
    let mut before = in_order(names, rule.blockers);
    before.retain(|other| other.number < mine.number);
    match before.as_slice() {
        few if few.len() < rule.places => Turn::Mine,
        [.., last] if rule.places == 1 => Turn::After(last.name),
        many => Turn::AfterOneOf(many.iter().map(|other| other.name).collect()),
    }
}

impl Line {
    pub(super) fn new(client: &Client, directory: &str) -> Line {
        Line { client: client.clone(), directory: directory.into() }
    }

    fn child(&self, name: &str) -> String {
        nodes::child(&self.directory, name)
    }

    /// Comes into the line, at its end.
    pub(super) async fn enter(&self, mark: Mark, data: &[u8]) -> Result<Place, Error> {
        let prefix = format!("{}{}", self.client.unique_name(), mark.0);
        let leave = Leave { line: self.clone(), prefix: prefix.into(), runtime: Handle::current() };
        let path = self.child(&leave.prefix);
        let node = Create::new(&path, CreateMode::EphemeralSequential).data(data);
        let retrying = self.client.retrying();
        let create = || retrying.create_unique(node.clone());
        let created = nodes::create_below(&self.client, &self.directory, create).await?;
        let name = created.path.rsplit('/').next().unwrap_or_default().into();
        Ok(Place { name, fence: Fence(created.stat.czxid), leave })
    }

    /// The names in the line.
    async fn names(&self) -> Result<Vec<Box<str>>, Error> {
        nodes::names(&self.client, &self.directory).await
    }

    /// Whether a newcomer would have to wait.
    pub(super) async fn is_taken(&self, rule: &Rule) -> Result<bool, Error> {
        let names = self.names().await?;
        Ok(in_order(&names, rule.blockers).len() >= rule.places)
    }

    /// Who is in the line with one of these marks, first come first.
    pub(super) async fn contenders(&self, marks: &[Mark]) -> Result<Vec<Contender>, Error> {
        let names = self.names().await?;
        let mut found = Vec::new();
        for standing in in_order(&names, marks) {
            let read = nodes::read(&self.client, &self.child(standing.name)).await?;
            // If there is nothing to read, it left meanwhile.
            found.extend(read.map(|(data, stat)| Contender {
                name: standing.name.into(),
                data,
                fence: Fence(stat.czxid),
                session: SessionId(stat.ephemeral_owner),
                since_ms: stat.ctime,
            }));
        }
        Ok(found)
    }

    /// A watch on who comes and goes.
    pub(super) async fn watch(&self) -> Result<crate::PersistentWatcher, Error> {
        let retrying = self.client.retrying();
        retrying.ensure_path(&self.directory).await?;
        retrying.add_watch(&self.directory, AddWatchMode::Persistent).await
    }

    /// Writes into the node of whoever is first among these marks.
    pub(super) async fn tell_first(
        &self,
        marks: &[Mark],
        words: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<bool, Error> {
        loop {
            let names = self.names().await?;
            let Some(first) = in_order(&names, marks).first().copied() else { return Ok(false) };
            let path = self.child(first.name);
            let Some((data, stat)) = nodes::read(&self.client, &path).await? else { continue };
            let Some(told) = words(&data) else { return Ok(true) };
            match self.client.retrying().set_data(&path, &told, stat.version).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) if error.code() == Some(ErrorCode::BadVersion) => {}
                known => return known.map(|_| true),
            }
        }
    }
}

/// A place in a line. Dropping it leaves the line.
#[derive(Debug)]
pub(super) struct Place {
    name: Box<str>,
    pub(super) fence: Fence,
    leave: Leave,
}

impl Place {
    pub(super) fn line(&self) -> &Line {
        &self.leave.line
    }

    pub(super) fn path(&self) -> String {
        self.line().child(&self.name)
    }

    /// Waits until it is this one's turn.
    pub(super) async fn wait(&self, rule: &Rule) -> Result<(), Error> {
        loop {
            let names = self.line().names().await?;
            match turn(&names, &self.name, rule) {
                Turn::Mine => return Ok(()),
                Turn::Gone => return Err(self.gone()),
                Turn::After(name) => self.until_gone(name).await?,
                Turn::AfterOneOf(before) => self.until_fewer(&before).await?,
            }
        }
    }

    /// Whether it is this one's turn at this moment.
    pub(super) async fn is_first(&self, rule: &Rule) -> Result<bool, Error> {
        let names = self.line().names().await?;
        match turn(&names, &self.name, rule) {
            Turn::Mine => Ok(true),
            Turn::After(_) | Turn::AfterOneOf(_) => Ok(false),
            Turn::Gone => Err(self.gone()),
        }
    }

    fn gone(&self) -> Error {
        use crate::OpCode;
        Error::Refused { op: OpCode::GetData, path: self.path().into(), code: ErrorCode::NoNode }
    }

    async fn until_gone(&self, name: &str) -> Result<(), Error> {
        let client = &self.line().client;
        match client.exists_and_watch(&self.line().child(name)).await {
            Ok((Some(_), watcher)) => watcher.changed().await.map(drop).map_err(ended),
            Ok((None, _)) | Err(Error::ConnectionLost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Everybody who waits for the same places watches the same children.
    async fn until_fewer(&self, before: &[&str]) -> Result<(), Error> {
        let line = self.line();
        match line.client.get_children_and_watch(&line.directory).await {
            Ok((names, _, watcher)) => {
                let all = before.iter().all(|name| names.iter().any(|found| **found == **name));
                if all { watcher.changed().await.map(drop).map_err(ended) } else { Ok(()) }
            }
            Err(Error::ConnectionLost) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Leaves the line, and waits until that has happened.
    pub(super) async fn leave(self) -> Result<(), Error> {
        nodes::delete(&self.line().client, &self.path()).await?;
        self.leave.forget();
        Ok(())
    }
}

pub(super) fn ended(end: SessionEnd) -> Error {
    Error::SessionEnded(end, Sent::No)
}

/// Waits for the next change of a line, or anything that may have hidden one.
pub(super) async fn changed(watcher: &mut crate::PersistentWatcher) -> Result<Change, Error> {
    watcher.changed().await.map_err(ended)
}

/// Removes a contender's node when it is dropped, whether its name is known or not.
#[derive(Debug)]
struct Leave {
    line: Line,
    /// Empty when there is nothing to remove.
    prefix: Box<str>,
    runtime: Handle,
}

impl Leave {
    fn forget(mut self) {
        self.prefix = Box::default();
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.prefix.is_empty() {
            return;
        }
        let (line, prefix) = (self.line.clone(), std::mem::take(&mut self.prefix));
        self.runtime.spawn(async move {
            // A create under way is ordered before this by the session. If the session ends, so
            // does the node.
            let client = &line.client;
            client.retrying().sync(&line.directory).await.ok();
            let names = line.names().await.unwrap_or_default();
            for name in names.iter().filter(|name| name.starts_with(&*prefix)) {
                client.retrying().delete(&line.child(name), None).await.ok();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: Mark = Mark("__lock__");
    const READ: Mark = Mark("__rlock__");

    #[track_caller]
    fn check(names: &str, me: &str, rule: &Rule, expected: &Turn<'_>) {
        let names: Vec<Box<str>> = names.split(' ').map(Box::from).collect();
        assert_eq!(turn(&names, me, rule), *expected);
    }

    #[test]
    fn the_one_with_the_lowest_number_is_first_whatever_its_name_begins_with() {
        let rule = Rule { mark: LOCK, blockers: &[LOCK], places: 1 };
        let line = "b__lock__0000000001 a__lock__0000000002 c__lock__0000000003";
        check(line, "b__lock__0000000001", &rule, &Turn::Mine);
        check(line, "a__lock__0000000002", &rule, &Turn::After("b__lock__0000000001"));
        check(line, "c__lock__0000000003", &rule, &Turn::After("a__lock__0000000002"));
        check(line, "d__lock__0000000004", &rule, &Turn::Gone);
    }

    #[test]
    fn a_reader_waits_for_writers_and_a_writer_for_all() {
        let reader = Rule { mark: READ, blockers: &[LOCK], places: 1 };
        let writer = Rule { mark: LOCK, blockers: &[LOCK, READ], places: 1 };
        let line = "a__rlock__0000000001 b__rlock__0000000002 c__lock__0000000003 \
                    d__rlock__0000000004";
        check(line, "b__rlock__0000000002", &reader, &Turn::Mine);
        check(line, "c__lock__0000000003", &writer, &Turn::After("b__rlock__0000000002"));
        check(line, "d__rlock__0000000004", &reader, &Turn::After("c__lock__0000000003"));
    }

    #[test]
    fn several_places_are_taken_in_order() {
        let rule = Rule { mark: LOCK, blockers: &[LOCK], places: 2 };
        let line = "a__lock__0000000001 b__lock__0000000002 c__lock__0000000003";
        check(line, "b__lock__0000000002", &rule, &Turn::Mine);
        let before = vec!["a__lock__0000000001", "b__lock__0000000002"];
        check(line, "c__lock__0000000003", &rule, &Turn::AfterOneOf(before));
    }

    #[test]
    fn what_is_no_contender_is_not_in_the_way() {
        let rule = Rule { mark: LOCK, blockers: &[LOCK], places: 1 };
        let line = "config x__lock__ a__lock__000000000x é b__lock__0000000007";
        check(line, "b__lock__0000000007", &rule, &Turn::Mine);
    }

    #[test]
    fn a_number_beyond_31_bits_is_negative() {
        let found = standing("a__lock__-2147483648", &[LOCK]).map(|found| found.number);
        assert_eq!(found, Some(-2_147_483_648));
    }
}

//! A group: who is there, since when, and what each says of itself. The layout is that of kazoo's
//! `Party`.

use super::exact::{Removal, Whose, set_own};
use super::nodes::{child, create_below, delete, names, read};
use super::subtree::{Node, NodeChange, Snapshot, Subtree, SubtreeWatch};
use crate::{Client, Create, CreateMode, Data, Error, SessionId, Stat, Zxid};
use std::collections::VecDeque;

/// What the names of members have behind what makes them unique.
const MARK: &str = "__party__";

/// A group at a path.
#[derive(Clone, Debug)]
pub struct Group {
    client: Client,
    path: Box<str>,
}

/// A member of a [`Group`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The name of its node, which no other member has or will have.
    pub name: Box<str>,
    /// What it says of itself.
    pub data: Data,
    /// When it joined, by the leader's clock, in milliseconds since 1970.
    pub since_ms: i64,
    /// Where it stands in the order of joining.
    pub czxid: Zxid,
    /// Its session.
    pub session: SessionId,
}

/// What happened in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// A member is there.
    Joined(Member),
    /// A member says something else of itself.
    Updated(Member),
    /// A member left, or its session has expired.
    Left(Member),
}

impl Member {
    fn of(name: &str, node: &Node) -> Option<Member> {
        name.contains(MARK).then(|| Member {
            name: name.into(),
            data: node.data.clone(),
            since_ms: node.stat.ctime,
            czxid: node.stat.czxid,
            session: SessionId(node.stat.ephemeral_owner),
        })
    }
}

impl Group {
    /// The group at `path`, whose members are below it. The node is made when it is missing.
    pub fn new(client: &Client, path: &str) -> Group {
        Group { client: client.clone(), path: path.into() }
    }

    /// Joins with these words. The membership lasts until it is dropped or the session ends.
    pub async fn join(&self, data: &[u8]) -> Result<Membership, Error> {
        let name = format!("{}{MARK}", self.client.unique_name());
        let path = child(&self.path, &name);
        let removal = Removal::new(&self.client, &path, Whose::Unique);
        let retrying = self.client.retrying();
        let node = Create::new(&path, CreateMode::Ephemeral).data(data);
        let create = || retrying.create(node.clone());
        let stat = create_below(&self.client, &self.path, create).await?.stat;
        Ok(Membership { removal, stat })
    }

    /// Who is there, in the order of joining.
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        let mut members = Vec::new();
        for name in names(&self.client, &self.path).await? {
            // If there is nothing to read, it left meanwhile.
            let found = read(&self.client, &child(&self.path, &name)).await?;
            let member = |(data, stat)| Member::of(&name, &Node { data, stat });
            members.extend(found.and_then(member));
        }
        members.sort_by_key(|member| member.czxid);
        Ok(members)
    }

    /// Follows who joins and leaves. Those that are there are told first, as having joined.
    pub async fn watch(&self) -> Result<GroupWatch, Error> {
        let subtree = Subtree::open(&self.client, &self.path).await?;
        let changes = subtree.watch();
        Ok(GroupWatch { path: self.path.clone(), subtree, changes, told: VecDeque::new() })
    }
}

/// Being a member. Dropping it leaves in the background.
#[derive(Debug)]
#[must_use = "dropping it leaves the group"]
pub struct Membership {
    removal: Removal,
    stat: Stat,
}

impl Membership {
    /// The name of the member's node.
    pub fn name(&self) -> &str {
        self.removal.path().rsplit('/').next().unwrap_or_default()
    }

    /// Whether the group certainly counts this member at this moment. An idle client is certain
    /// only while somebody keeps it so ([`Client::keep_certain`]); a membership does not.
    pub fn is_certain(&self) -> bool {
        self.removal.client().is_certain()
    }

    /// Says something else of itself. If the future is dropped, it may have.
    pub async fn update(&mut self, data: &[u8]) -> Result<(), Error> {
        set_own(self.removal.client(), self.removal.path(), data, &mut self.stat).await
    }

    /// Leaves, and waits until it has.
    pub async fn leave(self) -> Result<(), Error> {
        delete(self.removal.client(), self.removal.path()).await?;
        self.removal.forget();
        Ok(())
    }
}

/// Follows a [`Group`].
#[derive(Debug)]
pub struct GroupWatch {
    path: Box<str>,
    subtree: Subtree,
    changes: SubtreeWatch,
    told: VecDeque<MemberChange>,
}

impl GroupWatch {
    /// Waits for the next change.
    pub async fn next(&mut self) -> Result<MemberChange, Error> {
        loop {
            if let Some(change) = self.told.pop_front() {
                return Ok(change);
            }
            let (changes, _) = self.changes.next().await?;
            let path = &self.path;
            self.told.extend(changes.iter().filter_map(|change| member_change(path, change)));
        }
    }

    /// Who is there as far as this has heard, in the order of joining.
    pub fn members(&self) -> Vec<Member> {
        members_of(&self.subtree.snapshot(), &self.path)
    }
}

fn member_change(group: &str, change: &NodeChange) -> Option<MemberChange> {
    let member = |path: &str, node: &Node| {
        let name = path.strip_prefix(group.trim_end_matches('/'))?.strip_prefix('/')?;
        if name.contains('/') { None } else { Member::of(name, node) }
    };
    Some(match change {
        NodeChange::Added { path, node } => MemberChange::Joined(member(path, node)?),
        NodeChange::Changed { path, node, .. } => MemberChange::Updated(member(path, node)?),
        NodeChange::Removed { path, node } => MemberChange::Left(member(path, node)?),
    })
}

fn members_of(snapshot: &Snapshot, path: &str) -> Vec<Member> {
    let found = snapshot.children(path).filter_map(|(name, node)| Member::of(name, node));
    let mut members: Vec<Member> = found.collect();
    members.sort_by_key(|member| member.czxid);
    members
}

//! A group: who is there, since when, and what each says of itself. The layout is that of kazoo's
//! `Party`.

use super::subtree::{Node, NodeChange, Snapshot, Subtree, SubtreeWatch};
use crate::{Client, Create, CreateMode, Data, Error, ErrorCode, SessionId, Stat, Zxid};
use std::collections::VecDeque;
use tokio::runtime::Handle;

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
        let path: Box<str> = format!("{}/{name}", self.path.trim_end_matches('/')).into();
        let leave = Leave { client: self.client.clone(), path, runtime: Handle::current() };
        let create = Create::new(&leave.path, CreateMode::Ephemeral).data(data);
        loop {
            match self.client.retrying().create(create.clone()).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    self.client.retrying().ensure_path(&self.path).await?;
                }
                Err(error) => return Err(error),
                Ok(created) => return Ok(Membership { leave, stat: created.stat }),
            }
        }
    }

    /// Who is there, in the order of joining.
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        let names = match self.client.retrying().get_children(&self.path).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Vec::new(),
            known => known?,
        };
        let mut members = Vec::new();
        for name in names {
            let path = format!("{}/{name}", self.path.trim_end_matches('/'));
            match self.client.retrying().get_data(&path).await {
                Ok((data, stat)) => {
                    let node = Node { data: data.unwrap_or_default(), stat };
                    members.extend(Member::of(&name, &node));
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {} // It left meanwhile.
                Err(error) => return Err(error),
            }
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
    leave: Leave,
    stat: Stat,
}

impl Membership {
    /// The name of the member's node.
    pub fn name(&self) -> &str {
        self.leave.path.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the group certainly counts this member at this moment. An idle client is certain
    /// only while somebody keeps it so ([`Client::keep_certain`]); a membership does not.
    pub fn is_certain(&self) -> bool {
        self.leave.client.is_certain()
    }

    /// Says something else of itself.
    pub async fn update(&mut self, data: &[u8]) -> Result<(), Error> {
        let version = self.stat.version;
        self.stat = self.leave.client.retrying().set_data(&self.leave.path, data, version).await?;
        Ok(())
    }

    /// Leaves, and waits until it has.
    pub async fn leave(mut self) -> Result<(), Error> {
        let path = std::mem::take(&mut self.leave.path);
        match self.leave.client.retrying().delete(&path, None).await {
            Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(()),
            known => known,
        }
    }
}

/// Removes the node of a member, whether it is known to be there or not.
#[derive(Debug)]
struct Leave {
    client: Client,
    /// Empty when there is nothing to remove.
    path: Box<str>,
    runtime: Handle,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let (client, path) = (self.client.clone(), std::mem::take(&mut self.path));
        if !path.is_empty() {
            // A create under way is ordered before this by the session.
            self.runtime.spawn(async move { client.retrying().delete(&path, None).await });
        }
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

//! Answers to reads, from the tree as it is. Watches are set by whoever calls.

use crate::acl::{self, Identity};
use crate::nodes::{Node, NodeId};
use crate::tree::Tree;
use bellwether_wire::client::{NameList, OpResult, ReplyBody, Request};
use bellwether_wire::{Acl, Data, ErrorCode, Perms, SessionId, Stat};

impl Tree {
    /// Answers a read; it sets no watch. What is not a read of the tree is UNIMPLEMENTED.
    pub fn read(
        &self,
        request: &Request,
        session: SessionId,
        identities: &[Identity],
    ) -> Result<ReplyBody, ErrorCode> {
        match request {
            Request::Exists { path, .. } => self.exists(path, identities).map(ReplyBody::Stat),
            Request::GetData { path, .. } => {
                let (data, stat) = self.get_data(path, identities)?;
                Ok(ReplyBody::Data(data, stat))
            }
            Request::GetAcl { path } => self.get_acl(path, identities),
            Request::GetChildren { path, .. } => {
                Ok(ReplyBody::Children(names(self.readable(path, identities)?.1)))
            }
            Request::GetChildren2 { path, .. } => {
                let (_, node) = self.readable(path, identities)?;
                Ok(ReplyBody::Children2(names(node), self.stat(node)))
            }
            Request::MultiRead(requests) => {
                let read_one = |request| self.read_part(request, identities);
                Ok(ReplyBody::Multi(requests.iter().map(read_one).collect()))
            }
            Request::GetEphemerals { prefix } => {
                Ok(ReplyBody::Ephemerals(self.own_ephemerals(session, prefix)))
            }
            Request::GetAllChildrenNumber { path } => {
                let (_, node) = self.readable(path, identities)?;
                // The paths that begin with "" and a slash are all but "" itself.
                let count = node.descendants() + u32::from(path.is_empty());
                Ok(ReplyBody::Count(i32::try_from(count).unwrap_or(i32::MAX)))
            }
            Request::Create(_)
            | Request::Create2(_)
            | Request::CreateContainer(_)
            | Request::CreateTtl { .. }
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::Sync { .. }
            | Request::Ping
            | Request::Check { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. }
            | Request::CheckWatches { .. }
            | Request::RemoveWatches { .. }
            | Request::Auth { .. }
            | Request::SetWatches(_)
            | Request::SetWatches2(_)
            | Request::Sasl { .. }
            | Request::AddWatch { .. }
            | Request::WhoAmI
            | Request::CloseSession => Err(ErrorCode::Unimplemented),
        }
    }

    /// A node's stat, whoever asks: for setting watches again after a reconnect.
    pub fn stat_of(&self, path: &str) -> Option<Stat> {
        self.nodes.find(path).map(|id| self.stat(self.nodes.get(id)))
    }

    fn exists(&self, path: &str, identities: &[Identity]) -> Result<Stat, ErrorCode> {
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        Ok(self.stat(self.readable(path, identities)?.1))
    }

    fn get_data(
        &self,
        path: &str,
        identities: &[Identity],
    ) -> Result<(Option<Data>, Stat), ErrorCode> {
        let (_, node) = self.readable(path, identities)?;
        Ok((node.data.clone(), self.stat(node)))
    }

    /// Who may administer a node sees its ACL; who may only read it sees no password's hash.
    fn get_acl(&self, path: &str, identities: &[Identity]) -> Result<ReplyBody, ErrorCode> {
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let acl = self.acls.get(self.nodes.get(id).acl);
        if !self.permits(acl, Perms::READ.or(Perms::ADMIN), identities) {
            return Err(ErrorCode::NoAuth);
        }
        let shown = match self.permits(acl, Perms::ADMIN, identities) {
            true => acl.to_vec(),
            false => acl.iter().map(acl::mask).collect::<Vec<Acl>>(),
        };
        Ok(ReplyBody::Acl(shown, self.stat(self.nodes.get(id))))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else decodes in a multiRead")]
    fn read_part(&self, request: &Request, identities: &[Identity]) -> OpResult {
        let result = match request {
            Request::GetData { path, .. } => {
                self.get_data(path, identities).map(|(data, stat)| OpResult::GetData(data, stat))
            }
            Request::GetChildren { path, .. } => {
                self.readable(path, identities).map(|(_, node)| OpResult::GetChildren(names(node)))
            }
            _ => Err(ErrorCode::MarshallingError),
        };
        result.unwrap_or_else(OpResult::Error)
    }

    /// The session's own ephemeral nodes whose path starts with `prefix`, be it a whole path or
    /// not.
    fn own_ephemerals(&self, session: SessionId, prefix: &str) -> Vec<Box<str>> {
        // As Java trims: whatever is not above a space.
        let trimmed = prefix.trim_matches(|c| c <= ' ');
        let all = trimmed.is_empty() || trimmed == "/";
        let paths = self.ephemeral_paths(session).into_iter();
        let wanted = paths.filter(|path| all || path.starts_with(prefix));
        wanted.map(String::into_boxed_str).collect()
    }

    fn readable(&self, path: &str, identities: &[Identity]) -> Result<(NodeId, &Node), ErrorCode> {
        let id = self.nodes.find(path).ok_or(ErrorCode::NoNode)?;
        let node = self.nodes.get(id);
        let permitted = self.permits(self.acls.get(node.acl), Perms::READ, identities);
        if permitted { Ok((id, node)) } else { Err(ErrorCode::NoAuth) }
    }

    fn stat(&self, node: &Node) -> Stat {
        node.wire_stat(self.options.owner_format)
    }
}

fn names(node: &Node) -> NameList {
    node.children().map(|children| children.list()).unwrap_or_default()
}

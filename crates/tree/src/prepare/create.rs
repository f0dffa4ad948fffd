//! The creates: what a flag means, what it rules out, and the number of a sequential node.

use super::{Preparation, Prepared, check_path};
use crate::acl;
use crate::apply::created_stat;
use crate::pending::{Key, NodeChange, NodeView};
use crate::quota::signed;
use bellwether_wire::client::request::Create;
use bellwether_wire::disk::txn::{CreateTxn, Txn};
use bellwether_wire::owner::TTL_MS_MAX;
use bellwether_wire::{ErrorCode, OpCode, Owner, Perms};

/// What the flags of a create stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CreateMode {
    pub(super) lifetime: Lifetime,
    sequential: bool,
}

/// How long a node lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lifetime {
    Persistent,
    Ephemeral,
    Container,
    Ttl,
}

impl CreateMode {
    pub(super) fn from_flags(flags: i32) -> Option<CreateMode> {
        let (lifetime, sequential) = match flags {
            0 => (Lifetime::Persistent, false),
            1 => (Lifetime::Ephemeral, false),
            2 => (Lifetime::Persistent, true),
            3 => (Lifetime::Ephemeral, true),
            4 => (Lifetime::Container, false),
            5 => (Lifetime::Ttl, false),
            6 => (Lifetime::Ttl, true),
            _ => return None,
        };
        Some(CreateMode { lifetime, sequential })
    }
}

impl Preparation<'_> {
    /// `op` decides what the transaction is, the flags what is checked and whether the name gets a
    /// number; clients send them together in ways that fit.
    pub(super) fn create(&mut self, op: OpCode, create: Create, ttl_ms: Option<i64>) -> Prepared {
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        self.check_ttl(mode, ttl_ms)?;
        self.check_session_of(mode)?;
        let path = create.path;
        let (parent_path, _) = path.rsplit_once('/').ok_or(ErrorCode::BadArguments)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = acl::fix(&self.tree.options.schemes, create.acl, self.caller.identities)?;
        let parent_key = self.key(parent_path);
        let parent = self.view(parent_key)?;
        self.check_acl(&parent, Perms::CREATE)?;
        let numbered;
        let created_path = if mode.sequential {
            numbered = format!("{path}{:010}", parent.stat.cversion);
            &*numbered
        } else {
            &*path
        };
        check_path(created_path)?;
        let key = self.key(created_path);
        if self.exists(key) {
            return Err(ErrorCode::NodeExists);
        }
        let format = self.tree.options.owner_format;
        if let Owner::Session(_) = Owner::decode(parent.stat.ephemeral_owner, format) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let bytes = create.data.as_ref().map_or(0, |data| data.len() as u64);
        self.check_quota(created_path, signed(bytes), 1)?;
        let parent_cversion = parent.stat.cversion.wrapping_add(1);
        let owner = self.owner(op, mode, ttl_ms);
        let stat = created_stat(&self.header(op), owner);
        let node = NodeView {
            stat,
            children: 0,
            acl: self.shared(&acl),
            data: create.data.clone(),
            counts: self.tree.counts(created_path, create.data.as_deref(), &stat),
        };
        self.add((parent_key, parent, parent_cversion), (key, node, owner));
        let path = if mode.sequential { created_path.into() } else { path };
        let txn = CreateTxn { path, data: create.data, acl, parent_cversion };
        Ok((op, to_txn(op, txn, owner)))
    }

    /// A time to live must be there where the flags ask for one, and not be there elsewhere. The
    /// operation that carries one with flags that do not is refused: Apache logs it, and then fails
    /// to apply what it has logged.
    fn check_ttl(&self, mode: CreateMode, ttl_ms: Option<i64>) -> Result<(), ErrorCode> {
        let wanted = mode.lifetime == Lifetime::Ttl;
        if wanted && !self.tree.options.owner_format.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let possible = ttl_ms.is_some_and(|ttl_ms| (1..=TTL_MS_MAX).contains(&ttl_ms));
        let fits = if wanted { possible } else { ttl_ms.is_none() };
        if fits { Ok(()) } else { Err(ErrorCode::BadArguments) }
    }

    /// An ephemeral node needs a session that the whole ensemble knows: to a create of one, an
    /// unknown session has expired.
    fn check_session_of(&self, mode: CreateMode) -> Result<(), ErrorCode> {
        self.check_session().map_err(|code| match (code, mode.lifetime) {
            (ErrorCode::UnknownSession, Lifetime::Ephemeral) => ErrorCode::SessionExpired,
            (code, _) => code,
        })
    }

    /// Whom the node will belong to when the transaction of `op` is applied.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other two creates share a transaction")]
    fn owner(&self, op: OpCode, mode: CreateMode, ttl_ms: Option<i64>) -> Owner {
        match op {
            OpCode::CreateContainer => Owner::Container,
            OpCode::CreateTtl => Owner::Ttl { ttl_ms: ttl_ms.expect("its presence was checked") },
            _ if mode.lifetime == Lifetime::Ephemeral => Owner::Session(self.caller.session),
            _ => Owner::None,
        }
    }

    /// The node will be there, and its parent have a child more.
    fn add(
        &mut self,
        (parent_key, mut parent, parent_cversion): (Key<'_>, NodeView, i32),
        (key, node, owner): (Key<'_>, NodeView, Owner),
    ) {
        let zxid = self.stamp.zxid;
        parent.children += 1;
        self.change_stat(parent_key, parent, |stat| {
            // As applying does: where the count of creates has wrapped around, nothing changes.
            if parent_cversion > stat.cversion {
                stat.cversion = parent_cversion;
                stat.pzxid = zxid;
            }
        });
        let change = NodeChange {
            digest: u64::from(node.counts),
            state: Some(node),
            owner: match owner {
                Owner::Session(session) => Some(session),
                Owner::None | Owner::Container | Owner::Ttl { .. } | Owner::Unknown => None,
            },
        };
        self.pending.change_node(zxid, key, change);
    }
}

fn to_txn(op: OpCode, create: CreateTxn, owner: Owner) -> Txn {
    match owner {
        Owner::Container => Txn::CreateContainer(create),
        Owner::Ttl { ttl_ms } => Txn::CreateTtl { create, ttl_ms },
        Owner::Session(_) => Txn::Create { create, ephemeral: true },
        Owner::None => Txn::Create { create, ephemeral: false },
        Owner::Unknown => unreachable!("{op} creates no node of an unknown kind"),
    }
}

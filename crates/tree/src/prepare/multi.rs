//! Several writes, all or none.
//!
//! Each is prepared on top of those before it. The first that is refused takes the others back and
//! makes the whole a failed multi: a transaction all the same, whose parts say what became of them.

use super::create::{CreateMode, Lifetime};
use super::{Preparation, Prepared};
use bellwether_wire::client::Request;
use bellwether_wire::disk::txn::Txn;
use bellwether_wire::{ErrorCode, OpCode};

impl Preparation<'_> {
    pub(super) fn multi(&mut self, requests: Vec<Request>) -> Prepared {
        self.pending.begin_undo();
        let mut parts = Vec::with_capacity(requests.len());
        let mut failed = false;
        for request in requests {
            let prepared =
                if failed { Err(ErrorCode::RuntimeInconsistency) } else { self.part(request) };
            if prepared.is_err() && !failed {
                self.pending.roll_back();
                failed = true;
            }
            let refused = |code: ErrorCode| (OpCode::Error, Txn::Error { code: code.code() });
            parts.push(prepared.unwrap_or_else(refused));
        }
        let prepared = self.fits((OpCode::Multi, Txn::Multi(parts)));
        if prepared.is_err() && !failed {
            self.pending.roll_back();
        }
        self.pending.keep();
        prepared
    }

    /// Within a multi the flags of a create outweigh its operation.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only creates carry flags")]
    fn part(&mut self, request: Request) -> Prepared {
        let lifetime = |flags| CreateMode::from_flags(flags).map(|mode| mode.lifetime);
        let request = match request {
            Request::Create(create) | Request::Create2(create)
                if lifetime(create.flags) == Some(Lifetime::Container) =>
            {
                Request::CreateContainer(create)
            }
            Request::CreateTtl { create, .. }
                if lifetime(create.flags) == Some(Lifetime::Container) =>
            {
                Request::CreateContainer(create)
            }
            Request::CreateTtl { create, .. } if lifetime(create.flags) != Some(Lifetime::Ttl) => {
                Request::Create(create)
            }
            other => other,
        };
        self.request(request)
    }
}

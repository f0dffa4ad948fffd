//! No transaction is prepared that no reader of the log would take.

use crate::script::{at, identities, options, session};
use bellwether_tree::{Caller, Pending, Stamp, Tree, TreeOptions, Write};
use bellwether_wire::client::Request;
use bellwether_wire::client::request::Create;
use bellwether_wire::disk::{Txn, TxnRecord};
use bellwether_wire::{Acl, ErrorCode, Perms, Zxid};

const TXN_BYTES_MAX: usize = 400;

struct Short {
    tree: Tree,
    pending: Pending,
    zxid: i64,
}

impl Short {
    fn new() -> Short {
        let options = TreeOptions { txn_bytes_max: TXN_BYTES_MAX, ..options() };
        let mut short = Short { tree: Tree::new(options), pending: Pending::new(), zxid: 0 };
        short.write(Write::CreateSession { timeout_ms: 1000 });
        short
    }

    /// Prepares and applies.
    fn write(&mut self, write: Write) -> TxnRecord {
        self.zxid += 1;
        let stamp = Stamp { zxid: Zxid(self.zxid), time_ms: 1 };
        let identities = identities("s2");
        let caller = Caller { session: session("s2"), cxid: 1, identities: &identities };
        let record = self.tree.prepare(&mut self.pending, stamp, caller, write);
        let outcome = self.tree.apply(at(0), &record, None);
        assert_ne!(outcome.digest_matches, Some(false));
        self.pending.applied(Zxid(self.zxid));
        assert!(self.pending.is_empty());
        record
    }
}

fn create(path: &str, flags: i32, acl: Acl) -> Request {
    Request::Create(Create { path: path.into(), data: None, acl: Some(vec![acl]), flags })
}

fn auths() -> Acl {
    Acl { perms: Perms::ALL, scheme: "auth".into(), id: "".into() }
}

fn long_name(n: usize) -> String {
    format!("/{n}{}", "n".repeat(150))
}

#[test]
fn a_create_that_grows_beyond_the_limit_is_refused_and_leaves_nothing() {
    let mut short = Short::new();
    let name = format!("/{}", "n".repeat(TXN_BYTES_MAX - 30));
    let record = short.write(Write::Request(create(&name, 0, auths())));
    assert_eq!(record.txn, Txn::Error { code: ErrorCode::BadArguments.code() });
    let record = short.write(Write::Request(create("/short", 0, auths())));
    assert!(matches!(record.txn, Txn::Create { .. }));
}

#[test]
fn a_multi_beyond_the_limit_is_refused_whole() {
    let mut short = Short::new();
    let parts = (0..3).map(|n| create(&long_name(n), 0, Acl::world_all())).collect();
    let record = short.write(Write::Request(Request::Multi(parts)));
    assert_eq!(record.txn, Txn::Error { code: ErrorCode::BadArguments.code() });
    assert!(short.tree.stat_of(&long_name(0)).is_none());
}

#[test]
fn the_end_of_a_session_with_too_many_nodes_to_list_lists_none_and_deletes_all() {
    let mut short = Short::new();
    for n in 0..4 {
        short.write(Write::Request(create(&long_name(n), 1, Acl::world_all())));
    }
    assert_eq!(short.tree.ephemerals_count(), 4);
    let record = short.write(Write::CloseSession);
    assert_eq!(record.txn, Txn::CloseSession { paths: None });
    assert_eq!(short.tree.ephemerals_count(), 0);
}

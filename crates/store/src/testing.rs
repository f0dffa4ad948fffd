//! Records for tests.

use bellwether_wire::disk::{CreateTxn, Txn, TxnHeader, TxnRecord};
use bellwether_wire::{Acl, OpCode, SessionId, Zxid};

fn header(zxid: i64, op: OpCode) -> TxnHeader {
    TxnHeader { session: SessionId(1), cxid: 1, zxid: Zxid(zxid), time_ms: 1_700_000_000_000, op }
}

pub(crate) fn create(zxid: i64, path: &str, data: &[u8]) -> TxnRecord {
    let create = CreateTxn {
        path: path.into(),
        data: Some(data.into()),
        acl: vec![Acl::world_all()],
        parent_cversion: 1,
    };
    let txn = Txn::Create { create, ephemeral: false };
    TxnRecord { header: header(zxid, OpCode::Create), txn, digest: None }
}

pub(crate) fn set_data(zxid: i64, path: &str, data: &[u8]) -> TxnRecord {
    let txn = Txn::SetData { path: path.into(), data: Some(data.into()), version: 1 };
    TxnRecord { header: header(zxid, OpCode::SetData), txn, digest: None }
}

pub(crate) fn error(zxid: i64) -> TxnRecord {
    TxnRecord { header: header(zxid, OpCode::Error), txn: Txn::Error { code: -101 }, digest: None }
}

//! What many nodes and watches cost each, counted by an allocator.
#![expect(unsafe_code, reason = "an allocator that counts is one; it only passes calls on")]

use crate::script::{at, options};
use bellwether_tree::{Progress, Tree, WatchKind, WatchTable, WatcherId};
use bellwether_wire::disk::txn::{CreateTxn, Txn, TxnHeader, TxnRecord};
use bellwether_wire::{Acl, OpCode, SessionId, Zxid};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// What this thread has allocated and not freed: tests on other threads do not disturb it.
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that is ending has no count any more.
    let _ended = BYTES.try_with(|count| count.set(count.get() + bytes));
}

fn size(layout: Layout) -> isize {
    // What malloc adds to a small piece, and rounds it to.
    isize::try_from((layout.size() + 8).next_multiple_of(16).max(32)).expect("a size")
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let before = BYTES.get();
    let made = make();
    (made, usize::try_from(BYTES.get() - before).expect("more than before"))
}

/// Enough for the tables to be as full as with a million.
const WATCHES: u64 = 250_000;

#[test]
fn a_watch_on_a_path_of_its_own_costs_less_than_128_bytes() {
    let (mut table, bytes) = allocated(|| {
        let mut table = WatchTable::new([1, 2]);
        for n in 0..WATCHES {
            table.add(WatcherId(1), &format!("/watched/{n:011}"), WatchKind::Data);
        }
        table
    });
    assert_eq!(table.len() as u64, WATCHES);
    assert!(bytes / (WATCHES as usize) < 128, "{bytes} bytes");
    while table.forget(WatcherId(1), 10_000) == Progress::More {}
    assert!(table.is_empty());
}

#[test]
fn a_watch_on_a_shared_path_costs_less_than_48_bytes() {
    let (table, bytes) = allocated(|| {
        let mut table = WatchTable::new([1, 2]);
        for n in 0..WATCHES {
            table.add(WatcherId(n % 1000), &format!("/watched/{:011}", n / 1000), WatchKind::Data);
        }
        table
    });
    assert_eq!(table.len() as u64, WATCHES);
    assert!(bytes / (WATCHES as usize) < 48, "{bytes} bytes");
}

/// Creates `/x`, then nodes below it.
pub(crate) fn wide_tree(nodes: i64, data_len: usize) -> Tree {
    let mut tree = Tree::new(options());
    let mut changes = Vec::new();
    for n in 0..=nodes {
        let path = if n == 0 { "/x".to_owned() } else { format!("/x/node-{n:010}") };
        let data = Some(vec![0; data_len].into());
        let acl = vec![Acl::world_all()];
        let create = CreateTxn { path: path.into(), data, acl, parent_cversion: -1 };
        let (session, op) = (SessionId(1), OpCode::Create);
        let header = TxnHeader { session, cxid: 0, zxid: Zxid(n + 1), time_ms: n, op };
        let txn = Txn::Create { create, ephemeral: false };
        let record = TxnRecord { header, txn, digest: None };
        let outcome = tree.apply(at(0), &record, Some(&mut changes));
        assert!(outcome.result.is_ok());
        changes.clear();
    }
    tree
}

#[test]
fn a_node_costs_its_name_its_data_and_little_more() {
    let (tree, bytes) = allocated(|| wide_tree(50_000, 100));
    let per_node = bytes / 50_000;
    // 120 the node, 32 its name, 128 its data, 20 its name in the parent's list, 10 to 18 the
    // index.
    assert!(per_node < 340, "{per_node} bytes");
    assert_eq!(tree.check(), Ok(()));
}

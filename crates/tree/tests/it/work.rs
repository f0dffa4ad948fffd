//! How much one step does: whatever sees everything is cut into slices, and a slice is as small as
//! it was asked to be.

use crate::memory::wide_tree;
use crate::script::{at, options};
use bellwether_tree::{Progress, Tree};
use bellwether_wire::SessionId;
use bellwether_wire::client::{ReplyBody, Request};
use bellwether_wire::disk::SnapshotItem;

const NODES: i64 = 5_000;

#[test]
fn a_slice_of_a_snapshot_visits_what_it_may_and_no_more() {
    let tree = wide_tree(NODES, 1);
    let mut cursor = tree.snapshot_start();
    let (mut slices, mut nodes) = (0, 0);
    loop {
        let mut items = Vec::new();
        let progress = tree.snapshot_next(&mut cursor, 100, &mut items);
        // The last ACL brings the root with it.
        assert!(items.len() <= 101, "{}", items.len());
        nodes += items.iter().filter(|item| matches!(item, SnapshotItem::Node(_))).count();
        slices += 1;
        if progress == Progress::Done {
            break;
        }
    }
    assert_eq!(nodes as i64, NODES + 5);
    assert!(slices <= 52, "every slice but the last does its share: {slices}");
    let mut items = Vec::new();
    assert_eq!(tree.snapshot_next(&mut cursor, 1, &mut items), Progress::Done);
    assert!(items.is_empty());
}

#[test]
fn a_slice_of_nothing_still_gets_on() {
    let tree = Tree::new(options());
    let mut cursor = tree.snapshot_start();
    let mut items = Vec::new();
    while tree.snapshot_next(&mut cursor, 0, &mut items) == Progress::More {}
    let mut reap = tree.reap_start();
    assert_eq!(tree.reap_next(at(0), &mut reap, 0, 0, &mut Vec::new()), Progress::Done);
}

#[test]
fn a_list_of_children_shares_the_trees_memory() {
    let tree = wide_tree(NODES, 1);
    let request = Request::GetChildren { path: "/x".into(), watch: false };
    match tree.read(&request, SessionId(1), &[]) {
        Ok(ReplyBody::Children(names)) => {
            assert_eq!(names.len() as i64, NODES);
            assert_eq!(names.encoded_bytes() as i64, 4 + NODES * (4 + 15));
            assert!(names.names().is_sorted());
        }
        other => panic!("{other:?}"),
    }
}

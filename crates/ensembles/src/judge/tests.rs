//! The judge finds what it is there for.

use super::*;
use crate::load::Ack;
use std::time::{Duration, Instant};

fn content(mzxid: i64, version: i32) -> Content {
    Content { czxid: Zxid(7), mzxid: Zxid(mzxid), version }
}

fn node(certain: Option<Content>, maybe_next: bool) -> Node {
    Node { path: "/load/1-0-0".to_owned(), certain, maybe_next }
}

fn seen(mzxid: i64, version: i32) -> Seen {
    let data = data_at("/load/1-0-0", version);
    let stat = Stat { czxid: Zxid(7), mzxid: Zxid(mzxid), version, ..Stat::default() };
    (Some(data.into()), stat, Vec::new())
}

#[test]
fn a_lost_write_is_found() {
    let acked = node(Some(content(9, 2)), false);
    assert!(check_node(&acked, None).is_err());
    assert!(check_node(&acked, Some(&seen(8, 1))).is_err());
    assert!(check_node(&acked, Some(&seen(10, 2))).is_err(), "another write of this version");
    assert!(check_node(&acked, Some(&seen(9, 2))).is_ok());
}

#[test]
fn one_write_without_an_answer_may_have_happened() {
    let unsure = node(Some(content(9, 2)), true);
    assert!(check_node(&unsure, Some(&seen(9, 2))).is_ok());
    assert!(check_node(&unsure, Some(&seen(12, 3))).is_ok());
    assert!(check_node(&unsure, Some(&seen(14, 4))).is_err(), "two happened");
    assert!(check_node(&node(None, true), None).is_ok());
    assert!(check_node(&node(None, true), Some(&seen(7, 0))).is_ok());
    assert!(check_node(&node(None, false), Some(&seen(7, 0))).is_err(), "it was never sent");
}

#[test]
fn data_of_another_version_is_found() {
    let (_, stat, acl) = seen(9, 2);
    let other = (Some(data_at("/load/1-0-0", 1).into()), stat, acl);
    assert!(check_node(&node(Some(content(9, 2)), false), Some(&other)).is_err());
}

#[test]
fn a_node_that_nobody_created_is_found() {
    let history = History::default();
    let tree = Tree::from([("/load/x".to_owned(), seen(7, 0)), ("/other".to_owned(), seen(7, 0))]);
    assert!(history.held_by(&tree).is_err());
}

fn acks(list: &[(i64, u64, u64)]) -> Record {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let ack = |&(zxid, sent, answered): &(i64, u64, u64)| Ack {
        zxid: Zxid(zxid),
        sent: at(sent),
        answered: at(answered),
    };
    Record { acks: list.iter().map(ack).collect(), ..Record::default() }
}

#[test]
fn an_order_that_contradicts_time_is_found() {
    assert!(History::default().add(acks(&[(1, 0, 5), (2, 1, 3), (3, 4, 6)])).is_ok());
    assert!(History::default().add(acks(&[(2, 0, 5), (1, 6, 7)])).is_err());
}

#[test]
fn a_zxid_that_two_writes_have_is_found_across_records() {
    let mut history = History::default();
    assert!(history.add(acks(&[(1, 0, 5)])).is_ok());
    assert!(history.add(acks(&[(1, 6, 7)])).is_err());
}

#[test]
fn digests_are_read() {
    let text = "80: 14207234299\n100000080: -1\n";
    let expected =
        BTreeMap::from([(0x80, "14207234299".to_owned()), (0x1_0000_0080, "-1".to_owned())]);
    assert_eq!(parse_digests(text), expected);
}

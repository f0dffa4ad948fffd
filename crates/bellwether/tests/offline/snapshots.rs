//! Snapshots, sound and broken, and what the offline commands say about them.

use crate::place::{Place, text};
use bellwether_store::{Compression, ForceSync};

const KINDS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

#[test]
fn every_compression_is_read_and_dumped_alike() {
    let mut texts = Vec::new();
    for (zxid, kind) in (1..).zip(KINDS) {
        let place = Place::with_batches("kinds", ForceSync::Yes, &[]);
        let file = place.save(zxid, kind, &[("", 0, b""), ("/a", 1, b"data"), ("/a/b", 1, b"")]);
        let name = text(&file);
        place
            .run(&["snapshot", "verify", &name])
            .expect(0, &["sound: 3 nodes, 4 bytes of data, 0 sessions, 0 ACLs, effects up to 0x1"]);
        let said = place.run(&["snapshot", "dump", "--data", &name]);
        said.expect(0, &["/a  4 bytes  acl -1  czxid 0x0", "data ZGF0YQ==", "3 nodes, 4 bytes"]);
        texts.push(said.text.replace(&name, "FILE"));
        place.run(&["snapshot", "dump", "--json", &name]).expect(
            0,
            &["{\"kind\":\"node\",\"path\":\"/a/b\",\"bytes\":0", "\"kind\":\"snapshot\""],
        );
    }
    assert!(texts.iter().all(|text| Some(text) == texts.first()), "{texts:#?}");
}

#[test]
fn a_broken_snapshot_is_named_with_its_place_and_the_one_that_is_left() {
    for (what, cut) in [("it ends too early", 0), ("its checksum is wrong", 1)] {
        let place = Place::with_batches("broken", ForceSync::Yes, &[&[1], &[2]]);
        let file = place.save_snapshot(2, 2);
        place.edit("snapshot.2", |bytes| match cut {
            0 => bytes.truncate(bytes.len() / 2),
            _ => {
                if let Some(byte) = bytes.get_mut(70) {
                    *byte ^= 1;
                }
            }
        });
        let named = format!("snapshot {}, byte ", text(&file));
        let aside = format!("mv {} ELSEWHERE", text(&file));
        let rest = format!("a server starts from {}", place.shown("snapshot.0"));
        let said = place.run(&["snapshot", "verify", "DIR"]);
        said.expect(1, &[&named, what, &aside, &rest, "bellwether log verify "]);
        let said = place.run(&["log", "verify", "DIR"]);
        said.expect(
            1,
            &[
                "a server would warn: snapshot ",
                "snapshot.2 is broken",
                "snapshot.0 and 2 transactions after it, the last is 0x2",
            ],
        );
        place.run(&["snapshot", "dump", "DIR"]).expect(0, &["snapshot.0"]);
    }
}

#[test]
fn a_directory_without_a_sound_snapshot_says_what_can_be_done() {
    let place = Place::with_batches("no-snapshot", ForceSync::Yes, &[&[1]]);
    place.edit("snapshot.0", |bytes| bytes.truncate(20));
    place.run(&["snapshot", "verify", "DIR"]).expect(
        1,
        &[
            "snapshot.0, byte ",
            "has no sound snapshot",
            "from a backup",
            "snapshot.trust.empty=true",
        ],
    );
    place.run(&["log", "verify", "DIR"]).expect(
        1,
        &["does not start", "no readable snapshot (1 are broken)", "bellwether snapshot verify "],
    );
    place.run(&["snapshot", "dump", "DIR"]).expect(3, &["bellwether snapshot verify "]);
}

#[test]
fn a_snapshot_that_no_tree_can_be_is_broken() {
    let place = Place::with_batches("orphan", ForceSync::Yes, &[]);
    let file = place.save(1, Compression::None, &[("", 0, b""), ("/a/b", 1, b"")]);
    let said = place.run(&["snapshot", "verify", &text(&file)]);
    said.expect(1, &["node /a/b comes before its parent"]);
}

#[test]
fn two_snapshots_are_compared_node_by_node() {
    let place = Place::with_batches("compare", ForceSync::Yes, &[]);
    let left = place.save(
        1,
        Compression::None,
        &[("", 0, b""), ("/same", 1, b"s"), ("/gone", 1, b"four"), ("/set", 1, b"1")],
    );
    let right = place.save(
        9,
        Compression::Gzip,
        &[
            ("", 0, b""),
            ("/same", 1, b"s"),
            ("/new", 7, b""),
            ("/new/x", 8, b"12345"),
            ("/set", 9, b"22"),
        ],
    );
    let (left, right) = (text(&left), text(&right));
    place.run(&["snapshot", "compare", &left, &right]).expect(
        1,
        &[
            "- /gone  4 bytes",
            "+ /new  0 bytes",
            "+ /new/x  5 bytes",
            "~ /set  data (1 bytes, 2 bytes), mzxid",
            "2 added, 1 removed, 1 changed",
        ],
    );
    place.run(&["snapshot", "compare", &left, &left]).expect(0, &["0 added, 0 removed, 0 changed"]);
    let said = place.run(&["snapshot", "compare", &left, &right, "--bytes", "3"]);
    said.expect(
        1,
        &["/gone  -4 bytes  -1 nodes  (only left)", "/new  +5 bytes  +2 nodes  (only right)"],
    );
    assert!(!said.text.contains("/set") && !said.text.contains("/same"), "{}", said.text);
    let said = place.run(&["snapshot", "compare", &left, &right, "--bytes", "9", "--nodes", "5"]);
    said.expect(0, &[]);
}

#[test]
fn a_summary_counts_to_a_depth_and_below_a_path() {
    let place = Place::with_batches("summary", ForceSync::Yes, &[]);
    let nodes: [(&str, i64, &[u8]); 5] =
        [("", 0, b""), ("/a", 0, b"1"), ("/a/b", 0, b"22"), ("/a/b/c", 0, b"333"), ("/d", 0, b"")];
    let file = text(&place.save(1, Compression::Snappy, &nodes));
    let said = place.run(&["snapshot", "summary", &file]);
    said.expect(0, &["/  nodes 5  bytes 6\n  /a  nodes 3  bytes 6\n  /d  nodes 1  bytes 0\n"]);
    assert!(!said.text.contains("/a/b"), "{}", said.text);
    let said = place.run(&["snapshot", "summary", "--path", "/a", "--depth", "0", &file]);
    said.expect(
        0,
        &["/a  nodes 3  bytes 6\n  /a/b  nodes 2  bytes 5\n    /a/b/c  nodes 1  bytes 3\n"],
    );
    place.run(&["snapshot", "summary", "--path", "/none", &file]).expect(1, &["has no node /none"]);
    place.run(&["snapshot", "summary", "--path", "a", &file]).expect(2, &["a path begins with /"]);
}

#[test]
fn purge_keeps_what_the_oldest_kept_snapshot_needs() {
    let place = Place::with_logs("purge");
    for zxid in [2, 4, 6, 8] {
        place.save_snapshot(zxid, zxid);
    }
    place.run(&["purge", "DIR"]).expect(2, &["-n N is missing"]);
    let few = "count should be greater than or equal to 3";
    place.run(&["purge", "DIR", "-n", "2"]).expect(2, &[few]);
    let said = place.run(&["purge", "DIR", "-n", "3"]);
    said.expect(0, &["Removing file: 2", "snapshot.0", "snapshot.2"]);
    let names = place.names();
    let has = |name: &str| names.iter().any(|known| known == name);
    // log.1 holds nothing after 0x4; but it is the newest that begins before, and stays.
    assert!(has("log.1") && has("snapshot.4") && !has("snapshot.2"), "{names:?}");
    place.run(&["purge", "DIR", "DIR", "-n", "3"]).expect(0, &[]);
    // A broken snapshot counts for nothing.
    place.edit("snapshot.8", |bytes| bytes.truncate(30));
    let before = place.contents();
    place.run(&["purge", "DIR", "-n", "3"]).expect(0, &[]);
    assert_eq!(before, place.contents());
    place.remove("snapshot.8");
    place.append(&[&[9]]);
}

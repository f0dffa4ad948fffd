//! Directories that are damaged in every way, and what the offline commands say and do about it:
//! the file, the offset, what is lost by its zxids, and the next command.

use crate::place::{Place, Said, eventually, spawn};
use bellwether_store::ForceSync;
use std::process::{Command, Stdio};

/// What is done to a place.
type Damage = fn(&Place);

/// One way to damage a directory, what `log verify` says, and what is there after `log recover`.
struct Row {
    name: &'static str,
    by: ForceSync,
    damage: Damage,
    /// Parts of the output; `OFFSET` stands for where the record of 0x3 begins.
    says: &'static [&'static str],
    verify_code: i32,
    /// The verdict after the repair; `None` where there is nothing to repair.
    repaired: Option<&'static str>,
}

fn flip(place: &Place, zxid: i64) {
    let (from, _) = place.place_of("log.1", zxid);
    place.edit("log.1", |bytes| {
        if let Some(byte) = bytes.get_mut(from + 60) {
            *byte ^= 0x40;
        }
    });
}

fn change(place: &Place, from: usize, to: usize, with: impl Fn(u8) -> u8) {
    place.edit("log.1", |bytes| {
        for byte in bytes.get_mut(from..to).expect("it is in the file") {
            *byte = with(*byte);
        }
    });
}

fn no_side_file(place: &Place) {
    place.remove("bellwether.synced");
}

/// The log is `1,2 3,4 5,6`.
const ROWS: &[Row] = &[
    Row {
        name: "nothing",
        by: ForceSync::Yes,
        damage: |_| {},
        says: &[
            "log.1: 8192 bytes, 6 transactions, 0x1 to 0x6, batches marked",
            "a server starts with it: snapshot.0 and 6 transactions after it, the last is 0x6",
        ],
        verify_code: 0,
        repaired: None,
    },
    Row {
        name: "a wrong checksum in the middle",
        by: ForceSync::Yes,
        damage: |place| flip(place, 3),
        says: &[
            "log.1: damaged from offset OFFSET to ",
            "after transaction 0x2: a wrong checksum",
            "it looks like 0x3 setData /a",
            "lost: transaction 0x3\n",
            "a server does not start with it: ",
            "bellwether log recover ",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "two wrong checksums",
        by: ForceSync::Yes,
        damage: |place| {
            flip(place, 3);
            flip(place, 2);
        },
        says: &["lost: transactions 0x2 to 0x3\n"],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "a wrong end mark in the middle",
        by: ForceSync::Yes,
        damage: |place| {
            let (_, end) = place.place_of("log.1", 3);
            change(place, end - 1, end, |_| 0);
        },
        says: &[
            "damaged from offset OFFSET",
            "a record without its end",
            "lost: transaction 0x3\n",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "zeros in the middle",
        by: ForceSync::Yes,
        damage: |place| {
            let (from, to) = place.place_of("log.1", 3);
            change(place, from, to, |_| 0);
        },
        says: &[
            "damaged from offset OFFSET",
            "unused space with something behind it",
            "lost: transaction 0x3\n",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "an impossible length",
        by: ForceSync::Yes,
        damage: |place| {
            let (from, _) = place.place_of("log.1", 3);
            change(place, from + 8, from + 12, |_| 0xff);
        },
        says: &[
            "damaged from offset OFFSET",
            "the impossible length -1",
            "lost: transaction 0x3\n",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "a zeroed end that was acknowledged",
        by: ForceSync::Yes,
        damage: |place| {
            let (from, _) = place.place_of("log.1", 3);
            change(place, from, 8192, |_| 0);
        },
        says: &[
            "a server does not start with it: ",
            "bellwether.synced says",
            "offset OFFSET",
            "bellwether log recover ",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "a torn end that was acknowledged",
        by: ForceSync::Yes,
        damage: |place| {
            let (from, _) = place.place_of("log.1", 3);
            place.edit("log.1", |bytes| bytes.truncate(from + 30));
        },
        says: &[
            "damaged from offset OFFSET",
            "a record that the end of the file cuts",
            "lost: transactions 0x3 to 0x6 (bellwether.synced says that 0x6 was acknowledged)",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "a torn last batch that was never acknowledged",
        by: ForceSync::Yes,
        damage: |place| {
            no_side_file(place);
            flip(place, 6);
        },
        says: &[
            "lost: nothing: it was never acknowledged",
            "after transaction 0x5: they were never acknowledged, and are kept beside it",
            "a server starts with it: snapshot.0 and 5 transactions after it, the last is 0x5",
        ],
        verify_code: 0,
        repaired: None,
    },
    Row {
        name: "a header of something else",
        by: ForceSync::Yes,
        damage: |place| change(place, 0, 16, |_| b'x'),
        says: &[
            "damaged from offset 0 to 16",
            "this is not the beginning of a log",
            "lost: no transaction\n",
            "a server does not start with it: ",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "a wrong checksum in a log of Apache's kind",
        by: ForceSync::No,
        damage: |place| flip(place, 3),
        says: &[
            "no marks",
            "damaged from offset OFFSET",
            "lost: transaction 0x3\n",
            "the checksum of a record that may have been acknowledged is wrong",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "a log of Apache's kind that goes on after a missing end",
        by: ForceSync::No,
        damage: |place| {
            let (_, end) = place.place_of("log.1", 3);
            change(place, end - 1, end, |_| 0);
        },
        says: &[
            "a server would warn: ",
            "ZooKeeper takes this for the end of the log",
            "bellwether log dump ",
            "lost: transaction 0x3\n",
        ],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
    Row {
        name: "an old record behind newer ones",
        by: ForceSync::No,
        damage: |place| {
            let ((from, to), (_, end)) = (place.place_of("log.1", 3), place.place_of("log.1", 6));
            place.edit("log.1", |bytes| {
                let old = bytes.get(from..to).expect("it is there").to_vec();
                bytes.get_mut(end..end + old.len()).expect("it fits").copy_from_slice(&old);
            });
        },
        says: &["transaction 0x3 out of order", "after transaction 0x6"],
        verify_code: 1,
        repaired: Some("snapshot.0 and 6 transactions after it, the last is 0x6"),
    },
];

#[test]
fn every_damage_is_named_and_repaired() {
    for row in ROWS {
        let place = Place::with_batches("damage", row.by, &[&[1, 2], &[3, 4], &[5, 6]]);
        let offset = place.place_of("log.1", 3).0.to_string();
        (row.damage)(&place);
        let before = place.contents();
        let says: Vec<String> =
            row.says.iter().map(|part| part.replace("OFFSET", &offset)).collect();
        let says: Vec<&str> = says.iter().map(String::as_str).collect();
        println!("{}", row.name);
        let said = place.run(&["log", "verify", "DIR"]);
        said.expect(row.verify_code, &says);
        assert_eq!(before, place.contents(), "{}: looking changes nothing", row.name);
        place.run(&["log", "recover", "--dry-run", "DIR"]);
        assert_eq!(before, place.contents(), "{}: --dry-run changes nothing", row.name);
        let recovered = place.run(&["log", "recover", "--yes", "DIR"]);
        let Some(repaired) = row.repaired else {
            recovered.expect(0, &["nothing is to be recovered"]);
            assert_eq!(before, place.contents(), "{}", row.name);
            continue;
        };
        recovered.expect(0, &[repaired]);
        is_kept(&place, &before);
        place.run(&["log", "verify", "DIR"]).expect(0, &[repaired]);
        // What is written next follows what is there.
        place.append(&[&[7], &[8]]);
        place
            .run(&["log", "verify", "DIR"])
            .expect(0, &["8 transactions after it, the last is 0x8"]);
    }
}

/// The log as it was stands beside the one that was written again.
fn is_kept(place: &Place, before: &[(String, Vec<u8>)]) {
    let (_, old) = before.iter().find(|(name, _)| name == "log.1").expect("it was there");
    let now = place.contents();
    let kept = now.iter().any(|(name, bytes)| bytes == old && name != "log.1");
    let same = now.iter().any(|(name, bytes)| bytes == old && name == "log.1");
    assert!(kept || same, "{:?}", place.names());
}

#[test]
fn a_single_log_is_judged_by_its_bytes_and_copied() {
    let place = Place::with_batches("single", ForceSync::Yes, &[&[1, 2], &[3, 4]]);
    let offset = place.place_of("log.1", 3).0;
    flip(&place, 3);
    let found = format!("{}: damaged from offset {offset} to ", place.shown("log.1"));
    place.run(&["log", "verify", "@log.1"]).expect(
        1,
        &[
            &found,
            "lost: transaction 0x3",
            "next: ",
            "bellwether log verify DIR",
            "bellwether log recover DIR",
            "--output FILE",
        ],
    );
    let dumped = place.run(&["log", "dump", "@log.1"]);
    let line = "0x1 at 16: 2023-11-14T22:13:20.000Z  session 0x9  cxid 0x4  setData /a 100 bytes \
                version 3  (begins a batch)";
    dumped.expect(1, &[line, "damaged from offset", "3 transactions, 1 damaged places"]);
    place.run(&["log", "recover", "@log.1"]).expect(2, &["give the DIR, or --output FILE"]);
    let copy = place.run(&["log", "recover", "@log.1", "--output", "@copy"]);
    copy.expect(0, &["3 transactions, without 1 damaged places"]);
    place.run(&["log", "verify", "@copy"]).expect(0, &["4 transactions, 0x1 to 0x4"]);
    place.run(&["log", "recover", "@log.1", "--output", "@copy"]).expect(3, &["exists"]);
    let cut = place.run(&["log", "cut", "--after", "2", "@log.1", "--output", "@chopped"]);
    cut.expect(0, &["2 transactions"]);
}

#[test]
fn json_is_one_object_per_line_with_the_same_facts() {
    let place = Place::with_batches("json", ForceSync::Yes, &[&[1, 2], &[3]]);
    flip(&place, 2);
    let said = place.run(&["log", "dump", "--json", "@log.1"]);
    said.expect(
        1,
        &[
            "\"kind\":\"transaction\"",
            "\"zxid\":\"0x1\"",
            "\"type\":\"setData\",\"code\":5",
            "\"paths\":[\"/a\"]",
            "\"kind\":\"damage\"",
            "\"kind\":\"log\"",
            "\"damaged\":1",
        ],
    );
    for line in said.text.lines() {
        assert!(line.starts_with("{\"kind\":\"") && line.ends_with('}'), "{line}");
    }
    let verdict = place.run(&["log", "verify", "--json", "DIR"]);
    verdict.expect(1, &["\"lost\":\"transaction 0x2\"", "\"kind\":\"verdict\",\"starts\":false"]);
}

#[test]
fn a_missing_log_is_named_and_the_rest_is_joined() {
    let place = Place::with_logs("missing");
    place.remove("log.5");
    let said = place.run(&["log", "verify", "DIR"]);
    said.expect(
        1,
        &[
            "log.7: the record at offset 16 follows another one than transaction 0x4",
            "lost: transactions 0x5 to 0x6",
            "log recover",
        ],
    );
    let said = place.run(&["log", "recover", "--yes", "DIR"]);
    said.expect(
        0,
        &[
            "wrote ",
            "log.1 again: 4 transactions, and 2 failed ones",
            "8 transactions after it, the last is 0x8",
        ],
    );
    place.run(&["log", "verify", "DIR"]).expect(0, &["8 transactions after it"]);
}

#[test]
fn a_missing_last_log_is_what_the_side_file_knows() {
    let place = Place::with_logs("last");
    place.remove("log.7");
    let said = place.run(&["log", "verify", "DIR"]);
    said.expect(1, &["log.5", "the logs end with 0x6", "0x8 was on stable storage"]);
    let said = place.run(&["log", "recover", "--yes", "DIR"]);
    said.expect(
        0,
        &[
            "lost: transactions 0x7 to 0x8",
            "removed bellwether.synced",
            "log.5 again: 2 transactions, and 2 failed ones",
            "8 transactions after it, the last is 0x8",
        ],
    );
}

#[test]
fn damage_at_the_end_of_a_log_is_bounded_by_the_next_one() {
    let place = Place::with_logs("tail");
    flip(&place, 4);
    let said = place.run(&["log", "verify", "DIR"]);
    said.expect(
        1,
        &["lost: transaction 0x4\n", "was written, so that it may have been acknowledged"],
    );
    let said = place.run(&["log", "recover", "--yes", "DIR"]);
    said.expect(0, &["log.1 again", "and 1 failed ones", "8 transactions after it"]);
}

#[test]
fn recover_asks_and_takes_only_yes() {
    let place = Place::with_batches("asks", ForceSync::Yes, &[&[1], &[2], &[3]]);
    flip(&place, 2);
    let before = place.contents();
    for answer in ["", "no\n", "maybe\n"] {
        let said = place.run_with_input(&["log", "recover", "DIR"], answer);
        said.expect(
            1,
            &[
                "lost: transaction 0x2",
                "What was there is kept. (yes/no)",
                "nothing was changed; --yes answers",
            ],
        );
        assert_eq!(before, place.contents());
    }
    place.run_with_input(&["log", "recover", "DIR"], "yes\n").expect(0, &["the last is 0x3"]);
}

#[test]
fn a_cut_takes_logs_and_the_snapshots_that_would_bring_them_back() {
    let place = Place::with_logs("cut");
    place.save_snapshot(6, 6);
    // This one was being written while 0x4 happened.
    let fuzzy = place.save_snapshot(2, 4);
    let cut = ["log", "cut", "--after", "0x3", "DIR"];
    let before = place.contents();
    let refused = place.run(&cut);
    refused.expect(
        1,
        &[
            "5 transactions go; the last that stays is 0x3",
            "log.1 is to end at offset",
            "log.5 goes as a whole",
            "log.7 goes as a whole",
            "snapshot.6 holds effects of transactions up to 0x6",
            "snapshot.2 holds effects of transactions up to 0x4",
            "--with-snapshots",
        ],
    );
    assert_eq!(before, place.contents());
    let done = place.run(&[&cut[..], &["--with-snapshots", "--yes"]].concat());
    done.expect(0, &["snapshot.0 and 3 transactions after it, the last is 0x3"]);
    assert!(!fuzzy.exists());
    place.run(&cut).expect(0, &["nothing comes after 0x3: the last transaction is 0x3"]);
    let names = place.names();
    assert!(names.iter().all(|name| !name.starts_with("log.7")), "{names:?}");
    assert!(names.contains(&"bellwether.cut.log.7.0".to_owned()), "{names:?}");
    place.append(&[&[4]]);
    place.run(&["log", "verify", "DIR"]).expect(0, &["the last is 0x4"]);
}

#[test]
fn a_cut_without_a_state_to_start_from_is_refused() {
    let place = Place::with_logs("cut-base");
    place.save_snapshot(6, 6);
    place.remove("snapshot.0");
    let said = place.run(&["log", "cut", "--after", "3", "--with-snapshots", "--yes", "DIR"]);
    said.expect(1, &["nothing was changed: no sound snapshot up to 0x3 would be left"]);
    place.save_snapshot(0, 0);
    place.remove("snapshot.6");
    place.remove("log.1");
    let said = place.run(&["log", "cut", "--after", "7", "--with-snapshots", "--yes", "DIR"]);
    said.expect(1, &["the logs do not reach back to snapshot.0"])
        .expect(1, &["nothing was changed"]);
}

#[test]
fn a_cut_behind_damage_asks_for_the_repair_first() {
    let place = Place::with_batches("cut-damage", ForceSync::Yes, &[&[1, 2], &[3, 4]]);
    flip(&place, 2);
    let said = place.run(&["log", "cut", "--after", "3", "--yes", "DIR"]);
    said.expect(
        1,
        &[
            "nothing was changed: ",
            "log.1 is damaged from offset",
            "first run bellwether log recover",
        ],
    );
    place.run(&["log", "cut", "--after", "1", "--yes", "DIR"]).expect(0, &["the last is 0x1"]);
    place.run(&["log", "cut", "DIR"]).expect(2, &["cut needs --after ZXID"]);
}

#[test]
fn a_server_of_apaches_is_known_by_its_process_and_its_files() {
    let place = Place::with_batches("apache-held", ForceSync::No, &[&[1]]);
    let mut writer = Command::new("bash");
    writer.args(["-c", "exec 3>>\"$0\"; exec sleep 600"]).arg(place.path("log.1"));
    let mut writer = spawn(&mut writer);
    eventually("it has the log open", || place.run(&["log", "verify", "DIR"]).code == Some(3));
    let said = place.run(&["log", "verify", "DIR"]);
    let process = format!("process {} has ", writer.id());
    said.expect(3, &[&process, "log.1 open for writing", "stop it first"]);
    writer.kill().expect("it runs");
    writer.wait().expect("it was killed");
    let pid_file = place.options.data_dir.join("zookeeper_server.pid");
    // A number that belongs to another program by now is no server.
    let mut sleeper = spawn(Command::new("sleep").arg("600"));
    // A process that is just being made has no name for a moment, and may be anything.
    let has_name = |id: u32, name: &str| {
        let line = std::fs::read_to_string(format!("/proc/{id}/cmdline"));
        line.is_ok_and(|line| line.contains(name))
    };
    eventually("it has its name", || has_name(sleeper.id(), "sleep"));
    std::fs::write(&pid_file, sleeper.id().to_string()).expect("it can be written");
    place.run(&["log", "verify", "DIR"]).expect(0, &["a server starts"]);
    sleeper.kill().expect("it runs");
    sleeper.wait().expect("it was killed");
    let name = "exec -a org.apache.zookeeper.server.quorum.QuorumPeerMain sleep 600";
    let mut named = spawn(Command::new("bash").args(["-c", name]));
    std::fs::write(&pid_file, named.id().to_string()).expect("it can be written");
    eventually("it has its name", || has_name(named.id(), "QuorumPeerMain"));
    let said = place.run(&["log", "verify", "DIR"]);
    said.expect(3, &["zookeeper_server.pid is alive", "stop it first"]);
    named.kill().expect("it runs");
    named.wait().expect("it was killed");
    place.run(&["log", "verify", "DIR"]).expect(0, &["a server starts"]);
}

#[test]
fn directories_that_are_none_are_refused() {
    let place = Place::new("none");
    place.run(&["log", "verify", "DIR"]).expect(3, &["cannot look at ", "No such file"]);
    std::fs::create_dir_all(&place.options.data_dir).expect("it can be made");
    place.run(&["log", "verify", "DIR"]).expect(3, &["it has no version-2", "or single files"]);
    place.run(&["log", "dump", "@none"]).expect(3, &["cannot look at "]);
    place.run(&["log"]).expect(2, &["a command is missing", "usage: bellwether log dump"]);
    place.run(&["log", "--help"]).expect(0, &["log cut", "Exit codes: 0"]);
}

#[test]
fn it_takes_the_directory_by_any_of_its_names() {
    let place = Place::with_batches("names", ForceSync::Yes, &[&[1]]);
    for (words, inside) in [(".", ""), (".", "version-2"), ("version-2", "")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        command.args(["log", "verify", words]).current_dir(place.options.data_dir.join(inside));
        command.stdout(Stdio::piped());
        let output = spawn(&mut command).wait_with_output().expect("it ends");
        Said::of(&output).expect(0, &["1 transactions after it, the last is 0x1"]);
    }
}

/// The phrases in the first column of the table of `docs/tools.md`.
fn phrases() -> Vec<&'static str> {
    let page = include_str!("../../../../docs/tools.md");
    let (_, table) = page.split_once("| `log verify` says |").expect("the table is there");
    let (table, _) = table.split_once("\n\n").expect("it ends");
    let rows = table.lines().skip(2).filter_map(|row| row.split('|').nth(1));
    rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn the_page_has_the_words_of_the_commands() {
    let mut said = String::new();
    for row in ROWS {
        let place = Place::with_batches("page", row.by, &[&[1, 2], &[3, 4], &[5, 6]]);
        (row.damage)(&place);
        said += &place.run(&["log", "verify", "DIR"]).text;
    }
    for log in ["log.5", "log.7"] {
        let place = Place::with_logs("page");
        place.remove(log);
        said += &place.run(&["log", "verify", "DIR"]).text;
    }
    let place = Place::with_batches("page", ForceSync::Yes, &[&[1]]);
    said += &place.run(&["log", "verify", "--jute-maxbuffer", "0", "DIR"]).text;
    place.remove("snapshot.0");
    said += &place.run(&["log", "verify", "DIR"]).text;
    let phrases = phrases();
    assert!(phrases.len() > 10, "{phrases:?}");
    // Another test says when a directory is in use.
    for phrase in phrases.into_iter().filter(|phrase| *phrase != "a server uses") {
        assert!(said.contains(phrase), "{phrase:?} is said nowhere:\n{said}");
    }
}

#[test]
fn a_gap_around_a_broken_snapshot_of_apaches_kind_is_filled() {
    let place = Place::with_batches("apache-gap", ForceSync::No, &[&[1, 2]]);
    for first in [3, 5] {
        place.append(&[&[first, first + 1]]);
    }
    place.save_snapshot(4, 4);
    place.edit("snapshot.4", |bytes| bytes.truncate(30));
    place.remove("log.3");
    place.run(&["log", "verify", "DIR"]).expect(
        1,
        &["lost: transactions 0x3 to 0x4", "transactions between 0x2 and 0x5 are missing"],
    );
    let said = place.run(&["log", "recover", "--yes", "DIR"]);
    said.expect(
        0,
        &[
            "log.1 again: 2 transactions, and 2 failed ones",
            "6 transactions after it, the last is 0x6",
        ],
    );
    place.run(&["log", "dump", "DIR"]).expect(0, &["0x3 at ", "error -1"]);
}

#[test]
fn logs_and_snapshots_may_stand_in_two_directories() {
    let mut place = Place::new("two");
    place.options.data_log_dir = place.options.data_dir.join("txnlog");
    place.append(&[]);
    place.save_snapshot(0, 0);
    place.append(&[&[1, 2], &[3]]);
    let logs = place.options.data_log_dir.display().to_string();
    let dir = place.options.data_dir.display().to_string();
    let both = [logs.as_str(), "--snapshots", dir.as_str()];
    let verify = [&["log", "verify"][..], &both].concat();
    place.run(&verify).expect(0, &["snapshot.0 and 3 transactions after it, the last is 0x3"]);
    // Without the other directory there is nothing to start from.
    place.run(&verify[..3]).expect(1, &["no readable snapshot"]);
    let log = place.options.log_dir().join("log.1");
    let mut bytes = std::fs::read(&log).expect("it is there");
    bytes[100] ^= 1;
    std::fs::write(&log, bytes).expect("it can be written");
    let recover = [&["log", "recover", "--yes"][..], &both].concat();
    place.run(&recover).expect(0, &["lost: transaction 0x1", "3 transactions after it"]);
    let cut = [&["log", "cut", "--after", "2", "--yes"][..], &both].concat();
    place.run(&cut).expect(0, &["2 transactions after it, the last is 0x2"]);
    place.run(&["purge", &logs, &dir, "-n", "3"]).expect(0, &[]);
}

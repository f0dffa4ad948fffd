//! What members say of themselves: ours against Apache's in the same role, word for word.
//!
//! What it keeps true: a member of ours is compared with one of Apache's that serves the same
//! ensemble; leaders one after the other, everybody else at the same moment. Of figures that time
//! changes only the names are compared, of all others the values too.
//!
//! What it leaves to others: which metrics are not told, and why; that is in `docs/COMPAT.md`.

use super::Stand;
use crate::client::create;
use crate::member::{Kind, Member};
use crate::wait::wait_for;
use bellwether_wire::client::ReplyBody;
use bellwether_wire::client::request::Request;
use std::collections::{BTreeMap, BTreeSet};

const COMPAT: &str = include_str!("../../../../docs/COMPAT.md");
/// Metrics that are equal at members of one role while nothing happens.
const STEADY: [&str; 13] = [
    "server_state",
    "peer_state",
    "observer_master_id",
    "quorum_size",
    "learners",
    "synced_followers",
    "synced_non_voting_followers",
    "synced_observers",
    "pending_syncs",
    "znode_count",
    "ephemerals_count",
    "approximate_data_size",
    "global_sessions",
];
/// Of a summary: what stands before its name.
const FIGURES: [&str; 9] =
    ["avg_", "min_", "max_", "cnt_", "sum_", "p50_", "p95_", "p99_", "p999_"];
const REFUSAL: &str = "This ZooKeeper instance is not currently serving requests";

/// What one member said while nothing happened.
#[derive(Clone, Debug)]
struct Said {
    by: String,
    role: String,
    words: BTreeMap<&'static str, String>,
}

impl Said {
    fn word(&self, word: &str) -> &str {
        self.words.get(word).map_or("", String::as_str)
    }
}

pub(super) fn members_say_what_apaches_say(stand: &mut Stand) -> Result<(), String> {
    stand.ensemble.whole()?;
    let first = |sids: &[u8]| sids.first().copied().ok_or("a suite with members of both kinds");
    let (ours, theirs) = (first(&stand.ours)?, first(&stand.theirs())?);
    let mut leaders = Vec::new();
    for leader in [theirs, ours] {
        stand.ensemble.lead(leader)?;
        stand.ensemble.write(leader, 3, 10)?;
        let mut connection = stand.ensemble.connection(leader)?;
        let _made = connection.call(&create("/words", b"")).map_err(|error| error.to_string())?;
        let member = stand.ensemble.member(leader);
        // A session more than before, and none that is about to end.
        leaders.push(ask(member)?);
        learners_agree(stand)?;
        configurations_agree(stand)?;
        connection.close();
    }
    match leaders.as_slice() {
        [theirs, ours] => compare(ours, theirs).map_err(|why| format!("as the leader: {why}"))?,
        _ => unreachable!("there were two"),
    }
    nobody_serves_without_a_quorum(stand)
}

/// Followers and observers of both kinds say the same as soon as they are equally far.
fn learners_agree(stand: &Stand) -> Result<(), String> {
    let mut difference = String::new();
    let agreed = wait_for("learners of both kinds to say the same", || {
        let said: Result<Vec<(Kind, Said)>, String> =
            stand.ensemble.members.iter().map(|member| Ok((member.kind, ask(member)?))).collect();
        let said = said?;
        for (_, ours) in said.iter().filter(|(kind, _)| *kind == Kind::Bellwether) {
            let alike = |(kind, theirs): &&(Kind, Said)| {
                *kind == Kind::Apache && theirs.role == ours.role && theirs.role != "leader"
            };
            for (_, theirs) in said.iter().filter(alike) {
                if let Err(why) = compare(ours, theirs) {
                    difference = format!("as a {}: {why}", ours.role);
                    return Ok(None);
                }
            }
        }
        Ok(Some(()))
    });
    agreed.map_err(|why| format!("{why}: {difference}"))
}

/// The node of the configuration is the same everywhere, but for when a member wrote it.
fn configurations_agree(stand: &Stand) -> Result<(), String> {
    let mut first = None;
    for sid in stand.ensemble.sids() {
        let mut connection = stand.ensemble.connection(sid)?;
        let request = Request::GetData { path: "/zookeeper/config".into(), watch: false };
        let ReplyBody::Data(data, mut stat) = connection.expect(&request)? else {
            unreachable!("a read has data")
        };
        connection.close();
        let written_ms = stat.mtime;
        if written_ms == 0 {
            return Err(format!("member {sid} wrote no configuration"));
        }
        stat.mtime = 0;
        let shown = (data, stat);
        let expected = first.get_or_insert_with(|| shown.clone());
        if shown != *expected {
            return Err(format!(
                "/zookeeper/config of member {sid} is {shown:?}, another has {expected:?}"
            ));
        }
    }
    Ok(())
}

fn nobody_serves_without_a_quorum(stand: &mut Stand) -> Result<(), String> {
    let voters = stand.ensemble.voters();
    let (keep, stop) = voters.split_first().ok_or("an ensemble has voters")?;
    for sid in stop {
        stand.ensemble.member_mut(*sid).stop()?;
    }
    let left = stand.ensemble.others(stop);
    for sid in &left {
        stand.ensemble.not_serving(*sid)?;
    }
    assert!(left.contains(keep), "one voter stays");
    for sid in left {
        let member = stand.ensemble.member(sid);
        let words = [
            "srvr", "stat", "mntr", "conf", "cons", "dump", "dirs", "wchs", "wchc", "wchp", "srst",
            "crst",
        ];
        let mut expected: Vec<(&str, String)> =
            words.iter().map(|word| (*word, format!("{REFUSAL}\n"))).collect();
        expected.push(("hash", REFUSAL.to_owned()));
        expected.push(("isro", "null".to_owned()));
        expected.push(("ruok", "imok".to_owned()));
        for (word, expected) in expected {
            let said = member.word(word)?;
            if said != expected {
                return Err(format!("{word} of member {sid} without a quorum: {said:?}"));
            }
        }
    }
    Ok(())
}

fn ask(member: &Member) -> Result<Said, String> {
    let mut words = BTreeMap::new();
    for word in ["srvr", "stat", "mntr", "conf", "dump", "isro", "ruok", "dirs"] {
        words.insert(word, member.word(word)?);
    }
    let role = words.get("srvr").map_or("", String::as_str);
    let role = role.lines().find_map(|line| line.strip_prefix("Mode: "));
    let role = role.ok_or_else(|| format!("member {} does not serve", member.sid))?.to_owned();
    Ok(Said { by: format!("member {} ({})", member.sid, member.kind), role, words })
}

/// Why the two differ, if they do.
fn compare(ours: &Said, theirs: &Said) -> Result<(), String> {
    // Leaders are asked one after the other.
    let of_now = |text: String| match ours.role.as_str() {
        "leader" => text.replace(zxid_line(&text), ""),
        _ => text,
    };
    for (word, form) in [
        ("srvr", without_figures as fn(&str) -> String),
        ("stat", without_figures),
        ("conf", without_places),
        ("dump", sessions),
        ("isro", str::to_owned),
        ("ruok", str::to_owned),
        ("dirs", without_figures),
    ] {
        let [our, their] = [ours, theirs].map(|said| of_now(form(said.word(word))));
        if our != their {
            let (us, them) = (&ours.by, &theirs.by);
            return Err(format!("{word}: {us} says\n{our}\n{them} says\n{their}"));
        }
    }
    compare_metrics(&metrics(ours.word("mntr")), &metrics(theirs.word("mntr")))
}

fn compare_metrics(
    ours: &BTreeMap<String, String>,
    theirs: &BTreeMap<String, String>,
) -> Result<(), String> {
    let (untold, own) = compat_metrics();
    // What it tells of first names of paths depends on what was asked of it.
    let is_of_a_path = |name: &str| name.ends_with("_per_namespace");
    let name = |key: &String| base_name(key, theirs);
    let wanted: BTreeSet<String> =
        theirs.keys().map(name).filter(|n| !untold.contains(n.as_str())).collect();
    let told: BTreeSet<String> = ours.keys().map(|key| base_name(key, ours)).collect();
    let told: BTreeSet<String> =
        told.into_iter().filter(|n| !own.contains(n.as_str()) && !is_of_a_path(n)).collect();
    let wanted: BTreeSet<String> = wanted.into_iter().filter(|n| !is_of_a_path(n)).collect();
    if told != wanted {
        let missing: Vec<_> = wanted.difference(&told).collect();
        let more: Vec<_> = told.difference(&wanted).collect();
        return Err(format!("mntr lacks {missing:?} and has {more:?} beyond Apache's"));
    }
    for name in STEADY {
        if ours.get(name) != theirs.get(name) {
            let (our, their) = (ours.get(name), theirs.get(name));
            return Err(format!("zk_{name}: {our:?}, of Apache's {their:?}"));
        }
    }
    Ok(())
}

/// The metrics that are not told here, and those that Apache does not have.
fn compat_metrics() -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let section = COMPAT.split("\n## ").find(|section| section.starts_with("Metrics"));
    let rows = section.expect("the page has metrics").lines().filter(|row| row.starts_with("| `"));
    let (mut untold, mut own) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let name = row.split('`').nth(1).expect("a row names something");
        if row.contains("| no: ") {
            untold.insert(name);
        } else if row.contains("| yes; Apache has none of this name ") {
            own.insert(name);
        }
    }
    (untold, own)
}

fn metrics(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (name, value) = line.strip_prefix("zk_")?.split_once('\t')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// The name of a summary for each of its figures, without whom it is of.
fn base_name(key: &str, all: &BTreeMap<String, String>) -> String {
    let of_summary = FIGURES.iter().find_map(|figure| {
        let name = key.strip_prefix(figure)?;
        all.contains_key(&format!("cnt_{name}")).then_some(name)
    });
    let name = of_summary.unwrap_or(key);
    let of_server = name.split_once('_').filter(|(sid, _)| sid.parse::<u64>().is_ok());
    let name = of_server.map_or(name, |(_, name)| name);
    for of_path in ["read_per_namespace", "write_per_namespace"] {
        if name.ends_with(of_path) {
            return of_path.to_owned();
        }
    }
    name.to_owned()
}

/// What does not change with time.
fn without_figures(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some(("Zookeeper version", _)) => "version".to_owned(),
        Some((name @ ("Mode" | "Node count" | "Zxid"), value)) => format!("{name}: {value}"),
        _ => line.replace(|c: char| c.is_ascii_digit() || c == '-', ""),
    });
    // Clients come and go, this one among them.
    let lines = lines.filter(|line| !line.starts_with(" /"));
    lines.collect::<Vec<_>>().join("\n")
}

fn zxid_line(text: &str) -> &str {
    text.lines().find(|line| line.starts_with("Zxid: ")).unwrap_or("Zxid: ")
}

/// What differs between two members of one role is where they are.
fn without_places(text: &str) -> String {
    let is_place = |line: &&str| {
        let places = ["dataDir=", "dataDirSize=", "dataLogDir=", "dataLogSize=", "serverId="];
        places.iter().any(|place| line.starts_with(place))
    };
    let lines: Vec<&str> = text.lines().filter(|line| !is_place(line)).collect();
    let end = if text.ends_with('\n') { "\n" } else { "" };
    lines.join("\n") + end
}

/// The sessions of `dump`; a leader's are by deadline, which time changes.
fn sessions(text: &str) -> String {
    let (sessions, _) = text.split_once("ephemeral nodes dump:\n").unwrap_or((text, ""));
    if sessions.contains("Global Sessions(") {
        return sessions.to_owned();
    }
    let lines = sessions.lines().filter(|line| !line.contains("expire at") && !line.contains("0x"));
    let forms = lines.map(|line| line.replace(|c: char| c.is_ascii_digit(), ""));
    forms.collect::<Vec<_>>().join("\n")
}

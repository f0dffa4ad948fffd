//! `bellwether snapshot verify`: snapshots are read to their end, seals and all, and checked for
//! what a server needs: every node behind its parent, every ACL in the table.

use super::hold::Hold;
use super::json::Object;
use super::options::Options;
use super::out::Out;
use super::snapshot_dump::{length, path};
use super::target::{self, Target};
use super::{Done, Failure, Found};
use bellwether_store::{OsDisk, SnapshotReader};
use bellwether_wire::Zxid;
use bellwether_wire::disk::{SnapshotItem, SnapshotNode, snapshot::OPEN_ACL_ID};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    let mut found = Found::Nothing;
    for given in &options.targets {
        found = found.or(match Target::find(given)? {
            Target::File(path) => verify(&path, out)?,
            Target::Directory(dir) => verify_directory(&dir, out)?,
        });
    }
    Ok(found)
}

fn verify_directory(dir: &Path, out: &mut Out) -> Done {
    let _hold = Hold::to_read(dir)?;
    let contents = target::contents(dir)?;
    let mut broken: Vec<PathBuf> = Vec::new();
    let mut newest = None;
    for (_, path) in &contents.snapshots {
        match verify(path, out)? {
            Found::Nothing => newest = Some(path),
            Found::Something => broken.push(path.clone()),
        }
    }
    let verdict = verdict(dir, newest, &broken, &contents.logs);
    out.say(|| verdict.clone(), || Object::new("verdict").text("what", &verdict))?;
    let nothing_to_start_from = newest.is_none() && !contents.logs.is_empty();
    Ok(if broken.is_empty() && !nothing_to_start_from { Found::Nothing } else { Found::Something })
}

fn verdict(
    dir: &Path,
    newest: Option<&PathBuf>,
    broken: &[PathBuf],
    logs: &[(Zxid, PathBuf)],
) -> String {
    let dir = dir.display();
    let aside: Vec<String> =
        broken.iter().map(|path| format!("mv {} ELSEWHERE", path.display())).collect();
    let aside = if aside.is_empty() {
        String::new()
    } else {
        format!(
            "; servers pass over what is broken, and so it can be moved away: {}",
            aside.join("; ")
        )
    };
    match newest {
        Some(newest) => format!(
            "a server starts from {}; whether the logs after it are whole: bellwether log verify \
             {dir}{aside}",
            newest.display()
        ),
        None if broken.is_empty() && logs.is_empty() => format!("{dir} has no snapshot and no log"),
        None => format!(
            "{dir} has no sound snapshot, so that no server starts: bring one back from a backup \
             or another server, or, if the logs are complete from the first transaction on, start \
             with snapshot.trust.empty=true{aside}"
        ),
    }
}

/// What was read of a snapshot.
#[derive(Default)]
struct Seen {
    sessions: u64,
    nodes: u64,
    bytes: u64,
    acls: BTreeSet<i64>,
    /// Hashes of the paths: a parent is looked for among them, and names take more memory.
    paths: BTreeSet<u64>,
    faults: Vec<String>,
    reach: Zxid,
}

/// As many faults of one file are told.
const FAULTS_SHOWN: usize = 20;

fn verify(file: &Path, out: &mut Out) -> Done {
    let mut seen = Seen::default();
    let mut broken = None;
    for item in SnapshotReader::open(&OsDisk, file)? {
        match item {
            Ok(item) => seen.take(&item),
            Err(error) => broken = Some(error.to_string()),
        }
    }
    if let (None, 0) = (&broken, seen.nodes) {
        seen.faults.push("it has no node, not even the root".to_owned());
    }
    let name = file.display().to_string();
    for fault in broken.iter().chain(&seen.faults) {
        out.say(
            || format!("{name}: {fault}"),
            || Object::new("damage").text("file", &name).text("what", fault),
        )?;
    }
    let sound = broken.is_none() && seen.faults.is_empty();
    say(&name, &seen, sound, out)?;
    Ok(if sound { Found::Nothing } else { Found::Something })
}

fn say(name: &str, seen: &Seen, sound: bool, out: &mut Out) -> Result<(), Failure> {
    let Seen { sessions, nodes, bytes, reach, .. } = seen;
    let word = if sound { "sound" } else { "broken; up to there" };
    out.say(
        || {
            format!(
                "{name}: {word}: {nodes} nodes, {bytes} bytes of data, {sessions} sessions, {} \
                 ACLs, effects up to {reach}",
                seen.acls.len()
            )
        },
        || {
            let object = Object::new("snapshot").text("file", name).flag("sound", sound);
            let object = object.number("nodes", nodes).number("bytes", bytes);
            let object = object.number("sessions", sessions).number("acls", seen.acls.len());
            object.text("reach", reach)
        },
    )
}

impl Seen {
    fn take(&mut self, item: &SnapshotItem) {
        match item {
            SnapshotItem::Session { .. } => self.sessions += 1,
            SnapshotItem::Acl { id, .. } => {
                self.acls.insert(*id);
            }
            SnapshotItem::Node(node) => self.take_node(node),
            SnapshotItem::Digest { zxid, .. } | SnapshotItem::LastProcessed(zxid) => {
                self.reach = self.reach.max(*zxid);
            }
        }
    }

    fn take_node(&mut self, node: &SnapshotNode) {
        self.nodes += 1;
        self.bytes += length(node);
        let stat = &node.stat;
        self.reach = self.reach.max(stat.czxid).max(stat.mzxid).max(stat.pzxid);
        if let Some((parent, _)) = node.path.rsplit_once('/')
            && !self.paths.contains(&hash(parent))
        {
            self.fault(format!("node {} comes before its parent", path(node)));
        }
        if node.acl_id != OPEN_ACL_ID && !self.acls.contains(&node.acl_id) {
            self.fault(format!(
                "node {} has the ACL {}, which is missing",
                path(node),
                node.acl_id
            ));
        }
        self.paths.insert(hash(&node.path));
    }

    fn fault(&mut self, what: String) {
        if self.faults.len() < FAULTS_SHOWN {
            self.faults.push(what);
        }
    }
}

fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

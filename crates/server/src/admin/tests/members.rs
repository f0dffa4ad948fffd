//! What members of an ensemble say, against what members of an ensemble of Apache 3.9.5 said.

use super::*;
use bellwether_node::{EnsembleStatus, LeaderStatus};
use bellwether_wire::quorum::ServerId;

const LEADER: Serving = Serving::Leader { epoch: 1 };
const FOLLOWER: Serving = Serving::Follower { epoch: 1 };
const OBSERVER: Serving = Serving::Observer { epoch: 1 };

fn status_of(serving: Option<Serving>) -> Status {
    let leader = LeaderStatus {
        learners: 4,
        synced_followers: 3,
        synced_non_voting_followers: 1,
        synced_observers: 1,
        pending_syncs: 2,
    };
    let ensemble = EnsembleStatus {
        serving_since_ms: serving.map(|_| 45_000),
        voters: 3,
        follows: serving.filter(|serving| *serving != LEADER).map(|_| ServerId(3)),
        leader: serving.filter(|serving| *serving == LEADER).map(|_| leader),
    };
    Status { serving, ensemble: Some(ensemble), last_processed: Zxid(0x1_0000_000f), ..status() }
}

fn told_by(serving: Option<Serving>, word: &str, measures: &Measures) -> String {
    let shell = ShellFigures { max_files: Some(20_000), ..shell() };
    let figures = (status_of(serving), shell, measures.clone());
    let clients = [client("127.0.0.1:36450", false)];
    render_measured(Mode::of(serving), word, figures, &clients).replace(VERSION, "VERSION")
}

fn proposed(sizes: &[u64]) -> Measures {
    let mut measures = measures();
    if let Some(last) = sizes.last().copied() {
        let (min, max) = (sizes.iter().min().copied(), sizes.iter().max().copied());
        measures.ensemble.proposal_sizes = Some(bellwether_node::Sizes {
            last_bytes: last,
            min_bytes: min.expect("there is one"),
            max_bytes: max.expect("there is one"),
        });
    }
    measures
}

#[test]
fn srvr_names_the_role_and_a_leader_the_sizes_of_its_proposals() {
    let tail = |serving, sizes: &[u64]| {
        let text = told_by(Some(serving), "srvr", &proposed(sizes));
        let (_, tail) = text.split_once("Zxid: ").expect("every server has one");
        assert!(told_by(Some(serving), "stat", &proposed(sizes)).ends_with(tail));
        tail.to_owned()
    };
    let leads = "0x10000000f\nMode: leader\nNode count: 5\nProposal sizes last/min/max: ";
    assert_eq!(tail(LEADER, &[]), format!("{leads}-1/-1/-1\n"));
    assert_eq!(tail(LEADER, &[96, 48, 50]), format!("{leads}50/48/96\n"));
    assert_eq!(tail(FOLLOWER, &[7]), "0x10000000f\nMode: follower\nNode count: 5\n");
    assert_eq!(tail(OBSERVER, &[7]), "0x10000000f\nMode: observer\nNode count: 5\n");
}

#[test]
fn a_member_without_a_leader_does_not_serve() {
    let measures = measures();
    for word in WORDS.iter().filter(|word| word.name != "crst") {
        let text = told_by(None, word.name, &measures);
        let refusal = "This ZooKeeper instance is not currently serving requests";
        match word.name {
            "hash" => assert_eq!(text, refusal),
            "isro" => assert_eq!(text, "null"),
            "ruok" => assert_eq!(text, "imok"),
            "gtmk" | "stmk" => assert_eq!(text, "306"),
            "envi" => assert!(text.starts_with("Environment:\n")),
            _ => assert_eq!(text, format!("{refusal}\n"), "{}", word.name),
        }
    }
}

#[test]
fn every_role_serves_reads_and_writes() {
    for serving in [LEADER, FOLLOWER, OBSERVER] {
        assert_eq!(told_by(Some(serving), "isro", &measures()), "rw");
    }
}

#[test]
fn a_learner_dumps_sessions_by_id_and_not_by_deadline() {
    let head = |serving| {
        let text = told_by(Some(serving), "dump", &measures());
        text.split_once("ephemeral nodes dump:\n").expect("every role has it").0.to_owned()
    };
    assert_eq!(head(LEADER), "SessionTracker dump:\nSession Sets (2)/(3):\n");
    for serving in [FOLLOWER, OBSERVER] {
        assert_eq!(head(serving), "SessionTracker dump:\nGlobal Sessions(3):\n");
    }
    let session = SessionId(0x0100_0180_f65b_0000);
    let mut line = String::new();
    let listed = bellwether_node::Listed::GlobalSession { session, timeout_ms: 30_000 };
    lines::listed(&mut line, &listed, |_| unreachable!("there is no time in it"));
    assert_eq!(line, "0x1000180f65b0000\t30000ms\n");
}

#[test]
fn mntr_begins_with_version_role_and_phase() {
    let head = |serving| {
        let text = told_by(Some(serving), "mntr", &measures());
        text.lines().take(4).collect::<Vec<_>>().join("\n")
    };
    let version = "zk_version\tVERSION\nzk_server_state\t";
    let leads = "leader\nzk_peer_state\tleading - broadcast\nzk_avg_latency\t1.2857";
    assert_eq!(head(LEADER), format!("{version}{leads}"));
    let follows = "follower\nzk_peer_state\tfollowing - broadcast\nzk_avg_latency\t1.2857";
    assert_eq!(head(FOLLOWER), format!("{version}{follows}"));
    let observes = "observer\nzk_peer_state\tobserving - broadcast\nzk_observer_master_id\t3";
    assert_eq!(head(OBSERVER), format!("{version}{observes}"));
}

#[test]
fn mntr_of_a_leader_counts_its_learners() {
    let text = told_by(Some(LEADER), "mntr", &proposed(&[96, 48]));
    for line in [
        "zk_quorum_size\t3",
        "zk_learners\t4",
        "zk_synced_followers\t3",
        "zk_synced_non_voting_followers\t1",
        "zk_synced_observers\t1",
        "zk_pending_syncs\t2",
        "zk_uptime\t5000",
        "zk_leader_uptime\t5000",
        "zk_last_proposal_size\t48",
        "zk_min_proposal_size\t48",
        "zk_max_proposal_size\t96",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}");
    }
}

#[test]
fn mntr_tells_the_settings_that_members_should_have_in_common() {
    let text = told(Mode::Standalone, "mntr");
    for line in
        ["zk_jute_maxbuffer_bytes\t1048575", "zk_extended_types_enabled\t0", "zk_digest_enabled\t1"]
    {
        assert!(text.lines().any(|told| told == line), "{line}");
    }
}

/// What Apache tells in some roles only.
const OF_MEMBERS: &str = include_str!("../../../testdata/mntr-3.9.5-members.txt");

#[test]
fn a_metric_is_told_in_the_roles_in_which_apache_tells_it() {
    let lines = OF_MEMBERS.lines().filter(|line| !line.starts_with('#'));
    let roles: BTreeMap<&str, Vec<&str>> = lines
        .map(|line| {
            let mut words = line.split(' ');
            (words.next().expect("a name"), words.collect())
        })
        .collect();
    let measured = |name: &str| METRICS.iter().any(|metric| metric.name == name);
    let unmeasured =
        |name: &str| UNMEASURED.iter().flat_map(|group| group.names).any(|told| *told == name);
    for name in roles.keys() {
        assert!(measured(name) != unmeasured(name), "{name} has no row");
    }
    for (serving, role) in [
        (Serving::Alone, "standalone"),
        (LEADER, "leader"),
        (FOLLOWER, "follower"),
        (OBSERVER, "observer"),
    ] {
        let text = match serving {
            Serving::Alone => told(Mode::Standalone, "mntr"),
            Serving::Leader { .. } | Serving::Follower { .. } | Serving::Observer { .. } => {
                told_by(Some(serving), "mntr", &measures())
            }
        };
        for metric in METRICS.iter().filter(|metric| metric.origin == Origin::Apache) {
            let is_told = ["zk_", "zk_avg_"]
                .iter()
                .any(|prefix| text.contains(&format!("\n{prefix}{}\t", metric.name)));
            match roles.get(metric.name) {
                Some(roles) => assert_eq!(is_told, roles.contains(&role), "{}", metric.name),
                // The view of a server alone knows no such limit.
                None if metric.name == "max_file_descriptor_count" => {}
                None if metric.name.ends_with("_per_namespace") => {}
                None => assert!(is_told, "{} as {role}", metric.name),
            }
        }
    }
}

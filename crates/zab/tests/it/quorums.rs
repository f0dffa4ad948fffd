//! What a quorum is, as Apache says: every set of voters of ensembles recorded from it.

use bellwether_wire::quorum::{EnsembleConfig, ServerId};
use bellwether_zab::Quorum;
use std::collections::BTreeSet;

const RECORDED: &str = include_str!("../../testdata/quorums.txt");

fn config(text: &str) -> EnsembleConfig {
    let mut lines = String::new();
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap();
        let host = if key.starts_with("server") { "host:2888:3888:" } else { "" };
        lines.push_str(&format!("{key}={host}{value}\n"));
    }
    EnsembleConfig::parse(&lines).unwrap()
}

fn servers(text: &str, separator: char) -> BTreeSet<ServerId> {
    let words = text.split(separator).map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| ServerId(word.parse().unwrap())).collect()
}

/// Every set of these.
fn subsets(servers: &[ServerId]) -> impl Iterator<Item = BTreeSet<ServerId>> {
    (0..1_u32 << servers.len()).map(|bits| {
        let taken = servers.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
        taken.map(|(_, server)| *server).collect()
    })
}

#[test]
fn quorums_are_apaches() {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let [text, count, smallest, leaders] =
            line.split('|').collect::<Vec<_>>().try_into().unwrap();
        let quorum = Quorum::of(&config(text));
        let voters: Vec<ServerId> = quorum.voters().collect();
        let quorums: Vec<_> = subsets(&voters).filter(|set| quorum.is_quorum(set)).collect();
        assert_eq!(quorums.len(), count.trim().parse::<usize>().unwrap(), "{text}");
        for set in smallest.split_whitespace().map(|set| servers(set, '+')) {
            assert!(quorums.contains(&set), "{text}: {set:?}");
            for server in &set {
                let mut less = set.clone();
                less.remove(server);
                assert!(!quorums.contains(&less), "{text}: {less:?}");
            }
        }
        let may_lead: BTreeSet<ServerId> =
            voters.into_iter().filter(|server| quorum.may_lead(*server)).collect();
        assert_eq!(may_lead, servers(leaders, ' '), "{text}");
    }
}

#[test]
fn two_quorums_always_share_a_voter() {
    for line in RECORDED.lines().filter(|line| !line.starts_with('#')) {
        let text = line.split('|').next().unwrap();
        let quorum = Quorum::of(&config(text));
        let voters: Vec<ServerId> = quorum.voters().collect();
        for set in subsets(&voters).filter(|set| quorum.is_quorum(set)) {
            let others = voters.iter().copied().filter(|server| !set.contains(server)).collect();
            assert!(!quorum.is_quorum(&others), "{text}: {set:?} and {others:?}");
        }
    }
}

#[test]
fn who_does_not_vote_counts_for_nothing() {
    let text = "server.1=participant server.2=participant server.3=participant server.4=observer";
    let quorum = Quorum::of(&config(text));
    let set = |text: &str| servers(text, ' ');
    assert!(quorum.is_quorum(&set("1 2")));
    assert!(!quorum.is_quorum(&set("1 4")));
    assert!(!quorum.is_quorum(&set("1 4 9")));
    assert!(!quorum.is_quorum(&set("")));
    assert!(!quorum.is_voter(ServerId(4)) && !quorum.may_lead(ServerId(4)));
    assert!(!quorum.is_voter(ServerId(9)) && !quorum.may_lead(ServerId(9)));
}

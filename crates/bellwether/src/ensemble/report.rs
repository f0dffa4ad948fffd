//! What the members' answers mean together: who serves, who is behind, what differs, and whom the
//! ensemble can do without.

use super::ask::{Member, State};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Settings that must not differ, or whose difference surprises: name, where it is told, what a
/// difference means.
const COMPARED: &[(&str, Place, &str)] = &[
    (
        "tickTime",
        Place::Conf,
        "members give up on each other, and expire sessions, at different times",
    ),
    ("initLimit", Place::Conf, "members wait for each other for different times"),
    ("syncLimit", Place::Conf, "members give up on each other after different times"),
    ("minSessionTimeout", Place::Conf, "a client's timeout depends on the member it asks"),
    ("maxSessionTimeout", Place::Conf, "a client's timeout depends on the member it asks"),
    ("maxClientCnxns", Place::Conf, "members take different numbers of connections"),
    (
        "jute.maxbuffer",
        Place::Mntr("zk_jute_maxbuffer_bytes"),
        "what one member accepts may be too long for another",
    ),
    (
        "extendedTypesEnabled",
        Place::Mntr("zk_extended_types_enabled"),
        "a TTL node of one member is an ephemeral node of another",
    ),
    ("digest.enabled", Place::Mntr("zk_digest_enabled"), "some members do not compare their trees"),
];

/// Which word tells a setting.
#[derive(Clone, Copy)]
enum Place {
    Conf,
    Mntr(&'static str),
}

/// Whether the ensemble can do without a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It is down, or does not serve.
    Absent(String),
    /// Clients of others notice nothing.
    Safe(String),
    /// So many voters would not be a quorum.
    Unsafe(String),
}

/// The whole picture.
pub(super) struct Report {
    members: Vec<Member>,
    /// How many vote; known from a configuration, or else everybody who was asked and does not
    /// observe.
    voters: usize,
    /// Whether a configuration said so.
    voters_known: bool,
}

impl Report {
    pub(super) fn new(members: Vec<Member>) -> Report {
        let told = members.iter().map(|member| participants(&member.conf)).max().unwrap_or(0);
        let observes =
            |member: &&Member| member.state.as_ref().is_ok_and(|state| state.mode == "observer");
        let asked = members.len() - members.iter().filter(observes).count();
        let voters_known = told > 0;
        Report { members, voters: if voters_known { told } else { asked }, voters_known }
    }

    /// Whether clients are served, and would be without any one member.
    pub(super) fn can_lose_any(&self) -> bool {
        let is_safe = |member| matches!(self.loss_of(member), Loss::Safe(_) | Loss::Absent(_));
        self.leader().is_some() && self.members.iter().all(is_safe)
    }

    fn leader(&self) -> Option<&Member> {
        let leads = |state: &State| state.mode == "leader" || state.mode == "standalone";
        self.members.iter().find(|member| member.state.as_ref().is_ok_and(leads))
    }

    fn serving_voters(&self) -> usize {
        let votes = |state: &State| state.mode == "leader" || state.mode == "follower";
        self.members.iter().filter(|member| member.state.as_ref().is_ok_and(votes)).count()
    }

    fn loss_of(&self, member: &Member) -> Loss {
        let state = match &member.state {
            Ok(state) => state,
            Err(why) => return Loss::Absent(format!("it does not serve: {why}")),
        };
        let needed = self.voters / 2 + 1;
        let left = self.serving_voters().saturating_sub(1);
        match state.mode.as_str() {
            "observer" => Loss::Safe("it does not vote; its clients move".to_owned()),
            "leader" if left >= needed => Loss::Safe(format!(
                "{left} of {} voters stay, {needed} are needed; everybody waits for an election",
                self.voters
            )),
            "follower" if left >= needed => Loss::Safe(format!(
                "{left} of {} voters stay, {needed} are needed; its clients move",
                self.voters
            )),
            "leader" | "follower" => Loss::Unsafe(format!(
                "{left} of {} voters would stay, {needed} are needed",
                self.voters
            )),
            "standalone" => Loss::Unsafe("it is the only server".to_owned()),
            mode => Loss::Unsafe(format!("its mode is {mode}: its clients may not find another")),
        }
    }

    /// In transactions; unknown between epochs.
    fn lag_of(&self, state: &State) -> Option<i64> {
        let leader = self.leader()?.state.as_ref().ok()?;
        let is_same = leader.zxid.epoch() == state.zxid.epoch();
        is_same.then_some(leader.zxid.0.saturating_sub(state.zxid.0).max(0))
    }

    /// Settings with more than one value, and who does not tell them.
    fn differences(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, place, meaning) in COMPARED {
            let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for member in &self.members {
                let value = match place {
                    Place::Conf => member.conf.get(*name),
                    Place::Mntr(key) => member.mntr.get(*key),
                };
                if let Some(value) = value {
                    values.entry(value).or_default().push(&member.server);
                }
            }
            if values.len() > 1 {
                let each: Vec<String> = values
                    .iter()
                    .map(|(value, servers)| format!("{value} at {}", servers.join(", ")))
                    .collect();
                lines.push(format!("{name}: {} ({meaning})", each.join("; ")));
            }
        }
        let memberships: BTreeSet<Vec<String>> = self
            .members
            .iter()
            .map(|member| membership(&member.conf))
            .filter(|m| !m.is_empty())
            .collect();
        if memberships.len() > 1 {
            lines.push(
                "server.N: the members do not agree on who belongs to the ensemble".to_owned(),
            );
        }
        lines
    }

    /// Who does not tell its configuration.
    fn silent(&self) -> Vec<&str> {
        let is_silent = |member: &&Member| member.state.is_ok() && member.conf.is_empty();
        self.members.iter().filter(is_silent).map(|member| member.server.as_str()).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let member = |member: &Member| {
            let state = member.state.as_ref().ok();
            json!({
                "server": member.server,
                "id": member.conf.get("serverId"),
                "mode": state.map(|state| state.mode.clone()),
                "epoch": state.map(|state| state.zxid.epoch()),
                "zxid": state.map(|state| state.zxid.to_string()),
                "lag": state.and_then(|state| self.lag_of(state)),
                "connections": state.map(|state| state.connections.clone()),
                "version": state.map(|state| state.version.clone()),
                "error": member.state.as_ref().err(),
                "safeToTakeDown": matches!(self.loss_of(member), Loss::Safe(_)),
            })
        };
        json!({
            "members": self.members.iter().map(member).collect::<Vec<_>>(),
            "voters": self.voters,
            "leader": self.leader().map(|leader| leader.server.clone()),
            "differences": self.differences(),
            "canLoseAny": self.can_lose_any(),
        })
    }
}

fn membership(conf: &BTreeMap<String, String>) -> Vec<String> {
    let line = |(key, value): (&String, &String)| {
        key.starts_with("server.").then(|| format!("{key}={value}"))
    };
    conf.iter().filter_map(line).collect()
}

fn participants(conf: &BTreeMap<String, String>) -> usize {
    membership(conf).iter().filter(|line| !line.contains(":observer")).count()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.members.iter().map(|member| member.server.len()).max().unwrap_or(0).max(6);
        writeln!(
            f,
            "{:width$}  {:>3}  {:10}  {:>6}  {:>14}  {:>6}  {:>11}  version",
            "server", "id", "role", "epoch", "zxid", "lag", "connections"
        )?;
        for member in &self.members {
            let id = member.conf.get("serverId").map_or("?", String::as_str);
            match &member.state {
                Err(why) => writeln!(f, "{:width$}  {id:>3}  down: {why}", member.server)?,
                Ok(state) => {
                    let lag = self.lag_of(state).map_or("?".to_owned(), |lag| lag.to_string());
                    writeln!(
                        f,
                        "{:width$}  {id:>3}  {:10}  {:>6}  {:>14}  {lag:>6}  {:>11}  {}",
                        member.server,
                        state.mode,
                        state.zxid.epoch(),
                        state.zxid.to_string(),
                        state.connections,
                        state.version
                    )?;
                }
            }
        }
        writeln!(f)?;
        for difference in self.differences() {
            writeln!(f, "differs: {difference}")?;
        }
        let silent = self.silent();
        if !silent.is_empty() {
            writeln!(
                f,
                "unknown: the configuration of {} (add conf,mntr to 4lw.commands.whitelist there)",
                silent.join(", ")
            )?;
        }
        if !self.voters_known {
            writeln!(
                f,
                "assumed: {} voters, as many as were asked and do not observe",
                self.voters
            )?;
        }
        if self.leader().is_none() {
            writeln!(f, "no leader: nobody serves writes")?;
        }
        for member in &self.members {
            match self.loss_of(member) {
                Loss::Absent(_) => {} // Its line above says why.
                Loss::Safe(why) => writeln!(f, "taking {} down is safe now: {why}", member.server)?,
                Loss::Unsafe(why) => writeln!(f, "do not take {} down: {why}", member.server)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask;
    use super::*;
    use expect_test::{Expect, expect};

    fn member(server: &str, mode: &str, zxid: &str, conf: &str) -> Member {
        let answer = format!(
            "Zookeeper version: 3.9.5-abc, built on 2026\nConnections: 2\nZxid: {zxid}\nMode: {mode}\n"
        );
        let state = if mode.is_empty() { Err("refused".to_owned()) } else { ask::state(&answer) };
        let (conf, mntr) = (ask::settings(conf), BTreeMap::new());
        Member { server: server.into(), state, conf, mntr }
    }

    fn check(members: Vec<Member>, can_lose_any: bool, expected: &Expect) {
        let report = Report::new(members);
        expected.assert_eq(&report.to_string());
        assert_eq!(report.can_lose_any(), can_lose_any);
    }

    #[test]
    fn a_whole_ensemble_can_lose_any_member() {
        let conf = "serverId=1\ntickTime=2000\nserver.1=a:1:2:participant\n\
                    server.2=b:1:2:participant\nserver.3=c:1:2:participant\n";
        check(
            vec![
                member("a:1", "follower", "0x600000010", conf),
                member("b:1", "leader", "0x600000012", &conf.replace("2000", "500")),
                member("c:1", "follower", "0x600000012", ""),
            ],
            true,
            &expect![[r#"
                server   id  role         epoch            zxid     lag  connections  version
                a:1       1  follower         6     0x600000010       2            2  3.9.5
                b:1       1  leader           6     0x600000012       0            2  3.9.5
                c:1       ?  follower         6     0x600000012       0            2  3.9.5

                differs: tickTime: 2000 at a:1; 500 at b:1 (members give up on each other, and expire sessions, at different times)
                unknown: the configuration of c:1 (add conf,mntr to 4lw.commands.whitelist there)
                taking a:1 down is safe now: 2 of 3 voters stay, 2 are needed; its clients move
                taking b:1 down is safe now: 2 of 3 voters stay, 2 are needed; everybody waits for an election
                taking c:1 down is safe now: 2 of 3 voters stay, 2 are needed; its clients move
            "#]],
        );
    }

    #[test]
    fn what_is_left_of_an_ensemble_can_lose_nobody() {
        check(
            vec![
                member("a:1", "follower", "0x600000010", ""),
                member("b:1", "leader", "0x600000012", ""),
                member("c:1", "", "", ""),
            ],
            false,
            &expect![[r#"
                server   id  role         epoch            zxid     lag  connections  version
                a:1       ?  follower         6     0x600000010       2            2  3.9.5
                b:1       ?  leader           6     0x600000012       0            2  3.9.5
                c:1       ?  down: refused

                unknown: the configuration of a:1, b:1 (add conf,mntr to 4lw.commands.whitelist there)
                assumed: 3 voters, as many as were asked and do not observe
                do not take a:1 down: 1 of 3 voters would stay, 2 are needed
                do not take b:1 down: 1 of 3 voters would stay, 2 are needed
            "#]],
        );
    }
}

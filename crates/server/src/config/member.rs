//! Whether a server is a member of an ensemble, and of which: its server lines and its `myid`.
//!
//! What it keeps true: what Apache takes for an ensemble is one here, with Apache's rules; one
//! participant's line alone is a single server where standaloneEnabled is true (tools write such
//! files: the official container image does, with the client port in that line only). Where this
//! server is stricter than Apache, the rule says why.
//!
//! What it leaves to others: reading a server's line (`wire`), what a quorum is (`zab`).

use super::report::Findings;
use super::values::Values;
use bellwether_wire::quorum::{EnsembleConfig, LearnerType, ServerId, ServerSpec};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// What a member of an ensemble is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// `myid`.
    pub my_id: ServerId,
    /// Whether it votes, as its server line says.
    pub role: LearnerType,
    /// Everybody.
    pub ensemble: Arc<EnsembleConfig>,
    /// How many ticks finding a leader's epoch and synchronising may take. At least 1.
    pub init_limit: u32,
    /// How many ticks a peer may be silent. At least 1.
    pub sync_limit: u32,
    /// How many ticks reaching the leader may take. At least 1.
    pub connect_limit: u32,
    /// Whether the ports for other members are open on all addresses.
    pub listens_on_all_ips: bool,
    /// How often opening the election port is tried; `None`: without end.
    pub bind_attempts: Option<NonZeroU32>,
    /// How long a connection to another election port may take.
    pub cnx_timeout_ms: u32,
    /// Whether TCP probes silent connections between members.
    pub tcp_keep_alive: bool,
    /// Whether the leader serves clients.
    pub leader_serves: bool,
    /// How many committed transactions are kept in memory for learners.
    pub commit_log_count: u32,
    /// Up to which share of a snapshot's size the log is sent in its place; 0 and below: never.
    pub snapshot_size_factor: f64,
    /// How many observers may receive a snapshot at a time.
    pub snap_syncs_max: u32,
    /// Likewise records.
    pub diff_syncs_max: u32,
    /// The shortest pause between two rounds of election messages.
    pub notify_ms_min: u32,
    /// The longest.
    pub notify_ms_max: u32,
    /// How long an observer waits before it takes part in an election.
    pub observer_delay_ms: u64,
}

impl Member {
    /// The highest byte of the ids of sessions that begin here.
    pub(super) fn session_byte(&self) -> u8 {
        let [.., low] = self.my_id.0.to_be_bytes();
        low
    }

    /// Its own server line.
    #[must_use]
    pub fn own(&self) -> &ServerSpec {
        self.ensemble.servers.get(&self.my_id).expect("a member is one of the servers")
    }
}

/// Where a server line sends clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClientPart {
    /// The line's name.
    pub(super) line: String,
    pub(super) host: Option<String>,
    pub(super) port: u16,
}

/// What the server lines say of this server.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// `None`: it runs alone, or an error was found.
    pub(super) member: Option<Member>,
    /// Where its own line sends clients.
    pub(super) client: Option<ClientPart>,
}

/// Decides whether there is an ensemble, and checks its lines.
pub(super) fn membership(
    values: &Values,
    data_dir: Option<&Path>,
    findings: &mut Findings,
) -> Membership {
    let my_id = data_dir.and_then(|data_dir| my_id(data_dir, findings));
    let errors = findings.errors.len();
    let specs = specs(values, findings);
    if findings.errors.len() > errors {
        return Membership::default();
    }
    let of = |role| specs.values().filter(move |(_, spec)| spec.role == role).count();
    let (participants, observers) = (of(LearnerType::Participant), of(LearnerType::Observer));
    let standalone = values.flag("standaloneEnabled");
    let broken = match (participants, observers) {
        (0, 0) if standalone => {
            remark_needless(values, findings);
            return Membership::default();
        }
        (0, 0) => {
            "there is no server line, so nothing but a standalone server could start: expected \
             true, or no such line"
        }
        (0, _) => "an observer alone is no ensemble: expected participants, at best three",
        (1, 0) if standalone => return lone(&specs, my_id, values, findings),
        (1, _) if standalone => {
            "one participant alone runs standalone, and observers have nobody to follow: expected \
             more participants, or standaloneEnabled=false"
        }
        (_, _) => return ensemble(specs, my_id, values, findings),
    };
    let lines = specs.values().map(|(name, _)| name.as_str()).chain(["standaloneEnabled"]);
    findings.broken_rule(lines.filter_map(|name| values.written(name)).collect(), broken);
    Membership::default()
}

/// The servers by their ids, each with the name of its line.
type Specs = BTreeMap<ServerId, (String, ServerSpec)>;

fn specs(values: &Values, findings: &mut Findings) -> Specs {
    let mut specs = Specs::new();
    for (name, line) in values.lines_of("server.N") {
        let wrong = match (id_of(name), line.parse::<ServerSpec>()) {
            (Some(_), Ok(spec)) if spec.addresses.len() > 1 => {
                "several addresses of one server (multiAddress.enabled) do not exist in this \
                 version: write the one that the others can reach"
                    .to_owned()
            }
            (Some(id), Ok(spec)) => {
                specs.insert(id, (name.to_owned(), spec));
                continue;
            }
            (Some(_), Err(problem)) => problem.to_string(),
            (None, Ok(_) | Err(_)) => {
                "expected server.N, where N is the number in the server's file myid".to_owned()
            }
        };
        findings.broken_rule(values.written(name).into_iter().collect(), wrong);
    }
    specs
}

fn id_of(name: &str) -> Option<ServerId> {
    name.strip_prefix("server.")?.parse().ok().map(ServerId)
}

/// Groups and weights without servers.
fn remark_needless(values: &Values, findings: &mut Findings) {
    for row in ["group.N", "weight.N"] {
        for (name, _) in values.lines_of(row) {
            findings.warn(values.written(name), "without effect: there is no server line");
        }
    }
}

/// One participant's line alone: no ensemble.
fn lone(
    specs: &Specs,
    mine: Option<ServerId>,
    values: &Values,
    findings: &mut Findings,
) -> Membership {
    remark_needless_of_one(values, findings);
    let Some((id, (name, spec))) = specs.first_key_value() else { return Membership::default() };
    let part = client_part(name, spec);
    let is_mine = mine == Some(*id);
    let text = match (&part, is_mine) {
        (Some(_), true) => {
            "one server alone is no ensemble: it runs standalone, and only the client port of this \
             line counts"
        }
        (Some(_), false) => {
            "without effect: one server alone is no ensemble, and the file myid in dataDir does \
             not hold this line's number, so its client port does not count either"
        }
        (None, true | false) => "without effect: one server alone is no ensemble",
    };
    findings.warn(values.written(name), text);
    Membership { member: None, client: part.filter(|_| is_mine) }
}

fn remark_needless_of_one(values: &Values, findings: &mut Findings) {
    for row in ["group.N", "weight.N"] {
        for (name, _) in values.lines_of(row) {
            findings.warn(values.written(name), "without effect: one server alone is no ensemble");
        }
    }
}

fn client_part(name: &str, spec: &ServerSpec) -> Option<ClientPart> {
    let client = spec.client.as_ref()?;
    // A port alone is read as the wildcard, and so is Java's.
    let host = Some(client.host.to_string()).filter(|host| host != "0.0.0.0");
    Some(ClientPart { line: name.to_owned(), host, port: client.port })
}

fn ensemble(
    specs: Specs,
    my_id: Option<ServerId>,
    values: &Values,
    findings: &mut Findings,
) -> Membership {
    remark_on_count(&specs, values, findings);
    remark_on_duplicates(&specs, values, findings);
    refuse_in_ensemble(values, findings);
    let limits = ["initLimit", "syncLimit"].map(|key| limit(key, values, findings));
    let Some(config) = config(values, findings) else { return Membership::default() };
    let Some(my_id) = my_id else {
        findings.broken_rule(
            Vec::new(),
            "there is no file myid in dataDir, so it is not known which of the server lines is \
             this server's: write its number into that file",
        );
        return Membership::default();
    };
    let Some((name, spec)) = specs.get(&my_id) else {
        let lines = specs.values().filter_map(|(name, _)| values.written(name));
        findings.broken_rule(
            lines.collect(),
            format!(
                "the file myid in dataDir holds {my_id}, and there is no line server.{my_id}: \
                 correct one of them"
            ),
        );
        return Membership::default();
    };
    check_id(my_id, values, findings);
    remark_on_role(spec.role, values, findings);
    let client = client_part(name, spec);
    let [Some(init_limit), Some(sync_limit)] = limits else {
        return Membership { member: None, client };
    };
    let number = |key| u32::try_from(values.int(key).max(0)).unwrap_or(u32::MAX);
    let connect_limit = match number("connectToLearnerMasterLimit") {
        0 => init_limit,
        given => given,
    };
    let member = Member {
        my_id,
        role: spec.role,
        ensemble: Arc::new(config),
        init_limit,
        sync_limit,
        connect_limit,
        listens_on_all_ips: values.flag("quorumListenOnAllIPs"),
        bind_attempts: NonZeroU32::new(number("electionPortBindRetry")),
        cnx_timeout_ms: number("cnxTimeout"),
        tcp_keep_alive: values.flag("tcpKeepAlive"),
        leader_serves: values.flag("leaderServes"),
        commit_log_count: commit_log_count(number("commitLogCount"), values, findings),
        snapshot_size_factor: values.real("snapshotSizeFactor"),
        snap_syncs_max: number("leader.maxConcurrentSnapSyncs"),
        diff_syncs_max: number("leader.maxConcurrentDiffSyncs"),
        notify_ms_min: number("fastleader.minNotificationInterval"),
        notify_ms_max: number("fastleader.maxNotificationInterval"),
        observer_delay_ms: u64::try_from(values.int("observer.election.DelayMs")).unwrap_or(0),
    };
    Membership { member: Some(member), client }
}

/// Everybody, with the version that the name of the dynamic file ends in, as Apache reads it.
fn config(values: &Values, findings: &mut Findings) -> Option<EnsembleConfig> {
    let rows = ["server.N", "group.N", "weight.N"];
    let entries = rows.iter().flat_map(|row| values.lines_of(row));
    match EnsembleConfig::from_entries(entries) {
        Ok(mut config) => {
            config.version = version(&values.text("dynamicConfigFile"));
            Some(config)
        }
        Err(error) => {
            findings.broken_rule(Vec::new(), error.to_string());
            None
        }
    }
}

/// The hexadecimal number behind the last dot of a name; 0 where there is none.
fn version(file: &str) -> i64 {
    let digits = file.rsplit_once('.').map(|(_, digits)| digits);
    digits.and_then(|digits| i64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// `initLimit` and `syncLimit` have no default that an ensemble could run with.
fn limit(key: &str, values: &Values, findings: &mut Findings) -> Option<u32> {
    let limit = u32::try_from(values.int(key)).ok().filter(|limit| *limit > 0);
    if limit.is_none() {
        findings.broken_rule(
            values.written(key).into_iter().collect(),
            format!(
                "{key} is not set to a number of ticks above 0, and an ensemble needs it: \
                     expected a line such as {key}={}",
                if key == "initLimit" { 10 } else { 5 }
            ),
        );
    }
    limit
}

/// The smallest that Apache works with.
const COMMIT_LOG_COUNT_MIN: u32 = 500;

fn commit_log_count(given: u32, values: &Values, findings: &mut Findings) -> u32 {
    if given < COMMIT_LOG_COUNT_MIN {
        let text = format!("it counts as {COMMIT_LOG_COUNT_MIN}, as on Apache");
        findings.warn(values.written("commitLogCount"), text);
    }
    given.max(COMMIT_LOG_COUNT_MIN)
}

/// The largest id whose sessions cannot be taken for nodes with a time to live.
const EXTENDED_ID_MAX: i64 = 254;

fn check_id(my_id: ServerId, values: &Values, findings: &mut Findings) {
    if values.flag("extendedTypesEnabled") && my_id.0 > EXTENDED_ID_MAX {
        findings.broken_rule(
            values.written("extendedTypesEnabled").into_iter().collect(),
            format!(
                "the file myid holds {my_id}: with extended types no more than \
                     {EXTENDED_ID_MAX} is possible"
            ),
        );
    }
}

fn remark_on_role(role: LearnerType, values: &Values, findings: &mut Findings) {
    let peer_type = values.text("peerType").to_lowercase();
    if peer_type != role.to_string() {
        let written = values.written("peerType");
        findings.warn(
            written,
            format!(
                "peerType is {peer_type}, and its own server line says \
                                        {role}: the line counts, as on Apache"
            ),
        );
    }
}

fn remark_on_count(specs: &Specs, values: &Values, findings: &mut Findings) {
    let is_voter = |spec: &ServerSpec| spec.role == LearnerType::Participant;
    let voters: Vec<&String> =
        specs.values().filter(|(_, spec)| is_voter(spec)).map(|(name, _)| name).collect();
    let text = match voters.len() {
        0..=2 => "no failure of a server is survived: at least three participants are needed",
        count if count % 2 == 0 => {
            "an even number of participants survives no more failures than one less: an odd number \
             is better"
        }
        _odd => return,
    };
    for name in voters {
        findings.warn(values.written(name), text);
    }
}

/// Only one server can have an address. Apache says nothing, and one of the two never joins.
fn remark_on_duplicates(specs: &Specs, values: &Values, findings: &mut Findings) {
    let mut taken: BTreeMap<(&str, u16), &str> = BTreeMap::new();
    for (name, spec) in specs.values() {
        for address in &spec.addresses {
            for port in [address.quorum_port, address.election_port] {
                if let Some(other) = taken.insert((&address.host, port), name) {
                    let text = format!(
                        "{other} has {}:{port} too, and only one of the two can listen there: give \
                         each its own",
                        address.host
                    );
                    findings.warn(values.written(name), text);
                }
            }
        }
    }
}

/// What does nothing on a single server, and would be missed in an ensemble.
fn refuse_in_ensemble(values: &Values, findings: &mut Findings) {
    if values.flag("readonlymode.enabled") {
        findings.warn(
            values.written("readonlymode.enabled"),
            "there is no read-only mode in this version: a member without a quorum serves nobody",
        );
    }
    if values.int("observerMasterPort") > 0 {
        findings.broken_rule(
            values.written("observerMasterPort").into_iter().collect(),
            "followers do not serve observers in this version: remove the line on all servers, and \
             observers connect to the leader",
        );
    }
}

/// The number in the file `myid`. Apache reads the file in any mode, and stops where it holds
/// something else.
fn my_id(data_dir: &Path, findings: &mut Findings) -> Option<ServerId> {
    let path = data_dir.join("myid");
    if !path.is_file() {
        return None;
    }
    let text = match std::fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(source) => {
            findings.errors.push(super::ConfigError::Unreadable { path, source });
            return None;
        }
    };
    let first = text.lines().next().unwrap_or_default().trim();
    let id = first.parse().ok().map(ServerId);
    if id.is_none() {
        let shown: String = first.chars().take(40).collect();
        findings.broken_rule(
            Vec::new(),
            format!("{}: `{shown}` is no number: expected the server's number", path.display()),
        );
    }
    id
}

//! What proves a row of `docs/COMPAT.md`: the scenarios whose `proves` lines name it, tests, or a
//! reason why it needs neither.
//!
//! What it keeps true: a proof that is named exists and has to do with the row; a row that says yes
//! has a proof.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Rows that no scenario can show, and the test that does: `FILE::FUNCTION`, or a scenario of the
/// simulator.
const TESTS: &[(&str, &str)] = &[
    ("error:SESSIONEXPIRED", "crates/sim/scenarios/requests_of_an_expired_session_are_refused.txt"),
    (
        "setting:audit.impl.class",
        "crates/server/src/config/tests.rs::the_audit_log_lies_where_it_is_told_to",
    ),
    (
        "setting:auditlog.dir",
        "crates/server/src/config/tests.rs::the_audit_log_lies_where_it_is_told_to",
    ),
    (
        "setting:auditlog.file",
        "crates/server/src/config/tests.rs::the_audit_log_lies_where_it_is_told_to",
    ),
    (
        "setting:log.dir",
        "crates/server/src/config/tests.rs::the_audit_log_lies_where_it_is_told_to",
    ),
    (
        "setting:autopurge.purgeInterval",
        "crates/bellwether/tests/it/purge.rs::without_an_interval_nothing_is_purged",
    ),
    (
        "setting:autopurge.snapRetainCount",
        "crates/bellwether/tests/it/purge.rs::a_start_purges_all_but_the_snapshots_to_retain_and_loses_no_node",
    ),
    (
        "setting:clientPortAddress",
        "crates/server/src/config/tests.rs::addresses_are_bound_as_apache_binds_them",
    ),
    (
        "setting:db.autocreate",
        "crates/bellwether/tests/it/initialize.rs::without_data_and_without_the_file_it_starts_and_serves_nobody",
    ),
    (
        "setting:forceSync",
        "crates/sim/tests/it/store_files.rs::without_force_sync_it_says_so_and_writes_no_marks",
    ),
    (
        "setting:java.net.preferIPv4Stack",
        "crates/server/src/config/tests.rs::addresses_are_bound_as_apache_binds_them",
    ),
    (
        "setting:serializeLastProcessedZxid.enabled",
        "crates/bellwether/tests/it/stored.rs::a_snapshot_ends_with_its_zxid_as_serialize_last_processed_zxid_says",
    ),
    (
        "setting:snapSizeLimitInKb",
        "crates/bellwether/tests/it/stored.rs::a_snapshot_follows_snap_count_writes_or_snap_size_limit_in_kb",
    ),
    (
        "setting:snapshot.compression.method",
        "crates/bellwether/tests/it/stored.rs::snapshots_are_compressed_as_the_setting_says_and_read_whatever_it_says",
    ),
    (
        "setting:snapCount",
        "crates/bellwether/tests/it/stored.rs::a_snapshot_follows_snap_count_writes_or_snap_size_limit_in_kb",
    ),
    (
        "setting:preAllocSize",
        "crates/bellwether/tests/it/stored.rs::a_log_reserves_what_pre_alloc_size_says",
    ),
    (
        "setting:globalOutstandingLimit",
        "crates/bellwether/tests/it/throttled.rs::a_crowded_server_still_serves_whoever_waits_for_nothing",
    ),
    (
        "setting:datadir.autocreate",
        "crates/sim/tests/it/store_files.rs::directories_are_made_only_if_allowed",
    ),
    (
        "setting:fsync.warningthresholdms",
        "crates/server/src/figures.rs::a_sync_beyond_the_threshold_is_warned_of",
    ),
    (
        "setting:snapshot.trust.empty",
        "crates/bellwether/tests/it/stored.rs::logs_alone_are_loaded_where_snapshot_trust_empty_says_so",
    ),
    (
        "setting:standaloneEnabled",
        "crates/server/src/config/tests.rs::one_server_line_alone_is_taken_as_apache_takes_it",
    ),
    (
        "setting:txnLogSizeLimitInKb",
        "crates/bellwether/tests/it/stored.rs::a_log_ends_at_txn_log_size_limit_in_kb",
    ),
    (
        "error:THROTTLEDOP",
        "crates/sim/scenarios/whoever_waited_too_long_is_told_that_the_server_is_busy.txt",
    ),
    (
        "metric:bytes_sent_count",
        "crates/bellwether/tests/it/figures.rs::our_own_metrics_follow_what_happens",
    ),
    (
        "metric:core_step_ms_max",
        "crates/bellwether/tests/it/figures.rs::our_own_metrics_follow_what_happens",
    ),
    (
        "metric:four_letter_words_count",
        "crates/bellwether/tests/it/figures.rs::our_own_metrics_follow_what_happens",
    ),
    (
        "metric:log_bytes_count",
        "crates/bellwether/tests/it/figures.rs::our_own_metrics_follow_what_happens",
    ),
    (
        "metric:snapshot_age_ms",
        "crates/bellwether/tests/it/figures.rs::our_own_metrics_follow_what_happens",
    ),
    (
        "metric:snapshot_running",
        "crates/bellwether/tests/it/figures.rs::our_own_metrics_follow_what_happens",
    ),
    (
        "metric:watch_events_count",
        "crates/bellwether/tests/it/figures.rs::our_own_metrics_follow_what_happens",
    ),
    (
        "metric:quorum_size",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:learners",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:synced_followers",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:synced_non_voting_followers",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:synced_observers",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:pending_syncs",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:leader_uptime",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:last_proposal_size",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:min_proposal_size",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:max_proposal_size",
        "crates/server/src/admin/tests/members.rs::mntr_of_a_leader_counts_its_learners",
    ),
    (
        "metric:peer_state",
        "crates/server/src/admin/tests/members.rs::mntr_begins_with_version_role_and_phase",
    ),
    (
        "metric:observer_master_id",
        "crates/server/src/admin/tests/members.rs::mntr_begins_with_version_role_and_phase",
    ),
    (
        "metric:jute_maxbuffer_bytes",
        "crates/server/src/admin/tests/members.rs::mntr_tells_the_settings_that_members_should_have_in_common",
    ),
    (
        "metric:extended_types_enabled",
        "crates/server/src/admin/tests/members.rs::mntr_tells_the_settings_that_members_should_have_in_common",
    ),
    (
        "metric:digest_enabled",
        "crates/server/src/admin/tests/members.rs::mntr_tells_the_settings_that_members_should_have_in_common",
    ),
    (
        "metric:audit_lines_count",
        "crates/bellwether/tests/it/audit.rs::a_file_that_takes_nothing_slows_clients_down_and_loses_no_line",
    ),
    (
        "metric:audit_lines_lost_count",
        "crates/bellwether/tests/it/audit.rs::a_file_that_takes_nothing_slows_clients_down_and_loses_no_line",
    ),
    (
        "metric:requests_too_long_count",
        "crates/bellwether/tests/it/too_long.rs::it_is_refused_in_its_turn_and_takes_no_zxid",
    ),
    (
        "metric:request_throttle_wait_count",
        "crates/bellwether/tests/it/throttled.rs::requests_beyond_the_limit_wait_and_are_all_answered_in_order",
    ),
    ("metric:stale_requests", "crates/sim/scenarios/stale_requests_can_be_served_all_the_same.txt"),
    (
        "metric:stale_requests_dropped",
        "crates/sim/scenarios/stale_requests_are_dropped_with_their_connection.txt",
    ),
    (
        "metric:throttled_ops",
        "crates/sim/scenarios/whoever_waited_too_long_is_told_that_the_server_is_busy.txt",
    ),
    (
        "setting:connection_throttle_decrease_ratio",
        "crates/server/src/net/tokens.rs::an_empty_bucket_makes_drops_likelier_and_a_full_one_rarer",
    ),
    (
        "setting:connection_throttle_drop_decrease",
        "crates/server/src/net/tokens.rs::an_empty_bucket_makes_drops_likelier_and_a_full_one_rarer",
    ),
    (
        "setting:connection_throttle_drop_increase",
        "crates/server/src/net/tokens.rs::an_empty_bucket_makes_drops_likelier_and_a_full_one_rarer",
    ),
    (
        "setting:connection_throttle_fill_time",
        "crates/bellwether/tests/it/throttled.rs::an_empty_bucket_of_tokens_turns_connections_away",
    ),
    (
        "setting:connection_throttle_freeze_time",
        "crates/server/src/net/tokens.rs::an_empty_bucket_makes_drops_likelier_and_a_full_one_rarer",
    ),
    (
        "setting:connection_throttle_global_session_weight",
        "crates/server/src/config/throttle.rs::weights_multiply_the_bucket_and_are_corrected_as_on_apache",
    ),
    (
        "setting:connection_throttle_local_session_weight",
        "crates/server/src/config/throttle.rs::weights_multiply_the_bucket_and_are_corrected_as_on_apache",
    ),
    (
        "setting:request_stale_connection_check",
        "crates/sim/scenarios/a_write_is_done_whose_client_is_gone_if_nobody_looks.txt",
    ),
    (
        "setting:request_stale_latency_check",
        "crates/sim/scenarios/a_request_that_waits_longer_than_its_session_may_ends_its_connection.txt",
    ),
    (
        "setting:request_throttle_drop_stale",
        "crates/sim/scenarios/stale_requests_can_be_served_all_the_same.txt",
    ),
    (
        "setting:request_throttle_stall_time",
        "crates/sim/scenarios/a_request_that_waits_longer_than_its_session_may_ends_its_connection.txt",
    ),
    (
        "setting:throttled_op_wait_time",
        "crates/sim/scenarios/whoever_waited_too_long_is_told_that_the_server_is_busy.txt",
    ),
    (
        "setting:server.N",
        "crates/server/src/config/tests.rs::several_server_lines_and_a_myid_make_a_member",
    ),
    ("setting:group.N", "crates/server/src/config/tests.rs::groups_and_weights_of_votes_are_taken"),
    (
        "setting:weight.N",
        "crates/server/src/config/tests.rs::groups_and_weights_of_votes_are_taken",
    ),
    (
        "setting:dynamicConfigFile",
        "crates/server/src/config/tests.rs::a_dynamic_file_has_the_server_lines_and_the_client_port",
    ),
    (
        "setting:peerType",
        "crates/server/src/config/tests.rs::what_is_odd_about_an_ensemble_is_remarked_on",
    ),
    (
        "setting:initLimit",
        "crates/server/src/config/tests.rs::a_members_lines_are_checked_as_apache_checks_them",
    ),
    (
        "setting:syncLimit",
        "crates/server/src/config/tests.rs::a_members_lines_are_checked_as_apache_checks_them",
    ),
    (
        "setting:connectToLearnerMasterLimit",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:electionAlg",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:quorumListenOnAllIPs",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:observer.election.DelayMs",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:leaderServes",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    ("setting:cnxTimeout", "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken"),
    (
        "setting:electionPortBindRetry",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:tcpKeepAlive",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:fastleader.minNotificationInterval",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:fastleader.maxNotificationInterval",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:leader.maxConcurrentSnapSyncs",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:leader.maxConcurrentDiffSyncs",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:commitLogCount",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
    (
        "setting:snapshotSizeFactor",
        "crates/server/src/config/tests.rs::settings_of_the_ensemble_are_taken",
    ),
];

/// How many scenarios of one row are named on the page.
const NAMED_MAX: usize = 3;

/// One scenario as far as it matters here.
struct Scenario {
    name: String,
    proves: Vec<String>,
    text: String,
}

/// All proofs there are.
pub(crate) struct Proofs {
    scenarios: Vec<Scenario>,
    /// What is wrong with them, a line each.
    pub(crate) problems: Vec<String>,
    rows: BTreeSet<String>,
}

impl Proofs {
    /// Reads the scenarios.
    pub(crate) fn read() -> Proofs {
        let root = root().join("conformance/scenarios");
        let mut paths = Vec::new();
        collect(&root, &mut paths);
        paths.sort();
        let scenarios = paths.iter().map(|path| {
            let text = fs::read_to_string(path).expect("a scenario is a text");
            let below = path.strip_prefix(&root).expect("it was found there").with_extension("");
            let lines = text.lines().filter_map(|line| line.strip_prefix("proves "));
            let proves = lines.flat_map(str::split_whitespace).map(str::to_owned).collect();
            Scenario { name: below.to_string_lossy().into_owned(), proves, text }
        });
        Proofs { scenarios: scenarios.collect(), problems: Vec::new(), rows: BTreeSet::new() }
    }

    /// The cell that names the proofs of a row.
    pub(crate) fn cell(&mut self, kind: &str, row: &str) -> String {
        let (name, support) = name_and_support(row);
        let key = format!("{kind}:{name}");
        self.rows.insert(key.clone());
        let mut proofs = Vec::new();
        for scenario in self.scenarios.iter().filter(|s| proves(s, kind, name)) {
            proofs.push(scenario.name.clone());
            if !shows(scenario, kind, name) {
                self.problems.push(format!("{} does not show {key}", scenario.name));
            }
        }
        proofs.extend(TESTS.iter().filter(|(row, _)| *row == key).map(|(_, test)| {
            if !exists(test) {
                self.problems.push(format!("{key}: there is no {test}"));
            }
            test.rsplit("::").next().unwrap_or(test).rsplit('/').next().unwrap_or(test).to_owned()
        }));
        if proofs.is_empty() && says_yes(support) {
            self.problems.push(format!("{key} says \"{support}\" and nothing proves it"));
        }
        let more = proofs.len().saturating_sub(NAMED_MAX);
        proofs.truncate(NAMED_MAX);
        if more > 0 {
            proofs.push(format!("{more} more"));
        }
        proofs.join(", ")
    }

    /// What is named as proven and is no row.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let tests = TESTS.iter().map(|(row, _)| ("a test".to_owned(), (*row).to_owned()));
        let scenarios = self.scenarios.iter().flat_map(|scenario| {
            scenario.proves.iter().map(|row| (scenario.name.clone(), row.clone()))
        });
        let unknown: Vec<String> = scenarios
            .chain(tests)
            .filter(|(_, row)| !self.rows.contains(row))
            .map(|(who, row)| format!("{who} proves {row}, which is no row of the page"))
            .collect();
        self.problems.extend(unknown);
        self.problems
    }
}

/// The first name in code quotes, without -D; and the last cell.
fn name_and_support(row: &str) -> (&str, &str) {
    let name = row.split('`').nth(1).expect("a row names something");
    let support = row.trim_end_matches('|').rsplit(" | ").next().unwrap_or_default();
    (name.trim_start_matches("-D"), support.trim())
}

/// Whether a scenario is a proof of a row: it says so, or asks for the word, or prints the metric.
fn proves(scenario: &Scenario, kind: &str, name: &str) -> bool {
    let asked = ["word", "metric"].contains(&kind) && shows(scenario, kind, name);
    asked || scenario.proves.contains(&format!("{kind}:{name}"))
}

/// Whether a row promises something that can be shown.
fn says_yes(support: &str) -> bool {
    ["yes", "honoured", "answered"].iter().any(|word| support.starts_with(word))
}

/// Whether a scenario has to do with what it is the proof of.
fn shows(scenario: &Scenario, kind: &str, name: &str) -> bool {
    let line = |start: &str| scenario.text.lines().any(|line| line.starts_with(start));
    match kind {
        "op" => {
            [": ", "; ", "multi "].iter().any(|s| scenario.text.contains(&format!("{s}{name}")))
        }
        "error" => {
            name == "OK" || scenario.text.contains(&format!(" {name}")) || {
                let within = [format!("[{name}"), format!("; {name}")];
                within.iter().any(|part| scenario.text.contains(part))
            }
        }
        "word" => {
            line(&format!("word: {name}")) || scenario.text.contains(&format!("bytes \"{name}\""))
        }
        // A measure of several figures has one in each line's name.
        "metric" => scenario.text.lines().any(|line| {
            let shown = line.strip_prefix("| zk_").and_then(|line| line.split(['\t', '…']).next());
            let figure = |shown: &str| shown.split_once('_').map(|(_, rest)| rest.to_owned());
            shown.is_some_and(|shown| shown == name || figure(shown).is_some_and(|f| f == name))
        }),
        "setting" => scenario.text.contains(name) || line("restart server"),
        _ => true,
    }
}

/// Whether a test is there.
fn exists(test: &str) -> bool {
    let (file, function) = test.split_once("::").unwrap_or((test, ""));
    let Ok(text) = fs::read_to_string(root().join(file)) else { return false };
    function.is_empty() || text.contains(&format!("fn {function}("))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the scenarios can be listed") {
        let path = entry.expect("the scenarios can be listed").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            paths.push(path);
        }
    }
}

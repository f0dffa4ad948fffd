//! What a peer must be told: plain values, already checked.

#[cfg(feature = "canaries")]
use crate::broken::Break;
use bellwether_wire::quorum::{EnsembleConfig, LearnerType, Quorums, ServerId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The settings of a peer.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `myid`.
    pub my_id: ServerId,
    /// Whether it votes. `peerType` and its own `server.N` line agree.
    pub learner_type: LearnerType,
    /// Who belongs to the ensemble.
    pub config: Arc<EnsembleConfig>,
    /// `tickTime`, milliseconds.
    pub tick_ms: u64,
    /// `initLimit`: how many ticks finding a leader's epoch and synchronising may take.
    pub init_limit: u64,
    /// `syncLimit`: how many ticks a peer may be silent.
    pub sync_limit: u64,
    /// `commitLogCount`: how many committed records are kept in memory for learners.
    pub commit_log_count: usize,
    /// How many bytes of records may wait for a learner while it receives a snapshot or the log;
    /// beyond that it is dropped, and comes back.
    pub learner_queue_bytes_max: usize,
    /// `leader.maxConcurrentSnapSyncs`: how many observers may receive a snapshot at once.
    pub snapshot_syncs_max: usize,
    /// `leader.maxConcurrentDiffSyncs`: likewise records.
    pub diff_syncs_max: usize,
    /// `snapshotSizeFactor` above 0: whether the log on disk serves learners.
    pub log_serves_learners: bool,
    /// Times of the election.
    pub election: ElectionSettings,
    /// What is broken on purpose, to see the tests notice it.
    #[cfg(feature = "canaries")]
    pub broken: Option<Break>,
}

impl Settings {
    /// Apache's defaults.
    pub fn new(
        my_id: ServerId,
        learner_type: LearnerType,
        config: Arc<EnsembleConfig>,
    ) -> Settings {
        Settings {
            my_id,
            learner_type,
            config,
            tick_ms: 2000,
            init_limit: 10,
            sync_limit: 5,
            commit_log_count: 500,
            learner_queue_bytes_max: 64 << 20,
            snapshot_syncs_max: 10,
            diff_syncs_max: 100,
            log_serves_learners: true,
            election: ElectionSettings::default(),
            #[cfg(feature = "canaries")]
            broken: None,
        }
    }

    #[cfg(feature = "canaries")]
    /// Whether this is what is broken.
    pub(crate) fn is_broken(&self, how: Break) -> bool {
        self.broken == Some(how)
    }
}

impl Settings {
    /// Those of a single server, which has no peers.
    pub fn alone(tick_ms: u64) -> Settings {
        Settings {
            my_id: ServerId::default(),
            learner_type: LearnerType::Participant,
            config: Arc::new(EnsembleConfig {
                version: 0,
                servers: BTreeMap::new(),
                quorums: Quorums::Majority,
            }),
            tick_ms,
            init_limit: 0,
            sync_limit: 0,
            commit_log_count: 0,
            learner_queue_bytes_max: 0,
            snapshot_syncs_max: 0,
            diff_syncs_max: 0,
            log_serves_learners: false,
            election: ElectionSettings::default(),
            #[cfg(feature = "canaries")]
            broken: None,
        }
    }
}

/// Times of the election, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct ElectionSettings {
    /// How long a winner waits for a better vote (`finalizeWait`).
    pub finalize_wait_ms: u64,
    /// `fastleader.minNotificationInterval`.
    pub notify_ms_min: u64,
    /// `fastleader.maxNotificationInterval`.
    pub notify_ms_max: u64,
    /// `observer.election.DelayMs`: how long an observer waits before it asks.
    pub observer_delay_ms: u64,
}

impl Default for ElectionSettings {
    fn default() -> ElectionSettings {
        ElectionSettings {
            finalize_wait_ms: 200,
            notify_ms_min: 200,
            notify_ms_max: 60_000,
            observer_delay_ms: 200,
        }
    }
}

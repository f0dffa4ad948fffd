//! What a member of an ensemble tells beyond what a single server does.

use super::View;
use super::figures::{Mode, ResponseSizes};
use bellwether_node::Summary;

/// A member at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnsembleFigures {
    /// How many servers vote.
    pub voters: u64,
    /// How often it began to look for a leader.
    pub looked: u64,
    /// How long it looked, milliseconds.
    pub election_ms: Summary,
    /// How long it served nobody, milliseconds.
    pub unavailable_ms: Summary,
    /// The same, where it was leading when it served again.
    pub leader_unavailable_ms: Summary,
    /// Only while it leads.
    pub leading: Option<LeaderFigures>,
}

/// A leader at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeaderFigures {
    /// Since it began to serve as a leader, milliseconds.
    pub uptime_ms: u64,
    /// Servers that are connected to it.
    pub learners: u64,
    /// Of these, voters that are in step.
    pub synced_followers: u64,
    /// Followers without a vote that are in step.
    pub synced_non_voters: u64,
    /// Observers that are in step.
    pub synced_observers: u64,
    /// Requests for `sync` that wait.
    pub pending_syncs: u64,
    /// The sizes of what it proposed; `None` before the first.
    pub proposal_sizes: Option<ResponseSizes>,
    /// How much it proposed.
    pub proposals: u64,
}

impl Mode {
    /// The state as `mntr` says it: only who takes part in the broadcast serves.
    pub(super) fn peer_state(self) -> Option<&'static str> {
        match self {
            Mode::Leader => Some("leading - broadcast"),
            Mode::Follower => Some("following - broadcast"),
            Mode::Observer => Some("observing - broadcast"),
            Mode::NotServing | Mode::Standalone => None,
        }
    }
}

/// The last line of a leader's `srvr` and `stat`.
pub(super) fn proposal_sizes(view: &View<'_>) -> String {
    let Some(leader) = view.ensemble.and_then(|member| member.leading) else {
        return String::new();
    };
    let sizes = leader.proposal_sizes.map_or_else(
        || "-1/-1/-1".to_owned(),
        |sizes| format!("{}/{}/{}", sizes.last_bytes, sizes.min_bytes, sizes.max_bytes),
    );
    format!("Proposal sizes last/min/max: {sizes}\n")
}

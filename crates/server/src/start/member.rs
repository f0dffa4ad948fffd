//! What a member of an ensemble starts beside a single server: its peer and its sockets.

use super::load;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk::Loaded;
use crate::limits::LEARNER_QUEUE_BYTES_MAX;
use crate::logging::repeats::RateLimit;
use crate::quorum::Place;
use crate::quorum::election_port::ElectionPort;
use crate::run::Message;
use crate::run::ensemble::Sockets;
use bellwether_node::{Effect, Membership, Node, Settings};
use bellwether_store::{Epochs, Store};
use bellwether_zab::ElectionSettings;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::info;

/// The replica, and the store that its log goes to.
pub(super) fn node(
    config: &Config,
    (settings, clock): (Settings, Clock),
    (loaded, epochs): (Loaded, Option<Epochs>),
    begun: &mut Vec<Effect>,
) -> (Node, Store) {
    let Loaded { store, tree, recent } = loaded;
    let node = match (peer_settings(config), epochs) {
        (Some(place), Some(epochs)) => {
            info!(
                my_id = %place.my_id, role = %place.learner_type,
                accepted_epoch = epochs.accepted, current_epoch = epochs.current,
                "a member of an ensemble begins"
            );
            let membership = Membership {
                settings: place,
                recent,
                accepted_epoch: epochs.accepted,
                current_epoch: epochs.current,
            };
            Node::member(settings, membership, tree, clock.now(), begun)
        }
        (None | Some(_), None) | (None, Some(_)) => Node::new(settings, tree, clock.now()),
    };
    (node, store)
}

/// What the peer is told; `None` for a server that runs alone.
fn peer_settings(config: &Config) -> Option<bellwether_zab::Settings> {
    let member = config.member.as_ref()?;
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let defaults = ElectionSettings::default();
    let mut settings =
        bellwether_zab::Settings::new(member.my_id, member.role, member.ensemble.clone());
    settings.tick_ms = u64::from(config.tick_time_ms.max(1));
    settings.init_limit = u64::from(member.init_limit);
    settings.sync_limit = u64::from(member.sync_limit);
    settings.commit_log_count = count(member.commit_log_count);
    settings.learner_queue_bytes_max = LEARNER_QUEUE_BYTES_MAX;
    settings.snapshot_syncs_max = count(member.snap_syncs_max);
    settings.diff_syncs_max = count(member.diff_syncs_max);
    settings.log_serves_learners = member.snapshot_size_factor > 0.0;
    settings.election = ElectionSettings {
        finalize_wait_ms: defaults.finalize_wait_ms,
        notify_ms_min: u64::from(member.notify_ms_min).max(1),
        notify_ms_max: u64::from(member.notify_ms_max).max(1),
        observer_delay_ms: member.observer_delay_ms,
    };
    Some(settings)
}

/// Opens the election port of a member.
pub(super) fn sockets(config: &Config, core: &mpsc::Sender<Message>) -> Option<Sockets> {
    let member = config.member.clone()?;
    let place = Arc::new(Place {
        member,
        tick_ms: u64::from(config.tick_time_ms.max(1)),
        data_bytes_max: load::record_bytes_max(config),
        repeats: RateLimit::default(),
    });
    let election_port = ElectionPort::start(place.clone(), core.clone());
    Some(Sockets::new(place, election_port))
}

//! Members for tests.

use super::{Place, SharedPlace};
use crate::config::Member;
use crate::logging::repeats::RateLimit;
use bellwether_wire::quorum::{EnsembleConfig, LearnerType, ServerId};
use std::num::NonZeroU32;
use std::sync::Arc;

/// A member of an ensemble of three on loopback, with these election ports.
pub(super) fn place(my_id: i64, election_ports: [u16; 3]) -> SharedPlace {
    let lines = election_ports.iter().zip(1..).map(|(port, id)| {
        // The quorum port is not used, and is another.
        format!("server.{id}=127.0.0.1:{}:{port}\n", if *port == 1 { 2 } else { 1 })
    });
    at(my_id, &lines.collect::<String>())
}

/// A member of this ensemble.
pub(super) fn at(my_id: i64, lines: &str) -> SharedPlace {
    Arc::new(Place {
        member: Member {
            my_id: ServerId(my_id),
            role: LearnerType::Participant,
            ensemble: Arc::new(EnsembleConfig::parse(lines).expect("server lines")),
            init_limit: 10,
            sync_limit: 5,
            connect_limit: 10,
            listens_on_all_ips: false,
            bind_attempts: NonZeroU32::new(1),
            cnx_timeout_ms: 5000,
            tcp_keep_alive: true,
            leader_serves: true,
            commit_log_count: 500,
            snapshot_size_factor: 0.33,
            snap_syncs_max: 10,
            diff_syncs_max: 100,
            notify_ms_min: 200,
            notify_ms_max: 60_000,
            observer_delay_ms: 200,
        },
        tick_ms: 2000,
        data_bytes_max: 1 << 20,
        repeats: RateLimit::default(),
    })
}

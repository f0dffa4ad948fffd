//! Apache's metrics that `mntr` leaves out, with the reason.
//!
//! What it keeps true: nobody has to guess whether a metric is missing or forgotten. A name moves
//! from here to `metrics` on the day when it can be measured.

/// Metrics that are missing for the same reason.
#[derive(Debug)]
pub struct Unmeasured {
    /// Their names in Apache, without `zk_`.
    pub names: &'static [&'static str],
    /// Why they are missing, for `docs/COMPAT.md`.
    pub why: &'static str,
}

/// Every metric of Apache 3.9.5 that is not in `METRICS`.
pub const UNMEASURED: &[Unmeasured] = &[
    Unmeasured {
        why: "a sample by follower: quorum_ack_latency is of all transactions",
        names: &["ack_latency"],
    },
    Unmeasured {
        why: "learners less those that are in step are being brought there",
        names: &["inflight_diff_count", "inflight_snap_count"],
    },
    Unmeasured {
        why: "what waits for a learner is bounded in bytes, not counted in packets",
        names: &["learner_handler_qp_size", "learner_handler_qp_time_ms"],
    },
    Unmeasured {
        why: "observers connect to the leader alone",
        names: &["om_commit_process_time_ms", "om_proposal_process_time_ms"],
    },
    Unmeasured {
        why: "its parts are proposal_latency and sync_processor_queue_and_flush_time_ms",
        names: &["proposal_ack_creation_latency"],
    },
    Unmeasured {
        why: "belongs to leader.maxTimeToWaitForEpoch, which is accepted without effect",
        names: &["quit_leading_due_to_disloyal_voter"],
    },
    Unmeasured { why: "nothing waits until a socket is closed", names: &["socket_closing_time"] },
    Unmeasured {
        why: "belongs to a queue or thread between Apache's request processors that this server \
              does not have: one task takes a request through all steps",
        names: &[
            "cnxn_closed_without_zk_server_running",
            "commit_commit_proc_req_queued",
            "commit_process_time",
            "concurrent_request_processing_in_commit_processor",
            "learner_request_processor_queue_size",
            "local_write_committed_time_ms",
            "netty_queued_buffer_capacity",
            "outstanding_changes_queued",
            "outstanding_changes_removed",
            "pending_session_queue_size",
            "prep_processor_queue_size",
            "prep_processor_queue_time_ms",
            "read_commit_proc_issued",
            "read_commit_proc_req_queued",
            "read_commitproc_time_ms",
            "reads_after_write_in_session_queue",
            "reads_issued_from_session_queue",
            "request_commit_queued",
            "requests_in_session_queue",
            "requests_not_forwarded_to_commit_processor",
            "server_write_committed_time_ms",
            "session_queues_drained",
            "skip_learner_request_to_next_processor_count",
            "stale_replies",
            "time_waiting_empty_pool_in_commit_processor_read_ms",
            "write_batch_time_in_commit_processor",
            "write_commit_proc_issued",
            "write_commit_proc_req_queued",
            "write_commitproc_time_ms",
        ],
    },
    Unmeasured {
        why: "a look at the clock takes longer than the step: core_step_ms_max has the longest of \
              them, and the latencies have everything",
        names: &[
            "close_session_prep_time",
            "prep_process_time",
            "proposal_process_time",
            "read_final_proc_time_ms",
            "write_final_proc_time_ms",
        ],
    },
    Unmeasured {
        why: "a figure for the first name of its path would be looked up with every request, and \
              kept for every name that ever was",
        names: &["read_per_namespace", "write_per_namespace"],
    },
    Unmeasured {
        why: "comes with TLS",
        names: &[
            "insecure_admin_count",
            "non_mtls_local_conn_count",
            "non_mtls_remote_conn_count",
            "outstanding_tls_handshake",
            "tls_handshake_exceeded",
            "unsuccessful_handshake",
        ],
    },
    Unmeasured {
        why: "comes with the HTTP admin server",
        names: &[
            "restore_error_count",
            "restore_rate_limited_count",
            "restore_time",
            "snapshot_rate_limited_count",
        ],
    },
    Unmeasured { why: "there are no local sessions yet", names: &["local_sessions"] },
    Unmeasured {
        why: "the time in the line of request_throttle_max_requests is not kept",
        names: &["request_throttle_queue_time_ms"],
    },
    Unmeasured {
        why: "there is no such cache: replies share the tree's memory",
        names: &[
            "response_packet_cache_hits",
            "response_packet_cache_misses",
            "response_packet_get_children_cache_hits",
            "response_packet_get_children_cache_misses",
        ],
    },
    Unmeasured {
        why: "watches of closed connections are dropped at once, not by a cleaner",
        names: &[
            "add_dead_watcher_stall_time",
            "dead_watchers_cleaner_latency",
            "dead_watchers_cleared",
            "dead_watchers_queued",
        ],
    },
    Unmeasured { why: "there is no Java machine", names: &["jvm_pause_time_ms"] },
    Unmeasured {
        why: "an error that cannot be recovered from ends the process",
        names: &["unrecoverable_error_count"],
    },
];

//! What a node must be told: plain values, already checked.

use bellwether_tree::TreeOptions;

/// The settings of a node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `tickTime`: the unit of session expiry, milliseconds.
    pub tick_ms: u64,
    /// The shortest session timeout a client gets, milliseconds.
    pub session_timeout_ms_min: i32,
    /// The longest, milliseconds.
    pub session_timeout_ms_max: i32,
    /// The top byte of new session ids.
    pub server_id: u8,
    /// `reconfigEnabled`: which error a reconfig gets.
    pub reconfig_enabled: bool,
    /// `audit.enable`: whether writes become lines of the audit log.
    pub audit: bool,
    /// `snapCount`: a snapshot begins after between half and all of this many transactions.
    pub snap_count: u64,
    /// `snapSizeLimitInKb` in bytes: likewise by the bytes of the log; 0 for no limit.
    pub snap_bytes: u64,
    /// `serializeLastProcessedZxid.enabled`: whether snapshots end with the last zxid applied.
    pub snapshot_last_zxid: bool,
    /// Containers and TTL nodes.
    pub reaper: ReaperSettings,
    /// `enforce.auth.schemes`: a connection needs an identity of one of them before anything else;
    /// none where nobody needs one.
    pub enforced_schemes: Vec<Box<str>>,
    /// `request_throttle_max_requests` and its kin; `None` where requests are not held back.
    pub throttle: Option<ThrottleSettings>,
    /// What everything random derives from.
    pub seed: u64,
    /// The tree's own options.
    pub tree: TreeOptions,
}

/// How requests are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleSettings {
    /// `request_throttle_max_requests`: how many may be in process; above 0.
    pub requests_max: usize,
    /// `request_throttle_stall_time`: how long the next one waits before it is looked at again;
    /// 0 waits for a reply.
    pub stall_ms: u64,
    /// `request_throttle_drop_stale`: whether stale requests are dropped, with their connections.
    pub drop_stale: bool,
    /// `request_stale_connection_check`: a request is stale once its connection is gone.
    pub stale_by_connection: bool,
    /// `request_stale_latency_check`: a request is stale after its session's timeout.
    pub stale_by_latency: bool,
    /// `throttled_op_wait_time`: who waited longer gets THROTTLEDOP; `None` for nobody.
    pub op_wait_ms_max: Option<u64>,
}

/// How containers and TTL nodes are deleted.
#[derive(Clone, Copy, Debug)]
pub struct ReaperSettings {
    /// `znode.container.checkIntervalMs`.
    pub interval_ms: u64,
    /// `znode.container.maxPerMinute`.
    pub per_minute_max: u64,
    /// `znode.container.maxNeverUsedIntervalMs`; 0 keeps a container that never had a child.
    pub never_used_ms: u64,
}

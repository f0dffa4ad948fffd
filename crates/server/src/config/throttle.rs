//! The settings that hold clients back: requests, connections, large requests.
//!
//! What it keeps true: Apache's reading of values that it takes for others, with a remark.
//!
//! What it leaves to others: holding back (`bellwether_node`, `crate::net`).

use super::Throttles;
use super::report::Findings;
use super::values::Values;
use crate::net::large::LargeRequestSettings;
use crate::net::tokens::{DropSettings, TokenSettings};
use bellwether_node::ThrottleSettings;

const THRESHOLD: &str = "largeRequestThreshold";
const LARGE_BYTES: &str = "largeRequestMaxBytes";
const LARGE_BYTES_DEFAULT: u64 = 100 << 20;

pub(super) fn all(values: &Values, findings: &mut Findings) -> Throttles {
    Throttles {
        requests: requests(values),
        connections: connections(values, findings),
        large_requests: large_requests(values, findings),
    }
}

/// `None` where requests are not held back.
fn requests(values: &Values) -> Option<ThrottleSettings> {
    let requests_max = values.int("request_throttle_max_requests");
    let op_wait_ms = u64::try_from(values.int("throttled_op_wait_time")).unwrap_or(0);
    (requests_max > 0).then(|| ThrottleSettings {
        requests_max: usize::try_from(requests_max).unwrap_or(usize::MAX),
        stall_ms: unsigned(values.int("request_throttle_stall_time")),
        drop_stale: values.flag("request_throttle_drop_stale"),
        stale_by_connection: values.flag("request_stale_connection_check"),
        stale_by_latency: values.flag("request_stale_latency_check"),
        op_wait_ms_max: (op_wait_ms > 0).then_some(op_wait_ms),
    })
}

/// `None` where every connection is let in.
fn connections(values: &Values, findings: &mut Findings) -> Option<TokenSettings> {
    let weighted = values.flag("connection_throttle_weight_enabled");
    // A single server has no local sessions; what one would cost is only compared with.
    weight("connection_throttle_local_session_weight", 1, 0, values, findings);
    // The lines are compared with the local weight as it was written.
    let least = values.int("connection_throttle_local_session_weight");
    let global = weight("connection_throttle_global_session_weight", 3, least, values, findings);
    let renewed = weight("connection_throttle_renew_session_weight", 2, least, values, findings);
    let per_session = if weighted { global } else { 1 };
    let tokens_max = values.int("connection_throttle_tokens").saturating_mul(per_session);
    let freeze_time_ms = values.int("connection_throttle_freeze_time");
    (tokens_max > 0).then(|| TokenSettings {
        tokens_max,
        fill_time_ms: unsigned(values.int("connection_throttle_fill_time")),
        fill_count: values.int("connection_throttle_fill_count").saturating_mul(per_session),
        drops: (freeze_time_ms != -1).then(|| DropSettings {
            freeze_time_ms: unsigned(freeze_time_ms),
            increase: values.real("connection_throttle_drop_increase"),
            decrease: values.real("connection_throttle_drop_decrease"),
            decrease_ratio: values.real("connection_throttle_decrease_ratio"),
        }),
        new_session_cost: per_session,
        renewed_session_cost: if weighted { renewed } else { 1 },
    })
}

/// A weight that is not above 0 counts as the default, one below `least` as that.
fn weight(key: &str, default: i64, least: i64, values: &Values, findings: &mut Findings) -> i64 {
    let given = values.int(key);
    let meant = if given <= 0 { default } else { given.max(least) };
    let written = values.written(key);
    if meant != given && written.is_some() {
        let text = format!(
            "it counts as {meant}, as on Apache: expected a number above 0, and not below \
             connection_throttle_local_session_weight"
        );
        findings.warn(written, text);
    }
    meant
}

/// `None` where large requests are not told apart.
fn large_requests(values: &Values, findings: &mut Findings) -> Option<LargeRequestSettings> {
    let (threshold, bytes_max) = (values.int(THRESHOLD), values.int(LARGE_BYTES));
    if threshold == 0 || threshold < -1 {
        let text = "it counts as -1, as on Apache: expected a number above 0, or -1 for no limit";
        findings.warn(values.written(THRESHOLD), text);
    }
    if bytes_max <= 0 {
        let text =
            format!("it counts as {LARGE_BYTES_DEFAULT}, as on Apache: expected more than 0");
        findings.warn(values.written(LARGE_BYTES), text);
    }
    let in_flight_bytes_max =
        if bytes_max <= 0 { LARGE_BYTES_DEFAULT } else { unsigned(bytes_max) };
    (threshold > 0)
        .then(|| LargeRequestSettings { threshold_bytes: unsigned(threshold), in_flight_bytes_max })
}

/// The rows' ranges leave nothing below 0 where it would mean something else.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::{Args, Warning, load};
    use super::*;

    fn with(properties: &[(&str, &str)]) -> (Throttles, Vec<Warning>) {
        let owned =
            |(name, value): &(&str, &str)| (format!("zookeeper.{name}"), (*value).to_owned());
        let args = Args { zoo_cfg: None, properties: properties.iter().map(owned).collect() };
        let (config, warnings) = load(&args).expect("good");
        (config.throttles, warnings)
    }

    #[test]
    fn requests_are_held_back_only_above_a_limit_that_is_set() {
        let max = |max| ("request_throttle_max_requests", max);
        assert_eq!(with(&[]).0.requests, None);
        assert_eq!(with(&[max("-1"), ("throttled_op_wait_time", "5")]).0.requests, None);
        let throttle = with(&[max("7")]).0.requests.expect("it is on");
        let expected = ThrottleSettings {
            requests_max: 7,
            stall_ms: 100,
            drop_stale: true,
            stale_by_connection: true,
            stale_by_latency: false,
            op_wait_ms_max: None,
        };
        assert_eq!(throttle, expected);
        let changed = with(&[
            max("7"),
            ("request_throttle_stall_time", "9"),
            ("request_throttle_drop_stale", "false"),
            ("request_stale_connection_check", "false"),
            ("request_stale_latency_check", "true"),
            ("throttled_op_wait_time", "5"),
        ]);
        let expected = ThrottleSettings {
            requests_max: 7,
            stall_ms: 9,
            drop_stale: false,
            stale_by_connection: false,
            stale_by_latency: true,
            op_wait_ms_max: Some(5),
        };
        assert_eq!(changed.0.requests, Some(expected));
    }

    #[test]
    fn weights_multiply_the_bucket_and_are_corrected_as_on_apache() {
        assert_eq!(with(&[("connection_throttle_fill_count", "9")]).0.connections, None);
        let tokens = ("connection_throttle_tokens", "10");
        let plain = with(&[tokens]).0.connections.expect("it is on");
        let costs = (plain.new_session_cost, plain.renewed_session_cost, plain.tokens_max);
        assert_eq!((costs, plain.drops), ((1, 1, 10), None));
        let weighted = ("connection_throttle_weight_enabled", "true");
        let (throttles, warnings) = with(&[
            tokens,
            weighted,
            ("connection_throttle_global_session_weight", "0"),
            ("connection_throttle_local_session_weight", "5"),
            ("connection_throttle_freeze_time", "3"),
        ]);
        let throttle = throttles.connections.expect("it is on");
        assert_eq!((throttle.new_session_cost, throttle.tokens_max), (3, 30), "0 is the default");
        assert_eq!(throttle.renewed_session_cost, 5, "not below the local weight");
        let drops = throttle.drops.expect("they are on");
        let numbers = (drops.freeze_time_ms, drops.increase, drops.decrease, drops.decrease_ratio);
        assert_eq!(numbers, (3, 0.02, 0.002, 0.0));
        let told = warnings.iter().filter(|w| w.to_string().contains("it counts as")).count();
        assert_eq!(told, 1, "the one that was written: {warnings:?}");
    }

    #[test]
    fn large_requests_are_told_apart_only_above_a_threshold_that_is_set() {
        let threshold = |bytes| ("largeRequestThreshold", bytes);
        for off in ["-1", "0", "-7"] {
            assert_eq!(with(&[threshold(off)]).0.large_requests, None, "{off}");
        }
        let on = with(&[threshold("5"), ("largeRequestMaxBytes", "-3")]);
        let expected = LargeRequestSettings { threshold_bytes: 5, in_flight_bytes_max: 100 << 20 };
        assert_eq!(on.0.large_requests, Some(expected));
        assert!(on.1.iter().any(|warning| warning.to_string().contains("it counts as 104857600")));
    }
}

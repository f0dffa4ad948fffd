//! The lines of lists: connections, sessions, ephemeral nodes, watches.
//!
//! What it keeps true: a line is Apache 3.9.5's for the same figures, to the last character; times
//! are in the form of Java's `Date`, in UTC.

use super::{ConnectionFigures, Detail};
use crate::auth::java_address;
use crate::logging::utc;
use bellwether_node::{ConnectionStatus, Listed};
use bellwether_wire::SessionId;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

/// Writing to a `String` succeeds.
fn put(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String succeeds");
}

/// How Java prints a client's address.
fn java_peer(peer: SocketAddr) -> String {
    let port = peer.port();
    match peer.ip().to_canonical() {
        address @ IpAddr::V4(_) => format!("/{}:{port}", java_address(address)),
        address @ IpAddr::V6(_) => format!("/[{}]:{port}", java_address(address)),
    }
}

/// A line of `stat` or `cons`. The number in brackets is what a selector of Java's would wait for.
pub(crate) fn client(out: &mut String, connection: &ConnectionFigures, detail: Detail) {
    let ConnectionFigures { peer, queued, received, sent, .. } = connection;
    let (peer, interest) =
        (java_peer(*peer), u8::from(connection.reads) + 4 * u8::from(connection.writes));
    put(out, format_args!(" {peer}[{interest}](queued={queued},recved={received},sent={sent}"));
    match (detail, &connection.status) {
        (Detail::Full, Some(status)) => of_session(out, connection.established_ms, status),
        (Detail::Full, None) | (Detail::Brief, _) => {}
    }
    out.push_str(")\n");
}

fn of_session(out: &mut String, established_ms: i64, status: &ConnectionStatus) {
    let ConnectionStatus { session, timeout_ms, statistics, .. } = status;
    let op = statistics.last_op.map_or("NA", bellwether_wire::OpCode::short_name);
    put(out, format_args!(",sid={session},lop={op},est={established_ms},to={timeout_ms}"));
    if let Some(cxid) = statistics.last_cxid {
        put(out, format_args!(",lcxid=0x{cxid:x}"));
    }
    let (zxid, response_ms) = (statistics.last_zxid, statistics.last_response_ms);
    let (latency, last_ms) = (statistics.latency, statistics.last_latency_ms);
    // Whole milliseconds, as Apache's division of integers leaves them.
    let avg_ms = latency.sum_ms.checked_div(latency.count).unwrap_or(0);
    let (min_ms, max_ms) = (latency.min_ms, latency.max_ms);
    put(out, format_args!(",lzxid={zxid},lresp={response_ms},llat={last_ms}"));
    put(out, format_args!(",minlat={min_ms},avglat={avg_ms},maxlat={max_ms}"));
}

/// A line of what the node lists; `wall_ms` makes a wall-clock time of a monotonic one.
pub(crate) fn listed(out: &mut String, listed: &Listed<'_>, wall_ms: impl Fn(u64) -> i64) {
    match listed {
        Listed::Deadline { deadline_ms, sessions } => {
            deadline(out, *sessions, wall_ms(*deadline_ms));
        }
        Listed::Session(session) => put(out, format_args!("\t{session}\n")),
        Listed::GlobalSession { session, timeout_ms } => {
            put(out, format_args!("{session}\t{timeout_ms}ms\n"));
        }
        Listed::Owner(session) => put(out, format_args!("{session}:\n")),
        Listed::Owned(path) => put(out, format_args!("\t{path}\n")),
        Listed::PathOfSession(path) => put(out, format_args!("\t{path}\n")),
        Listed::WatchedPath(path) => put(out, format_args!("{path}\n")),
        Listed::WatchingSession(session) => put(out, format_args!("{session}\n")),
    }
}

/// What stands above those that expire together.
pub(crate) fn deadline(out: &mut String, count: usize, wall_ms: i64) {
    put(out, format_args!("{count} expire at {}:\n", java_date(wall_ms)));
}

/// What stands above all connections of `dump`.
pub(crate) fn connection_sets(out: &mut String, sets: usize, connections: usize) {
    put(out, format_args!("Connections Sets ({sets})/({connections}):\n"));
}

/// A connection of `dump`.
pub(crate) fn expiring(out: &mut String, peer: SocketAddr, session: SessionId) {
    put(out, format_args!("\tip: {} sessionId: {session}\n", java_peer(peer)));
}

/// A time as Java's `Date` prints it, in UTC; a time before 1970 stands at 1970.
fn java_date(wall_ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = u64::try_from(wall_ms).unwrap_or(0) / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = utc::date(days);
    let name = |names: &'static [&str], at: u64| {
        usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or_default()
    };
    let (weekday, month) = (name(&DAYS, days % 7), name(&MONTHS, month - 1));
    let (hours, minutes, seconds) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday} {month} {day:02} {hours:02}:{minutes:02}:{seconds:02} UTC {year}")
}

#[cfg(test)]
mod tests {
    use super::java_date;

    #[test]
    fn times_are_those_of_javas_date() {
        for (ms, expected) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (951_868_799_999, "Tue Feb 29 23:59:59 UTC 2000"),
            (1_795_265_202_000, "Sat Nov 21 12:46:42 UTC 2026"),
        ] {
            assert_eq!(java_date(ms), expected);
        }
    }
}

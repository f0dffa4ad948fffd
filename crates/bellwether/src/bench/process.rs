//! What a process has used, from `/proc`.

use super::error::BenchError;
use std::io;
use std::time::Duration;

/// CPU time and memory of a process up to now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usage {
    /// User and system time of all its threads. The kernel counts it in ticks, usually of 10 ms.
    pub(super) cpu: Duration,
    /// The most memory that was resident since its start.
    pub(super) rss_peak_bytes: u64,
}

impl Usage {
    pub(super) fn of(pid: u32) -> io::Result<Usage> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let ticks = cpu_ticks(&stat).ok_or(io::Error::other("its stat cannot be read"))?;
        let kib = peak_kib(&status).ok_or(io::Error::other("its status has no VmHWM"))?;
        let micros = ticks.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second();
        Ok(Usage { cpu: Duration::from_micros(micros), rss_peak_bytes: kib * 1024 })
    }
}

/// This process, and the servers' together, if there is one to look at.
pub(super) fn look(pids: &[u32]) -> Result<(Usage, Option<Usage>), BenchError> {
    let usage = |pid| Usage::of(pid).map_err(|source| BenchError::Process { pid, source });
    let mut servers: Option<Usage> = None;
    for pid in pids {
        let one = usage(*pid)?;
        let before = servers.unwrap_or(Usage { cpu: Duration::ZERO, rss_peak_bytes: 0 });
        servers = Some(Usage {
            cpu: before.cpu + one.cpu,
            rss_peak_bytes: before.rss_peak_bytes + one.rss_peak_bytes,
        });
    }
    Ok((usage(std::process::id())?, servers))
}

/// The sum of fields 14 and 15, utime and stime. Field 2, the name, may hold spaces and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) R 1 1 1 0 -1 4194560 1 0 0 0 120 30 0 0 20 0 1 0 9 1 1";
        assert_eq!(cpu_ticks(stat), Some(150));
        assert_eq!(cpu_ticks("7 (a) R 1"), None);
    }

    #[test]
    fn the_peak_is_read_in_kib() {
        assert_eq!(peak_kib("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n"), Some(2048));
        assert_eq!(peak_kib("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_peak_bytes > 100_000, "{usage:?}");
    }
}

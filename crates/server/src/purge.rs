//! Automatic purging: old snapshots and logs go, on a thread of their own, at start and at every
//! interval.
//!
//! What it keeps true: a purge that fails is logged and does not end the next one; the thread holds
//! up neither the core nor the end of the process.
//!
//! What it leaves to others: what may go (`bellwether_store::purge`).

use bellwether_store::{Disk, Purged, StoreError, StoreOptions, purge};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tracing::{debug, info, warn};

const SECONDS_PER_HOUR: u64 = 3_600;

/// Purging goes on until this is dropped.
pub(crate) struct Purging {
    _until_dropped: Sender<()>,
}

/// Starts the thread. It is not waited for at the end: what it removes is needed by nobody, and
/// every removal is whole.
pub(crate) fn start(
    (disk, options): (Arc<dyn Disk>, StoreOptions),
    interval_hours: NonZeroU32,
    retain: u32,
) -> std::io::Result<Purging> {
    let (until_dropped, end) = channel();
    let every = Duration::from_secs(u64::from(interval_hours.get()) * SECONDS_PER_HOUR);
    let retain = usize::try_from(retain).unwrap_or(usize::MAX);
    let run = move || repeat(&end, every, || tell(purge(disk.as_ref(), &options, retain)));
    std::thread::Builder::new().name("purge".to_owned()).spawn(run)?;
    Ok(Purging { _until_dropped: until_dropped })
}

/// Does something at once and at every interval, until the other end of `end` is gone.
fn repeat(end: &Receiver<()>, every: Duration, mut something: impl FnMut()) {
    loop {
        something();
        match end.recv_timeout(every) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn tell(purged: Result<Purged, StoreError>) {
    let Purged { snapshots, logs, cuts, failures } = match purged {
        Ok(purged) => purged,
        Err(error) => {
            warn!(%error, "old snapshots and logs were not purged; it is tried again at the next interval");
            return;
        }
    };
    for path in snapshots.iter().chain(&logs).chain(&cuts) {
        debug!(path = %path.display(), "purged");
    }
    for error in failures {
        warn!(%error, "an old file was not purged; it is tried again at the next interval");
    }
    info!(snapshots = snapshots.len(), logs = logs.len(), "old snapshots and logs were purged");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_purges_at_once_and_again_until_it_is_dropped() {
        let (until_dropped, end) = channel();
        let mut kept = Some(until_dropped);
        let mut times = 0;
        repeat(&end, Duration::from_millis(1), || {
            times += 1;
            if times == 3 {
                kept = None;
            }
        });
        assert_eq!(times, 3);
    }

    #[test]
    fn nothing_is_purged_after_the_end_even_with_the_longest_interval() {
        let (until_dropped, end) = channel();
        drop(until_dropped);
        let mut times = 0;
        repeat(&end, Duration::from_secs(u64::from(u32::MAX) * SECONDS_PER_HOUR), || times += 1);
        assert_eq!(times, 1, "the purge at start");
    }
}

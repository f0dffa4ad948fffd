//! When a snapshot begins and how it is handed out: in slices, one at a time, so that the writer
//! sets the pace and the node never stops for it.

use crate::effect::Effect;
use crate::settings::Settings;
use bellwether_tree::{Progress, SnapshotCursor, Tree};
use bellwether_wire::disk::SnapshotItem;

/// The snapshot that is being made, and the count towards the next.
pub(crate) struct Snapshots {
    txns: u64,
    bytes: u64,
    txns_limit: u64,
    bytes_limit: u64,
    random: u64,
    /// Whether the last slice ends with the last zxid applied.
    last_zxid: bool,
    state: State,
}

enum State {
    Idle,
    /// The cursor says where the next slice begins; the writer has taken the one before, or not.
    Walking {
        cursor: SnapshotCursor,
        taken: bool,
    },
    /// The writer has everything and has not reported yet.
    Saving,
}

impl Snapshots {
    pub(crate) fn new(settings: &Settings) -> Snapshots {
        let mut snapshots = Snapshots {
            txns: 0,
            bytes: 0,
            txns_limit: 0,
            bytes_limit: 0,
            random: settings.seed | 1,
            last_zxid: settings.snapshot_last_zxid,
            state: State::Idle,
        };
        snapshots.draw_limits(settings);
        snapshots
    }

    /// Between half and all of each setting, so that the members of an ensemble do not all take
    /// their snapshots at once.
    fn draw_limits(&mut self, settings: &Settings) {
        // Xorshift: any spread will do.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let half = |whole: u64| whole / 2 + self.random % (whole / 2).max(1);
        self.txns_limit = half(settings.snap_count).max(1);
        self.bytes_limit =
            if settings.snap_bytes == 0 { u64::MAX } else { half(settings.snap_bytes).max(1) };
    }

    /// Counts what was logged.
    pub(crate) fn logged(&mut self, txns: u64, bytes: u64) {
        self.txns += txns;
        self.bytes += bytes;
    }

    /// Begins a snapshot if it is time and none is being made, and hands out the next slice if the
    /// writer waits for it, within `visits`.
    pub(crate) fn go_on(
        &mut self,
        settings: &Settings,
        (tree, visits): (&Tree, usize),
        out: &mut Vec<Effect>,
    ) {
        let due = self.txns >= self.txns_limit || self.bytes >= self.bytes_limit;
        if due && matches!(self.state, State::Idle) {
            (self.txns, self.bytes) = (0, 0);
            self.draw_limits(settings);
            out.push(Effect::StartSnapshot(tree.last_processed()));
            self.state = State::Walking { cursor: tree.snapshot_start(), taken: true };
        }
        self.next_slice((tree, visits), out);
    }

    /// The writer wants the next slice.
    pub(crate) fn slice_taken(&mut self) {
        if let State::Walking { taken, .. } = &mut self.state {
            *taken = true;
        }
    }

    /// Whether the writer waits for a slice.
    pub(crate) fn is_waited_for(&self) -> bool {
        matches!(self.state, State::Walking { taken: true, .. })
    }

    fn next_slice(&mut self, (tree, visits): (&Tree, usize), out: &mut Vec<Effect>) {
        let State::Walking { cursor, taken: taken @ true } = &mut self.state else { return };
        *taken = false;
        let mut items = Vec::with_capacity(visits);
        let last = match tree.snapshot_next(cursor, visits, &mut items) {
            Progress::More => false,
            Progress::Done => true,
        };
        if last {
            self.state = State::Saving;
            if self.last_zxid {
                items.push(SnapshotItem::LastProcessed(tree.last_processed()));
            }
        }
        out.push(Effect::SnapshotSlice { items, last });
    }

    /// The writer is through, one way or the other; a failed snapshot is tried again when the next
    /// one is due.
    pub(crate) fn ended(&mut self) {
        self.state = State::Idle;
    }

    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.state, State::Idle)
    }
}

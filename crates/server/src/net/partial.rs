//! Frames that are not complete yet, and what they may hold together.
//!
//! A small one is free. A large one needs its whole length from a budget that all connections
//! share, so that a thousand clients that send half of a large frame cannot take the memory.

use crate::limits::{PARTIAL_BYTES_ALL, PARTIAL_BYTES_FREE};

/// What all incomplete frames hold of the budget.
#[derive(Debug, Default)]
pub(crate) struct PartialBudget {
    used: usize,
}

/// The incomplete frame of one connection.
///
/// Invariant: `granted` is what the budget counts for it.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    bytes: Vec<u8>,
    granted: usize,
}

impl PartialBudget {
    /// What is given out.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Whether a frame of this length could begin now.
    pub(crate) fn has_room(&self, frame_bytes: usize) -> bool {
        // One frame is always let through, however large the user allows frames to be.
        frame_bytes <= PARTIAL_BYTES_FREE
            || self.used == 0
            || self.used + frame_bytes <= PARTIAL_BYTES_ALL
    }
}

impl Partial {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether it holds a part of the budget.
    pub(crate) fn is_granted(&self) -> bool {
        self.granted > 0
    }

    /// What it holds of the budget.
    pub(crate) fn granted(&self) -> usize {
        self.granted
    }

    /// Keeps what follows what is kept already.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Asks for room for a frame of this length, prefix included.
    pub(crate) fn grant(&mut self, frame_bytes: usize, budget: &mut PartialBudget) -> bool {
        if self.granted > 0 || frame_bytes <= PARTIAL_BYTES_FREE {
            return true;
        }
        if !budget.has_room(frame_bytes) {
            return false;
        }
        self.granted = frame_bytes;
        budget.used += frame_bytes;
        self.bytes.reserve_exact(frame_bytes.saturating_sub(self.bytes.len()));
        true
    }

    /// Takes what is kept out, so that its frames can be handled without a copy.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Puts back what [`Self::take`] gave, but for its first `taken` bytes, which were frames that
    /// are complete.
    pub(crate) fn put_back(
        &mut self,
        mut bytes: Vec<u8>,
        taken: usize,
        budget: &mut PartialBudget,
    ) {
        if taken > 0 {
            self.release(budget);
            // A connection that waits costs no buffer.
            bytes = if taken == bytes.len() { Vec::new() } else { bytes.split_off(taken) };
        }
        self.bytes = bytes;
    }

    /// Gives everything back.
    pub(crate) fn release(&mut self, budget: &mut PartialBudget) {
        budget.used -= self.granted;
        self.granted = 0;
        self.bytes = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 1 << 20;

    #[test]
    fn large_frames_share_a_budget_and_small_ones_are_free() {
        let mut budget = PartialBudget::default();
        let mut partials: Vec<Partial> = Vec::new();
        for _ in 0..1000 {
            let mut partial = Partial::default();
            if partial.grant(LARGE, &mut budget) {
                partials.push(partial);
            }
        }
        assert_eq!(partials.len(), PARTIAL_BYTES_ALL / LARGE);
        let mut small = Partial::default();
        assert!(small.grant(PARTIAL_BYTES_FREE, &mut budget));
        let mut late = Partial::default();
        assert!(!late.grant(LARGE, &mut budget));
        partials.pop().expect("there are some").release(&mut budget);
        assert!(late.grant(LARGE, &mut budget));
    }

    #[test]
    fn a_frame_beyond_the_whole_budget_passes_alone() {
        let mut budget = PartialBudget::default();
        let mut partial = Partial::default();
        assert!(partial.grant(2 * PARTIAL_BYTES_ALL, &mut budget));
        assert!(!Partial::default().grant(LARGE, &mut budget));
        partial.release(&mut budget);
        assert!(Partial::default().grant(LARGE, &mut budget));
    }
}

//! The core's clock: milliseconds since a start that the shell chooses. It only moves forward.

/// A point in monotonic time, or a span of it, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) u64);

impl Millis {
    /// This point and `span` later.
    pub(crate) fn plus(self, span: Millis) -> Millis {
        Millis(self.0.saturating_add(span.0))
    }
}

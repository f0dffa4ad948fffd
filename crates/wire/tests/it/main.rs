//! Tests of the formats as a whole: against bytes of the original, and against arbitrary ones.

mod golden;
mod properties;
mod quorum;
mod quorum_limits;
mod quorum_properties;
mod quorum_values;
mod values;

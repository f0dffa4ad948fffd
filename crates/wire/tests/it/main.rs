//! Tests of the formats as a whole: against bytes of the original, and against arbitrary ones.

mod golden;
mod properties;
mod quorum;
mod values;

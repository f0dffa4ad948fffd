//! Placeholder: see docs/ARCHITECTURE.md.

pub mod config;
pub mod logging;

//! Placeholder: see docs/ARCHITECTURE.md.

pub mod config;

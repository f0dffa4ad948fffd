//! Placeholder: see docs/ARCHITECTURE.md.

pub mod admin;
pub mod auth;

//! The shell around the node.

pub mod admin;
pub mod auth;
pub mod config;
pub mod logging;

//! The only front door for developers and CI.
fn main() {}

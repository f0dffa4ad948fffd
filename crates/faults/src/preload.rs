//! The C library's calls as a preloaded server makes them.
//!
//! The preload library defines the calls of `calls` under their C names, so that the dynamic
//! linker binds the server to them; each does its work through the next definition (`real`),
//! under the one `session` of this process.
//!
//! What it keeps true: a process without `FAULTS_DIR` runs as if the library were not there; the
//! library's own file access never enters itself again; `errno` is what the real call left.
//! A failure of the shadow itself ends the process: a test without its shadow would prove nothing.
#![expect(
    unsafe_code,
    reason = "interposing C functions needs exported symbols, raw pointers and dlsym"
)]

mod calls;
mod real;
mod session;

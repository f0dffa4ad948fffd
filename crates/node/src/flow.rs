//! The way of a request, step by step, in order. One file per step.
//!
//! | # | step | file | takes → gives |
//! |---|------|------|---------------|
//! | 1 | socket | `crates/server/src/net/clients.rs` | bytes → frame |
//! | 2 | decode | `crates/wire/src/client/request.rs` | frame → `Request`, or why not |
//! | 3 | session | `crates/node/src/flow/session.rs` | `Request` → `Admitted`, or a place in the queue |
//! | 4 | prepare | `crates/node/src/flow/prepare.rs`, `crates/tree/src/prepare.rs` | `Admitted` → `Prepared` (a refused write too) |
//! | 5 | propose | `crates/node/src/flow/propose.rs`, `crates/zab/src/leader/broadcast.rs` | `Prepared` → a proposal in flight |
//! | 6 | log | `crates/node/src/flow/log.rs`, `crates/zab/src/history.rs`, `crates/store/src/txnlog.rs` | `Effect::Append` … `Event::Durable` |
//! | 7 | commit | `crates/node/src/flow/commit.rs` | what a quorum has on disk → `Committed` |
//! | 8 | apply | `crates/node/src/flow/apply.rs`, `crates/tree/src/apply.rs` | `Committed` → `Applied` |
//! | 9 | watches | `crates/node/src/flow/watches.rs`, `crates/tree/src/watch.rs` | changes → watch events, before the reply |
//! | 10 | reply | `crates/node/src/flow/reply.rs`, `crates/wire/src/client/reply.rs` | `Applied` → `Effect::Reply` |
//!
//! Each arrow is a type that only the step before can make. The other ways use the same files: a
//! read is 1–3 and 10; while writes of the same connection are in flight it waits in 3's queue and
//! leaves it after their replies. A ping is a read. `sync` is a marker that passes 5–7 without a
//! transaction. A member that is not the leader enters at 3 with its clients' requests, forwards
//! them (`crates/node/src/ensemble.rs`), and takes part again from 6 on. Where
//! `request_throttle_max_requests` is set, requests wait in `crates/node/src/flow/throttle.rs`
//! before 3. Sessions begin, end and expire by transactions like any other.

pub(crate) mod throttle;

pub(crate) mod session;

pub(crate) mod prepare;

pub(crate) mod propose;

pub(crate) mod log;

pub(crate) mod commit;

pub(crate) mod apply;

pub(crate) mod watches;

pub(crate) mod reply;

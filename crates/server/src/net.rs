//! Sockets: who may connect, what a connection has sent so far, what is still to be sent to it.

pub(crate) mod clients;
pub(crate) mod large;
pub(crate) mod listen;
pub(crate) mod outbox;
pub(crate) mod oversize;
pub(crate) mod partial;
pub(crate) mod readiness;
pub(crate) mod socket;
pub(crate) mod tokens;

//! SASL: how a client proves who it is before anything else is asked.
//!
//! A mechanism holds what is secret; an exchange is one proof, on one connection. Neither has IO:
//! tokens in, tokens out, and what makes an exchange unique is an argument. The session
//! decides when an exchange runs and what its failure means.

use crate::error::AuthFailure;
use std::fmt;

#[cfg(feature = "sasl")]
pub(crate) mod digest_md5;

/// A way to prove an identity, with its secret, which its debug form does not show.
pub(crate) trait Mechanism: fmt::Debug + Send + Sync {
    /// The `attempt`th exchange of a session: no two of them have the same number.
    fn begin(&self, attempt: u64) -> Box<dyn Exchange>;
}

/// One proof that is under way.
pub(crate) trait Exchange: fmt::Debug + Send {
    /// What the client says first.
    fn first_token(&self) -> Vec<u8>;

    /// Takes in what the server said.
    fn on_token(&mut self, token: &[u8]) -> Result<Next, AuthFailure>;
}

/// What a token of the server leads to.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "sasl"), expect(dead_code, reason = "no mechanism is there to say it"))]
pub(crate) enum Next {
    /// This token is the answer, and the server has another word.
    Answer(Vec<u8>),
    /// Both sides have proven what they had to.
    Done,
}

//! Who may do what.

/// Who a connection is: `("ip", "127.0.0.1")`, `("digest", "user:hash")`, `("super", "")`. That it
/// is world:anyone goes without saying.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// How it was established.
    pub scheme: Box<str>,
    /// Who it is, in the scheme's own form.
    pub id: Box<str>,
}

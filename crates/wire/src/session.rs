//! Session ids and the passwords that Java derives from them.
//!
//! The password must be Java's to the bit, so that a session moves between an Apache server and
//! ours: 16 bytes of `java.util.Random(id XOR 0xB3415C00)`. It is no secret in any real sense.

use std::fmt;

/// A session's id: the server's id in the top byte, then a time, then a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

/// What a client shows to take its session back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password(pub [u8; 16]);

const SUPER_SECRET: i64 = 0xB341_5C00;
const LCG_MULTIPLIER: u64 = 0x5_DEEC_E66D;
const LCG_MASK: u64 = (1 << 48) - 1;

impl SessionId {
    /// No session: what a client sends that wants a new one.
    pub const NONE: SessionId = SessionId(0);

    /// The first id that a server gives out when it starts at `wall_ms` (milliseconds since 1970).
    ///
    /// Later ids follow one by one. The id that stands for a container's owner is left out.
    pub fn first(wall_ms: i64, server_id: u8) -> SessionId {
        #[expect(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "Java's >>> on bits")]
        let time = (((wall_ms << 24) as u64) >> 8) as i64;
        let first = SessionId(time | (i64::from(server_id) << 56));
        if first.0 == i64::MIN { SessionId(first.0 + 1) } else { first }
    }

    /// The server that gave it out.
    pub fn server(self) -> u8 {
        let [server, ..] = self.0.to_be_bytes();
        server
    }

    /// The id after this one.
    pub fn next(self) -> SessionId {
        let next = self.0.wrapping_add(1);
        SessionId(if next == i64::MIN || next == 0 { next + 1 } else { next })
    }

    /// The password that belongs to it.
    pub fn password(self) -> Password {
        #[expect(clippy::cast_sign_loss, reason = "Java's generator works on the bits")]
        let seed = (self.0 ^ SUPER_SECRET) as u64;
        let mut state = (seed ^ LCG_MULTIPLIER) & LCG_MASK;
        let mut bytes = [0; 16];
        for chunk in bytes.chunks_exact_mut(4) {
            state = state.wrapping_mul(LCG_MULTIPLIER).wrapping_add(0xB) & LCG_MASK;
            let word = u32::try_from(state >> 16).expect("48 bits shifted by 16 leave 32");
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        Password(bytes)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_javas() {
        // java.util.Random(0x1000_0000_0000_0000L ^ 0xB3415C00L).nextBytes(16).
        let hex: String = SessionId(0x1000_0000_0000_0000)
            .password()
            .0
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, "f22acd4a97e69d6d20a49bb638eadb38");
    }

    #[test]
    fn ids_carry_the_server_and_skip_the_reserved_ones() {
        let id = SessionId::first(1_700_000_000_000, 3);
        assert_eq!(id.0 >> 56, 3);
        assert_eq!(SessionId(-1).next(), SessionId(1));
        assert_eq!(SessionId(i64::MAX).next(), SessionId(i64::MIN + 1));
    }

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(format!("{:?}", SessionId(1).password()), "Password(..)");
    }
}

//! What Java packs into `ephemeralOwner`: nothing, a session, a container mark or a time to live.
//!
//! The reading depends on two server settings, [`OwnerFormat`]; the stored 64 bits do not change.

use crate::session::SessionId;

/// The mark of a container node.
const CONTAINER: i64 = i64::MIN;
/// The top byte that marks an extended meaning; the next two bytes say which (0 is TTL).
const EXTENDED: i64 = 0xff << 56;
const FEATURE_MASK: i64 = 0xffff << 40;

/// The longest time to live, in milliseconds, with `zookeeper.extendedTypesEnabled`: 40 bits.
pub const TTL_MS_MAX: i64 = (1 << 40) - 1;

/// How the bits are to be read, from `extendedTypesEnabled` and `emulate353TTLNodes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerFormat {
    /// TTL nodes exist; without this a TTL owner reads as a session.
    pub extended_types: bool,
    /// Any owner below 0 but the container mark reads as a TTL, as 3.5.3 wrote them.
    pub emulate_353_ttl: bool,
}

impl OwnerFormat {
    /// `extendedTypesEnabled` alone.
    pub const EXTENDED: OwnerFormat = OwnerFormat { extended_types: true, emulate_353_ttl: false };
}

/// Whom a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody: a persistent node.
    None,
    /// A session: it ends with it.
    Session(SessionId),
    /// A container: it ends some time after its last child.
    Container,
    /// It ends when it had no child and no change for `ttl_ms`.
    Ttl { ttl_ms: i64 },
    /// An extended meaning that 3.9.5 does not know. It never ends by itself.
    Unknown,
}

impl Owner {
    /// Reads the stored bits.
    pub fn decode(bits: i64, format: OwnerFormat) -> Owner {
        if format.extended_types {
            let ttl = Owner::Ttl { ttl_ms: bits & TTL_MS_MAX };
            if format.emulate_353_ttl && bits < 0 && bits != CONTAINER {
                return ttl;
            }
            if bits & EXTENDED == EXTENDED {
                return if bits & FEATURE_MASK == 0 { ttl } else { Owner::Unknown };
            }
        }
        match bits {
            0 => Owner::None,
            CONTAINER => Owner::Container,
            session => Owner::Session(SessionId(session)),
        }
    }

    /// The bits to store. A TTL must be within 1 and [`TTL_MS_MAX`], which `prepare` has checked.
    pub fn encode(self) -> i64 {
        match self {
            Owner::None => 0,
            Owner::Session(session) => session.0,
            Owner::Container => CONTAINER,
            Owner::Ttl { ttl_ms } => EXTENDED | (ttl_ms & TTL_MS_MAX),
            Owner::Unknown => EXTENDED | FEATURE_MASK,
        }
    }

    /// What clients see as `ephemeralOwner`: sessions only.
    pub fn on_the_wire(self) -> i64 {
        match self {
            Owner::Session(session) => session.0,
            Owner::None | Owner::Container | Owner::Ttl { .. } | Owner::Unknown => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMULATED: OwnerFormat = OwnerFormat { extended_types: true, emulate_353_ttl: true };

    #[test]
    fn owners_round_trip() {
        for owner in [
            Owner::None,
            Owner::Container,
            Owner::Session(SessionId(0x0300_0000_0000_0001)),
            Owner::Ttl { ttl_ms: 1 },
            Owner::Ttl { ttl_ms: TTL_MS_MAX },
            Owner::Unknown,
        ] {
            assert_eq!(Owner::decode(owner.encode(), OwnerFormat::EXTENDED), owner);
        }
    }

    #[test]
    fn without_extended_types_a_ttl_reads_as_a_session() {
        let bits = Owner::Ttl { ttl_ms: 5 }.encode();
        assert_eq!(Owner::decode(bits, OwnerFormat::default()), Owner::Session(SessionId(bits)));
    }

    #[test]
    fn the_form_of_3_5_3_is_read_on_demand() {
        let bits = i64::MIN | 5;
        assert_eq!(Owner::decode(bits, EMULATED), Owner::Ttl { ttl_ms: 5 });
        assert_eq!(Owner::decode(bits, OwnerFormat::EXTENDED), Owner::Session(SessionId(bits)));
    }

    #[test]
    fn only_sessions_show_on_the_wire() {
        assert_eq!(Owner::Ttl { ttl_ms: 5 }.on_the_wire(), 0);
        assert_eq!(Owner::Container.on_the_wire(), 0);
        assert_eq!(Owner::Session(SessionId(7)).on_the_wire(), 7);
    }
}

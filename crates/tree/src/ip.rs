//! The `ip` scheme: addresses against `address` or `address/bits`, IPv4 and IPv6.
//!
//! Addresses are read as Apache's server reads them, which differs from the usual rules: every
//! IPv6 group is hexadecimal, so an IPv4 address cannot end an IPv6 one.

/// An address, and how many of its bytes there are: the two families never match each other.
#[derive(PartialEq, Eq)]
struct Address {
    bytes: [u8; 16],
    len: usize,
}

/// Whether `expression` can stand in an ACL.
pub(crate) fn is_valid(expression: &str) -> bool {
    parse_expression(expression).is_some()
}

/// Whether the address `id` is meant by `expression`.
pub(crate) fn matches(id: &str, expression: &str) -> bool {
    let Some((mut wanted, bits)) = parse_expression(expression) else { return false };
    let Some(mut address) = parse(id) else { return false };
    wanted.mask(bits);
    address.mask(bits);
    address == wanted
}

fn parse_expression(expression: &str) -> Option<(Address, usize)> {
    let (address, bits) = match expression.split_once('/') {
        Some((address, bits)) => (parse(address)?, Some(bits)),
        None => (parse(expression)?, None),
    };
    let bits_max = address.len * 8;
    let bits = match bits {
        Some(bits) => usize::try_from(bits.parse::<i32>().ok()?).ok()?,
        None => bits_max,
    };
    (bits <= bits_max).then_some((address, bits))
}

fn parse(text: &str) -> Option<Address> {
    if text.contains(':') { parse_v6(text) } else { parse_v4(text) }
}

fn parse_v4(text: &str) -> Option<Address> {
    let mut bytes = [0; 16];
    let mut parts = text.split('.');
    for byte in bytes.iter_mut().take(4) {
        *byte = u8::try_from(parts.next()?.parse::<i32>().ok()?).ok()?;
    }
    parts.next().is_none().then_some(Address { bytes, len: 4 })
}

fn parse_v6(text: &str) -> Option<Address> {
    let mut halves = text.split("::");
    let (first, second) = (halves.next()?, halves.next());
    if halves.next().is_some() {
        return None;
    }
    let groups = |half: &str| match half {
        "" => Some(Vec::new()),
        half => half.split(':').map(parse_group).collect::<Option<Vec<[u8; 2]>>>(),
    };
    let (head, tail) = (groups(first)?, groups(second.unwrap_or_default())?);
    let count = head.len() + tail.len();
    let fits = if second.is_some() { count < 8 } else { count == 8 };
    if !fits {
        return None;
    }
    let mut bytes = [0; 16];
    let places = (0..head.len()).chain(8 - tail.len()..8);
    for (place, group) in places.zip(head.iter().chain(&tail)) {
        bytes.get_mut(place * 2..place * 2 + 2)?.copy_from_slice(group);
    }
    Some(Address { bytes, len: 16 })
}

fn parse_group(group: &str) -> Option<[u8; 2]> {
    if group.is_empty() || group.len() > 4 {
        return None;
    }
    u16::from_str_radix(group, 16).ok().map(u16::to_be_bytes)
}

impl Address {
    /// Clears everything after the first `bits` bits.
    fn mask(&mut self, bits: usize) {
        for (at, byte) in self.bytes.iter_mut().enumerate() {
            let kept = bits.saturating_sub(at * 8).min(8);
            *byte &= 0xff_u8.checked_shl(8 - u32::try_from(kept).unwrap_or(8)).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, expression: &str, expected: bool) {
        assert_eq!(matches(id, expression), expected, "{id} against {expression}");
    }

    #[test]
    fn addresses_match_by_their_first_bits() {
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.4", false);
        check("10.1.2.3", "10.1.0.0/16", true);
        check("10.1.2.3", "10.1.2.0/23", true);
        check("10.1.4.3", "10.1.2.0/23", false);
        check("10.1.2.3", "0.0.0.0/0", true);
        check("::1", "0:0:0:0:0:0:0:1", true);
        check("2001:db8::5", "2001:db8::/32", true);
        check("2001:db9::5", "2001:db8::/32", false);
        check("2001:db8::5", "2001:db8::/130", false);
    }

    #[test]
    fn the_families_never_match_each_other() {
        check("::1", "0.0.0.0/0", false);
        check("10.1.2.3", "::/0", false);
        check("fe80::1%eth0", "fe80::/10", false);
    }

    #[test]
    fn only_addresses_are_valid() {
        for good in ["1.2.3.4", "1.2.3.4/32", "::", "1::", "::1/128", "1:2:3:4:5:6:7:8", "a::F/1"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.256",
            "1.2.3.4/33",
            "1.2.3.4/-1",
            "1.2.3.4/",
            "a.b.c.d",
            "1.2.3.4/1/2",
            ":::",
            "1::2::3",
            "1:2:3:4:5:6:7",
            "12345::",
            "::ffff:1.2.3.4",
            "g::",
            "1:2:3:4::5:6:7:8",
            ":1",
            "::1/129",
            "localhost",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}

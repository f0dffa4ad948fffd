//! Scheme `ip`: a connection is its address. Nothing is proved by a packet.

use super::{Provider, Scheme, Verdict, identity};
use bellwether_tree::{IP, Identity};
use std::net::IpAddr;

pub(super) const SCHEME: Scheme = Scheme {
    name: "ip",
    support: "yes: every connection has its address; a packet adds nothing and is answered OK",
    provider: Some(&Provider {
        class: "org.apache.zookeeper.server.auth.IPAuthenticationProvider",
        rules: Some(IP),
        is_on: |_| true,
        by_connection: |peer| Some(address_of(peer)),
        by_packet: |credentials, _, _| Verdict::Proved(vec![address_of(credentials.peer)]),
    }),
};

fn address_of(peer: IpAddr) -> Identity {
    identity("ip", &java_address(peer))
}

/// An address as Java writes it: IPv4 within IPv6 is IPv4, and IPv6 has all its eight groups.
#[must_use]
pub fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join(":"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::AuthSettings;
    use super::super::tests::check;
    use super::*;

    #[test]
    fn an_address_is_shown_as_java_shows_it() {
        for (address, expected) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("2001:db8::ff00:42:8329", "2001:db8:0:0:0:ff00:42:8329"),
        ] {
            assert_eq!(java_address(address.parse().expect("an address")), expected);
        }
        let settings = AuthSettings::default();
        check("ip", Some(b"8.8.8.8"), &settings, Some(&["ip/10.1.2.3"]));
        check("ip", None, &settings, Some(&["ip/10.1.2.3"]));
    }
}

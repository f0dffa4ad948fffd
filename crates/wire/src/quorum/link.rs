//! Which side of an election connection keeps it.
//!
//! What it keeps true: two servers that both dial end up with one connection, the one that the
//! larger id has opened; the smaller one only tells the larger where it is.
//!
//! It leaves to the shell to end an older connection to the same server before a new one is used
//! or dialled, and where to dial: [`super::Initial::reachable`], else what is configured.

use super::ServerId;

/// Which end of a connection a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It dialled, and has sent its header.
    Initiator,
    /// It was dialled, and has read the header.
    Acceptor,
}

/// What becomes of a connection after its header and, where it is asked for, authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Both may send.
    Keep,
    /// The peer's id is smaller: it is for this server to dial.
    CloseAndDialBack { to: ServerId },
    /// The peer's id is larger: it dials, now that it knows where.
    Close,
    /// The peer has this server's own id: two servers have the same `myid`, or one has dialled
    /// itself. Somebody should be told.
    CloseOwnId,
}

/// Decides about a connection between the server `my` and the server `peer`.
///
/// An acceptor asks with the name that [`AnonymousObservers`] has for the peer.
pub fn on_initial(my: ServerId, peer: ServerId, side: Side) -> Link {
    match side {
        _ if peer == my => Link::CloseOwnId,
        Side::Initiator if peer > my => Link::Close,
        Side::Initiator => Link::Keep,
        Side::Acceptor if peer > my => Link::Keep,
        Side::Acceptor => Link::CloseAndDialBack { to: peer },
    }
}

/// Names observers that have no id: -1, -2, and so on, so that no two are the same.
#[derive(Debug, Default)]
pub struct AnonymousObservers {
    named: i64,
}

impl AnonymousObservers {
    /// The name of a server that calls itself `sid`.
    pub fn name(&mut self, sid: ServerId) -> ServerId {
        if sid != ServerId::OBSERVER {
            return sid;
        }
        self.named -= 1;
        ServerId(self.named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_id_keeps_what_it_opens() {
        let to = ServerId;
        let rows = [
            (2, 1, Side::Initiator, Link::Keep),
            (2, 3, Side::Initiator, Link::Close),
            (2, 2, Side::Initiator, Link::CloseOwnId),
            (2, 1, Side::Acceptor, Link::CloseAndDialBack { to: to(1) }),
            (2, 3, Side::Acceptor, Link::Keep),
            (2, 2, Side::Acceptor, Link::CloseOwnId),
            (2, -1, Side::Acceptor, Link::CloseAndDialBack { to: to(-1) }),
            (0, -1, Side::Acceptor, Link::CloseAndDialBack { to: to(-1) }),
            (0, i64::MAX - 1, Side::Acceptor, Link::Keep),
        ];
        for (my, peer, side, link) in rows {
            assert_eq!(on_initial(to(my), to(peer), side), link, "{my} {peer} {side:?}");
        }
    }

    #[test]
    fn of_two_servers_that_dial_each_other_one_connection_stays() {
        for (a, b) in [(1, 2), (2, 1), (-1, 5), (0, 254)] {
            let (a, b) = (ServerId(a), ServerId(b));
            let kept = |from, to| {
                let dialled = on_initial(from, to, Side::Initiator) == Link::Keep;
                let taken = on_initial(to, from, Side::Acceptor) == Link::Keep;
                assert_eq!(dialled, taken, "{from} {to}");
                dialled
            };
            assert_eq!((kept(a, b), kept(b, a)), (a > b, b > a));
        }
    }

    #[test]
    fn observers_without_an_id_get_names_below_every_id() {
        let mut observers = AnonymousObservers::default();
        assert_eq!(observers.name(ServerId(7)), ServerId(7));
        assert_eq!(observers.name(ServerId::OBSERVER), ServerId(-1));
        assert_eq!(observers.name(ServerId::OBSERVER), ServerId(-2));
        assert_eq!(observers.name(ServerId(8)), ServerId(8));
    }
}

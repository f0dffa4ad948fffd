//! Who is held back, and who is turned away, when too much is asked for at once.

use super::Core;
use crate::net::tokens::Newcomer;
use crate::warn_limited;
use bellwether_node::ConnId;
use bellwether_wire::SessionId;
use bellwether_wire::client::ConnectRequest;

impl Core {
    /// Whether so much is outstanding in all that nobody may have more than one request waiting.
    pub(super) fn is_crowded(&self) -> bool {
        let max = usize::try_from(self.config.global_outstanding_limit).unwrap_or(usize::MAX);
        self.node.outstanding().max(self.node.held_back()) > max
    }

    /// Whether a connection has requests without a reply.
    pub(super) fn waits_for_replies(&self, conn: ConnId) -> bool {
        self.node.connection(conn).is_some_and(|connection| connection.queued > 0)
    }

    /// Whether a large request fits beside those in flight; one that does not closes its
    /// connection.
    pub(super) fn fits(&mut self, conn: ConnId, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if !self.large.is_large(bytes) {
            return true;
        }
        let (clients, node) = (&self.clients, &self.node);
        let answered = |conn| {
            let asked = clients.get(conn).map_or(0, |client| client.asked);
            let queued = node.connection(conn).map_or(0, |connection| connection.queued);
            asked.saturating_sub(u64::try_from(queued).unwrap_or(u64::MAX))
        };
        let fits = self.large.has_room(bytes, answered);
        if !fits {
            self.figures.counts.large_requests_rejected += 1;
            let address = self.clients.get(conn).map(|client| client.peer);
            warn_limited!(
                self.figures.repeats,
                "large request",
                ?address,
                bytes,
                "a connection was closed: its request would have made the large requests in \
                     flight more than largeRequestMaxBytes"
            );
            self.dismiss(conn);
        }
        fits
    }

    /// Counts a request that gets its reply in order; `false` if it is large and does not fit, and
    /// its connection was closed. Apache counts its bytes without its header.
    pub(super) fn counts_as_large(&mut self, conn: ConnId, bytes: usize) -> bool {
        if !self.fits(conn, bytes) {
            return false;
        }
        let Some(client) = self.clients.get_mut(conn) else { return false };
        client.asked += 1;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if self.large.is_large(bytes) {
            self.large.hand_in(conn, client.asked, bytes);
        }
        true
    }

    /// Whether the bucket of `connection_throttle_tokens` has enough for a connect request; where
    /// it has not, the connection is closed.
    pub(super) fn draws_a_token(&mut self, conn: ConnId, request: &ConnectRequest) -> bool {
        let newcomer = match request.session {
            SessionId::NONE => Newcomer::NewSession,
            SessionId(_) => Newcomer::RenewedSession,
        };
        let admitted = self.tokens.admit(self.clock.now().mono_ms, newcomer);
        let counts = &mut self.figures.counts;
        counts.drop_probability = self.tokens.drop_probability();
        if admitted {
            counts.connect_requests += 1;
            counts.token_deficit.record(self.tokens.deficit());
        } else {
            counts.connections_rejected += 1;
            let address = self.clients.get(conn).map(|client| client.peer);
            warn_limited!(
                self.figures.repeats,
                "no token",
                ?address,
                "a connection was closed: more ask for one than connection_throttle_tokens and \
                     connection_throttle_fill_count allow"
            );
            self.close_now(conn);
        }
        admitted
    }
}

//! Performs what the node asks for, and sends what has gathered for a socket.

use super::Core;
use crate::limits::{UNSENT_BYTES_ALL, UNSENT_BYTES_MAX};
use crate::net::clients::Phase;
use crate::net::outbox::Outbox;
use crate::warn_limited;
use bellwether_node::{ConnId, Effect, Event};
use tracing::debug;

impl Core {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connected(conn, response) => {
                if self.put(conn, |outbox| response.encode(outbox)).is_some() {
                    if let Some(client) = self.clients.get_mut(conn) {
                        client.phase = Phase::Open;
                    }
                    // Frames may have come behind the connect request.
                    self.turns.push_back(conn);
                }
            }
            Effect::Reply(conn, reply) => {
                if let Some(bytes) = self.put(conn, |outbox| reply.encode(outbox)) {
                    self.figures.replied(reply.xid, bytes);
                }
                let throttled = !self.throttled.is_empty() && self.throttled.contains(&conn);
                if throttled && !self.waits_for_replies(conn) {
                    self.throttled.remove(&conn);
                    self.turns.push_back(conn);
                }
            }
            Effect::Notify(conn, event) => {
                if let Some(bytes) = self.put(conn, |outbox| event.encode(outbox)) {
                    self.figures.notified(bytes);
                    self.limit_unsent(conn);
                }
            }
            Effect::Close(conn) => self.close_after_sending(conn),
            Effect::Audit(event) => self.audit(event),
            Effect::QuotaExceeded(exceeded) => self.figures.quota_exceeded(&exceeded),
            Effect::Append(token, record) => self.log_batch.push((token, record)),
            Effect::StartSnapshot(zxid) => self.start_snapshot(zxid),
            Effect::SnapshotSlice { items, last } => {
                if let Some(writing) = &self.snapshot {
                    // The writer asked for it, so there is room.
                    writing.hand_over((items, last));
                }
            }
            Effect::Ensemble(effect) => self.perform_as_member(effect),
        }
    }

    /// Adds a frame to what is sent to a connection and returns its length; `None` if it is closing
    /// or gone.
    fn put(&mut self, conn: ConnId, body: impl FnOnce(&mut Outbox)) -> Option<usize> {
        let client = self.clients.get_mut(conn)?;
        match client.phase {
            Phase::Closing { .. } => return None,
            Phase::New | Phase::Connecting | Phase::Open => {}
        }
        let before = (client.outbox.copied(), client.outbox.len());
        client.outbox.frame(body);
        self.unsent += client.outbox.copied() - before.0;
        let bytes = client.outbox.len() - before.1;
        client.sent += 1;
        self.figures.counts.packets_sent += 1;
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(conn);
        }
        Some(bytes)
    }

    /// A client that takes nothing but has watches that fire is closed at some point.
    fn limit_unsent(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get(conn) else { return };
        let unsent = client.outbox.len();
        let alone = unsent > UNSENT_BYTES_MAX;
        let together = self.unsent > UNSENT_BYTES_ALL && unsent > UNSENT_BYTES_ALL / 256;
        if alone || together {
            let address = client.peer;
            warn_limited!(self.figures.repeats, "not reading", %address, unsent,
                    "a connection was closed: its client does not read the watch events it asked for");
            self.figures.counts.connections_dropped += 1;
            self.close_now(conn);
        }
    }

    /// Sends what the socket takes now and waits for the rest.
    pub(super) fn flush(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get_mut(conn) else { return };
        client.dirty = false;
        let before = (client.outbox.copied(), client.outbox.len());
        let socket = client.socket.clone();
        let result = client.outbox.send(|slices| socket.try_write_vectored(slices));
        self.unsent -= before.0 - client.outbox.copied();
        self.figures.counts.bytes_sent +=
            u64::try_from(before.1 - client.outbox.len()).unwrap_or(0);
        let moved = client.outbox.len() < before.1;
        match (result, client.phase) {
            (Ok(_), Phase::Closing { .. }) if client.telling.is_some() => {
                client.arm();
                if moved {
                    self.has_room(conn);
                }
            }
            (Ok(true), Phase::Closing { .. }) => self.close_now(conn),
            (Ok(_), _) => {
                client.arm();
                // It may have stopped reading because of what has been sent by now.
                if !client.reads && client.outbox.len() < before.1 {
                    self.turns.push_back(conn);
                }
            }
            (Err(error), _) => {
                debug!(conn = conn.0, %error, "a connection broke");
                self.close_now(conn);
            }
        }
    }

    /// Closes a connection once everything for it is sent.
    pub(super) fn close_after_sending(&mut self, conn: ConnId) {
        let since_ms = self.clock.now().mono_ms;
        let Some(client) = self.clients.get_mut(conn) else { return };
        match client.phase {
            Phase::Closing { .. } => return,
            Phase::New | Phase::Connecting | Phase::Open => {}
        }
        client.phase = Phase::Closing { since_ms };
        client.partial.release(&mut self.partials);
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(conn);
        }
    }

    /// Closes a connection and drops what is unsent.
    pub(super) fn close_now(&mut self, conn: ConnId) {
        let Some(mut client) = self.clients.remove(conn) else { return };
        self.end_telling(client.telling.take());
        client.partial.release(&mut self.partials);
        self.unsent -= client.outbox.copied();
        self.admission.leave(client.peer.ip());
        self.large.leave(conn);
        self.throttled.remove(&conn);
        self.starved.remove(&conn);
        // Whoever waited for its part of the budget may go on.
        self.turns.extend(std::mem::take(&mut self.starved));
        match client.phase {
            // The node has said that it is through with it, or was told.
            Phase::Closing { .. } | Phase::New => {}
            Phase::Connecting | Phase::Open => self.step(Event::ClientGone(conn)),
        }
    }
}

//! Streams of bytes between hosts, as TCP keeps them: in order, whole, and late.
//!
//! What can happen to a stream: it is slow, it is stopped while its hosts are partitioned (in one
//! direction or in both) and goes on afterwards, it is cut behind any byte, its pieces arrive in
//! other pieces than they were sent in. Who is told what arrived is [`super::world`]'s business.

use crate::disk::Chance;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A member's machine, or a client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Host {
    Member(usize),
    Client(usize),
}

/// A stream. Never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(pub(super) u64);

/// An end of a stream: who dialled, or who was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Dialled,
    Accepted,
}

impl Side {
    pub(super) fn other(self) -> Side {
        match self {
            Side::Dialled => Side::Accepted,
            Side::Accepted => Side::Dialled,
        }
    }

    fn index(self) -> usize {
        match self {
            Side::Dialled => 0,
            Side::Accepted => 1,
        }
    }
}

/// When a side should look for what arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) stream: StreamId,
    pub(super) at: Side,
}

/// What a side finds when it looks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// Nothing, or nothing yet.
    Nothing,
    Bytes(Vec<u8>),
    /// The other side has gone, or the stream was cut.
    End,
}

/// How long bytes travel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delays {
    pub(super) us_min: u64,
    pub(super) us_max: u64,
}

#[derive(Debug)]
struct Stream {
    hosts: [Host; 2],
    /// What travels to each side.
    to: [Pipe; 2],
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    pieces: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    last_us: u64,
    /// Nothing follows what travels.
    ended: bool,
    /// The reader has closed: what comes is thrown away.
    deaf: bool,
}

/// All streams, and who cannot hear whom.
#[derive(Debug)]
pub(super) struct Network {
    chance: Chance,
    streams: BTreeMap<StreamId, Stream>,
    next: u64,
    delays: Delays,
    /// From whom nothing comes to whom.
    blocked: BTreeSet<(Host, Host)>,
    /// By how many microseconds it takes longer.
    slow: BTreeMap<(Host, Host), u64>,
    /// Who is to look, and when.
    pub(super) arrivals: Vec<(u64, Arrival)>,
}

/// How long it takes until bytes come through after a partition has healed, at most.
const RETRANSMISSION_US: u64 = 400_000;

impl Network {
    pub(super) fn new(seed: u64, delays: Delays) -> Network {
        Network {
            chance: Chance::new(seed),
            streams: BTreeMap::new(),
            next: 0,
            delays,
            blocked: BTreeSet::new(),
            slow: BTreeMap::new(),
            arrivals: Vec::new(),
        }
    }

    /// How long the next bytes from one host to the other travel.
    pub(super) fn delay_us(&mut self, from: Host, to: Host) -> u64 {
        let Delays { us_min, us_max } = self.delays;
        let slow = self.slow.get(&(from, to)).copied().unwrap_or(0);
        us_min + self.chance.below(us_max - us_min + 1) + slow
    }

    /// Whether bytes reach `to` from `from`, and an answer comes back.
    pub(super) fn reaches(&self, from: Host, to: Host) -> bool {
        !self.blocked.contains(&(from, to)) && !self.blocked.contains(&(to, from))
    }

    pub(super) fn connect(&mut self, from: Host, to: Host) -> StreamId {
        self.next += 1;
        let id = StreamId(self.next);
        let stream = Stream { hosts: [from, to], to: [Pipe::default(), Pipe::default()] };
        self.streams.insert(id, stream);
        id
    }

    /// Sends bytes. Gives how many of this direction are under way.
    pub(super) fn send(&mut self, now_us: u64, id: StreamId, from: Side, bytes: Vec<u8>) -> usize {
        let Some(stream) = self.streams.get(&id) else { return 0 };
        let [from_host, to_host] = ordered(stream, from);
        let delay_us = self.delay_us(from_host, to_host);
        let torn = bytes.len() > 1 && self.chance.one_in(24);
        let cut = if torn { 1 + self.chance.index(bytes.len() - 1) } else { bytes.len() };
        let later_us = if torn { self.chance.below(2000) } else { 0 };
        let Some(stream) = self.streams.get_mut(&id) else { return 0 };
        let at = from.other();
        let Some(pipe) = stream.to.get_mut(at.index()) else { return 0 };
        if pipe.ended || pipe.deaf {
            return 0;
        }
        let mut head = bytes;
        let tail = head.split_off(cut);
        for (piece, more_us) in [(head, 0), (tail, later_us)] {
            if !piece.is_empty() {
                let at_us = pipe.put(now_us + delay_us + more_us, piece);
                self.arrivals.push((at_us, Arrival { stream: id, at }));
            }
        }
        pipe.bytes
    }

    /// What a side finds, now that it looks.
    pub(super) fn look(&mut self, now_us: u64, arrival: Arrival) -> Arrived {
        let Arrival { stream: id, at } = arrival;
        let Some(stream) = self.streams.get_mut(&id) else { return Arrived::Nothing };
        let [from, to] = ordered(stream, at.other());
        if self.blocked.contains(&(from, to)) {
            return Arrived::Nothing;
        }
        let Some(pipe) = stream.to.get_mut(at.index()) else { return Arrived::Nothing };
        if pipe.deaf {
            return Arrived::Nothing;
        }
        if pipe.pieces.front().is_some_and(|(at_us, _)| *at_us <= now_us)
            && let Some((_, piece)) = pipe.pieces.pop_front()
        {
            pipe.bytes -= piece.len();
            return Arrived::Bytes(piece);
        }
        if pipe.ended && pipe.pieces.is_empty() && pipe.last_us <= now_us {
            pipe.deaf = true;
            self.forget(id);
            return Arrived::End;
        }
        Arrived::Nothing
    }

    /// A side closes: what it sent is still delivered, what comes to it is not.
    pub(super) fn close(&mut self, now_us: u64, id: StreamId, side: Side) {
        let Some(stream) = self.streams.get(&id) else { return };
        let [from, to] = ordered(stream, side);
        let delay_us = self.delay_us(from, to);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(pipe) = stream.to.get_mut(side.index()) {
            *pipe = Pipe { deaf: true, ended: true, ..Pipe::default() };
        }
        if let Some(pipe) = stream.to.get_mut(side.other().index())
            && !pipe.ended
        {
            pipe.end(now_us + delay_us);
            self.arrivals.push((pipe.last_us, Arrival { stream: id, at: side.other() }));
        }
        self.forget(id);
    }

    /// Cuts a stream: of what travels each side gets a part that may end anywhere.
    pub(super) fn cut(&mut self, now_us: u64, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        for at in [Side::Dialled, Side::Accepted] {
            let Some(pipe) = stream.to.get_mut(at.index()) else { continue };
            if pipe.ended {
                continue;
            }
            pipe.lose(self.chance.index(pipe.bytes + 1));
            let delay_us = self.chance.below(5000);
            pipe.end(now_us + delay_us);
            self.arrivals.push((pipe.last_us, Arrival { stream: id, at }));
        }
    }

    /// A host loses all its streams: the process has ended. What it sent may be lost in part.
    pub(super) fn drop_host(&mut self, now_us: u64, host: Host) {
        for id in self.streams_of(host) {
            self.cut(now_us, id);
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            for at in [Side::Dialled, Side::Accepted] {
                let here = stream.hosts.get(at.index()) == Some(&host);
                if let Some(pipe) = stream.to.get_mut(at.index()).filter(|_| here) {
                    pipe.deaf = true;
                }
            }
            self.forget(id);
        }
    }

    pub(super) fn streams_of(&self, host: Host) -> Vec<StreamId> {
        let of = |(id, stream): (&StreamId, &Stream)| stream.hosts.contains(&host).then_some(*id);
        self.streams.iter().filter_map(of).collect()
    }

    /// Any stream.
    pub(super) fn any_stream(&mut self) -> Option<StreamId> {
        if self.streams.is_empty() {
            return None;
        }
        let place = self.chance.index(self.streams.len());
        self.streams.keys().nth(place).copied()
    }

    pub(super) fn block(&mut self, from: Host, to: Host) {
        self.blocked.insert((from, to));
    }

    /// Makes a direction slower, or as fast as it was.
    pub(super) fn slow(&mut self, from: Host, to: Host, us: u64) {
        self.slow.insert((from, to), us);
    }

    /// Nothing is slow or stopped any more; what was held up arrives.
    pub(super) fn heal(&mut self, now_us: u64) {
        self.slow.clear();
        let blocked = std::mem::take(&mut self.blocked);
        for (from, to) in blocked {
            self.go_on(now_us, from, to);
        }
    }

    /// What was held up from one host to the other arrives.
    pub(super) fn unblock(&mut self, now_us: u64, from: Host, to: Host) {
        if self.blocked.remove(&(from, to)) {
            self.go_on(now_us, from, to);
        }
    }

    fn go_on(&mut self, now_us: u64, from: Host, to: Host) {
        for id in self.streams_of(from) {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            for at in [Side::Dialled, Side::Accepted] {
                let held_up = ordered(stream, at.other()) == [from, to];
                let Some(pipe) = stream.to.get_mut(at.index()).filter(|_| held_up) else {
                    continue;
                };
                let again_us = now_us + self.chance.below(RETRANSMISSION_US);
                pipe.delay_to(again_us);
                let looks = pipe.pieces.len() + 1;
                let at_us = pipe.last_us.max(again_us);
                for _ in 0..looks {
                    self.arrivals.push((at_us, Arrival { stream: id, at }));
                }
            }
        }
    }

    /// Nobody looks at a stream that both sides have closed.
    fn forget(&mut self, id: StreamId) {
        let done = |stream: &Stream| stream.to.iter().all(|pipe| pipe.deaf);
        if self.streams.get(&id).is_some_and(done) {
            self.streams.remove(&id);
        }
    }
}

/// The host of this side and the other one.
fn ordered(stream: &Stream, side: Side) -> [Host; 2] {
    let [dialled, accepted] = stream.hosts;
    match side {
        Side::Dialled => [dialled, accepted],
        Side::Accepted => [accepted, dialled],
    }
}

impl Pipe {
    /// Puts a piece in; gives when it arrives.
    fn put(&mut self, at_us: u64, piece: Vec<u8>) -> u64 {
        self.last_us = self.last_us.max(at_us);
        self.bytes += piece.len();
        self.pieces.push_back((self.last_us, piece));
        self.last_us
    }

    fn end(&mut self, at_us: u64) {
        self.last_us = self.last_us.max(at_us);
        self.ended = true;
    }

    /// Keeps only so many bytes.
    fn lose(&mut self, keep: usize) {
        let mut left = keep;
        for (_, piece) in &mut self.pieces {
            piece.truncate(left);
            left -= piece.len();
        }
        self.pieces.retain(|(_, piece)| !piece.is_empty());
        self.bytes = keep;
    }

    fn delay_to(&mut self, at_us: u64) {
        for (piece_us, _) in &mut self.pieces {
            *piece_us = (*piece_us).max(at_us);
        }
        self.last_us = self.last_us.max(at_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Host = Host::Member(1);
    const B: Host = Host::Member(2);

    fn network() -> Network {
        Network::new(7, Delays { us_min: 10, us_max: 500 })
    }

    /// Everything that a side finds until nothing more is to come.
    fn all(network: &mut Network, at: Side) -> (Vec<u8>, bool) {
        let (mut got, mut ended) = (Vec::new(), false);
        let mut arrivals = std::mem::take(&mut network.arrivals);
        arrivals.sort_by_key(|(at_us, _)| *at_us);
        for (at_us, arrival) in arrivals.into_iter().filter(|(_, arrival)| arrival.at == at) {
            match network.look(at_us, arrival) {
                Arrived::Nothing => {}
                Arrived::Bytes(bytes) => got.extend(bytes),
                Arrived::End => ended = true,
            }
        }
        (got, ended)
    }

    #[test]
    fn bytes_arrive_in_order_whatever_pieces_they_come_in() {
        let mut network = network();
        let id = network.connect(A, B);
        let sent: Vec<u8> = (0..=255).collect();
        for (place, piece) in sent.chunks(9).enumerate() {
            network.send(place as u64, id, Side::Dialled, piece.to_vec());
        }
        network.close(1000, id, Side::Dialled);
        assert_eq!(all(&mut network, Side::Accepted), (sent, true));
    }

    #[test]
    fn a_stream_that_is_cut_ends_behind_any_byte() {
        let mut lengths = BTreeSet::new();
        let mut network = network();
        for _ in 0..200 {
            let id = network.connect(A, B);
            network.send(0, id, Side::Accepted, vec![1, 2, 3, 4]);
            network.cut(0, id);
            let (got, ended) = all(&mut network, Side::Dialled);
            assert!(ended && [1, 2, 3, 4].starts_with(&got));
            lengths.insert(got.len());
        }
        assert_eq!(lengths.len(), 5);
    }

    #[test]
    fn what_a_partition_holds_up_arrives_when_it_has_healed() {
        let mut network = network();
        let id = network.connect(A, B);
        network.block(A, B);
        network.send(0, id, Side::Dialled, vec![1]);
        network.send(0, id, Side::Accepted, vec![2]);
        let arrivals = network.arrivals.clone();
        assert_eq!(all(&mut network, Side::Accepted), (vec![], false));
        network.arrivals = arrivals;
        assert_eq!(all(&mut network, Side::Dialled), (vec![2], false), "only one way is blocked");
        network.unblock(10_000, A, B);
        assert_eq!(all(&mut network, Side::Accepted), (vec![1], false));
    }
}

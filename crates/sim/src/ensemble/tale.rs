//! What happened in a run, line by line: who sent what to whom, what went wrong, what was promised.
//! It costs nothing unless asked for.

use crate::trace::{self, Names};
use bellwether_node::Effect;
use bellwether_wire::quorum::{Notification, Packet};

/// The lines of a run.
#[derive(Debug)]
pub(super) struct Tale {
    told: bool,
    lines: Vec<String>,
    /// What a scenario shows: roles, and what clients are told.
    shown: Option<Vec<String>>,
    names: Names,
}

impl Tale {
    pub(super) fn new(told: bool) -> Tale {
        Tale { told, lines: Vec::new(), shown: None, names: Names::new(1_600_000_000_000) }
    }

    /// Everything is told from here on.
    pub(super) fn tell_from_here(&mut self) {
        self.told = true;
    }

    /// Whether anybody listens.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    pub(super) fn tell(&mut self, now_us: u64, line: impl FnOnce() -> String) {
        if self.told {
            self.line(now_us, &line());
        }
    }

    fn line(&mut self, now_us: u64, line: &str) {
        let (s, us) = (now_us / 1_000_000, now_us % 1_000_000);
        self.lines.push(format!("{s:3}.{us:06} {line}"));
    }

    /// A packet of the quorum port.
    pub(super) fn packet(&mut self, now_us: u64, way: (usize, &str), packet: &Packet) {
        if self.told {
            let (member, way) = way;
            let packet = self.of_packet(packet);
            self.line(now_us, &format!("{member} {way}: {packet}"));
        }
    }

    fn of_packet(&mut self, packet: &Packet) -> String {
        let name = packet.name();
        match packet {
            Packet::Proposal { record } | Packet::Inform { record } => {
                format!("{name} {}", self.names.record(record))
            }
            Packet::InformAndActivate { record, .. } => {
                format!("{name} {}", self.names.record(record))
            }
            Packet::Ack { zxid }
            | Packet::Commit { zxid }
            | Packet::CommitAndActivate { zxid, .. }
            | Packet::NewLeader { zxid, .. }
            | Packet::Diff { zxid }
            | Packet::Trunc { zxid }
            | Packet::Snap { zxid } => format!("{name} {zxid}"),
            Packet::Ping { zxid, touched } => {
                let touched: Vec<_> =
                    touched.iter().map(|(session, _)| self.names.session(*session)).collect();
                format!("{name} {zxid} {}", touched.join(" "))
            }
            Packet::Request { session, cxid, op, .. } => {
                let op = bellwether_wire::OpCode::from_code(*op)
                    .map_or_else(|| op.to_string(), |op| op.to_string());
                format!("{name} {} xid={cxid} {op}", self.names.session(*session))
            }
            Packet::Revalidate { session, timeout_ms } => {
                format!("{name} {} timeout={timeout_ms}", self.names.session(*session))
            }
            Packet::RevalidateReply { session, valid } => {
                format!("{name} {} valid={valid}", self.names.session(*session))
            }
            Packet::FollowerInfo { accepted_epoch, .. }
            | Packet::ObserverInfo { accepted_epoch, .. } => {
                format!("{name} acceptedEpoch={accepted_epoch}")
            }
            Packet::LeaderInfo { epoch, .. } => format!("{name} epoch={epoch}"),
            Packet::AckEpoch { last_zxid, current_epoch } => {
                format!("{name} last={last_zxid} currentEpoch={current_epoch:?}")
            }
            Packet::UpToDate | Packet::Sync => name.to_string(),
        }
    }

    /// A vote.
    pub(super) fn vote(&mut self, now_us: u64, (from, to): (usize, usize), vote: &Notification) {
        if self.told {
            let Notification { state, vote, round, .. } = vote;
            let line = format!(
                "{from} -> {to}: {state:?} votes for {} zxid={} epoch={} round={round}",
                vote.leader, vote.zxid, vote.peer_epoch
            );
            self.line(now_us, &line);
        }
    }

    /// What a member says to a client, and what it appends.
    pub(super) fn effect(&mut self, now_us: u64, member: usize, effect: &Effect) {
        if !self.told {
            return;
        }
        let names = &mut self.names;
        let line = match effect {
            Effect::Connected(conn, response) => {
                let session = names.session(response.session);
                format!("{member} -> c{}: connected {session} {}", conn.0, response.timeout_ms)
            }
            Effect::Reply(conn, reply) => {
                format!("{member} -> c{}: {}", conn.0, names.reply(reply))
            }
            Effect::Notify(conn, event) => {
                format!("{member} -> c{}: {}", conn.0, trace::event(event))
            }
            Effect::Close(conn) => format!("{member} closes c{}", conn.0),
            Effect::Append(_, record) => format!("{member} appends {}", names.record(record)),
            Effect::StartSnapshot(zxid) => format!("{member} begins a snapshot of {zxid}"),
            Effect::SnapshotSlice { items, last: true } => {
                format!("{member} ends its snapshot with {} items", items.len())
            }
            Effect::Ensemble(effect) => match effect {
                bellwether_node::EnsembleEffect::Peer(effect) => match peer_effect(effect) {
                    Some(line) => format!("{member} {line}"),
                    None => return,
                },
                bellwether_node::EnsembleEffect::SnapshotToLearner { items, last, .. } => {
                    format!("{member} sends {} items, last={last}", items.len())
                }
                bellwether_node::EnsembleEffect::ReceiveSnapshot(zxid) => {
                    format!("{member} receives a snapshot of {zxid}")
                }
                bellwether_node::EnsembleEffect::AdoptSnapshot(zxid) => {
                    format!("{member} adopts the snapshot of {zxid}")
                }
                bellwether_node::EnsembleEffect::AbandonSnapshot => {
                    format!("{member} gives up its snapshot")
                }
            },
            Effect::SnapshotSlice { .. } | Effect::Audit(_) | Effect::QuotaExceeded(_) => return,
        };
        self.line(now_us, &line);
    }

    /// From here on what a scenario shows is kept.
    pub(super) fn show_scenario(&mut self) {
        self.shown = Some(Vec::new());
    }

    /// What a scenario shows since this was asked last.
    pub(super) fn take_shown(&mut self) -> Vec<String> {
        self.shown.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A line of a scenario's trace.
    pub(super) fn show(&mut self, line: impl FnOnce(&mut Names) -> String) {
        if let Some(shown) = &mut self.shown {
            shown.push(line(&mut self.names));
        }
    }

    pub(super) fn lines(&self) -> &[String] {
        &self.lines
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

/// What is not said to anybody; packets and votes are told where they are sent.
fn peer_effect(effect: &bellwether_zab::Effect) -> Option<String> {
    use bellwether_zab::Effect;
    Some(match effect {
        Effect::Listen => "listens for learners".to_string(),
        Effect::StopListening => "takes no learners any more".to_string(),
        Effect::CloseLearner(link) => format!("closes {link:?}"),
        Effect::ReadLog { after, up_to, .. } => format!("reads its log from {after} to {up_to}"),
        Effect::Dial { leader, .. } => format!("dials its leader {leader}"),
        Effect::CloseLeader(_) => "leaves its leader".to_string(),
        Effect::SaveAcceptedEpoch(epoch) => format!("saves acceptedEpoch {epoch}"),
        Effect::SaveCurrentEpoch(epoch) => format!("saves currentEpoch {epoch}"),
        Effect::Truncate(zxid) => format!("cuts its log behind {zxid}"),
        Effect::Notify { .. }
        | Effect::ToLearner(..)
        | Effect::ToLeader(..)
        | Effect::Append(..) => return None,
    })
}

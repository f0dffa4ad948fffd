//! A learner against leaders that come and go, with a disk of its own pace, crashes, and packets
//! that are lost, doubled or swapped: it promises what its disk has, applies what is committed, and
//! gets in step when it is left alone.

use crate::disk::{self, Disk, Done, Op};
use arbtest::arbitrary::{Result, Unstructured};
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{
    EnsembleConfig, LEARNER_PROTOCOL, LearnerType, Notification, Packet, PeerState, ServerId,
    Version, Vote,
};
use bellwether_zab::{Effect, Input, LeaderLink, News, Out, Peer, Settings};
use std::collections::VecDeque;
use std::sync::Arc;

const LEARNER: i64 = 1;
const LEADER: i64 = 3;
const STEPS: usize = 600;
const STEPS_TO_GET_IN: usize = 5_000;

/// What the leader's side of the link has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    None,
    Dialled(LeaderLink),
    Asked(LeaderLink),
    Synchronising(LeaderLink),
    Acknowledged(LeaderLink),
    Serving(LeaderLink),
}

struct Run {
    settings: Settings,
    peer: Peer,
    disk: Disk,
    now_ms: u64,
    link: Link,
    /// On its way to the learner.
    wire: VecDeque<Packet>,
    epoch: u32,
    /// What is committed, of all epochs.
    committed: Vec<Zxid>,
    /// What this epoch's leader has proposed beside it.
    pending: VecDeque<Zxid>,
    /// What the learner's tree has.
    tree: Zxid,
    receives: Option<Zxid>,
    serves: bool,
    /// Something went wrong with the stream of this link. Two things could hide each other: where
    /// an epoch ends, nobody sees that its last record is missing.
    disturbed: Option<LeaderLink>,
}

impl Run {
    fn new(learner_type: LearnerType) -> Run {
        let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2";
        let text = match learner_type {
            LearnerType::Participant => text.to_string(),
            LearnerType::Observer => text.replacen("a:1:2", "a:1:2:observer", 1),
        };
        let config = Arc::new(EnsembleConfig::parse(&text).unwrap());
        let settings = Settings::new(ServerId(LEARNER), learner_type, config);
        let mut disk = Disk::default();
        let mut out = Out::default();
        let peer = Peer::member(settings.clone(), disk.recover(), 0, &mut out);
        let mut run = Run {
            settings,
            peer,
            disk,
            now_ms: 0,
            link: Link::None,
            wire: VecDeque::new(),
            epoch: 1,
            committed: Vec::new(),
            pending: VecDeque::new(),
            tree: Zxid::ZERO,
            receives: None,
            serves: false,
            disturbed: None,
        };
        run.perform(out);
        run
    }

    fn step(&mut self, input: Input) {
        let mut out = Out::default();
        self.peer.step(self.now_ms, input, &mut out);
        self.perform(out);
    }

    fn perform(&mut self, out: Out) {
        for effect in out.effects {
            self.effect(effect);
        }
        for news in out.news {
            match news {
                News::Serve(_) => self.serves = true,
                News::StopServing => self.serves = false,
                News::ReceiveSnapshot { zxid, .. } => self.receives = Some(zxid),
                News::ReceivingEnded => self.receives = None,
                News::BeginEmpty => self.receives = Some(Zxid::ZERO),
                News::Pinged { .. } => {}
                news @ (News::Forwarded { .. }
                | News::Revalidate { .. }
                | News::Touched { .. }
                | News::LearnerLeft(_)
                | News::Confirmed(_)
                | News::SendSnapshot(_)
                | News::Revalidated { .. }
                | News::Synced) => panic!("{news:?} comes of nothing that happens here"),
            }
        }
        while let Some(record) = self.peer.next_committed() {
            let zxid = record.header.zxid;
            assert!(self.serves || self.link == Link::None, "{zxid} is applied before UPTODATE");
            let place = self.committed.iter().position(|one| *one == zxid);
            let place = place.unwrap_or_else(|| panic!("{zxid} is applied and not committed"));
            let before = place.checked_sub(1).map_or(Zxid::ZERO, |before| self.committed[before]);
            assert_eq!(before, self.tree, "{zxid} is applied behind another record");
            self.tree = zxid;
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Notify { .. } | Effect::CloseLearner(_) => {}
            Effect::Dial { link, .. } => self.link = Link::Dialled(link),
            Effect::CloseLeader(_) => {
                self.link = Link::None;
                self.wire.clear();
            }
            Effect::ToLeader(link, packet) => self.take(link, packet),
            Effect::Append(token, record) => {
                let zxid = record.header.zxid;
                self.disk.asked.push_back(Op::Append(token, record));
                assert!(
                    self.committed.contains(&zxid) || self.pending.contains(&zxid),
                    "{zxid} is appended and was never proposed"
                );
            }
            Effect::SaveAcceptedEpoch(epoch) => {
                self.disk.asked.push_back(Op::SaveAcceptedEpoch(epoch));
            }
            Effect::SaveCurrentEpoch(epoch) => {
                assert!(!self.appends(), "currentEpoch is saved before the records are on disk");
                self.disk.asked.push_back(Op::SaveCurrentEpoch(epoch));
            }
            Effect::Truncate(zxid) => self.disk.asked.push_back(Op::Truncate(zxid)),
            effect @ (Effect::Listen
            | Effect::StopListening
            | Effect::ToLearner(..)
            | Effect::ReadLog { .. }) => panic!("no learner asks for {effect:?}"),
        }
    }

    fn appends(&self) -> bool {
        self.disk.asked.iter().any(|op| matches!(op, Op::Append(..)))
    }

    fn take(&mut self, link: LeaderLink, packet: Packet) {
        match (packet, self.link) {
            (Packet::FollowerInfo { .. } | Packet::ObserverInfo { .. }, Link::Dialled(_)) => {
                let (epoch, protocol) = (self.epoch, LEARNER_PROTOCOL);
                self.link = Link::Asked(link);
                self.wire.push_back(Packet::LeaderInfo { epoch, protocol });
            }
            (Packet::AckEpoch { last_zxid, .. }, Link::Asked(_)) => {
                assert_eq!(self.disk.accepted_epoch, self.epoch, "an epoch is promised too early");
                self.link = Link::Synchronising(link);
                self.synchronise(last_zxid);
            }
            (Packet::Ack { zxid }, Link::Synchronising(_) | Link::Serving(_))
                if zxid == Zxid::first_of(self.epoch) =>
            {
                assert_eq!(self.disk.current_epoch, self.epoch, "an epoch is taken too early");
                assert!(!self.appends(), "NEWLEADER is acknowledged before records are on disk");
                if self.link == Link::Synchronising(link) {
                    self.link = Link::Acknowledged(link);
                }
            }
            (Packet::Ack { zxid }, Link::Serving(_)) => {
                assert_eq!(self.settings.learner_type, LearnerType::Participant);
                let is_there = self.disk.log.iter().any(|record| record.header.zxid == zxid);
                assert!(is_there, "{zxid} is acknowledged and not on disk");
            }
            (packet, link) => panic!("{} came in {link:?}", packet.name()),
        }
    }

    /// As a leader would: DIFF behind what both have, TRUNC within an epoch, SNAP otherwise.
    fn synchronise(&mut self, last: Zxid) {
        let known = |zxid: Zxid| self.committed.contains(&zxid);
        let end = self.committed.last().copied().unwrap_or_default();
        let cut = self.committed.iter().rev().find(|zxid| **zxid < last).copied();
        let cut = cut.filter(|zxid| zxid.epoch() == last.epoch());
        let base = if known(last) || last == end {
            self.wire.push_back(Packet::Diff { zxid: end });
            last
        } else if let Some(zxid) = cut {
            self.wire.push_back(Packet::Trunc { zxid });
            zxid
        } else {
            self.wire.push_back(Packet::Snap { zxid: end });
            end
        };
        for zxid in self.committed.iter().filter(|zxid| **zxid > base) {
            self.wire.push_back(Packet::Proposal { record: disk::record(*zxid) });
            self.wire.push_back(Packet::Commit { zxid: *zxid });
        }
        if self.settings.learner_type == LearnerType::Participant {
            for zxid in &self.pending {
                self.wire.push_back(Packet::Proposal { record: disk::record(*zxid) });
            }
        }
        self.wire.push_back(Packet::NewLeader { zxid: Zxid::first_of(self.epoch), config: None });
    }

    fn propose(&mut self) {
        let last = self.pending.back().or(self.committed.last()).copied().unwrap_or_default();
        let next = last.max(Zxid::first_of(self.epoch)).next().unwrap();
        self.pending.push_back(next);
        if self.is_forwarded_to() && self.settings.learner_type == LearnerType::Participant {
            self.wire.push_back(Packet::Proposal { record: disk::record(next) });
        }
    }

    fn commit(&mut self) {
        let Some(zxid) = self.pending.pop_front() else { return };
        self.committed.push(zxid);
        if self.is_forwarded_to() {
            self.wire.push_back(match self.settings.learner_type {
                LearnerType::Participant => Packet::Commit { zxid },
                LearnerType::Observer => Packet::Inform { record: disk::record(zxid) },
            });
        }
    }

    fn is_forwarded_to(&self) -> bool {
        match self.link {
            Link::None | Link::Dialled(_) | Link::Asked(_) => false,
            Link::Synchronising(_) | Link::Acknowledged(_) | Link::Serving(_) => true,
        }
    }

    fn up_to_date(&mut self) {
        if let Link::Acknowledged(link) = self.link {
            self.link = Link::Serving(link);
            self.wire.push_back(Packet::UpToDate);
        }
    }

    fn the_link(&self) -> Option<LeaderLink> {
        match self.link {
            Link::None => None,
            Link::Dialled(link)
            | Link::Asked(link)
            | Link::Synchronising(link)
            | Link::Acknowledged(link)
            | Link::Serving(link) => Some(link),
        }
    }

    /// A packet arrives, or the tree behind SNAP.
    fn deliver(&mut self) {
        let Some(link) = self.the_link() else { return };
        if let Link::Dialled(_) = self.link {
            return self.step(Input::LeaderConnected(link));
        }
        if let Some(zxid) = self.receives.take() {
            self.disk.asked.push_back(Op::TakeSnapshot(zxid));
            return self.step(Input::SnapshotComplete);
        }
        if let Some(packet) = self.wire.pop_front() {
            self.step(Input::FromLeader(link, packet));
        }
    }

    fn work(&mut self) {
        let Done::Told(input) = self.disk.work() else { return };
        if let Input::Truncated { last, .. } | Input::SnapshotReceived(last) = &input {
            self.tree = *last;
        }
        self.step(input);
    }

    fn tick(&mut self, ms: u64) {
        self.now_ms += ms;
        self.step(Input::Tick);
    }

    /// The connection breaks.
    fn cut(&mut self) {
        let Some(link) = self.the_link() else { return };
        self.wire.clear();
        self.step(Input::LeaderGone(link));
    }

    /// Another server leads, with some of what the former one has proposed.
    fn next_epoch(&mut self, kept: usize) {
        self.cut();
        if self.the_link().is_some() {
            self.cut(); // It had been dialling, and tried again.
        }
        let kept = kept.min(self.pending.len());
        self.committed.extend(self.pending.drain(..kept));
        self.pending.clear();
        self.epoch += 1;
    }

    fn crash(&mut self) {
        let mut out = Out::default();
        self.disk.asked.clear();
        let found = self.disk.recover();
        self.tree = found.last;
        (self.link, self.serves, self.receives) = (Link::None, false, None);
        self.wire.clear();
        self.peer = Peer::member(self.settings.clone(), found, self.now_ms, &mut out);
        self.perform(out);
    }

    /// The others say who leads.
    fn elect(&mut self) {
        if self.peer.state() != PeerState::Looking {
            return;
        }
        let peer_epoch = i64::from(self.epoch);
        let vote = Vote { leader: ServerId(LEADER), zxid: Zxid::ZERO, peer_epoch };
        for from in [2, LEADER, 4] {
            let state = if from == LEADER { PeerState::Leading } else { PeerState::Following };
            let (version, round) = (Version::CURRENT, 1);
            let notification = Notification { state, vote, round, version, config: None };
            self.step(Input::Notification { from: ServerId(from), notification });
        }
    }

    /// Something goes wrong with the stream: a packet is lost, comes twice, or changes places with
    /// its neighbour. (Farther changes can be such that nobody can tell: where an epoch ends is
    /// known from the leader alone, so a record of the next one put in the place of the last one
    /// follows as well. Seed 0x12420e5600004000.)
    fn disturb(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let link = self.the_link();
        if self.wire.is_empty() || self.disturbed == link {
            return Ok(());
        }
        self.disturbed = link;
        let last = self.wire.len() - 1;
        match u.int_in_range(0..=2)? {
            0 => drop(self.wire.remove(u.int_in_range(0..=last)?)),
            1 => {
                if let Some(packet) = self.wire.get(u.int_in_range(0..=last)?).cloned() {
                    self.wire.push_back(packet);
                }
            }
            _ => {
                let place = u.int_in_range(0..=last)?;
                self.wire.swap(place.saturating_sub(1), place);
            }
        }
        Ok(())
    }

    fn act(&mut self, u: &mut Unstructured<'_>, disturbed: bool) -> Result<()> {
        match u.int_in_range(0..=63)? {
            0..=19 => self.deliver(),
            20..=31 => self.work(),
            32..=37 => self.propose(),
            38..=43 => self.commit(),
            44..=49 => self.up_to_date(),
            50..=55 => self.elect(),
            56 | 57 => self.tick(u.int_in_range(0..=400)?),
            58 => self.cut(),
            59 => self.next_epoch(u.int_in_range(0..=3)?),
            60 if u.ratio(1, 4)? => self.crash(),
            61 if self.receives.is_some() => {
                self.receives = None;
                self.step(Input::SnapshotFailed);
            }
            _ if disturbed => self.disturb(u)?,
            _ => {}
        }
        Ok(())
    }

    /// Left alone, it has everything in the end.
    fn get_in(&mut self) {
        self.next_epoch(0);
        for _ in 0..STEPS_TO_GET_IN {
            self.work();
            self.elect();
            self.deliver();
            self.up_to_date();
            self.tick(10);
            let end = self.committed.last().copied().unwrap_or_default();
            if self.serves && self.wire.is_empty() && self.tree == end {
                return;
            }
        }
        panic!("it does not get in step: {:?}, {:?}", self.peer, self.link);
    }
}

fn a_life(u: &mut Unstructured<'_>, configure: impl Fn(&mut Settings)) -> Result<()> {
    let learner_type =
        if u.ratio(1, 3)? { LearnerType::Observer } else { LearnerType::Participant };
    let disturbed = u.ratio(1, 3)?;
    let mut run = Run::new(learner_type);
    configure(&mut run.settings);
    run.crash();
    for _ in 0..STEPS {
        run.act(u, disturbed)?;
    }
    run.get_in();
    Ok(())
}

#[test]
fn a_learner_promises_what_its_disk_has_and_gets_in_step() {
    arbtest::arbtest(|u| a_life(u, |_settings| {}))
        .size_min(1 << 12)
        .size_max(1 << 14)
        .budget_ms(2_000);
}

#[test]
fn what_comes_by_a_former_link_counts_for_nothing() {
    let mut run = Run::new(LearnerType::Participant);
    run.elect();
    let Link::Dialled(former) = run.link else { panic!("nobody was dialled") };
    run.step(Input::LeaderGone(former));
    run.tick(100);
    let Link::Dialled(link) = run.link else { panic!("nobody was dialled again") };
    assert_ne!(link, former);
    let leader_info = || Packet::LeaderInfo { epoch: 7, protocol: LEARNER_PROTOCOL };
    run.step(Input::LeaderConnected(former));
    run.step(Input::FromLeader(former, leader_info()));
    run.step(Input::LeaderGone(former));
    assert_eq!(run.link, Link::Dialled(link), "nothing was said to anybody");
    run.step(Input::LeaderConnected(link));
    run.step(Input::FromLeader(former, leader_info()));
    run.step(Input::SnapshotPart(former));
    run.step(Input::LeaderGone(former));
    assert_eq!(run.link, Link::Asked(link));
    assert!(run.disk.asked.is_empty(), "nothing was asked of the disk");
}

#[cfg(feature = "canaries")]
#[test]
fn learners_that_are_broken_are_noticed() {
    use bellwether_zab::Break;
    for how in [
        Break::AckBeforeSync,
        Break::CurrentEpochBeforeSync,
        Break::AcceptedEpochAfterAckEpoch,
        Break::ObserverSkipsGap,
    ] {
        let lives = std::panic::catch_unwind(|| {
            let broken = |settings: &mut Settings| settings.broken = Some(how);
            arbtest::arbtest(move |u| a_life(u, broken))
                .size_min(1 << 12)
                .size_max(1 << 14)
                .budget_ms(20_000);
        });
        assert!(lives.is_err(), "nobody noticed {}", how.name());
    }
}

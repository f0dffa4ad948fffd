//! An ensemble whose network, disks and clock are worked by hand.
//!
//! It performs what peers ask for, as a shell and a node would, and writes down who sends what to
//! whom and who does what. Deliveries are not written down: commands say when they happen.

use crate::describe;
use crate::disk::{Content, Done, Op};
use crate::member::{Member, Process};
use crate::network::{Dial, Item, Network};
use crate::truth::{self, Truth};
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{EnsembleConfig, Notification, Packet, PeerState, ServerId};
use bellwether_zab::{Effect, Input, LeaderLink, LearnerLink, News, Out, Peer, Serving};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often something may happen before nothing more does.
const STEPS_MAX: usize = 20_000;

/// An ensemble.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now_ms: u64,
    pub(crate) members: BTreeMap<i64, Member>,
    pub(crate) network: Network,
    /// What must hold, where it is watched.
    pub(crate) truth: Option<Truth>,
    /// Trees under way, by the learner and its link.
    trees: BTreeMap<(i64, LeaderLink), Content>,
    trace: Vec<String>,
}

impl World {
    pub(crate) fn take_trace(&mut self) -> Vec<String> {
        std::mem::take(&mut self.trace)
    }

    pub(crate) fn say(&mut self, line: impl Into<String>) {
        self.trace.push(line.into());
    }

    pub(crate) fn member(&mut self, server: i64) -> Result<&mut Member, String> {
        self.members.get_mut(&server).ok_or_else(|| format!("there is no server {server}"))
    }

    pub(crate) fn process(&mut self, server: i64) -> Result<&mut Process, String> {
        let process = self.member(server)?.process.as_mut();
        process.ok_or_else(|| format!("server {server} does not run"))
    }

    pub(crate) fn is_up(&self, server: i64) -> bool {
        self.members.get(&server).is_some_and(|member| member.process.is_some())
    }

    pub(crate) fn servers(&self) -> Vec<i64> {
        self.members.keys().copied().collect()
    }

    pub(crate) fn running(&self) -> Vec<i64> {
        self.servers().into_iter().filter(|server| self.is_up(*server)).collect()
    }

    /// Starts a server with what its disk has.
    pub(crate) fn start(&mut self, server: i64) -> Result<(), String> {
        let now_ms = self.now_ms;
        let member = self.member(server)?;
        if member.process.is_some() {
            return Err(format!("server {server} runs already"));
        }
        let (found, mut out) = (member.disk.recover(), Out::default());
        let tree = found.last;
        let peer = Peer::member(member.settings.clone(), found, now_ms, &mut out);
        let content = member.disk.content();
        member.process = Some(Process::new(peer, tree, content));
        self.perform(server, out)
    }

    /// Ends a server at once.
    pub(crate) fn crash(&mut self, server: i64) -> Result<(), String> {
        let _runs = self.process(server)?;
        self.member(server)?.process = None;
        self.network.lose(server);
        Ok(())
    }

    /// Lets a peer take an input.
    pub(crate) fn step(&mut self, server: i64, input: Input) -> Result<(), String> {
        self.with(server, |peer, now_ms, out| peer.step(now_ms, input, out))
    }

    /// Lets a peer do something, and performs what follows.
    pub(crate) fn with<T>(
        &mut self,
        server: i64,
        does: impl FnOnce(&mut Peer, u64, &mut Out) -> T,
    ) -> Result<T, String> {
        let (now_ms, mut out) = (self.now_ms, Out::default());
        let result = does(&mut self.process(server)?.peer, now_ms, &mut out);
        self.perform(server, out)?;
        Ok(result)
    }

    fn perform(&mut self, server: i64, out: Out) -> Result<(), String> {
        let process = self.process(server)?;
        let state = process.peer.state();
        let leader = process.peer.vote().leader;
        if process.said.replace(state) != Some(state) {
            self.say(match state {
                PeerState::Looking | PeerState::Leading => format!("{server} {state}"),
                PeerState::Following | PeerState::Observing => format!("{server} {state} {leader}"),
            });
        }
        self.effects(server, out.effects)?;
        let mut begins = None;
        for news in out.news {
            if let News::Serve(serving) = &news {
                begins = Some(*serving);
            }
            self.hear(server, news)?;
        }
        if let (Some(Serving::Leader { .. }), Some(truth)) = (begins, &mut self.truth) {
            let process = self.members.get(&server).and_then(|member| member.process.as_ref());
            truth.leads_with(server, process.map(|process| &process.content))?;
        }
        self.apply(server)?;
        if let (Some(serving), Some(truth)) = (begins, &mut self.truth) {
            let process = self.members.get(&server).and_then(|member| member.process.as_ref());
            truth.serves(server, serving, process.map(|process| &process.content))?;
        }
        self.network.sweep();
        Ok(())
    }

    /// Performs effects. The same vote for several servers is one line of the trace.
    fn effects(&mut self, server: i64, effects: Vec<Effect>) -> Result<(), String> {
        let mut vote: Option<(String, Vec<String>)> = None;
        for effect in effects {
            if let Effect::Notify { to, notification } = &effect {
                let what = describe::notification(notification);
                match &mut vote {
                    Some((same, also)) if *same == what => also.push(to.to_string()),
                    Some(_) | None => {
                        self.say_vote(server, vote.replace((what, vec![to.to_string()])));
                    }
                }
            } else {
                self.say_vote(server, vote.take());
            }
            self.effect(server, effect)?;
        }
        self.say_vote(server, vote);
        Ok(())
    }

    fn say_vote(&mut self, server: i64, vote: Option<(String, Vec<String>)>) {
        if let Some((what, to)) = vote {
            self.say(format!("{server}->{} {what}", to.join(",")));
        }
    }

    fn effect(&mut self, server: i64, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Notify { to: ServerId(to), notification } => {
                let reached = self.is_up(to) && !self.network.is_cut(server, to);
                let queue = self.network.votes.entry((server, to)).or_default();
                if !reached {
                    queue.clear();
                }
                queue.push_back(*notification);
            }
            Effect::Listen => {
                self.process(server)?.listens = true;
                self.say(format!("{server} listens"));
            }
            Effect::StopListening => {
                self.process(server)?.listens = false;
                self.say(format!("{server} listens no more"));
            }
            Effect::ToLearner(link, packet) => self.send_to_learner(server, link, packet)?,
            Effect::CloseLearner(link) => {
                let link = self.network.links.get_mut(&link).filter(|l| !l.closed_by_leader);
                let Some(link) = link else { return Ok(()) };
                link.close_by_leader();
                let learner = link.learner;
                self.say(format!("{server} closes the link of {learner}"));
            }
            Effect::ReadLog { link, after, up_to } => {
                self.process(server)?.reads.push_back((link, after, up_to));
                let (after, up_to) = (describe::zxid(after), describe::zxid(up_to));
                self.say(format!("{server} reads its log behind {after} up to {up_to}"));
            }
            Effect::Dial { link, leader: ServerId(leader) } => {
                self.network.dials.push_back(Dial { learner: server, link, leader });
                self.say(format!("{server} dials {leader}"));
            }
            Effect::ToLeader(link, packet) => self.send_to_leader(server, link, packet)?,
            Effect::CloseLeader(link) => self.close_leader(server, link),
            Effect::Append(token, record) => {
                self.say(format!("{server} appends {}", describe::zxid(record.header.zxid)));
                self.ask_disk(server, Op::Append(token, record))?;
            }
            Effect::SaveAcceptedEpoch(epoch) => {
                self.say(format!("{server} saves acceptedEpoch {epoch}"));
                self.ask_disk(server, Op::SaveAcceptedEpoch(epoch))?;
            }
            Effect::SaveCurrentEpoch(epoch) => {
                self.say(format!("{server} saves currentEpoch {epoch}"));
                self.ask_disk(server, Op::SaveCurrentEpoch(epoch))?;
            }
            Effect::Truncate(zxid) => {
                self.say(format!("{server} truncates to {}", describe::zxid(zxid)));
                self.ask_disk(server, Op::Truncate(zxid))?;
            }
        }
        Ok(())
    }

    fn ask_disk(&mut self, server: i64, op: Op) -> Result<(), String> {
        self.member(server)?.disk.asked.push_back(op);
        Ok(())
    }

    fn send_to_learner(
        &mut self,
        server: i64,
        link: LearnerLink,
        packet: Packet,
    ) -> Result<(), String> {
        let link = self.network.links.get_mut(&link);
        let Some(link) = link.filter(|link| !link.closed_by_leader) else { return Ok(()) };
        if link.leader != server {
            return Err(format!("{server} sends by the link of {}", link.leader));
        }
        let line = format!("{server}->{} {}", link.learner, describe::packet(&packet));
        if let Packet::LeaderInfo { epoch, .. } = &packet {
            link.epoch = *epoch;
        }
        let process = self.members.get(&server).and_then(|member| member.process.as_ref());
        if let (Packet::UpToDate, Some(process), Some(truth)) = (&packet, process, &mut self.truth)
        {
            truth.up_to_date.insert(link.learner, process.tree);
        }
        if !link.closed_by_learner {
            link.to_learner.push_back(Item::Packet(packet));
        }
        self.say(line);
        Ok(())
    }

    fn send_to_leader(
        &mut self,
        server: i64,
        link: LeaderLink,
        packet: Packet,
    ) -> Result<(), String> {
        let Some(link) = self.network.link_of(server, link) else { return Ok(()) };
        if let (Some(member), Some(_watched)) = (self.members.get(&server), &self.truth) {
            truth::is_kept(member, link, &packet).map_err(|what| format!("{server} {what}"))?;
        }
        link.acks += u32::from(matches!(packet, Packet::Ack { .. }));
        let line = format!("{server}->{} {}", link.leader, describe::packet(&packet));
        if !link.closed_by_learner && !link.closed_by_leader {
            link.to_leader.push_back(Item::Packet(packet));
        }
        self.say(line);
        Ok(())
    }

    fn close_leader(&mut self, server: i64, link: LeaderLink) {
        self.network.dials.retain(|dial| dial.learner != server || dial.link != link);
        let link = self.network.link_of(server, link).filter(|link| !link.closed_by_learner);
        if let Some(link) = link {
            link.close_by_learner();
            let leader = link.leader;
            self.say(format!("{server} closes its link to {leader}"));
        }
    }

    /// What a node would do.
    fn hear(&mut self, server: i64, news: News) -> Result<(), String> {
        match news {
            News::Serve(serving) => {
                self.process(server)?.serves = Some(serving);
                self.say(format!("{server} serves {}", describe::serving(serving)));
            }
            News::StopServing => {
                if self.process(server)?.serves.take().is_some() {
                    self.say(format!("{server} serves no more"));
                }
            }
            News::Pinged { zxid } => {
                let pong = Packet::Ping { zxid, touched: Vec::new() };
                self.with(server, |peer, _, out| peer.to_leader(pong, out))?;
            }
            News::SendSnapshot(link) => self.process(server)?.walks.push_back(link),
            News::ReceiveSnapshot { link, zxid } => {
                self.process(server)?.receives = Some((link, zxid));
                self.say(format!("{server} receives a snapshot at {}", describe::zxid(zxid)));
            }
            News::BeginEmpty => {
                self.say(format!("{server} begins with an empty tree"));
                self.member(server)?.disk.arriving.clear();
                self.ask_disk(server, Op::TakeSnapshot(Zxid::ZERO))?;
                self.step(server, Input::SnapshotComplete)?;
            }
            News::ReceivingEnded => {
                self.process(server)?.receives = None;
                self.say(format!("{server} gives up what it receives"));
            }
            News::Confirmed(number) => self.confirmed(server, number)?,
            News::Forwarded { .. }
            | News::Revalidate { .. }
            | News::Touched { .. }
            | News::LearnerLeft(_)
            | News::Revalidated { .. }
            | News::Synced => self.say(format!("{server}: {news:?}")),
        }
        Ok(())
    }

    /// Hands what is committed to the tree.
    fn apply(&mut self, server: i64) -> Result<(), String> {
        let mut applied = Vec::new();
        let process = self.members.get_mut(&server).and_then(|member| member.process.as_mut());
        let Some(process) = process else { return Ok(()) };
        while let Some(record) = process.peer.next_committed() {
            process.tree = record.header.zxid;
            if let Some(truth) = &mut self.truth {
                truth.applied(server, &record, &process.content)?;
            }
            process.content.insert(record.header.zxid, record.header.cxid);
            applied.push(describe::zxid(record.header.zxid));
        }
        if !applied.is_empty() {
            self.say(format!("{server} applies {}", applied.join(" ")));
        }
        Ok(())
    }

    /// Delivers the oldest vote of one server to another.
    pub(crate) fn deliver_vote(&mut self, from: i64, to: i64) -> Result<bool, String> {
        if self.network.is_cut(from, to) || !self.is_up(to) {
            return Ok(false);
        }
        let queue = self.network.votes.get_mut(&(from, to));
        let Some(notification) = queue.and_then(|queue| queue.pop_front()) else {
            return Ok(false);
        };
        self.tell(from, to, notification)?;
        Ok(true)
    }

    /// Tells a server what another says, as the election port would.
    pub(crate) fn tell(
        &mut self,
        from: i64,
        to: i64,
        notification: Notification,
    ) -> Result<(), String> {
        self.step(to, Input::Notification { from: ServerId(from), notification })
    }

    /// Answers the oldest attempt of a learner to connect.
    pub(crate) fn answer_dial(&mut self, learner: i64) -> Result<bool, String> {
        let place = self.network.dials.iter().position(|dial| dial.learner == learner);
        let Some(dial) = place.and_then(|place| self.network.dials.remove(place)) else {
            return Ok(false);
        };
        let Dial { link, leader, .. } = dial;
        let cut = self.network.is_cut(learner, leader) || self.network.is_cut(leader, learner);
        if self.network.hands.contains(&leader) && !cut {
            self.network.connect(dial);
            self.step(learner, Input::LeaderConnected(link))?;
            return Ok(true);
        }
        if cut || !self.process(leader).is_ok_and(|process| process.listens) {
            self.say(format!("{learner} cannot connect to {leader}"));
            self.step(learner, Input::LeaderGone(link))?;
            return Ok(true);
        }
        let number = self.network.connect(dial);
        self.step(leader, Input::LearnerConnected(number))?;
        self.step(learner, Input::LeaderConnected(link))?;
        Ok(true)
    }

    /// Delivers the oldest item of the oldest link between two servers that has one.
    pub(crate) fn deliver_item(&mut self, from: i64, to: i64) -> Result<bool, String> {
        if self.network.is_cut(from, to) {
            return Ok(false);
        }
        for (number, link) in &mut self.network.links {
            let number = *number;
            let down = (link.leader, link.learner) == (from, to) && !link.closed_by_learner;
            if let Some(item) = down.then(|| link.to_learner.pop_front()).flatten() {
                let leader_link = link.leader_link;
                link.closed_by_learner |= matches!(item, Item::End);
                return self.hand_over(to, (leader_link, item)).map(|()| true);
            }
            let up = (link.learner, link.leader) == (from, to) && !link.closed_by_leader;
            if let Some(item) = up.then(|| link.to_leader.pop_front()).flatten() {
                link.closed_by_leader |= matches!(item, Item::End);
                let input = match item {
                    Item::Packet(packet) => Input::FromLearner(number, packet),
                    Item::Tree(_) => return Err("a learner sends a tree".into()),
                    Item::End => Input::LearnerGone(number),
                };
                return self.step(to, input).map(|()| true);
            }
        }
        Ok(false)
    }

    fn hand_over(&mut self, learner: i64, item: (LeaderLink, Item)) -> Result<(), String> {
        match item {
            (link, Item::Packet(packet)) => self.step(learner, Input::FromLeader(link, packet)),
            (link, Item::Tree(zxid)) => {
                let process = self.process(learner)?;
                if process.receives.take_if(|(expected, _)| *expected == link).is_none() {
                    return Err(format!("{learner} gets a tree that it does not wait for"));
                }
                let content = self.trees.remove(&(learner, link)).unwrap_or_default();
                self.member(learner)?.disk.arriving = content;
                self.ask_disk(learner, Op::TakeSnapshot(zxid))?;
                self.step(learner, Input::SnapshotComplete)
            }
            (link, Item::End) => self.step(learner, Input::LeaderGone(link)),
        }
    }

    /// Lets the disk of a server do what it was asked for first.
    pub(crate) fn work_disk(&mut self, server: i64) -> Result<bool, String> {
        if !self.is_up(server) {
            return Ok(false);
        }
        let done = self.member(server)?.disk.work();
        self.disk_did(server, done)
    }

    /// Lets the disk of a server sync what is written.
    pub(crate) fn sync_disk(&mut self, server: i64) -> Result<bool, String> {
        if !self.is_up(server) {
            return Ok(false);
        }
        let done = self.member(server)?.disk.sync();
        self.disk_did(server, done)
    }

    fn disk_did(&mut self, server: i64, done: Done) -> Result<bool, String> {
        let input = match done {
            Done::Nothing => return Ok(false),
            Done::Quietly => return Ok(true),
            Done::Told(input) => input,
        };
        if let Input::Truncated { last, .. } | Input::SnapshotReceived(last) = &input {
            let (last, content) = (*last, self.member(server)?.disk.content());
            let process = self.process(server)?;
            (process.tree, process.content) = (last, content);
        }
        self.step(server, input)?;
        Ok(true)
    }

    /// Reads a log for a learner, or walks the tree for one.
    pub(crate) fn work_readers(&mut self, server: i64) -> Result<bool, String> {
        let Some(member) = self.members.get_mut(&server) else { return Ok(false) };
        let Some(process) = &mut member.process else { return Ok(false) };
        if let Some((link, after, up_to)) = process.reads.pop_front() {
            let input = match member.disk.read(after, up_to) {
                Some(records) => Input::LogRead { link, records, last: true },
                None => Input::LogUnreadable { link },
            };
            self.step(server, input)?;
            return Ok(true);
        }
        let Some(link) = process.walks.pop_front() else { return Ok(false) };
        let (zxid, content) = (process.tree, process.content.clone());
        self.with(server, |peer, _, out| peer.to_learner(link, Packet::Snap { zxid }, out))?;
        if let Some(link) = self.network.links.get_mut(&link) {
            self.trees.insert((link.learner, link.leader_link), content);
            link.to_learner.push_back(Item::Tree(zxid));
        }
        self.step(server, Input::SnapshotSent(link))?;
        Ok(true)
    }

    /// Does everything that can be done without time passing.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            if !self.do_something()? {
                return Ok(());
            }
        }
        Err(format!("it does not end within {STEPS_MAX} rounds"))
    }

    /// One delivery of each kind for each server; whether there was any.
    fn do_something(&mut self) -> Result<bool, String> {
        let mut any = false;
        let ways: Vec<(i64, i64)> = self.network.votes.keys().copied().collect();
        for (from, to) in ways {
            any |= self.deliver_vote(from, to)?;
        }
        let servers = self.servers();
        for server in &servers {
            any |= self.is_up(*server) && self.answer_dial(*server)?;
            for other in &servers {
                any |= self.is_up(*other) && self.deliver_item(*server, *other)?;
            }
            if !self.member(*server)?.disk.held {
                any |= self.work_disk(*server)?;
            }
            any |= self.work_readers(*server)?;
            let due = |process: &mut Process| process.peer.next_deadline();
            let now_ms = self.now_ms;
            if self.process(*server).is_ok_and(|process| due(process) <= now_ms) {
                self.step(*server, Input::Tick)?;
                any = true;
            }
        }
        Ok(any)
    }

    /// Lets time pass, and everything happen that happens in it.
    pub(crate) fn run(&mut self, for_ms: u64) -> Result<(), String> {
        let end_ms = self.now_ms + for_ms;
        loop {
            self.settle()?;
            let processes = self.members.values().filter_map(|member| member.process.as_ref());
            let next = processes.map(|process| process.peer.next_deadline()).min();
            match next.filter(|next| *next <= end_ms) {
                Some(next) => self.now_ms = next,
                None => {
                    self.now_ms = end_ms;
                    return Ok(());
                }
            }
        }
    }

    /// What each server is doing and has.
    pub(crate) fn state(&mut self, servers: &[i64]) -> Result<(), String> {
        for server in servers {
            if !self.is_up(*server) {
                let disk = &self.member(*server)?.disk;
                let (last, accepted, current) =
                    (describe::zxid(disk.last()), disk.accepted_epoch, disk.current_epoch);
                self.say(format!(
                    "{server} down: last={last} accepted={accepted} current={current}"
                ));
                continue;
            }
            let process = self.process(*server)?;
            let history = process.peer.history();
            let marks = [
                ("received", history.received()),
                ("durable", history.durable()),
                ("committed", history.committed()),
                ("tree", process.tree),
            ];
            let marks = marks.map(|(name, zxid)| format!("{name}={}", describe::zxid(zxid)));
            let (accepted, current) = process.peer.epochs();
            let line = format!(
                "{server} {} votes {}: {} accepted={accepted} current={current}",
                process.peer.state(),
                describe::vote(process.peer.vote()),
                marks.join(" "),
            );
            self.say(line);
        }
        Ok(())
    }

    /// An ensemble of these settings.
    pub(crate) fn gather(&mut self, config: Arc<EnsembleConfig>, settle: impl Fn(&mut Member)) {
        for (server, spec) in &config.servers {
            let settings = bellwether_zab::Settings::new(*server, spec.role, config.clone());
            let mut member = Member::new(settings);
            settle(&mut member);
            self.members.insert(server.0, member);
        }
    }

    /// The last zxid that a server proposed or received.
    pub(crate) fn last_zxid(&mut self, server: i64) -> Result<Zxid, String> {
        Ok(self.process(server)?.peer.history().received())
    }
}

//! The commands of scenarios. `scenarios/README.md` lists them.

use crate::describe;
use crate::disk;
use crate::words::{Words, number, way, ways, zxid};
use crate::world::World;
use bellwether_wire::Zxid;
use bellwether_wire::quorum::{EnsembleConfig, Notification, PeerState, ServerId, Version, Vote};
use bellwether_zab::{Input, Serving};
use std::sync::Arc;

impl World {
    /// Does what a line says.
    pub(crate) fn command(&mut self, line: &str) -> Result<(), String> {
        let mut words = Words::new(line);
        let verb = words.need("a command")?;
        match verb {
            "cluster" => self.cluster(&mut words)?,
            "history" => self.history(&mut words)?,
            "start" | "restart" => {
                for server in words.servers(self.servers().into_iter())? {
                    self.start(server)?;
                }
            }
            "crash" => {
                for server in words.servers(self.running().into_iter())? {
                    self.crash(server)?;
                }
            }
            "tick" => self.tick(&mut words)?,
            "pass" => self.now_ms += words.number::<u64>("milliseconds")?,
            "run" => {
                let for_ms = words.number("milliseconds")?;
                self.run(for_ms)?;
            }
            "settle" => self.settle()?,
            "until" => self.until(&mut words)?,
            "quiet" => {
                let kept = self.take_trace();
                self.command(&words.rest())?;
                drop(self.take_trace());
                kept.into_iter().for_each(|line| self.say(line));
            }
            "deliver" => self.deliver(&mut words)?,
            "drop" => self.drop_next(&mut words)?,
            "dial" => {
                for server in words.servers(self.running().into_iter())? {
                    self.answer_dial(server)?;
                }
            }
            "cut" => self.network.cuts.extend(ways(words.need("A-B")?)?),
            "join" => {
                for way in ways(words.need("A-B")?)? {
                    self.network.cuts.remove(&way);
                }
            }
            "disk" => self.disk(&mut words)?,
            "vote" => self.vote(&mut words)?,
            "send" => self.send_by_hand(&mut words)?,
            "log" => self.log_by_hand(&mut words)?,
            "hand" => self.hand(&mut words)?,
            "says" => self.says(&mut words)?,
            "snapshot" => self.snapshot(&mut words)?,
            "connect" => self.connect(&mut words)?,
            "disconnect" => self.disconnect(&mut words)?,
            "asks" => self.asks(&mut words)?,
            "propose" => self.propose(&mut words)?,
            "resign" => {
                let (server, reason) = (words.number("the server")?, words.rest());
                self.with(server, |peer, now, out| peer.resign(now, &reason, out))?;
            }
            "confirm" => {
                let server = words.number("the server")?;
                let number = self.with(server, |peer, now, out| peer.confirm(now, out))?;
                self.say(format!("{server} asks for confirmation {number}"));
            }
            "state" => {
                let all = self.servers();
                let servers = words.servers(all.iter().copied()).unwrap_or(all);
                self.state(&servers)?;
            }
            _ => return Err("there is no such command".into()),
        }
        words.end()
    }

    /// `cluster 5 observers=4,5 groups=1:2:3/4:5 weights=3:0 tick=500`
    fn cluster(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let count: i64 = words.number("how many servers")?;
        let list = |name: Option<&str>| -> Result<Vec<i64>, String> {
            let list = name.unwrap_or_default().split(',').filter(|word| !word.is_empty());
            list.map(|word| number(word, "a server")).collect()
        };
        let observers = list(words.named("observers"))?;
        let mut text = String::new();
        for server in 1..=count {
            let role = if observers.contains(&server) { "observer" } else { "participant" };
            text.push_str(&format!("server.{server}=host{server}:2888:3888:{role}\n"));
        }
        for (group, members) in words.named("groups").iter().flat_map(|g| g.split('/')).enumerate()
        {
            text.push_str(&format!("group.{}={members}\n", group + 1));
        }
        for weight in words.named("weights").iter().flat_map(|weights| weights.split(',')) {
            let (server, weight) = weight.split_once(':').ok_or("weights=SERVER:WEIGHT,…")?;
            text.push_str(&format!("weight.{server}={weight}\n"));
        }
        let config = EnsembleConfig::parse(&text).map_err(|error| error.to_string())?;
        let tick_ms = words.named_number("tick")?.unwrap_or(2000);
        let init_limit = words.named_number("init")?.unwrap_or(10);
        let sync_limit = words.named_number("sync")?.unwrap_or(5);
        let commit_log_count = words.named_number("commit-log")?.unwrap_or(500);
        let queue_bytes = words.named_number("queue-bytes")?.unwrap_or(64 << 20);
        let snapshots = words.named_number("snapshots")?.unwrap_or(10);
        let log_serves = !words.flag("no-log-sync");
        self.gather(Arc::new(config), |member| {
            let settings = &mut member.settings;
            settings.tick_ms = tick_ms;
            settings.init_limit = init_limit;
            settings.sync_limit = sync_limit;
            settings.commit_log_count = commit_log_count;
            settings.learner_queue_bytes_max = queue_bytes;
            settings.snapshot_syncs_max = snapshots;
            settings.log_serves_learners = log_serves;
        });
        Ok(())
    }

    /// `history 2 base=4:0 log=4:1-4:3,5:1-5:12 epoch=5 accepted=5`, or `received=5:12` for a
    /// snapshot at that and no log.
    fn history(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let servers = words.servers(self.servers().into_iter())?;
        let received = words.named_zxid("received")?;
        let base = words.named_zxid("base")?.or(received).unwrap_or_default();
        let mut log = Vec::new();
        for range in words.named("log").iter().flat_map(|log| log.split(',')) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (zxid(first)?, zxid(last)?);
            log.extend((first.0..=last.0).map(|at| disk::record(Zxid(at))));
        }
        let last = log.last().map_or(base, |record| record.header.zxid);
        let epoch = if last == Zxid::MISSING { 0 } else { last.epoch() };
        let current = words.named_number("epoch")?.unwrap_or(epoch);
        let accepted = words.named_number("accepted")?.unwrap_or(current);
        for server in servers {
            if self.is_up(server) {
                return Err(format!("server {server} runs"));
            }
            let disk = &mut self.member(server)?.disk;
            (disk.base, disk.log) = (base, log.clone());
            (disk.current_epoch, disk.accepted_epoch) = (current, accepted);
        }
        Ok(())
    }

    /// `tick 1 2 +200`
    fn tick(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let mut rest = words.rest();
        if let Some((servers, after)) = rest.clone().split_once('+') {
            self.now_ms += number::<u64>(after.trim(), "milliseconds")?;
            rest = servers.into();
        }
        for server in Words::new(&rest).servers(self.running().into_iter())? {
            self.step(server, Input::Tick)?;
        }
        Ok(())
    }

    /// `until 1 LEADING`, `until all serve`: lets time pass, a minute at most.
    fn until(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let running = self.running();
        let servers = words.servers(running.iter().copied())?;
        let goal = words.need("a state, or serve")?.to_string();
        let end_ms = self.now_ms + 60_000;
        let reached = |world: &mut World| {
            servers.iter().all(|server| {
                let process = world.process(*server);
                process.is_ok_and(|process| match goal.as_str() {
                    "serve" => process.serves.is_some(),
                    state => process.peer.state().to_string() == state,
                })
            })
        };
        self.settle()?;
        while !reached(self) {
            if self.now_ms >= end_ms {
                return Err("it does not come to that within a minute".into());
            }
            self.run(10)?;
        }
        Ok(())
    }

    /// `deliver 1->2 [N|all]`: votes and packets, those that were sent first by each way first.
    fn deliver(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let (from, to) = way(words.need("FROM->TO")?)?;
        let count = match words.next() {
            None => 1,
            Some("all") => usize::MAX,
            Some(word) => number(word, "how many")?,
        };
        let mut delivered = 0;
        while delivered < count && (self.deliver_vote(from, to)? || self.deliver_item(from, to)?) {
            delivered += 1;
        }
        if delivered == 0 || count != usize::MAX && delivered < count {
            return Err(format!("only {delivered} could be delivered"));
        }
        Ok(())
    }

    /// `drop 1->2`: the votes that are under way.
    fn drop_next(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let way = way(words.need("FROM->TO")?)?;
        let votes = self.network.votes.remove(&way).unwrap_or_default();
        if votes.is_empty() { Err("nothing is under way".into()) } else { Ok(()) }
    }

    /// `disk 2 hold`, `disk 2 go`, `disk 2 sync [N]`, `disk 2 fail`
    fn disk(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let server = words.number("the server")?;
        match words.need("hold, go, sync or fail")? {
            "hold" => self.member(server)?.disk.held = true,
            "go" => self.member(server)?.disk.held = false,
            "sync" => {
                let count = match words.next() {
                    None => usize::MAX,
                    Some(word) => number(word, "how many")?,
                };
                let mut done = 0;
                while done < count && self.work_disk(server)? {
                    done += 1;
                }
                if done == 0 {
                    return Err("it was asked for nothing".into());
                }
            }
            "fail" => {
                self.say(format!("{server} ends: its disk failed"));
                self.crash(server)?;
            }
            other => return Err(format!("a disk cannot {other}")),
        }
        Ok(())
    }

    /// `vote 9->1 FOLLOWING 3 zxid=5:12 epoch=5 round=2 form=40`: what a server says that need not
    /// be there, in one of the forms that a notification had over time.
    fn vote(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let (from, to) = way(words.need("FROM->TO")?)?;
        let state = words.need("a state")?;
        let state = PeerState::ALL.into_iter().find(|one| one.to_string() == state);
        let state = state.ok_or("LOOKING, FOLLOWING, LEADING or OBSERVING")?;
        let vote = match words.need("for whom")? {
            "nobody" => Vote::NONE,
            leader => Vote {
                leader: ServerId(number(leader, "the leader")?),
                zxid: words.named_zxid("zxid")?.unwrap_or_default(),
                peer_epoch: words.named_number("epoch")?.unwrap_or_default(),
            },
        };
        let round = words.named_number("round")?.unwrap_or(1);
        let form = words.named("form").unwrap_or("2");
        let config_version = words.named("config-version").unwrap_or("0");
        let config = Some(format!("version={config_version}").into());
        let version = Version::CURRENT;
        let bytes = bytes_of(&Notification { state, vote, round, version, config }, form)?;
        let notification = Notification::decode(&bytes).map_err(|error| error.to_string())?;
        self.tell(from, to, notification)
    }

    /// `propose 3 [N]`
    fn propose(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let server = words.number("the leader")?;
        let count = words.next().map_or(Ok(1), |word| number(word, "how many"))?;
        for _ in 0..count {
            let serves = self.process(server)?.serves;
            let Some(Serving::Leader { epoch }) = serves else {
                return Err(format!("{server} does not serve as a leader: {serves:?}"));
            };
            let last = self.last_zxid(server)?.max(Zxid::first_of(epoch));
            let next = last.next().ok_or("the counter is used up")?;
            self.say(format!("{server} proposes {}", describe::zxid(next)));
            let record = disk::record(next);
            self.with(server, |peer, now, out| peer.propose(now, record, out))?;
        }
        Ok(())
    }
}

/// A notification as servers of a time sent it: `28` bytes before there was an epoch, `40` before
/// there was a version, version `1` without a configuration, and `2`.
fn bytes_of(notification: &Notification, form: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    notification.encode(&mut bytes);
    match form {
        "28" => bytes.truncate(28),
        "40" => {
            bytes.truncate(36);
            bytes.extend([0; 4]);
        }
        "1" => {
            bytes.truncate(36);
            bytes.extend(1_i32.to_be_bytes());
            bytes.extend([0; 4]);
        }
        "2" => {}
        other => return Err(format!("there is no form {other}")),
    }
    Ok(bytes)
}

//! Members that form one ensemble: started, looked at, brought into a wanted state.
//!
//! What it keeps true: every member has the same configuration but for its own place in it; a step
//! ends when the state that it is for can be seen.
//!
//! What it leaves to others: what is written meanwhile (`load`) and what must hold (`judge`).

use std::net::SocketAddr;
use std::path::Path;

use bellwether_wire::Zxid;

use crate::client::{Connection, Terms, create, set};
use crate::member::{Kind, Listen, Member, Part, Status};
use crate::network::Seat;
use crate::settings::{COMMON_LINES, Settings};
use crate::wait::wait_for;

/// Where the members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// A namespace each.
    Namespaces,
    /// Addresses of the loopback interface, for figures.
    Loopback,
}

/// The members.
#[derive(Debug)]
pub(crate) struct Ensemble {
    pub(crate) members: Vec<Member>,
    pub(crate) settings: Settings,
    /// How many bulk writes were made, so that each is different.
    written: u64,
}

/// Requests of one connection that are not answered yet, where speed matters.
const WINDOW: usize = 100;
/// The node of bulk writes.
const BULK: &str = "/bulk";

impl Ensemble {
    /// Members that were never started.
    pub(crate) fn new(
        settings: &Settings,
        (members, lines, by_name): (&[(Kind, Part)], &str, bool),
        ground: Ground,
        work: &Path,
    ) -> Result<Ensemble, String> {
        let mut made = Vec::new();
        for (sid, (kind, part)) in (1u8..).zip(members) {
            let seat = match ground {
                Ground::Namespaces => Seat::namespace(sid)?,
                Ground::Loopback => Seat::loopback(sid),
            };
            let recipe = (settings.command(*kind), settings.properties());
            made.push(Member::new((sid, *kind, *part), seat, recipe, work)?);
        }
        let mut common = lines.to_owned();
        for member in &made {
            let (sid, host) = (member.sid, member.seat.quorum);
            let host = if by_name { format!("zookeeper{sid}") } else { host.to_string() };
            let part = match member.part {
                Part::Participant => "",
                Part::Observer => ":observer",
            };
            common += &format!("server.{sid}={host}:2888:3888{part}\n");
        }
        common += COMMON_LINES;
        let listen = if by_name { Listen::OnAll } else { Listen::OnItsAddress };
        for member in &made {
            member.configure(&common, listen)?;
        }
        Ok(Ensemble { members: made, settings: settings.clone(), written: 0 })
    }

    pub(crate) fn member(&self, sid: u8) -> &Member {
        let found = self.members.iter().find(|member| member.sid == sid);
        found.expect("sids come from the members")
    }

    pub(crate) fn member_mut(&mut self, sid: u8) -> &mut Member {
        let found = self.members.iter_mut().find(|member| member.sid == sid);
        found.expect("sids come from the members")
    }

    pub(crate) fn sids(&self) -> Vec<u8> {
        self.members.iter().map(|member| member.sid).collect()
    }

    /// Those that vote.
    pub(crate) fn voters(&self) -> Vec<u8> {
        let of = self.members.iter().filter(|member| member.part == Part::Participant);
        of.map(|member| member.sid).collect()
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.members.iter().map(Member::address).collect()
    }

    pub(crate) fn start(&mut self, sids: &[u8]) -> Result<(), String> {
        sids.iter().try_for_each(|sid| self.member_mut(*sid).start())
    }

    pub(crate) fn kill(&mut self, sids: &[u8]) -> Result<(), String> {
        sids.iter().try_for_each(|sid| self.member_mut(*sid).kill())
    }

    /// Waits until these members serve.
    pub(crate) fn serving(&mut self, sids: &[u8]) -> Result<(), String> {
        for sid in sids {
            let what = format!("member {sid} to serve");
            let member = self.member_mut(*sid);
            let served = wait_for(&what, || {
                if let Some(status) = member.ended() {
                    return Err(format!("it ended: {status}"));
                }
                Ok(member.status())
            });
            served.map_err(|why| self.member(*sid).explain(&why))?;
        }
        Ok(())
    }

    /// Waits until a member serves nobody any longer.
    pub(crate) fn not_serving(&self, sid: u8) -> Result<(), String> {
        let member = self.member(sid);
        let silent = wait_for(&format!("member {sid} to stop serving"), || {
            Ok(member.word("srvr").is_ok_and(|text| !text.contains("Mode: ")).then_some(()))
        });
        silent.map_err(|why| member.explain(&why))
    }

    /// Starts everyone, and waits until all serve.
    pub(crate) fn start_all(&mut self) -> Result<(), String> {
        let all = self.sids();
        self.start(&all)?;
        self.serving(&all)
    }

    /// Everyone that is down is started, and all serve.
    pub(crate) fn whole(&mut self) -> Result<(), String> {
        let all = self.sids();
        let down: Vec<u8> = all.iter().copied().filter(|sid| !self.member(*sid).is_up()).collect();
        self.start(&down)?;
        self.serving(&all)
    }

    /// Waits until one of these leads, and says which.
    pub(crate) fn leader_among(&self, sids: &[u8]) -> Result<u8, String> {
        let leads = |sid: &u8| {
            self.member(*sid).status().is_some_and(|Status { mode, .. }| mode == "leader")
        };
        wait_for(&format!("a leader among {sids:?}"), || {
            let leaders: Vec<u8> = sids.iter().copied().filter(leads).collect();
            Ok(match leaders.as_slice() {
                [leader] => Some(*leader),
                _ => None,
            })
        })
    }

    pub(crate) fn leader(&self) -> Result<u8, String> {
        self.leader_among(&self.sids())
    }

    /// Members that vote and do not lead.
    pub(crate) fn followers(&self) -> Result<Vec<u8>, String> {
        let leader = self.leader()?;
        Ok(self.voters().into_iter().filter(|sid| *sid != leader).collect())
    }

    pub(crate) fn others(&self, sids: &[u8]) -> Vec<u8> {
        self.sids().into_iter().filter(|sid| !sids.contains(sid)).collect()
    }

    /// Makes one member the leader: it is brought ahead of one voter, and only these two are
    /// there when everybody looks for a leader.
    pub(crate) fn lead(&mut self, wanted: u8) -> Result<(), String> {
        self.whole()?;
        if self.leader()? == wanted {
            return Ok(());
        }
        let behind = self.voters().into_iter().find(|sid| *sid != wanted);
        let behind = behind.ok_or("a leader needs a second voter")?;
        self.member_mut(behind).stop()?;
        let rest = self.others(&[behind]);
        self.leader_among(&rest)?;
        self.serving(&rest)?;
        self.write(wanted, 3, 10)?;
        for sid in &rest {
            self.member_mut(*sid).stop()?;
        }
        self.start(&[wanted, behind])?;
        self.leader_among(&[wanted])?;
        self.whole()
    }

    /// Sets one node so many times through a member, with so many bytes, in a pipeline.
    pub(crate) fn write(&mut self, via: u8, count: u64, bytes: usize) -> Result<Zxid, String> {
        let told = |why: String| format!("writing through member {via}: {why}");
        let mut connection = self.connection(via)?;
        // It may be there.
        let _made = connection.call(&create(BULK, b"")).map_err(|e| told(e.to_string()))?;
        let requests: Vec<_> = (0..count)
            .map(|number| {
                let mut data = format!("{}", self.written + number).into_bytes();
                data.resize(bytes.max(data.len()), b'.');
                set(BULK, &data, -1)
            })
            .collect();
        self.written += count;
        let answers = connection.pipeline(&requests, WINDOW).map_err(|e| told(e.to_string()))?;
        if let Some(code) = answers.into_iter().find_map(Result::err) {
            return Err(told(format!("error {code}")));
        }
        let zxid = connection.seen;
        connection.close();
        Ok(zxid)
    }

    /// Creates nodes with large data, so that a snapshot is large.
    pub(crate) fn write_nodes(&mut self, via: u8, count: u64, bytes: usize) -> Result<(), String> {
        let mut connection = self.connection(via)?;
        let data = vec![b'#'; bytes];
        for number in 0..count {
            let path = format!("/large-{}-{number}", self.written);
            connection.expect(&create(&path, &data))?;
        }
        self.written += count;
        connection.close();
        Ok(())
    }

    /// A session through one member.
    pub(crate) fn connection(&self, via: u8) -> Result<Connection, String> {
        let member = self.member(via);
        let opened = wait_for(&format!("a session with member {via}"), || {
            Ok(Connection::begin(member.address(), Terms::CALM).ok())
        });
        opened.map_err(|why| member.explain(&why))
    }

    /// The ends of all logs, for a failure.
    pub(crate) fn explain(&self, why: &str) -> String {
        let logs: Vec<String> = self.members.iter().map(|member| member.explain("")).collect();
        format!("{why}\n{}", logs.join("\n"))
    }
}

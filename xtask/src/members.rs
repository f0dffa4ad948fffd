//! Three members of one side on loopback, an ensemble for the stages that need one to fail.
//!
//! Keeps true: each member has a directory, a client port and two ports for its peers, and keeps
//! them when it is killed and started again. Leaves faults between members, which need networks of
//! their own, to `crates/ensembles`.

use std::path::Path;

use crate::process::{free_ports, make_dir, wait_for, write};
use crate::server::{Flavour, Launch, START_ATTEMPTS, START_LIMIT, Server};
use crate::workspace::Workspace;

const MEMBERS: usize = 3;

/// Whom the first member knows, and who knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// Everybody: it is a member like the others.
    Joins,
    /// Nobody: it looks for peers, and they for it, where nobody listens.
    Stays,
}

/// A member: how it is started, where it listens, and the process while there is one.
#[derive(Debug)]
struct Member {
    launch: Launch,
    port: u16,
    server: Option<Server>,
}

/// Three members, some of which run.
#[derive(Debug)]
pub(crate) struct Members {
    all: Vec<Member>,
}

impl Members {
    /// Starts so many of the three, from the first on, and waits until they serve. `set` adds what
    /// each of them is given.
    pub(crate) fn start(
        workspace: &Workspace,
        (flavour, home): (Flavour, &Path),
        (count, first): (usize, First),
        set: impl Fn(Launch) -> Launch,
    ) -> Result<Self, String> {
        let mut last = String::new();
        for attempt in 0..START_ATTEMPTS {
            let home = home.join(attempt.to_string());
            let mut members = Self::prepare((flavour, &home), first, &set)?;
            match members.go_on(workspace, 0..count) {
                Ok(()) => return Ok(members),
                // Another process took a port between our look and the member's bind.
                Err(why) if why.to_lowercase().contains("in use") => last = why,
                Err(why) => return Err(why),
            }
        }
        Err(last)
    }

    fn prepare(
        (flavour, home): (Flavour, &Path),
        first: First,
        set: &impl Fn(Launch) -> Launch,
    ) -> Result<Self, String> {
        let mut clients = free_ports(3 * MEMBERS)?;
        let peers = clients.split_off(MEMBERS);
        let mut all = Vec::new();
        for (own, port) in clients.into_iter().enumerate() {
            let id = own + 1;
            let home = home.join(id.to_string());
            let mut launch = set(Launch::new(flavour, &home));
            for (other, ports) in peers.chunks_exact(2).enumerate() {
                let apart = first == First::Stays && other != own && (other == 0 || own == 0);
                // Nobody listens on these.
                let ports = if apart { &[1, 2] } else { ports };
                let [quorum, election] = ports else { return Err("two ports each".to_owned()) };
                let line = format!("server.{}=127.0.0.1:{quorum}:{election}", other + 1);
                launch = launch.line(&line);
            }
            make_dir(&launch.data())?;
            write(&launch.data().join("myid"), format!("{id}\n"))?;
            all.push(Member { launch, port, server: None });
        }
        Ok(Self { all })
    }

    /// Starts the others.
    pub(crate) fn start_others(&mut self, workspace: &Workspace) -> Result<(), String> {
        let begun = self.all.iter().take_while(|member| member.server.is_some()).count();
        self.go_on(workspace, begun..MEMBERS)
    }

    /// All at once, since none serves without another.
    fn go_on(&mut self, workspace: &Workspace, who: std::ops::Range<usize>) -> Result<(), String> {
        let members = self.all.get_mut(who).ok_or("there are three members")?;
        for member in members.iter_mut() {
            member.server = Some(member.launch.spawn(workspace, member.port)?);
        }
        for member in members {
            member.server = member.server.take().map(Server::up).transpose()?;
        }
        Ok(())
    }

    /// All client ports, as a client is told of them.
    pub(crate) fn addresses(&self) -> String {
        let all: Vec<String> =
            self.all.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect();
        all.join(",")
    }

    /// Waits until the first one gives this answer to a four-letter word.
    pub(crate) fn first_says(&self, word: &str, expected: &str) -> Result<(), String> {
        let first = self.all.first().and_then(|member| member.server.as_ref());
        let first = first.ok_or("the first member does not run")?;
        let says = || first.word(word).is_ok_and(|said| said.trim() == expected).then_some(());
        let what = format!("{expected} to {word}");
        wait_for(&what, START_LIMIT, says).map_err(|why| first.explain(&why))
    }

    /// Kills the leader (SIGKILL), starts it again on its data, and waits until it serves.
    pub(crate) fn crash_leader(&mut self, workspace: &Workspace) -> Result<(), String> {
        let leads = |member: &Member| {
            let said = member.server.as_ref().map(|server| server.word("srvr"));
            said.is_some_and(|said| said.is_ok_and(|said| said.contains("Mode: leader")))
        };
        let place = wait_for("a leader", START_LIMIT, || self.all.iter().position(leads))?;
        let member = self.all.get_mut(place).ok_or("it was among them")?;
        let server = member.server.take().ok_or("it has just answered")?;
        member.server = Some(server.crash(workspace, &member.launch)?);
        Ok(())
    }

    /// Asks each to end, and waits until it has.
    pub(crate) fn stop(self) -> Result<(), String> {
        self.all.into_iter().filter_map(|member| member.server).try_for_each(Server::stop)
    }
}

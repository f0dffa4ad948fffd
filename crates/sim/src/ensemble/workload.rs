//! What clients do, as a file says it: how many there are, how busy they are, what they ask for.

use super::words::{Span, lines, problem};
use crate::disk::Chance;
use bellwether_wire::client::Request;
use bellwether_wire::client::request::{Create, SetWatches};
use bellwether_wire::{Acl, Data, Zxid};

/// Every workload: its name and its text.
pub(super) const FILES: &[(&str, &str)] = &[
    ("mixed", include_str!("../../workloads/mixed.txt")),
    ("counters", include_str!("../../workloads/counters.txt")),
    ("readers", include_str!("../../workloads/readers.txt")),
    ("sessions", include_str!("../../workloads/sessions.txt")),
    ("watchers", include_str!("../../workloads/watchers.txt")),
    ("pipeline", include_str!("../../workloads/pipeline.txt")),
];

macro_rules! asks {
    ($($variant:ident $name:literal;)*) => {
        /// What can be asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Ask { $($variant,)* }

        impl Ask {
            fn from_name(name: &str) -> Option<Ask> {
                match name { $($name => Some(Ask::$variant),)* _ => None }
            }
        }
    };
}

asks! {
    Create "create";
    CreateEphemeral "create-ephemeral";
    CreateSequential "create-sequential";
    Create2 "create2";
    Delete "delete";
    Set "set";
    SetVersion "set-version";
    Multi "multi";
    Get "get";
    GetWatch "get-watch";
    Exists "exists";
    ExistsWatch "exists-watch";
    Children "children";
    ChildrenWatch "children-watch";
    AddWatch "add-watch";
    Sync "sync";
    SyncGet "sync-get";
    Ephemerals "ephemerals";
    Close "close";
}

/// A workload.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// How many clients there are.
    pub(super) clients: Span,
    /// How many requests a client has in flight at most.
    pub(super) in_flight: Span,
    /// How long a client waits before it asks again, in microseconds.
    pub(super) think_us: Span,
    /// What a client asks for as the timeout of its session.
    pub(super) timeout_us: Span,
    /// How many nodes there are to fight over.
    paths: Span,
    value_bytes: Span,
    /// Once in so many turns a client leaves its member for another one; 0 for never.
    pub(super) moves_one_in: u64,
    /// Likewise, it falls silent for longer than its session lives.
    pub(super) vanishes_one_in: u64,
    /// How many requests there are in a run.
    pub(super) operations: Span,
    weights: Vec<(Ask, u64)>,
    weight: u64,
}

impl Workload {
    /// The one of that name.
    pub(super) fn named(name: &str) -> Option<Result<Workload, String>> {
        let (_, text) = FILES.iter().find(|(other, _)| *other == name)?;
        Some(Workload::parse(name, text))
    }

    fn parse(name: &str, text: &str) -> Result<Workload, String> {
        let mut workload = Workload {
            clients: Span { min: 3, max: 3 },
            in_flight: Span { min: 1, max: 1 },
            think_us: Span { min: 0, max: 0 },
            timeout_us: Span { min: 4_000_000, max: 4_000_000 },
            paths: Span { min: 8, max: 8 },
            value_bytes: Span { min: 0, max: 20 },
            moves_one_in: 0,
            vanishes_one_in: 0,
            operations: Span { min: 1000, max: 1000 },
            weights: Vec::new(),
            weight: 0,
        };
        for (number, line) in lines(text) {
            let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            workload
                .set(key, value.trim())
                .map_err(|what| problem(&format!("workloads/{name}.txt"), number, &what))?;
        }
        if workload.weight == 0 {
            return Err(problem(&format!("workloads/{name}.txt"), 1, "nothing is asked for"));
        }
        Ok(workload)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let one_in = |value: &str| Span::of_numbers(value).map(|span| span.min);
        match key {
            "clients" => self.clients = Span::of_numbers(value)?,
            "in-flight" => self.in_flight = Span::of_numbers(value)?,
            "think" => self.think_us = Span::of_times(value)?,
            "timeout" => self.timeout_us = Span::of_times(value)?,
            "paths" => self.paths = Span::of_numbers(value)?,
            "value-bytes" => self.value_bytes = Span::of_numbers(value)?,
            "moves-one-in" => self.moves_one_in = one_in(value)?,
            "vanishes-one-in" => self.vanishes_one_in = one_in(value)?,
            "operations" => self.operations = Span::of_numbers(value)?,
            ask => {
                let known = Ask::from_name(ask);
                let ask = known.ok_or_else(|| format!("{ask:?} is neither setting nor request"))?;
                let weight = one_in(value)?;
                self.weights.push((ask, weight));
                self.weight += weight;
            }
        }
        Ok(())
    }

    /// What a client asks for next; more than one request where they belong together.
    pub(super) fn requests(&self, chance: &mut Chance) -> Vec<Request> {
        let mut left = chance.below(self.weight);
        for (ask, weight) in &self.weights {
            if left < *weight {
                return self.ask(*ask, chance);
            }
            left -= weight;
        }
        Vec::new()
    }

    fn ask(&self, ask: Ask, chance: &mut Chance) -> Vec<Request> {
        let path = self.path(chance);
        vec![match ask {
            Ask::Create => Request::Create(self.create(path, 0, chance)),
            Ask::CreateEphemeral => Request::Create(self.create(path, 1, chance)),
            Ask::CreateSequential => {
                let flags = 2 + i32::from(chance.one_in(2));
                Request::Create(self.create("/q/n-".into(), flags, chance))
            }
            Ask::Create2 => Request::Create2(self.create(path, 0, chance)),
            Ask::Delete => Request::Delete { path, version: -1 },
            Ask::Set => Request::SetData { path, data: self.data(chance), version: -1 },
            Ask::SetVersion => {
                let version = i32::try_from(chance.below(6)).unwrap_or(0);
                Request::SetData { path, data: self.data(chance), version }
            }
            Ask::Multi => Request::Multi(self.parts(chance)),
            Ask::Get => Request::GetData { path, watch: false },
            Ask::GetWatch => Request::GetData { path, watch: true },
            Ask::Exists => Request::Exists { path, watch: false },
            Ask::ExistsWatch => Request::Exists { path, watch: true },
            Ask::Children => Request::GetChildren { path: self.parent(chance), watch: false },
            Ask::ChildrenWatch => Request::GetChildren2 { path: self.parent(chance), watch: true },
            Ask::AddWatch => {
                let mode = i32::from(chance.one_in(2));
                Request::AddWatch { path: self.parent(chance), mode }
            }
            Ask::Sync => Request::Sync { path: "/".into() },
            Ask::SyncGet => {
                let sync = Request::Sync { path: path.clone() };
                return vec![sync, Request::GetData { path, watch: false }];
            }
            Ask::Ephemerals => Request::GetEphemerals { prefix: "/".into() },
            Ask::Close => Request::CloseSession,
        }]
    }

    fn parts(&self, chance: &mut Chance) -> Vec<Request> {
        let parts = 1 + chance.below(3);
        let part = |chance: &mut Chance| {
            let path = self.path(chance);
            match chance.below(5) {
                0 => Request::Check { path, version: -1 },
                1 => Request::Create(self.create(path, 0, chance)),
                2 => Request::Delete { path, version: -1 },
                _ => Request::SetData { path, data: self.data(chance), version: -1 },
            }
        };
        (0..parts).map(|_| part(chance)).collect()
    }

    fn create(&self, path: Box<str>, flags: i32, chance: &mut Chance) -> Create {
        Create { path, data: self.data(chance), acl: Some(vec![Acl::world_all()]), flags }
    }

    fn data(&self, chance: &mut Chance) -> Option<Data> {
        let length = usize::try_from(self.value_bytes.draw(chance)).unwrap_or(0);
        let mut data = chance.any().to_string().into_bytes();
        data.resize(length, b'.');
        Some(data.into())
    }

    /// Some are below others.
    fn path(&self, chance: &mut Chance) -> Box<str> {
        let number = chance.below(self.paths.max);
        match number % 3 {
            0 => format!("/n{number}"),
            1 => format!("/n{}/{number}", number - 1),
            _ => format!("/q/{number}"),
        }
        .into()
    }

    fn parent(&self, chance: &mut Chance) -> Box<str> {
        match chance.below(4) {
            0 => "/".into(),
            1 => "/q".into(),
            _ => self.path(chance),
        }
    }
}

/// The watches that a client sets again when it comes back.
pub(super) fn set_watches(chance: &mut Chance, watched: &[Box<str>], seen: Zxid) -> Request {
    let mut watches = SetWatches {
        relative_zxid: seen,
        data: Vec::new(),
        exist: Vec::new(),
        child: Vec::new(),
        persistent: Vec::new(),
        persistent_recursive: Vec::new(),
    };
    for path in watched {
        match chance.below(5) {
            0 => watches.data.push(path.clone()),
            1 => watches.exist.push(path.clone()),
            2 => watches.child.push(path.clone()),
            3 => watches.persistent.push(path.clone()),
            _ => watches.persistent_recursive.push(path.clone()),
        }
    }
    Request::SetWatches2(Box::new(watches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_can_be_read() {
        for (name, _) in FILES {
            Workload::named(name).unwrap().unwrap();
        }
    }

    #[test]
    fn a_line_that_means_nothing_is_named() {
        let error = Workload::parse("x", "clients 3\nfly 7\n").unwrap_err();
        assert_eq!(error, "workloads/x.txt, line 2: \"fly\" is neither setting nor request");
    }
}

//! Deliveries still to be made: whoever delivers pulls as many as it has time for.

use super::WatcherId;
use bellwether_wire::Acl;
use bellwether_wire::client::EventType;
use std::collections::VecDeque;
use std::sync::Arc;

/// Deliveries still to be made, in order.
#[derive(Default)]
pub struct Firing {
    /// Invariant: no event is without a watcher still to be told.
    events: VecDeque<Event>,
}

/// An event and who is still to be told of it.
struct Event {
    event: EventType,
    path: Arc<str>,
    acl: Arc<[Acl]>,
    watchers: std::vec::IntoIter<WatcherId>,
}

/// An event for one watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whom to tell.
    pub watcher: WatcherId,
    /// What happened.
    pub event: EventType,
    /// Where.
    pub path: Arc<str>,
    /// Who may not read this is not told.
    pub acl: Arc<[Acl]>,
}

impl Firing {
    /// Nothing to deliver.
    pub fn new() -> Firing {
        Firing::default()
    }

    /// Whether nothing is left to deliver.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn push(
        &mut self,
        event: EventType,
        path: &str,
        acl: &Arc<[Acl]>,
        watchers: Vec<WatcherId>,
    ) {
        if !watchers.is_empty() {
            let (path, acl) = (path.into(), Arc::clone(acl));
            self.events.push_back(Event { event, path, acl, watchers: watchers.into_iter() });
        }
    }
}

impl Iterator for Firing {
    type Item = Delivery;

    /// The next delivery.
    fn next(&mut self) -> Option<Delivery> {
        let Event { event, path, acl, watchers } = self.events.front_mut()?;
        let watcher = watchers.next()?;
        let is_last = watchers.len() == 0;
        let delivery =
            Delivery { watcher, event: *event, path: Arc::clone(path), acl: Arc::clone(acl) };
        if is_last {
            self.events.pop_front();
        }
        Some(delivery)
    }
}

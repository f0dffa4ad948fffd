//! What happened in a run, line by line, for whoever repeats it. It costs nothing unless asked for.

use crate::trace::{self, Names};
use bellwether_node::Effect;

/// The lines of a run.
#[derive(Debug)]
pub(crate) struct Story {
    told: bool,
    lines: Vec<String>,
    names: Names,
}

impl Story {
    pub(crate) fn new(told: bool, wall_start_ms: i64) -> Story {
        Story { told, lines: Vec::new(), names: Names::new(wall_start_ms) }
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.told {
            self.lines.push(line());
        }
    }

    /// What the node wants done.
    pub(crate) fn effect(&mut self, effect: &Effect) {
        if !self.told {
            return;
        }
        let line = match effect {
            Effect::Connected(conn, response) => {
                let session = self.names.session(response.session);
                format!("  {} <- connected {session} timeout={}", conn.0, response.timeout_ms)
            }
            Effect::Reply(conn, reply) => format!("  {} <- {}", conn.0, self.names.reply(reply)),
            Effect::Notify(conn, event) => format!("  {} <- {}", conn.0, trace::event(event)),
            Effect::Close(conn) => format!("  close {}", conn.0),
            Effect::Audit(event) => format!("  audit {}", event.line("server")),
            Effect::QuotaExceeded(exceeded) => format!("  {}", trace::exceeded(exceeded)),
            Effect::Append(_, record) => format!("  append {}", self.names.record(record)),
            Effect::Ensemble(effect) => format!("  {effect:?}"),
            Effect::StartSnapshot(zxid) => format!("  snapshot {zxid}"),
            Effect::SnapshotSlice { items, last } => {
                format!("  slice of {} items{}", items.len(), if *last { ", the last" } else { "" })
            }
        };
        self.lines.push(line);
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

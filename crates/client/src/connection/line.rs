//! Where requests wait that there is no room for yet.
//!
//! It has no bound of its own: a caller whose request waits here waits too, and what it asked for
//! would otherwise lie in its own future. A bounded channel would let a caller that comes while a
//! place becomes free overtake those that were promised one and have not been woken yet.
//!
//! What it keeps true:
//! - First come, first sent.
//! - What callers leave behind that have gone does not pile up: beyond [`LINE_KEPT`] requests there
//!   are at most as many of theirs as of those who still wait.

use super::Command;
use crate::limits::LINE_KEPT;
use std::collections::VecDeque;

pub(super) struct Line {
    commands: VecDeque<Command>,
    /// At this length it is looked through for what nobody waits for.
    full: usize,
}

impl Line {
    pub(super) fn new() -> Line {
        Line { commands: VecDeque::new(), full: LINE_KEPT }
    }

    pub(super) fn push(&mut self, command: Command) {
        if self.commands.len() >= self.full {
            self.commands.retain(|command| !command.reply().is_closed());
            self.full = LINE_KEPT.max(2 * self.commands.len());
        }
        self.commands.push_back(command);
    }

    pub(super) fn pop(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }
}

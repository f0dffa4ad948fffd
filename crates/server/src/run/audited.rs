//! The core's part of the audit log: lines gather during a round, and are handed over at its end.

use super::Core;
use crate::admin::ShellFigures;
use crate::audit::AuditLog;
use bellwether_node::audit::{AuditEvent, AuditResult, Operation};

impl Core {
    /// Takes a line.
    pub(super) fn audit(&mut self, event: Box<AuditEvent>) {
        let now = self.clock.now();
        if let Some(audit) = &mut self.audit {
            audit.put(now.wall_ms, event);
        }
    }

    /// Hands the lines of this round to their thread.
    pub(super) fn hand_over_audit(&mut self) {
        if let Some(audit) = &mut self.audit {
            audit.hand_over();
        }
    }

    /// Says that the server stops.
    pub(crate) fn audit_stop(&mut self) {
        let event = AuditEvent::of_server(Operation::ServerStop, AuditResult::Invoked);
        self.audit(Box::new(event));
        self.hand_over_audit();
    }

    /// The shell's figures, with those of the audit log's thread.
    pub(super) fn shell_figures(&self) -> ShellFigures {
        let audit = self.audit.as_ref().map(AuditLog::counts);
        ShellFigures {
            audit_lines: audit.map(|(lines, _)| lines),
            audit_lines_lost: audit.map(|(_, lost)| lost),
            ..self.figures.view(self.clients.len())
        }
    }

    /// Whether no requests are to be taken for now, because the audit log does not keep up.
    pub(super) fn audit_is_full(&self) -> bool {
        self.audit.as_ref().is_some_and(AuditLog::is_full)
    }
}

//! What a server wrote to its audit log.
//!
//! What it keeps true: everything that was answered before is in what is printed: the runner makes
//! a line of its own and waits for it. Times are taken off, sessions have their clients' names, the
//! names of a client's identities are sorted, and whoever runs the server is USER.

use super::Play;
use bellwether_wire::client::Request;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// A line that is not written within this time never is.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Where both servers write it: in their own directories.
const FILE: &str = "zookeeper_audit.log";
/// What stands before the text of a line, behind its time and its level.
const LOGGER: &str = " o.a.z.a.Slf4jAuditLogger: ";

impl Play<'_> {
    /// `audit log` prints the lines since the last time.
    pub(super) fn audit_log(&mut self) -> Result<(), String> {
        let mark = format!("/audit-mark-{}", self.audited);
        self.ask(&Request::Delete { path: mark.as_str().into(), version: -1 })?;
        let end = Instant::now() + WAIT_LIMIT;
        let path = self.server.home.join(FILE);
        let text = loop {
            let text = fs::read_to_string(&path).unwrap_or_default();
            if text.ends_with('\n') && text.contains(&format!("znode={mark}\t")) {
                break text;
            }
            if Instant::now() > end {
                return Err(format!("the audit log {} lacks the runner's line", path.display()));
            }
            thread::sleep(LOOK_EVERY);
        };
        let lines: Vec<&str> = text.lines().collect();
        let new = lines.get(self.audited..).unwrap_or_default();
        let shown: Vec<String> = new.iter().map(|line| self.audit_line(line)).collect();
        let own = format!("(session {})", super::clean::CONTROL);
        self.lines.extend(shown.into_iter().filter(|line| !line.contains(&own)));
        self.audited = lines.len();
        Ok(())
    }

    fn audit_line(&self, line: &str) -> String {
        let Some((head, rest)) = line.split_once(LOGGER) else { return format!("| odd: {line}") };
        let level = head.rsplit(' ').next().unwrap_or_default();
        let is_server = !rest.contains("\tip=");
        let fields = rest.split('\t').map(|field| match field.split_once('=') {
            Some(("user", _)) if is_server => "user=USER".to_owned(),
            Some(("user", users)) => {
                let mut users: Vec<&str> = users.split(',').collect();
                users.sort_unstable();
                format!("user={}", users.join(","))
            }
            Some(_) | None => field.to_owned(),
        });
        let fields: Vec<String> = fields.collect();
        format!("| {level} {}", self.shown.text(&fields.join(" ")))
    }
}

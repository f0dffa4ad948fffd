//! What is shown of settings: help, the reference, the compatibility table, `conf`.
//!
//! What it keeps true: every text comes from the table's rows or from a `Config`; no secret is in
//! any of them.
//!
//! What it leaves to others: printing.

use super::setting::{Harmless, Place, Section, Setting, Status};
use super::{Config, Member, Source, table};
use bellwether_wire::quorum::{LearnerType, PeerAddress};
use std::fmt::Write as _;
use std::path::Path;

/// The text of `--help-config`: every setting, section by section.
#[must_use]
pub fn help() -> String {
    let mut text = String::from(
        "Settings. A name is a line of zoo.cfg (name=value) unless -D stands before it: those are\n\
         properties for the command line (-Dname=value). A line outranks its property.\n",
    );
    by_section(|section, rows| {
        push(&mut text, &format!("\n{}\n", section.title()));
        for row in rows {
            push(&mut text, &format!("\n  {}\n", name(row)));
            push(&mut text, &wrap(&form(row), 6));
            push(&mut text, &wrap(row.doc, 6));
            push(&mut text, &wrap(&format!("Status: {}.", status_words(row)), 6));
        }
    });
    text
}

/// The reference page, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "# Settings\n\nA setting is a line of zoo.cfg (`name=value`), a property on the command \
         line (`-Dname=value`), or both; a line outranks its property. This page is generated from \
         the table of settings.\n",
    );
    by_section(|section, rows| {
        push(&mut text, &format!("\n## {}\n\n", section.title()));
        push(&mut text, "| Setting | Property | Type | Default | Since | Meaning | Status |\n");
        push(&mut text, "|---|---|---|---|---|---|---|\n");
        for row in rows {
            let property = row.property().map(|name| format!("`-D{name}`")).unwrap_or_default();
            let key = if row.place == Place::Java { String::new() } else { code(row.key) };
            let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
            let cells = [
                key,
                property,
                format!("{}{unit}", row.kind.name()),
                code(row.default),
                row.since.to_owned(),
                row.doc.to_owned(),
                status_words(row),
            ];
            push(&mut text, &format!("| {} |\n", cells.map(|cell| escape(&cell)).join(" | ")));
        }
    });
    text
}

/// The rows of the settings section of the compatibility table: setting, property, what we do.
/// In Markdown, one line per row of the table, without a header.
#[must_use]
pub fn compat_rows() -> Vec<String> {
    table::rows()
        .map(|row| {
            let property = row.property().map(|name| format!("`-D{name}`")).unwrap_or_default();
            let key = if row.place == Place::Java { String::new() } else { code(row.key) };
            let cells = [key, property, status_words(row)];
            format!("| {} |", cells.map(|cell| escape(&cell)).join(" | "))
        })
        .collect()
}

/// What stands above `compat_rows`.
pub const COMPAT_HEADER: &str = "| zoo.cfg | property | what this server does |\n|---|---|---|";

/// What only a running server knows and `conf` shows.
#[derive(Debug, Clone, Copy)]
pub struct ConfFacts {
    /// The port that is bound.
    pub client_port: u16,
    pub data_dir_bytes: u64,
    pub data_log_dir_bytes: u64,
}

impl Config {
    /// The reply to the four-letter word `conf`, to the letter as Apache's.
    #[must_use]
    pub fn conf_text(&self, facts: ConfFacts) -> String {
        let version_2 = |path: &Path| {
            let path = path.join("version-2");
            std::path::absolute(&path).unwrap_or(path).display().to_string()
        };
        let lines = [
            ("clientPort", facts.client_port.to_string()),
            ("secureClientPort", "-1".to_owned()),
            ("dataDir", version_2(&self.data_dir)),
            ("dataDirSize", facts.data_dir_bytes.to_string()),
            ("dataLogDir", version_2(&self.data_log_dir)),
            ("dataLogSize", facts.data_log_dir_bytes.to_string()),
            ("tickTime", self.tick_time_ms.to_string()),
            ("maxClientCnxns", self.as_written.max_client_cnxns.to_string()),
            ("minSessionTimeout", self.min_session_timeout_ms.to_string()),
            ("maxSessionTimeout", self.max_session_timeout_ms.to_string()),
            ("clientPortListenBacklog", self.as_written.backlog.to_string()),
            ("serverId", self.member.as_ref().map_or(0, |member| member.my_id.0).to_string()),
        ];
        let own = lines.map(|(key, value)| format!("{key}={value}\n")).concat();
        own + &self.member.as_ref().map(membership_text).unwrap_or_default()
    }

    /// What `--check-config` prints of a good configuration: each setting that was given, then the
    /// defaults, with where each comes from.
    #[must_use]
    pub fn effective_text(&self) -> String {
        let mut text = String::new();
        for setting in &self.effective {
            let note = match setting.status {
                Status::Honoured => "",
                Status::WithoutEffect(_) => ", without effect",
                Status::Refused(..) => ", asks for nothing",
            };
            let line = format!("{}={}", setting.name, setting.value);
            let from = match (&setting.source, setting.value.as_str()) {
                (Source::Default, "") => "unset".to_owned(),
                (source, _) => source.to_string(),
            };
            push(&mut text, &format!("{line:<56} # {from}{note}\n"));
        }
        text
    }
}

/// What `conf` says of a member of an ensemble. There is no line break behind it.
fn membership_text(member: &Member) -> String {
    /// Fast leader election, the only one that 3.9 has.
    const ELECTION: &str = "3";
    let own = member.own();
    let ports = |of: fn(&PeerAddress) -> u16| {
        let mut ports: Vec<String> = Vec::new();
        for port in own.addresses.iter().map(|address| of(address).to_string()) {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        ports.join("|")
    };
    let peer_type = match member.role {
        LearnerType::Participant => "0",
        LearnerType::Observer => "1",
    };
    let lines = [
        ("initLimit", member.init_limit.to_string()),
        ("syncLimit", member.sync_limit.to_string()),
        ("electionAlg", ELECTION.to_owned()),
        ("electionPort", ports(|address| address.election_port)),
        ("quorumPort", ports(|address| address.quorum_port)),
        ("peerType", peer_type.to_owned()),
    ];
    let lines = lines.map(|(key, value)| format!("{key}={value}\n")).concat();
    format!("{lines}membership: \n{}", member.ensemble)
}

fn by_section(mut each: impl FnMut(Section, &[&'static Setting])) {
    let rows: Vec<&Setting> = table::rows().collect();
    for rows in rows.chunk_by(|one, next| one.section == next.section) {
        if let [first, ..] = rows {
            each(first.section, rows);
        }
    }
}

fn name(row: &Setting) -> String {
    if row.place == Place::Java { format!("-D{}", row.key) } else { row.key.to_owned() }
}

fn form(row: &Setting) -> String {
    let property = match (row.place, row.property()) {
        (Place::Java, _) | (_, None) => String::new(),
        (_, Some(property)) => format!("Also -D{property}; "),
    };
    let unit = if row.unit.is_empty() { String::new() } else { format!(" in {}", row.unit) };
    let default = if row.default.is_empty() { "none" } else { row.default };
    format!("{property}{}{unit}; default {default}; since {}.", row.kind.name(), row.since)
}

fn status_words(row: &Setting) -> String {
    match row.status {
        Status::Honoured => "honoured".to_owned(),
        Status::WithoutEffect(why) => format!("accepted without effect: {why}"),
        Status::Refused(why, harmless) => {
            let unless = match harmless {
                Harmless::Never => String::new(),
                Harmless::False => " unless false".to_owned(),
                Harmless::Provider => " unless a class of a scheme that is there".to_owned(),
                Harmless::Words(words) => format!(" unless {}", words.join(" or ")),
            };
            format!("refused{unless}: {why}")
        }
    }
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// A bar would end the cell.
fn escape(cell: &str) -> String {
    cell.replace('|', "\\|")
}

fn push(text: &mut String, more: &str) {
    text.write_str(more).expect("writing to a String succeeds");
}

/// Lines of at most 100 columns, each behind `indent` blanks.
fn wrap(words: &str, indent: usize) -> String {
    let mut text = String::new();
    let mut line = " ".repeat(indent);
    for word in words.split_whitespace() {
        let fits = line.len() + 1 + word.len() <= 100;
        if !fits {
            push(&mut text, line.trim_end());
            push(&mut text, "\n");
            line = " ".repeat(indent);
        }
        if line.len() > indent {
            line.push(' ');
        }
        line.push_str(word);
    }
    push(&mut text, &line);
    push(&mut text, "\n");
    text
}

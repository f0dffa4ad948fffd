//! Where values come from: zoo.cfg, `-D` properties, and what is built in.
//!
//! What it keeps true: of all values given for one setting the one Apache would use wins: a line of
//! zoo.cfg outranks a property, a later line or property an earlier one. Whatever has no effect is
//! remarked on, once, with what to write instead.
//!
//! What it leaves to others: what the values mean (`values`).

use super::properties;
use super::report::{ConfigError, Findings, HIDDEN, Source, Written};
use super::setting::{self, Place, Property, Setting};
use super::{Args, embedded};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// A value for a setting, as it was written.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) row: &'static Setting,
    /// The name as it was written: a property's with its prefix, a family's with its last part.
    pub(super) name: String,
    /// Without white space at its ends.
    pub(super) raw: String,
    pub(super) source: Source,
    rank: Rank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Embedded,
    OtherName,
    Property,
    Line,
}

impl Assignment {
    pub(super) fn written(&self) -> Written {
        let hidden = self.row.hides(&self.name);
        let shown = if hidden { HIDDEN.to_owned() } else { self.raw.clone() };
        Written { source: self.source.clone(), name: self.name.clone(), shown }
    }

    /// What two assignments for the same thing share: the key, or a family member's name.
    fn identity(&self) -> String {
        if self.row.prefix().is_none() {
            return self.row.key.to_owned();
        }
        self.name.strip_prefix("zookeeper.").unwrap_or(&self.name).to_owned()
    }
}

/// The winning values, by key or by a family member's name.
pub(super) type Given = BTreeMap<String, Assignment>;

/// Reads all sources.
pub(super) fn gather(args: &Args, findings: &mut Findings) -> Given {
    let mut gathering = Gathering { given: Given::new(), remarked: BTreeSet::new(), findings };
    for (name, value) in &args.properties {
        gathering.property(name, value.trim(), args.zoo_cfg.is_some());
    }
    match &args.zoo_cfg {
        None => gathering.embedded(),
        Some(path) => gathering.file(path),
    }
    gathering.dynamic_file();
    gathering.given
}

/// Whether the row is one of the lines that say who belongs to the ensemble.
fn is_of_ensemble(row: &Setting) -> bool {
    ["server.N", "group.N", "weight.N"].contains(&row.key)
}

struct Gathering<'a> {
    given: Given,
    /// Names without effect that were already remarked on.
    remarked: BTreeSet<String>,
    findings: &'a mut Findings,
}

impl Gathering<'_> {
    fn embedded(&mut self) {
        for (key, raw) in embedded::SETTINGS {
            self.built_in(key, raw.to_owned());
        }
        if self.given.contains_key("dataDir") {
            return;
        }
        match embedded::data_dir() {
            Ok(path) => self.built_in("dataDir", path),
            Err(error) => self.findings.errors.push(error),
        }
    }

    fn built_in(&mut self, key: &str, raw: String) {
        let row = setting::by_key(key).expect("a built-in setting has a row");
        let (name, source, rank) = (key.to_owned(), Source::Embedded, Rank::Embedded);
        self.take(Assignment { row, name, raw, source, rank });
    }

    fn file(&mut self, path: &Path) {
        for (entry, source) in self.entries(path) {
            self.line(entry.key.trim(), entry.value.trim(), source);
        }
    }

    /// The file with the server lines, if there is one. It has nothing else, and zoo.cfg has none.
    fn dynamic_file(&mut self) {
        let Some(path) = self.given.get("dynamicConfigFile").map(|given| given.raw.clone()) else {
            return;
        };
        for line in self.given.values().filter(|given| is_of_ensemble(given.row)) {
            self.findings.broken_rule(
                vec![line.written()],
                "the line must stand in the file that dynamicConfigFile names, not beside it: move \
                 it there, or remove dynamicConfigFile",
            );
        }
        for (entry, source) in self.entries(Path::new(&path)) {
            let (key, raw) = (entry.key.trim(), entry.value.trim());
            if setting::by_key(key).is_some_and(is_of_ensemble) {
                self.line(key, raw, source);
                continue;
            }
            let shown = if setting::sounds_secret(key) { HIDDEN } else { raw };
            let written = Written { source, name: key.to_owned(), shown: shown.to_owned() };
            let rule = if key == "version" {
                "the version stands in the name of this file, not in it: remove the line"
            } else {
                "expected server.N, group.N and weight.N only: move the line to zoo.cfg"
            };
            self.findings.broken_rule(vec![written], rule);
        }
    }

    /// Reads a file; what is wrong with it as a whole is reported.
    fn entries(&mut self, path: &Path) -> Vec<(properties::Entry, Source)> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(source) => {
                let path = path.to_owned();
                self.findings.errors.push(ConfigError::Unreadable { path, source });
                return Vec::new();
            }
        };
        let path: Arc<Path> = Arc::from(path);
        let at = |line| Source::File { path: Arc::clone(&path), line };
        let parsed = properties::parse(&bytes);
        for mistake in parsed.errors {
            let source = at(mistake.line);
            self.findings.errors.push(ConfigError::Syntax { source, mistake });
        }
        if let Some(line) = parsed.beyond_ascii {
            self.findings.warn(
                None,
                format!(
                    "{}: letters beyond ASCII are read as UTF-8; Apache reads every byte as a \
                     letter of its own (ISO-8859-1), so a path may name another file there. \
                     Write such letters as \\uXXXX to mean the same to both",
                    at(line)
                ),
            );
        }
        let entries = parsed.entries.into_iter();
        entries
            .map(|entry| (at(entry.line), entry))
            .map(|(source, entry)| (entry, source))
            .collect()
    }

    fn line(&mut self, key: &str, raw: &str, source: Source) {
        let Some(row) = setting::by_key(key) else {
            return self.unknown_line(key, source);
        };
        if row.place == Place::Java {
            let text = format!(
                "no effect: Apache reads {key} as a Java property only, where a line sets \
                 `zookeeper.{key}`. Write -D{key}=... on the command line"
            );
            return self.without_effect(key, source, &text);
        }
        let (name, raw) = (key.to_owned(), raw.to_owned());
        self.take(Assignment { row, name, raw, source, rank: Rank::Line });
    }

    fn unknown_line(&mut self, key: &str, source: Source) {
        let stripped = key.strip_prefix("zookeeper.").and_then(|rest| {
            let row = setting::by_key(rest)?;
            if row.place == Place::Java { None } else { Some(rest) }
        });
        let text = match (stripped, setting::nearest(key)) {
            (Some(rest), _) => format!(
                "no effect: a line's key is put behind `zookeeper.`, so this sets \
                 `zookeeper.{key}`, which nothing reads. Write `{rest}`"
            ),
            (None, Some(near)) => {
                format!("no effect: the key is not known. The nearest known one is `{near}`")
            }
            (None, None) => "no effect: the key is not known, and no known one is near it. \
                             `bellwether server --help-config` lists all"
                .to_owned(),
        };
        self.without_effect(key, source, &text);
    }

    fn property(&mut self, name: &str, raw: &str, has_file: bool) {
        let (row, rank) = match setting::by_property(name) {
            Property::Sets(row) => (row, Rank::Property),
            Property::SetsAsOtherName(row) => (row, Rank::OtherName),
            // Without a zoo.cfg there is no other place to say it.
            Property::FileOnly(row) if !has_file => (row, Rank::Property),
            Property::FileOnly(row) => {
                let text = format!(
                    "no effect: {} is read from zoo.cfg only. Write it there as a line",
                    row.key
                );
                return self.without_effect(name, Source::CommandLine, &text);
            }
            Property::Unknown => return self.unknown_property(name),
        };
        let (name, raw, source) = (name.to_owned(), raw.to_owned(), Source::CommandLine);
        self.take(Assignment { row, name, raw, source, rank });
    }

    fn unknown_property(&mut self, name: &str) {
        let bare = name.strip_prefix("zookeeper.").unwrap_or(name);
        let known = setting::by_key(bare).map(|_| bare).or_else(|| setting::nearest(bare));
        let meant = known.and_then(|key| Some((key, setting::by_key(key)?.property())));
        let text = match meant {
            Some((_, Some(property))) => {
                format!("no effect: the property is not known. The nearest one is `-D{property}`")
            }
            Some((key, None)) => format!(
                "no effect: the property is not known. The nearest setting is `{key}`, a line of \
                 zoo.cfg"
            ),
            None => "no effect: the property is not known".to_owned(),
        };
        self.without_effect(name, Source::CommandLine, &text);
    }

    /// The value is left out of the remark: who knows what an unknown name holds.
    fn without_effect(&mut self, name: &str, source: Source, text: &str) {
        if self.remarked.insert(name.to_owned()) {
            let written = Written { source, name: name.to_owned(), shown: "...".to_owned() };
            self.findings.warn(Some(written), text);
        }
    }

    fn take(&mut self, new: Assignment) {
        let (winner, loser) = match self.given.entry(new.identity()) {
            Entry::Vacant(free) => {
                free.insert(new);
                return;
            }
            Entry::Occupied(mut taken) if new.rank >= taken.get().rank => {
                let old = taken.insert(new);
                (taken.into_mut(), old)
            }
            Entry::Occupied(taken) => (taken.into_mut(), new),
        };
        if winner.raw == loser.raw || loser.rank == Rank::Embedded {
            return;
        }
        let by = winner.written();
        let written = Some(loser.written());
        if winner.rank == loser.rank {
            self.findings.warn(written, format!("no effect: given again ({by}); the last counts"));
        } else {
            self.findings.note(written, format!("no effect: outranked ({by})"));
        }
    }
}

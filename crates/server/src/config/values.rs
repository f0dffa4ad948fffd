//! Values that were read: every given one once, by the kind of its row.
//!
//! What it keeps true: each value that cannot be read and each that is refused ends as one error;
//! a setting that is not given, or given badly, has its default, so that later rules can be checked
//! all the same.
//!
//! What it leaves to others: rules between settings (`build`).

use super::kinds::{Read, Value};
use super::report::{ConfigError, Findings, Source, Written};
use super::setting::{self, Section, Setting, Status};
use super::sources::Given;
use super::table;
use std::collections::BTreeMap;

/// The value of every setting.
#[derive(Debug)]
pub(super) struct Values {
    given: Given,
    read: BTreeMap<String, Value>,
}

/// One line of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    pub name: String,
    /// As written, or the default; hidden where it is a secret.
    pub value: String,
    pub source: Source,
    pub status: Status,
}

impl Values {
    pub(super) fn read(given: Given, findings: &mut Findings) -> Self {
        let mut read = BTreeMap::new();
        for (name, assignment) in &given {
            if let Some(why) = assignment.row.refuses(&assignment.raw) {
                let written = assignment.written();
                findings.errors.push(ConfigError::Refused { written, why });
                continue;
            }
            let value = match assignment.row.kind.read(&assignment.raw) {
                Read::Is(value) => value,
                Read::IsBut(value, remark) => {
                    findings.warn(Some(assignment.written()), remark);
                    value
                }
                Read::Not => {
                    let written = assignment.written();
                    let expected = assignment.row.kind.expected();
                    findings.errors.push(ConfigError::Value { written, expected });
                    continue;
                }
            };
            if let Status::WithoutEffect(why) = assignment.row.status
                && default_of(assignment.row).as_ref() != Some(&value)
            {
                let text = format!("without effect: {why}");
                let written = Some(assignment.written());
                // Whoever sets these expects to be protected by them.
                match assignment.row.section {
                    Section::Access | Section::Tls => findings.warn(written, text),
                    // Nobody misses an admin server that was switched off.
                    Section::Operation if value == Value::Flag(false) => {}
                    Section::Server
                    | Section::Storage
                    | Section::Limits
                    | Section::Ensemble
                    | Section::Operation
                    | Section::Tuning
                    | Section::Java => findings.note(written, text),
                }
            }
            read.insert(name.clone(), value);
        }
        Self { given, read }
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        match self.value(key) {
            Some(Value::Flag(value)) => value,
            other => unreachable!("{key} has a truth value, not {other:?}"),
        }
    }

    pub(super) fn int(&self, key: &str) -> i64 {
        self.int_if_any(key).unwrap_or_else(|| unreachable!("{key} has a default"))
    }

    pub(super) fn int_if_any(&self, key: &str) -> Option<i64> {
        match self.value(key) {
            None => None,
            Some(Value::Int(value)) => Some(value),
            other => unreachable!("{key} has a number, not {other:?}"),
        }
    }

    pub(super) fn real(&self, key: &str) -> f64 {
        match self.value(key) {
            Some(Value::Real(value)) => value,
            other => unreachable!("{key} has a number, not {other:?}"),
        }
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.text_if_any(key).unwrap_or_default()
    }

    pub(super) fn text_if_any(&self, key: &str) -> Option<String> {
        match self.value(key) {
            None => None,
            Some(Value::Text(value)) => Some(value),
            other => unreachable!("{key} has a text, not {other:?}"),
        }
    }

    /// The texts of a family, such as `authProvider.N`, by name.
    pub(super) fn texts_of(&self, row: &str) -> impl Iterator<Item = String> {
        let members = self.given.iter().filter(move |(_, given)| given.row.key == row);
        members.filter_map(|(name, _)| self.text_if_any(name))
    }

    /// The lines of a family: names and texts.
    pub(super) fn lines_of(&self, row: &str) -> impl Iterator<Item = (&str, &str)> {
        let members = self.given.iter().filter(move |(_, given)| given.row.key == row);
        members.map(|(name, assignment)| (name.as_str(), assignment.raw.as_str()))
    }

    /// What was written for a setting, for messages about it.
    pub(super) fn written(&self, key: &str) -> Option<Written> {
        self.given.get(key).map(super::sources::Assignment::written)
    }

    fn value(&self, key: &str) -> Option<Value> {
        self.read.get(key).cloned().or_else(|| {
            let row = setting::by_key(key).unwrap_or_else(|| unreachable!("{key} has no row"));
            default_of(row)
        })
    }

    /// Every honoured setting, and whatever else was given, in the order of the table.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let mut all = Vec::new();
        for row in table::rows() {
            let given = self.given.iter().filter(|(_, a)| std::ptr::eq(a.row, row));
            let before = all.len();
            all.extend(given.map(|(name, assignment)| {
                let Written { source, shown, .. } = assignment.written();
                Effective { name: name.clone(), value: shown, source, status: row.status }
            }));
            let is_one = row.prefix().is_none();
            if all.len() == before && is_one && row.status == Status::Honoured {
                all.push(Effective {
                    name: row.key.to_owned(),
                    value: row.default.to_owned(),
                    source: Source::Default,
                    status: row.status,
                });
            }
        }
        all
    }
}

/// The default of a row, where it has one.
fn default_of(row: &Setting) -> Option<Value> {
    if row.default.is_empty() {
        return None;
    }
    match row.kind.read(row.default) {
        Read::Is(value) => Some(value),
        Read::IsBut(..) | Read::Not => unreachable!("the default of {} can be read", row.key),
    }
}

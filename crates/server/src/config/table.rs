//! The table of settings: one row per key of zoo.cfg and per Java property that Apache ZooKeeper
//! 3.9.5 reads, with what this server does about it.
//!
//! What it keeps true: parsing, `--help-config`, the reference, the compatibility table and `conf`
//! come from these rows; a test holds that every known key has one. Adding a setting means a row
//! here and, when it is honoured, its field in `Config`.
//!
//! What it leaves to others: everything that happens with the rows. The columns are: key, place,
//! kind, default, unit, since, status, documentation.

use super::kinds::{Kind, Notation, Reading};
use super::setting::Setting;

mod access;
mod ensemble;
mod operation;
mod server;
mod storage;
mod tuning;

/// All rows, section by section.
pub fn rows() -> impl Iterator<Item = &'static Setting> {
    [
        server::ROWS,
        storage::ROWS,
        server::LIMITS,
        access::ROWS,
        access::TLS,
        ensemble::ROWS,
        operation::ROWS,
        tuning::ROWS,
        tuning::JAVA,
    ]
    .into_iter()
    .flatten()
}

const STRICT: Kind = Kind::Flag(Reading::Strict);
const FLAG: Kind = Kind::Flag(Reading::TrueOrElseFalse);
/// `Integer.parseInt`.
const INT: Kind = int(i32::MIN as i64, i32::MAX as i64);
/// `Integer.getInteger`.
const INT_DECODED: Kind = decoded(i32::MIN as i64, i32::MAX as i64);
/// `Long.getLong`.
const LONG_DECODED: Kind = decoded(i64::MIN, i64::MAX);
const LONG: Kind = int(i64::MIN, i64::MAX);
const PORT: Kind = int(0, 65535);
const INT_MAX: i64 = i32::MAX as i64;

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max, notation: Notation::Decimal }
}

const fn decoded(min: i64, max: i64) -> Kind {
    Kind::Int { min, max, notation: Notation::Decoded }
}

/// One bracket per row, so that a row reads as a row and rustfmt leaves the columns alone.
macro_rules! setting_rows {
    { $section:ident
      $([$key:literal, $place:expr, $kind:expr, $default:literal, $unit:literal, $since:literal,
         $status:expr, $doc:literal])* } => {
        &[$($crate::config::setting::Setting {
            key: $key,
            place: $place,
            kind: $kind,
            default: $default,
            unit: $unit,
            since: $since,
            status: $status,
            doc: $doc,
            section: $crate::config::setting::Section::$section,
        }),*]
    };
}
use setting_rows;

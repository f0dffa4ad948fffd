//! What a value may look like, and how Apache reads it.
//!
//! What it keeps true: a value that Apache reads gives the same meaning here. Where Apache quietly
//! falls back to its default on a value it cannot read (numbers given as Java properties), the
//! value is refused, because nobody writes a number in order to have it ignored; where it quietly
//! reads a word as the other truth value, that reading stands and comes with a remark.
//!
//! What it leaves to others: the rows (`table`), and rules between two settings (`build`).

use std::fmt;

/// The form of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Flag(Reading),
    Int {
        min: i64,
        max: i64,
        notation: Notation,
    },
    Real,
    /// A directory or file.
    Path,
    Text,
    /// Never printed, logged or shown, not even in errors.
    Secret,
    /// A host name or an address.
    Address,
    /// The name of a Java class.
    Class,
    /// One of these words, in upper or lower case.
    Choice(&'static [&'static str]),
}

/// How Apache reads a truth value; it has five ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// `true` or `false` in any case; anything else is an error.
    Strict,
    /// `true` in any case; anything else means false.
    TrueOrElseFalse,
    /// `no`; anything else means yes.
    NoOrElseYes,
    /// `yes`; anything else means no.
    YesOrElseNo,
    /// `false`; anything else means true.
    FalseOrElseTrue,
}

/// How Apache reads a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// `Integer.parseInt`: decimal.
    Decimal,
    /// `Integer.getInteger`: decimal, `0x` or `#` for hexadecimal, a leading `0` for octal.
    Decoded,
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Flag(bool),
    Int(i64),
    Real(f64),
    Text(String),
}

/// What came out of reading one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    Is(Value),
    /// Readable, and probably not what was meant: the text says what Apache makes of it.
    IsBut(Value, String),
    /// Not readable; `Kind::expected` says what would be.
    Not,
}

impl Kind {
    /// Reads `raw`, which carries no white space at its ends.
    #[must_use]
    pub fn read(self, raw: &str) -> Read {
        match self {
            Self::Flag(reading) => read_flag(reading, raw),
            Self::Int { min, max, notation } => match read_int(notation, raw) {
                Some(number) if (min..=max).contains(&number) => Read::Is(Value::Int(number)),
                Some(_) | None => Read::Not,
            },
            Self::Real => match raw.parse::<f64>() {
                Ok(number) if number.is_finite() => Read::Is(Value::Real(number)),
                Ok(_) | Err(_) => Read::Not,
            },
            Self::Path | Self::Address | Self::Class if raw.is_empty() => Read::Not,
            Self::Path | Self::Address | Self::Class | Self::Text | Self::Secret => {
                Read::Is(Value::Text(raw.to_owned()))
            }
            Self::Choice(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(raw)) {
                Some(word) => Read::Is(Value::Text((*word).to_owned())),
                None => Read::Not,
            },
        }
    }

    /// The type's name in the reference.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flag(Reading::NoOrElseYes | Reading::YesOrElseNo) => "yes or no",
            Self::Flag(Reading::Strict | Reading::TrueOrElseFalse | Reading::FalseOrElseTrue) => {
                "true or false"
            }
            Self::Int { .. } => "whole number",
            Self::Real => "number",
            Self::Path => "path",
            Self::Text => "text",
            Self::Secret => "secret",
            Self::Address => "address",
            Self::Class => "Java class",
            Self::Choice(_) => "word",
        }
    }

    /// What a value that could not be read should have been.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Flag(_) | Self::Real => self.name().to_owned(),
            Self::Int { min, max, .. } => {
                if min == max {
                    format!("{min}")
                } else {
                    format!("a whole number from {min} to {max}")
                }
            }
            Self::Path | Self::Text | Self::Secret => format!("a {}", self.name()),
            Self::Address => "a host name or an IP address".to_owned(),
            Self::Class => "the name of a Java class".to_owned(),
            Self::Choice(words) => {
                let words: Vec<&str> = words
                    .iter()
                    .map(|word| if word.is_empty() { "nothing" } else { word })
                    .collect();
                format!("one of {}", words.join(", "))
            }
        }
    }
}

fn read_flag(reading: Reading, raw: &str) -> Read {
    let (one, other, value) = match reading {
        Reading::Strict => {
            return match raw.to_ascii_lowercase().as_str() {
                "true" => Read::Is(Value::Flag(true)),
                "false" => Read::Is(Value::Flag(false)),
                _ => Read::Not,
            };
        }
        Reading::TrueOrElseFalse if raw.eq_ignore_ascii_case("true") => {
            return Read::Is(Value::Flag(true));
        }
        Reading::TrueOrElseFalse if raw.eq_ignore_ascii_case("false") => {
            return Read::Is(Value::Flag(false));
        }
        Reading::TrueOrElseFalse => ("true", "false", false),
        Reading::FalseOrElseTrue => ("false", "true", true),
        Reading::NoOrElseYes => ("no", "yes", true),
        Reading::YesOrElseNo => ("yes", "no", false),
    };
    if raw == one {
        Read::Is(Value::Flag(!value))
    } else if raw == other {
        Read::Is(Value::Flag(value))
    } else {
        let remark = format!(
            "Apache takes every word but `{one}` for `{other}` here, and so does this server: \
             write `{one}` or `{other}`"
        );
        Read::IsBut(Value::Flag(value), remark)
    }
}

fn read_int(notation: Notation, raw: &str) -> Option<i64> {
    match notation {
        Notation::Decimal => raw.parse().ok(),
        Notation::Decoded => decode(raw),
    }
}

/// `Long.decode`: a sign, then `0x`, `0X` or `#` (hexadecimal), `0` (octal) or decimal digits.
fn decode(raw: &str) -> Option<i64> {
    let (negative, digits) = match raw.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, raw.strip_prefix('+').unwrap_or(raw)),
    };
    let hexadecimal = ["0x", "0X", "#"].iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, radix) = match (hexadecimal, digits.strip_prefix('0')) {
        (Some(rest), _) => (rest, 16),
        (None, Some(rest)) if !rest.is_empty() => (rest, 8),
        (None, Some(_) | None) => (digits, 10),
    };
    // `from_str_radix` would take a second sign.
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -number } else { number }).ok()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(raw: &str, notation: Notation) -> Option<i64> {
        match (Kind::Int { min: i64::MIN, max: i64::MAX, notation }).read(raw) {
            Read::Is(Value::Int(number)) => Some(number),
            Read::Is(_) | Read::IsBut(..) | Read::Not => None,
        }
    }

    #[test]
    fn decoded_numbers_are_hexadecimal_octal_or_decimal() {
        for (raw, number) in [
            ("10", Some(10)),
            ("+10", Some(10)),
            ("-10", Some(-10)),
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0x3fffff", Some(0x003f_ffff)),
            ("0XfF", Some(255)),
            ("#ff", Some(255)),
            ("-0x10", Some(-16)),
            ("010", Some(8)),
            ("08", None),
            ("0x", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("0x-1", None),
            ("1k", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
        ] {
            assert_eq!(int(raw, Notation::Decoded), number, "{raw}");
        }
    }

    #[test]
    fn parsed_numbers_are_decimal_only() {
        for (raw, number) in
            [("10", Some(10)), ("+10", Some(10)), ("010", Some(10)), ("0x10", None), ("1 0", None)]
        {
            assert_eq!(int(raw, Notation::Decimal), number, "{raw}");
        }
    }

    #[test]
    fn truth_values_are_read_as_apache_reads_each() {
        use Reading::{FalseOrElseTrue, NoOrElseYes, Strict, TrueOrElseFalse, YesOrElseNo};
        let rows = [
            // raw, strict, true-else, false-else, no-else-yes, yes-else-no; lower case: remarked
            ("true", "T", "T", "T", "t", "f"),
            ("TRUE", "T", "T", "t", "t", "f"),
            ("false", "F", "F", "F", "t", "f"),
            ("yes", "-", "f", "t", "T", "T"),
            ("no", "-", "f", "t", "F", "F"),
            ("NO", "-", "f", "t", "t", "f"),
            ("", "-", "f", "t", "t", "f"),
        ];
        let readings = [Strict, TrueOrElseFalse, FalseOrElseTrue, NoOrElseYes, YesOrElseNo];
        for (raw, a, b, c, d, e) in rows {
            for (reading, expected) in readings.into_iter().zip([a, b, c, d, e]) {
                let sign = match Kind::Flag(reading).read(raw) {
                    Read::Is(Value::Flag(true)) => "T",
                    Read::Is(Value::Flag(false)) => "F",
                    Read::IsBut(Value::Flag(true), _) => "t",
                    Read::IsBut(Value::Flag(false), _) => "f",
                    Read::Not => "-",
                    Read::Is(_) | Read::IsBut(..) => "?",
                };
                assert_eq!(sign, expected, "{raw:?} read as {reading:?}");
            }
        }
    }

    #[test]
    fn a_range_is_part_of_the_expectation() {
        let kind = Kind::Int { min: 0, max: 65535, notation: Notation::Decimal };
        assert_eq!(kind.read("65536"), Read::Not);
        assert_eq!(kind.read("65535"), Read::Is(Value::Int(65535)));
        assert_eq!(kind.expected(), "a whole number from 0 to 65535");
        assert_eq!(Kind::Choice(&["gz", ""]).expected(), "one of gz, nothing");
        assert_eq!(Kind::Path.read(""), Read::Not);
    }
}

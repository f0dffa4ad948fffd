//! A line into words, and words into options and arguments, by the rules of zkCli.
//!
//! Quotes of either kind keep a word together. Options stand anywhere after the command's name,
//! several letters may share a dash, a value follows its option, or stands behind it with or
//! without an equals sign, and `--` ends them. This leaves to the table what the options are.

use std::fmt;

/// Splits a line at spaces; quotes of either kind keep a word together and are taken off.
pub(super) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = match first {
            '"' | '\'' => rest.get(1..).and_then(|rest| rest.split_once(first)),
            _ => None,
        };
        let (word, after) = match quoted {
            Some(parts) => parts,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// An option of a command: a letter, or a whole word, after one dash.
#[derive(Debug)]
pub(super) struct Opt {
    pub(super) name: &'static str,
    pub(super) value: Value,
    pub(super) about: &'static str,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    None,
    Needed,
}

/// An option without a value.
pub(super) const fn flag(name: &'static str, about: &'static str) -> Opt {
    Opt { name, value: Value::None, about }
}

/// An option with a value.
pub(super) const fn valued(name: &'static str, about: &'static str) -> Opt {
    Opt { name, value: Value::Needed, about }
}

/// The words after a command's name, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// Options in the order given; a flag has an empty value.
    options: Vec<(&'static str, String)>,
    /// What belongs to no option, in order.
    pub(super) args: Vec<String>,
}

/// Why words do not fit a command. The texts are those that zkCli's parser has for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WordsError {
    Unknown(String),
    NoValue(&'static str),
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordsError::Unknown(word) => write!(f, "Unrecognized option: {word}"),
            WordsError::NoValue(name) => write!(f, "Missing argument for option: {name}"),
        }
    }
}

fn find(known: &[Opt], name: &str) -> Option<(&'static str, Value)> {
    known.iter().find(|option| option.name == name).map(|option| (option.name, option.value))
}

/// Whether a word that stands where a value is due is an option of its own.
fn is_option(word: &str, known: &[Opt]) -> bool {
    let Some(name) = word.strip_prefix('-').filter(|name| !name.is_empty()) else { return false };
    let name = name.trim_start_matches('-');
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    let letter = name.get(..1).unwrap_or_default();
    find(known, name).is_some() || find(known, letter).is_some()
}

impl Words {
    /// Sorts words by the options that a command has.
    pub(super) fn parse(words: &[String], known: &[Opt]) -> Result<Words, WordsError> {
        let mut parsed = Words::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                parsed.args.extend(words.cloned());
                return Ok(parsed);
            }
            if word == "-" || !word.starts_with('-') {
                parsed.args.push(word.clone());
                continue;
            }
            if let Some(name) = parsed.take_option(word, known)? {
                let value = words.next().filter(|word| !is_option(word, known));
                let value = value.ok_or(WordsError::NoValue(name))?;
                parsed.options.push((name, value.clone()));
            }
        }
        Ok(parsed)
    }

    /// Takes a word with a dash; gives the option that has its value in the next word.
    fn take_option(
        &mut self,
        word: &str,
        known: &[Opt],
    ) -> Result<Option<&'static str>, WordsError> {
        let unknown = || WordsError::Unknown(word.to_owned());
        let text = word.trim_start_matches('-');
        if let Some((name, value)) = text.split_once('=') {
            let found = find(known, name).filter(|(_, takes)| *takes == Value::Needed);
            let (name, _) = found.ok_or_else(unknown)?;
            self.options.push((name, value.to_owned()));
            return Ok(None);
        }
        if let Some((name, value)) = find(known, text) {
            return Ok(self.take_named(name, value));
        }
        for (at, letter) in text.char_indices() {
            let name = letter.to_string();
            let (name, value) = find(known, &name).ok_or_else(unknown)?;
            let rest = text.get(at + letter.len_utf8()..).unwrap_or_default();
            if value == Value::Needed && !rest.is_empty() {
                self.options.push((name, rest.to_owned()));
                return Ok(None);
            }
            if let Some(name) = self.take_named(name, value) {
                return Ok(Some(name));
            }
        }
        if text.is_empty() { Err(unknown()) } else { Ok(None) }
    }

    fn take_named(&mut self, name: &'static str, value: Value) -> Option<&'static str> {
        match value {
            Value::None => {
                self.options.push((name, String::new()));
                None
            }
            Value::Needed => Some(name),
        }
    }

    /// Whether an option was given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(given, _)| *given == name)
    }

    /// The first value given for an option, as zkCli takes it.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let given = self.options.iter().find(|(given, _)| *given == name);
        given.map(|(_, value)| value.as_str())
    }

    /// The argument at this place.
    pub(super) fn arg(&self, place: usize) -> Option<&str> {
        self.args.get(place).map(String::as_str)
    }

    /// The options given, in order.
    pub(super) fn options(&self) -> impl Iterator<Item = &'static str> {
        self.options.iter().map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split("  set /a  'two words' "), ["set", "/a", "two words"]);
        assert_eq!(split("set /a \"it's\""), ["set", "/a", "it's"]);
        assert_eq!(split("set /a \"\""), ["set", "/a", ""]);
        assert_eq!(split("set /a {\"k\":1}"), ["set", "/a", "{\"k\":1}"]);
        assert_eq!(split("set /a 'open end"), ["set", "/a", "'open", "end"]);
        assert_eq!(split("set /ä 'ö ü'x"), ["set", "/ä", "ö ü", "x"]);
        assert!(split(" \t").is_empty());
    }

    const KNOWN: &[Opt] =
        &[flag("s", ""), flag("w", ""), valued("v", ""), valued("add", ""), flag("R", "")];

    /// Shows options and arguments, or the error.
    #[track_caller]
    fn check(line: &str, expected: &str) {
        let got = match Words::parse(&split(line), KNOWN) {
            Ok(words) => {
                let given = words.options.iter().map(|(name, value)| format!("{name}={value} "));
                format!("{}{:?}", given.collect::<String>(), words.args)
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn options_stand_anywhere() {
        check("-s /a", r#"s= ["/a"]"#);
        check("/a -sw", r#"s= w= ["/a"]"#);
        check("/a x -v -1", r#"v=-1 ["/a", "x"]"#);
        check("-v3 /a", r#"v=3 ["/a"]"#);
        check("-v=3 /a", r#"v=3 ["/a"]"#);
        check("-sv 3 /a", r#"s= v=3 ["/a"]"#);
        check("-add x=y,z", "add=x=y,z []");
        check("-s -s /a", r#"s= s= ["/a"]"#);
        check("/a -- -x", r#"["/a", "-x"]"#);
        check("/a -", r#"["/a", "-"]"#);
    }

    #[test]
    fn what_is_no_option_is_named_whole() {
        check("/a -x", "Unrecognized option: -x");
        check("/a -sx", "Unrecognized option: -sx");
        check("/a --frob", "Unrecognized option: --frob");
        check("/a -s=1", "Unrecognized option: -s=1");
        check("/a -5", "Unrecognized option: -5");
        check("/a -v", "Missing argument for option: v");
        check("-v -s /a", "Missing argument for option: v");
        check("/a ---", "Unrecognized option: ---");
    }

    #[test]
    fn the_first_of_two_values_counts() {
        let words = Words::parse(&split("-v 1 -v 2"), KNOWN).expect("they are values");
        assert_eq!(words.value("v"), Some("1"));
        assert_eq!(words.value("s"), None);
        assert!(!words.has("s") && words.has("v"));
    }
}

//! A line into words, and words into flags and arguments, by the rules of zkCli.

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

enum Kind {
    Flag,
    Value,
}

impl Kind {
    fn of(letter: char, known: &str) -> Option<Kind> {
        if letter == ':' || !known.contains(letter) {
            None
        } else if known.contains(&format!("{letter}:")) {
            Some(Kind::Value)
        } else {
            Some(Kind::Flag)
        }
    }
}

/// The words after a command's name, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    flags: Vec<char>,
    values: Vec<(char, String)>,
    /// What belongs to no option, in order.
    pub(super) plain: Vec<String>,
}

/// Why words do not fit a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WordsError {
    Unknown(String),
    NoValue(char),
}

impl Words {
    /// Options stand anywhere; `--` ends them. A letter followed by a colon in `known` takes a
    /// value.
    pub(super) fn parse(words: &[String], known: &str) -> Result<Words, WordsError> {
        let mut parsed = Words::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                parsed.plain.extend(words.cloned());
                return Ok(parsed);
            }
            let letters = word.strip_prefix('-').unwrap_or_default();
            if letters.is_empty() {
                parsed.plain.push(word.clone());
            }
            for letter in letters.chars() {
                match Kind::of(letter, known) {
                    Some(Kind::Flag) => parsed.flags.push(letter),
                    Some(Kind::Value) => {
                        let value = words.next().ok_or(WordsError::NoValue(letter))?;
                        parsed.values.push((letter, value.clone()));
                    }
                    None => return Err(WordsError::Unknown(word.clone())),
                }
            }
        }
        Ok(parsed)
    }

    pub(super) fn has(&self, flag: char) -> bool {
        self.flags.contains(&flag)
    }

    /// The last value given for an option.
    pub(super) fn value(&self, option: char) -> Option<&str> {
        let given = self.values.iter().rev().find(|(letter, _)| *letter == option);
        given.map(|(_, value)| value.as_str())
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
        assert!(split(" \t").is_empty());
    }

    /// Shows flags, values and the rest, or the error.
    #[track_caller]
    fn check(line: &str, known: &str, expected: &str) {
        let got = match Words::parse(&split(line), known) {
            Ok(words) => format!("{:?} {:?} {:?}", words.flags, words.values, words.plain),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn options_stand_anywhere() {
        check("-s /a", "sw", r#"['s'] [] ["/a"]"#);
        check("/a -sw", "sw", r#"['s', 'w'] [] ["/a"]"#);
        check("/a x -v -1", "sv:", r#"[] [('v', "-1")] ["/a", "x"]"#);
        check("/a -- -x", "s", r#"[] [] ["/a", "-x"]"#);
        check("/a -", "s", r#"[] [] ["/a", "-"]"#);
        check("/a -x", "sw", r#"Unknown("-x")"#);
        check("/a -v", "sv:", "NoValue('v')");
        check("/a -:", "sv:", r#"Unknown("-:")"#);
    }
}

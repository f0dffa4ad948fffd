//! Java properties syntax, the syntax of zoo.cfg.
//!
//! What it keeps true: a text gives the same keys and values here as `java.util.Properties.load`
//! gives Apache, and every pair carries the line on which it starts. One thing is read more kindly:
//! Java takes each byte for one ISO-8859-1 character, while a file that is valid UTF-8 is read as
//! UTF-8 here, and `Parsed::beyond_ascii` says that the two readings differ.
//!
//! What it leaves to others: what a key means, and which of two equal keys wins.

use std::fmt;
use std::ops::Range;

/// One `key = value` of the file, in file order; keys may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line on which the pair starts, counted from 1.
    pub line: u32,
    pub key: String,
    pub value: String,
}

/// A file that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    pub entries: Vec<Entry>,
    /// The first line that holds a byte above 127, read as UTF-8 although Java would read
    /// ISO-8859-1. `None` where both readings agree.
    pub beyond_ascii: Option<u32>,
    /// The lines that could not be read; `entries` holds all others.
    pub errors: Vec<SyntaxError>,
}

/// The one mistake that this syntax knows: `\u` without four hexadecimal digits behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line on which the pair starts, counted from 1.
    pub line: u32,
    /// What stands behind the backslash.
    pub found: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`\\{}` is no character: expected \\u and four hexadecimal digits (a backslash \
             itself is written \\\\)",
            self.found
        )
    }
}

/// Reads a whole file.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let utf8 = std::str::from_utf8(bytes).ok();
    let chars: Vec<char> = match utf8 {
        Some(text) => text.chars().collect(),
        None => bytes.iter().map(|&byte| char::from(byte)).collect(),
    };
    let beyond_ascii = utf8.and_then(|text| {
        let first = text.find(|c: char| !c.is_ascii())?;
        let breaks = text.get(..first)?.matches('\n').count();
        u32::try_from(breaks + 1).ok()
    });
    let mut parsed = Parsed { entries: Vec::new(), beyond_ascii, errors: Vec::new() };
    let mut lines = LogicalLines { chars: &chars, next: 0, line: 1 };
    while let Some((line, text)) = lines.next_line() {
        match split(&text) {
            Ok((key, value)) => parsed.entries.push(Entry { line, key, value }),
            Err(found) => parsed.errors.push(SyntaxError { line, found }),
        }
    }
    parsed
}

/// Cuts the text into logical lines: without comments, blank lines, leading white space and the
/// backslashes that join one line to the next.
struct LogicalLines<'a> {
    chars: &'a [char],
    next: usize,
    /// The natural line on which `next` stands.
    line: u32,
}

/// Java's white space inside a line; neither a no-break space nor a vertical tab is one.
const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

const fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

impl LogicalLines<'_> {
    fn next_line(&mut self) -> Option<(u32, Vec<char>)> {
        let mut text = Vec::new();
        let mut started_at = self.line;
        loop {
            self.skip_blanks();
            // Only at the start of a logical line is a comment sign one; behind a continuation it
            // is text, unless nothing but a backslash stood before it.
            if text.is_empty() && matches!(self.chars.get(self.next), Some('#' | '!')) {
                self.take_natural_line();
                self.pass_line_end();
                continue;
            }
            if text.is_empty() {
                started_at = self.line;
            }
            let piece = self.take_natural_line();
            let joined = ends_in_open_backslash(self.slice(&piece));
            let end = if joined { piece.end - 1 } else { piece.end };
            text.extend_from_slice(self.slice(&(piece.start..end)));
            let left = self.chars.len() - self.next;
            self.pass_line_end();
            // Java takes a backslash that ends the file for a pair, be it an empty one.
            if joined && left <= 1 {
                return Some((started_at, text));
            }
            if left == 0 {
                return if text.is_empty() { None } else { Some((started_at, text)) };
            }
            if !joined && !text.is_empty() {
                return Some((started_at, text));
            }
        }
    }

    fn slice(&self, range: &Range<usize>) -> &[char] {
        self.chars.get(range.clone()).expect("a natural line lies inside the text")
    }

    fn skip_blanks(&mut self) {
        while self.chars.get(self.next).is_some_and(|&c| is_blank(c)) {
            self.next += 1;
        }
    }

    fn take_natural_line(&mut self) -> Range<usize> {
        let start = self.next;
        while self.chars.get(self.next).is_some_and(|&c| !is_line_end(c)) {
            self.next += 1;
        }
        start..self.next
    }

    /// A line ends with `\n`, `\r` or `\r\n`.
    fn pass_line_end(&mut self) {
        let Some(&first) = self.chars.get(self.next) else { return };
        self.next += 1;
        if first == '\r' && self.chars.get(self.next) == Some(&'\n') {
            self.next += 1;
        }
        self.line += 1;
    }
}

/// An odd number of backslashes at the end joins the next line; an even number is escaped pairs.
fn ends_in_open_backslash(line: &[char]) -> bool {
    line.iter().rev().take_while(|&&c| c == '\\').count() % 2 == 1
}

/// Splits a logical line at the first separator that no backslash escapes.
fn split(line: &[char]) -> Result<(String, String), String> {
    let mut escaped = false;
    let key_len = line
        .iter()
        .position(|&c| {
            if !escaped && (is_blank(c) || matches!(c, '=' | ':')) {
                return true;
            }
            escaped = c == '\\' && !escaped;
            false
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(key_len);
    let rest = skip_separator(rest);
    Ok((unescape(key)?, unescape(rest)?))
}

/// White space, at most one `=` or `:`, white space.
fn skip_separator(rest: &[char]) -> &[char] {
    let rest = trim_start(rest);
    match rest {
        ['=' | ':', after @ ..] => trim_start(after),
        [..] => rest,
    }
}

fn trim_start(mut text: &[char]) -> &[char] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    text
}

/// Resolves `\t \n \r \f \uXXXX`; a backslash before anything else only vanishes.
fn unescape(text: &[char]) -> Result<String, String> {
    // UTF-16, because `\ud83d\ude00` is one character written as two.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(c) = rest.next() {
        let c = if c == '\\' {
            match rest.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    let digits: String = rest.by_ref().take(4).collect();
                    units.push(hex4(&digits).ok_or_else(|| format!("u{digits}"))?);
                    continue;
                }
                Some(other) => other,
                None => continue,
            }
        } else {
            c
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

fn hex4(digits: &str) -> Option<u16> {
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row: the text, and the pairs that Java reads from it, with their lines.
    #[track_caller]
    fn check(text: impl AsRef<[u8]>, expected: &[(u32, &str, &str)]) {
        let parsed = parse(text.as_ref());
        assert_eq!(parsed.errors, []);
        let found: Vec<(u32, &str, &str)> =
            parsed.entries.iter().map(|e| (e.line, e.key.as_str(), e.value.as_str())).collect();
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(text.as_ref()));
    }

    #[test]
    fn separators_are_equals_colon_or_white_space() {
        for text in
            ["a=b", "a:b", "a b", "a\tb", "a\x0cb", " a = b", "a  :  b", "a \t = b", "\ta=b"]
        {
            check(text, &[(1, "a", "b")]);
        }
        check("a==b", &[(1, "a", "=b")]);
        check("a : = b", &[(1, "a", "= b")]);
        check("a b = c", &[(1, "a", "b = c")]);
        check("server.1=h:2888:3888;2181", &[(1, "server.1", "h:2888:3888;2181")]);
    }

    #[test]
    fn a_value_may_be_missing_and_keeps_its_trailing_blanks() {
        check("a", &[(1, "a", "")]);
        check("a=", &[(1, "a", "")]);
        check("a = ", &[(1, "a", "")]);
        check("=b", &[(1, "", "b")]);
        check("a=b  ", &[(1, "a", "b  ")]);
    }

    #[test]
    fn comments_and_blank_lines_are_skipped_and_counted() {
        check("", &[]);
        check("\n \n\t\n", &[]);
        check("# a\n! b=c\n\n  # d\na=b # no comment\n", &[(5, "a", "b # no comment")]);
        check("# joined to nothing \\\na=b", &[(2, "a", "b")]);
        check("#", &[]);
    }

    #[test]
    fn a_backslash_joins_lines_and_drops_the_next_lines_blanks() {
        check("a=b\\\n   c\nd=e", &[(1, "a", "bc"), (3, "d", "e")]);
        check("a\\\n  =b", &[(1, "a", "b")]);
        check("a=b\\\n#c", &[(1, "a", "b#c")]);
        check("a=b\\\\\nc=d", &[(1, "a", "b\\"), (2, "c", "d")]);
        check("a=b\\\\\\\nc", &[(1, "a", "b\\c")]);
        check("a=b\\\n\nc=d", &[(1, "a", "b"), (3, "c", "d")]);
        check("a=b\\", &[(1, "a", "b")]);
        check("\\\na=b", &[(2, "a", "b")]);
        check("\\\n# comment\na=b", &[(3, "a", "b")]);
        check("\\", &[(1, "", "")]);
        check("\\\n", &[(1, "", "")]);
        check("\\\r\n", &[]);
    }

    #[test]
    fn all_three_line_ends_end_a_line() {
        check(
            "a=1\nb=2\rc=3\r\nd=4",
            &[(1, "a", "1"), (2, "b", "2"), (3, "c", "3"), (4, "d", "4")],
        );
        check("a=1\\\r\n  2\r\nb=3", &[(1, "a", "12"), (3, "b", "3")]);
    }

    #[test]
    fn escapes_are_resolved_in_keys_and_values() {
        check(r"a\=b=c", &[(1, "a=b", "c")]);
        check(r"a\ b\:c d", &[(1, "a b:c", "d")]);
        check(r"a=\t\n\r\f", &[(1, "a", "\t\n\r\x0c")]);
        check(r"a=\q\z\:", &[(1, "a", "qz:")]);
        check(r"a=C:\\data", &[(1, "a", r"C:\data")]);
        check(r"a=\  b", &[(1, "a", "  b")]);
        check(r"dataDir=/data/\u00e9\u20ac", &[(1, "dataDir", "/data/é€")]);
        check(r"a=\ud83d\ude00", &[(1, "a", "😀")]);
    }

    #[test]
    fn a_broken_unicode_escape_names_its_line_and_spares_the_others() {
        for (text, found) in [(r"a=\u12g4", "u12g4"), (r"a=\u12", "u12"), (r"a=\u+123", "u+123")] {
            let parsed = parse(format!("x=1\n{text}\ny=2").as_bytes());
            assert_eq!(parsed.errors, [SyntaxError { line: 2, found: found.to_owned() }]);
            assert_eq!(parsed.entries.len(), 2);
        }
    }

    #[test]
    fn utf8_is_read_as_utf8_and_anything_else_as_latin_1() {
        check("a=é", &[(1, "a", "é")]);
        assert_eq!(parse("#x\na=é".as_bytes()).beyond_ascii, Some(2));
        check(b"a=\xe9", &[(1, "a", "é")]);
        assert_eq!(parse(b"a=\xe9").beyond_ascii, None);
        check("\u{feff}a=b", &[(1, "a", "b")]);
    }

    #[test]
    fn no_short_text_stops_the_reader() {
        // Every text of up to five signs out of those that mean something.
        let signs = ['a', '\\', '\n', '\r', '#', '=', ' ', 'u'];
        for length in 0..=5_u32 {
            for number in 0..8_usize.pow(length) {
                let text: String =
                    (0..length).map(|i| signs[number / 8_usize.pow(i) % 8]).collect();
                let parsed = parse(text.as_bytes());
                assert!(parsed.entries.iter().all(|e| e.line >= 1 && e.line <= 6), "{text:?}");
            }
        }
    }
}

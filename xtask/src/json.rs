//! A small JSON reader: for what cargo, the load generator and the tree dumps print.
//!
//! Keeps true: a text is read wholly or refused with the offset of the fault; nesting is bounded.
//! Leaves to the callers which members they expect. Numbers are kept as `f64`, which is exact for
//! every count and time that these programs print.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::CharIndices;

/// How deep a text may nest; cargo's metadata stays below ten.
const DEPTH_MAX: usize = 64;

/// One JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads a whole text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader { chars: text.char_indices().peekable(), length: text.len() };
        let value = reader.value(0)?;
        reader.space();
        match reader.chars.next() {
            None => Ok(value),
            Some((offset, found)) => Err(format!("JSON: {found:?} after the end at {offset}")),
        }
    }

    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        if let Self::Object(members) = self { members.get(name) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The items of a list; nothing for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }
}

struct Reader<'a> {
    chars: Peekable<CharIndices<'a>>,
    length: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err(format!("JSON: nested deeper than {DEPTH_MAX}"));
        }
        self.space();
        match self.chars.peek().map(|(_, c)| *c) {
            Some('{') => self.object(depth),
            Some('[') => self.list(depth),
            Some('"') => self.string().map(Json::Text),
            Some('t') => self.word("true", Json::Bool(true)),
            Some('f') => self.word("false", Json::Bool(false)),
            Some('n') => self.word("null", Json::Null),
            Some(_) => self.number(),
            None => Err(self.fault("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        let mut members = BTreeMap::new();
        self.take('{')?;
        if self.next_is('}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.take(':')?;
            members.insert(name, self.value(depth + 1)?);
            if self.next_is('}') {
                return Ok(Json::Object(members));
            }
            self.take(',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        let mut items = Vec::new();
        self.take('[')?;
        if self.next_is(']') {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.next_is(']') {
                return Ok(Json::List(items));
            }
            self.take(',')?;
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.take('"')?;
        let mut text = String::new();
        loop {
            match self.chars.next().map(|(_, c)| c) {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) => text.push(c),
                None => return Err(self.fault("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        match self.chars.next().map(|(_, c)| c) {
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some(c @ ('"' | '\\' | '/')) => Ok(c),
            Some('u') => self.unicode(),
            _ => Err(self.fault("an escape")),
        }
    }

    /// `\uXXXX`, and the pair of them that stands for a character above the first plane.
    fn unicode(&mut self) -> Result<char, String> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.take('\\')?;
            self.take('u')?;
            let second = self.hex()?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
            let low = low.ok_or_else(|| self.fault("the second half of a pair"))?;
            0x10000 + ((first - 0xd800) << 10) + low
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.fault("a character"))
    }

    fn hex(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.chars.next().and_then(|(_, c)| c.to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.fault("four hex digits"))?;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Json, String> {
        let mut digits = String::new();
        while let Some((_, c)) = self
            .chars
            .next_if(|(_, c)| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
        {
            digits.push(c);
        }
        digits.parse().map(Json::Number).map_err(|_error| self.fault("a value"))
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, String> {
        word.chars().try_for_each(|c| self.take(c))?;
        Ok(value)
    }

    fn space(&mut self) {
        while self.chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\r' | '\n')).is_some() {}
    }

    /// Takes `wanted` if it comes next, after space.
    fn next_is(&mut self, wanted: char) -> bool {
        self.space();
        self.chars.next_if(|(_, c)| *c == wanted).is_some()
    }

    fn take(&mut self, wanted: char) -> Result<(), String> {
        if self.chars.next_if(|(_, c)| *c == wanted).is_some() {
            return Ok(());
        }
        Err(self.fault(&format!("{wanted:?}")))
    }

    fn fault(&mut self, wanted: &str) -> String {
        let offset = self.chars.peek().map_or(self.length, |(offset, _)| *offset);
        format!("JSON: expected {wanted} at {offset}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_of_value() {
        let json = Json::parse(r#" {"a": [1, -2.5e1, true, false, null], "b": {}, "c": []} "#)
            .expect("it is well formed");
        let list = json.get("a").expect("a member").items();
        let expected = [
            Json::Number(1.0),
            Json::Number(-25.0),
            Json::Bool(true),
            Json::Bool(false),
            Json::Null,
        ];
        assert_eq!(list, expected);
        assert_eq!(json.get("b"), Some(&Json::Object(BTreeMap::new())));
        assert_eq!(json.get("d"), None);
    }

    #[test]
    fn reads_escapes_and_pairs() {
        let json = Json::parse(r#""a\n\"\\\u00e9\ud83d\ude00/""#).expect("it is well formed");
        assert_eq!(json.text(), Some("a\n\"\\é😀/"));
    }

    #[test]
    fn refuses_what_is_broken_and_says_where() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Json::parse(text).expect_err("it is broken"), expected);
        };
        check("", "JSON: expected a value at 0");
        check("{\"a\" 1}", "JSON: expected ':' at 5");
        check("[1 2]", "JSON: expected ',' at 3");
        check("nul", "JSON: expected 'l' at 3");
        check("1 1", "JSON: '1' after the end at 2");
        check("\"a", "JSON: expected the end of a string at 2");
        check("\"\\ud800x", "JSON: expected '\\\\' at 7");
    }

    #[test]
    fn refuses_what_nests_without_end() {
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
    }
}

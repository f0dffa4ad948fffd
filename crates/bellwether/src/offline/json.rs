//! One JSON object on one line. Zxids and session ids are strings, as they are written everywhere
//! else and since many readers keep no 64 bits of a number.

use std::fmt::{Display, Write as _};

/// An object that is being written.
pub(super) struct Object(String);

impl Object {
    /// An object that says what it is about.
    pub(super) fn new(kind: &str) -> Object {
        Object("{".to_owned()).text("kind", kind)
    }

    pub(super) fn text(mut self, key: &str, value: impl Display) -> Object {
        self.key(key);
        quote(&value.to_string(), &mut self.0);
        self
    }

    /// A number, or what is one already in JSON.
    pub(super) fn number(mut self, key: &str, value: impl Display) -> Object {
        self.key(key);
        write!(self.0, "{value}").expect("a String takes everything");
        self
    }

    pub(super) fn flag(self, key: &str, value: bool) -> Object {
        self.number(key, value)
    }

    pub(super) fn texts(mut self, key: &str, values: impl IntoIterator<Item = String>) -> Object {
        self.key(key);
        self.0.push('[');
        for (n, value) in values.into_iter().enumerate() {
            if n > 0 {
                self.0.push(',');
            }
            quote(&value, &mut self.0);
        }
        self.0.push(']');
        self
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(key, &mut self.0);
        self.0.push(':');
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c < ' ' || c == '\u{7f}' => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_may_hold_is_quoted() {
        let object = Object::new("node").text("path", "/a\"\\\n\u{1}é").number("n", -3);
        let text = object.flag("b", true).texts("l", ["x".to_owned(), "y".to_owned()]).finish();
        let expected = r#"{"kind":"node","path":"/a\"\\\n\u0001é","n":-3,"b":true,"l":["x","y"]}"#;
        assert_eq!(text, expected);
    }
}

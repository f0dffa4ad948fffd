//! The words of a command line: bare, quoted, or named.
//!
//! What it keeps true: a line is read whole or refused with the place that is wrong; what stands
//! in quotes is never taken for a name, a number or `null`.
//!
//! What it leaves to others: what the words mean.

/// One word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The name before `=`, if it has one.
    pub(crate) name: Option<String>,
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

impl Word {
    /// Whether it is this bare word.
    pub(crate) fn is(&self, text: &str) -> bool {
        self.name.is_none() && !self.quoted && self.text == text
    }
}

/// Splits a line at its blanks.
pub(crate) fn split(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| *c == ' ').is_some() {}
        if chars.peek().is_none() {
            return Ok(words);
        }
        let mut word = Word { name: None, text: String::new(), quoted: false };
        while let Some(c) = chars.next_if(|c| *c != ' ') {
            match c {
                '"' => {
                    word.quoted = true;
                    quoted(&mut chars, &mut word.text)?;
                }
                '=' if word.name.is_none() && !word.quoted && is_name(&word.text) => {
                    word.name = Some(std::mem::take(&mut word.text));
                }
                c => word.text.push(c),
            }
        }
        words.push(word);
    }
}

fn is_name(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text);
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic() || c == '-')
}

/// The rest of a quoted word, with its escapes.
fn quoted(chars: &mut impl Iterator<Item = char>, text: &mut String) -> Result<(), String> {
    loop {
        match chars.next().ok_or("a quote is not closed")? {
            '"' => return Ok(()),
            '\\' => text.push(escaped(chars)?),
            c => text.push(c),
        }
    }
}

fn escaped(chars: &mut impl Iterator<Item = char>) -> Result<char, String> {
    Ok(match chars.next() {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some(c @ ('"' | '\\' | '~')) => c,
        Some('u') => {
            if chars.next() != Some('{') {
                return Err("\\u needs {HEX}".into());
            }
            let digits: String = chars.take_while(|c| *c != '}').collect();
            let code = u32::from_str_radix(&digits, 16);
            let c = code.ok().and_then(char::from_u32);
            c.ok_or_else(|| format!("\\u{{{digits}}} is no character"))?
        }
        other => return Err(format!("unknown escape {other:?}")),
    })
}

/// Bytes from hexadecimal digits.
pub(crate) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'_').collect();
    let wrong = || format!("{text} is not a row of hexadecimal bytes");
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2);
        pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or_else(wrong)
    });
    pairs.collect()
}

/// A number, decimal or hexadecimal, with what it is for in the message.
pub(crate) fn number<N: TryFrom<i64>>(what: &str, text: &str) -> Result<N, String> {
    let value = match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse::<i64>(),
    };
    value
        .ok()
        .and_then(|value| N::try_from(value).ok())
        .ok_or_else(|| format!("{what} {text}: not a possible number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Result<Vec<String>, String> {
        let name = |word: &Word| word.name.clone().map(|name| name + " is ").unwrap_or_default();
        let words = split(line)?;
        Ok(words.iter().map(|w| format!("{}{:?} {}", name(w), w.text, w.quoted)).collect())
    }

    #[test]
    fn words_are_bare_quoted_or_named() {
        let expected = ["\"create\" false", "\"~/a=b\" false", "\"x y\" true"];
        assert_eq!(shown("create  ~/a=b \"x y\"").expect("it is well formed"), expected);
        let expected = ["acl is \"digest:a:b=:r\" false", "!cut is \"4\" false", "\"a=b\" true"];
        assert_eq!(shown("acl=digest:a:b=:r !cut=4 \"a=b\"").expect("it is"), expected);
        assert_eq!(shown("\"\\u{1f600}\\n\"").expect("it is"), ["\"😀\\n\" true"]);
        assert!(shown("\"open").is_err() && shown("\"\\q\"").is_err());
    }

    #[test]
    fn numbers_and_bytes_are_read_whole_or_refused() {
        assert_eq!(hex("00ff_10"), Ok(vec![0, 255, 16]));
        assert!(hex("0").is_err() && hex("zz").is_err());
        assert_eq!(number::<i32>("version", "-1"), Ok(-1));
        assert_eq!(number::<i64>("session", "0x10"), Ok(16));
        assert!(number::<i32>("version", "5000000000").is_err());
    }
}

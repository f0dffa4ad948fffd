//! Jute's primitives: big-endian integers, length-prefixed buffers and strings, counted vectors.
//!
//! [`Reader`] walks a slice and reports where and what it could not read. Writing goes through
//! [`Put`] and cannot fail. Length -1 is null, everywhere.

use crate::Data;
use std::fmt;

/// What could not be decoded, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The field or record that was being read.
    pub what: &'static str,
    /// Offset of the first byte of that field from the start of the input.
    pub offset: usize,
    /// What was wrong with it.
    pub problem: Problem,
}

/// The ways in which a field can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The input ends before the field does.
    Truncated,
    /// A length or count below -1, or beyond what the input can hold.
    Length(i32),
    /// A null where the protocol has no null.
    Null,
    /// A number that stands for nothing here.
    Unknown(i64),
    /// Bytes are left after the record.
    Trailing,
    /// It is longer than the limit and was not read; so many bytes.
    TooLong(usize),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.what, self.offset)?;
        match self.problem {
            Problem::Truncated => write!(f, "the input ends too early"),
            Problem::Length(n) => write!(f, "length {n} is not possible"),
            Problem::Null => write!(f, "null is not allowed"),
            Problem::Unknown(n) => write!(f, "value {n} is unknown"),
            Problem::Trailing => write!(f, "bytes are left over"),
            Problem::TooLong(n) => write!(f, "{n} bytes are more than the limit"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// The result of reading one field.
pub type Decoded<T> = Result<T, DecodeError>;

/// A cursor over encoded bytes.
///
/// Invariant: `at <= bytes.len()`.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// How far it has read, in bytes.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// What is left to read, in bytes.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// What is left to read.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// An error at the current place.
    pub fn error(&self, what: &'static str, problem: Problem) -> DecodeError {
        DecodeError { what, offset: self.at, problem }
    }

    /// Fails unless everything was read.
    pub fn finish(&self, what: &'static str) -> Decoded<()> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.error(what, Problem::Trailing)) }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize, what: &'static str) -> Decoded<&'a [u8]> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let slice = end.and_then(|end| self.bytes.get(self.at..end));
        match slice {
            Some(slice) => {
                self.at += len;
                Ok(slice)
            }
            None => Err(self.error(what, Problem::Truncated)),
        }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Decoded<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// One byte.
    pub fn byte(&mut self, what: &'static str) -> Decoded<u8> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }

    /// A boolean: any byte but 0 is true, as Java reads it.
    pub fn bool(&mut self, what: &'static str) -> Decoded<bool> {
        Ok(self.byte(what)? != 0)
    }

    /// A 32-bit integer.
    pub fn int(&mut self, what: &'static str) -> Decoded<i32> {
        Ok(i32::from_be_bytes(self.array(what)?))
    }

    /// A 64-bit integer.
    pub fn long(&mut self, what: &'static str) -> Decoded<i64> {
        Ok(i64::from_be_bytes(self.array(what)?))
    }

    /// A buffer, or `None` for null.
    pub fn buffer(&mut self, what: &'static str) -> Decoded<Option<&'a [u8]>> {
        let start = self.at;
        let len = self.int(what)?;
        match usize::try_from(len) {
            Ok(len) => {
                self.take(len, what).map(Some).map_err(|e| DecodeError { offset: start, ..e })
            }
            Err(_) if len == -1 => Ok(None),
            Err(_) => Err(DecodeError { what, offset: start, problem: Problem::Length(len) }),
        }
    }

    /// A string, or `None` for null. Malformed UTF-8 becomes U+FFFD, as in Java.
    pub fn string(&mut self, what: &'static str) -> Decoded<Option<Box<str>>> {
        let bytes = self.buffer(what)?;
        Ok(bytes.map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_malformed) => String::from_utf8_lossy(bytes).into_owned().into_boxed_str(),
        }))
    }

    /// A string that must not be null.
    pub fn text(&mut self, what: &'static str) -> Decoded<Box<str>> {
        let offset = self.at;
        self.string(what)?.ok_or(DecodeError { what, offset, problem: Problem::Null })
    }

    /// The count of a vector whose elements take at least `element_bytes` each, or `None` for null.
    /// Below -1 it is an empty one, as Java reads it.
    pub fn count(&mut self, what: &'static str, element_bytes: usize) -> Decoded<Option<usize>> {
        let start = self.at;
        let count = self.int(what)?;
        let wrong = DecodeError { what, offset: start, problem: Problem::Length(count) };
        match usize::try_from(count) {
            // A count that the input cannot hold must not size an allocation.
            Ok(n) if n.saturating_mul(element_bytes) <= self.remaining() => Ok(Some(n)),
            Ok(_) => Err(wrong),
            Err(_) if count == -1 => Ok(None),
            Err(_) => Ok(Some(0)),
        }
    }

    /// A vector of strings that are not null; a null vector is empty.
    pub fn texts(&mut self, what: &'static str) -> Decoded<Vec<Box<str>>> {
        let count = self.count(what, 4)?.unwrap_or(0);
        (0..count).map(|_| self.text(what)).collect()
    }
}

/// Takes Jute's primitives, one after the other.
pub trait Put {
    /// Bytes as they are.
    fn put_slice(&mut self, bytes: &[u8]);

    /// Bytes that are shared: who can keep a reference instead of a copy does.
    fn put_shared(&mut self, bytes: &Data) {
        self.put_slice(bytes);
    }

    /// A boolean, one byte.
    fn put_bool(&mut self, value: bool) {
        self.put_slice(&[u8::from(value)]);
    }

    /// A 32-bit integer.
    fn put_int(&mut self, value: i32) {
        self.put_slice(&value.to_be_bytes());
    }

    /// A 64-bit integer.
    fn put_long(&mut self, value: i64) {
        self.put_slice(&value.to_be_bytes());
    }

    /// A count or length. It panics beyond 2^31 - 1, which no limit of ours lets through.
    fn put_len(&mut self, len: usize) {
        self.put_int(i32::try_from(len).expect("limits keep every length below 2^31"));
    }

    /// A buffer, `None` being null.
    fn put_buffer(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.put_len(bytes.len());
                self.put_slice(bytes);
            }
            None => self.put_int(-1),
        }
    }

    /// A buffer that is shared, `None` being null.
    fn put_data(&mut self, data: Option<&Data>) {
        match data {
            Some(data) => {
                self.put_len(data.len());
                self.put_shared(data);
            }
            None => self.put_int(-1),
        }
    }

    /// A string.
    fn put_text(&mut self, text: &str) {
        self.put_buffer(Some(text.as_bytes()));
    }

    /// A vector of strings.
    fn put_texts<S: AsRef<str>>(&mut self, texts: &[S]) {
        self.put_len(texts.len());
        for text in texts {
            self.put_text(text.as_ref());
        }
    }
}

impl Put for Vec<u8> {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primitives_round_trip() {
        let mut out = Vec::new();
        out.put_bool(true);
        out.put_int(-7);
        out.put_long(i64::MIN);
        out.put_buffer(None);
        out.put_buffer(Some(b""));
        out.put_text("grüß");
        out.put_texts(&["a", "b"]);
        let mut r = Reader::new(&out);
        assert_eq!(r.bool("b"), Ok(true));
        assert_eq!(r.int("i"), Ok(-7));
        assert_eq!(r.long("l"), Ok(i64::MIN));
        assert_eq!(r.buffer("n"), Ok(None));
        assert_eq!(r.buffer("e"), Ok(Some(&b""[..])));
        assert_eq!(r.text("t").as_deref(), Ok("grüß"));
        assert_eq!(r.texts("v").map(|v| v.len()), Ok(2));
        assert_eq!(r.finish("all"), Ok(()));
    }

    #[test]
    fn a_count_beyond_the_input_is_refused_before_it_allocates() {
        let mut out = Vec::new();
        out.put_int(i32::MAX);
        let got = Reader::new(&out).count("children", 4);
        assert_eq!(got.map_err(|e| e.problem), Err(Problem::Length(i32::MAX)));
    }

    #[test]
    fn a_count_below_minus_one_is_an_empty_vector() {
        let mut out = Vec::new();
        out.put_int(i32::MIN);
        assert_eq!(Reader::new(&out).count("acl", 12), Ok(Some(0)));
    }

    #[test]
    fn a_length_below_minus_one_is_refused() {
        let mut out = Vec::new();
        out.put_int(-2);
        let got = Reader::new(&out).buffer("data").map_err(|e| e.to_string());
        assert_eq!(got, Err("data at byte 0: length -2 is not possible".to_owned()));
    }

    #[test]
    fn malformed_utf8_becomes_the_replacement_character() {
        let mut out = Vec::new();
        out.put_buffer(Some(b"/a\xff"));
        assert_eq!(Reader::new(&out).text("path").as_deref(), Ok("/a\u{fffd}"));
    }
}

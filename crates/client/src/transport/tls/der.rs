//! A reader of DER, as much as key stores and the names in certificates need.
//!
//! It reads what a user trusts enough to name it, but never beyond its input: every length is
//! checked, there is no recursion, and what is not understood is an error that says what it was.

/// A class of problem that needs no more than its name.
pub(super) type Parsed<T> = Result<T, &'static str>;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_ID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The tag of `[number] EXPLICIT`, or of an implicit one that is constructed.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of `[number] IMPLICIT` with plain bytes.
pub(super) const fn context_bytes(number: u8) -> u8 {
    0x80 | number
}

/// Elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Der<'a> {
    rest: &'a [u8],
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Der<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Der<'a> {
        Der { rest: bytes }
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Parsed<Element<'a>> {
        const SHORT: &str = "it ends too early";
        let (tag, after) = self.rest.split_first().ok_or(SHORT)?;
        if tag & 0x1f == 0x1f {
            return Err("it has a tag of several bytes");
        }
        let (first, mut after) = after.split_first().ok_or(SHORT)?;
        let length = match first {
            0..=0x7f => usize::from(*first),
            0x80 => return Err("it has a length that is not told at the start (BER, not DER)"),
            0x81..=0x84 => {
                let (digits, left) =
                    after.split_at_checked(usize::from(first & 0x7f)).ok_or(SHORT)?;
                after = left;
                digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit))
            }
            0x85.. => return Err("it has a length beyond four bytes"),
        };
        let (content, rest) = after.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(Element { tag: *tag, content })
    }

    /// The content of the next element, which has to have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Parsed<&'a [u8]> {
        let element = self.next()?;
        if element.tag == tag { Ok(element.content) } else { Err("it has another structure") }
    }

    /// Likewise, to be read on.
    pub(super) fn enter(&mut self, tag: u8) -> Parsed<Der<'a>> {
        self.take(tag).map(Der::new)
    }

    /// The next element if it has this tag.
    pub(super) fn take_if(&mut self, tag: u8) -> Parsed<Option<&'a [u8]>> {
        if self.rest.first() == Some(&tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// A number that is not negative and fits.
    pub(super) fn number(&mut self) -> Parsed<u32> {
        let bytes = self.take(INTEGER)?;
        let digits = match bytes {
            [0, digits @ ..] => digits,
            [first, ..] if *first >= 0x80 => return Err("it has a negative number"),
            digits => digits,
        };
        if digits.len() > 4 {
            return Err("it has a number beyond 32 bits");
        }
        Ok(digits.iter().fold(0, |number, digit| number << 8 | u32::from(*digit)))
    }
}

/// An element, encoded.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length @ 0..=0x7f) => bytes.push(length),
        Ok(_) | Err(_) => {
            let digits = content.len().to_be_bytes();
            let digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
            let count = u8::try_from(digits.len()).expect("a length has at most eight digits");
            bytes.push(0x80 | count);
            bytes.extend(digits);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// The fields of an X.509 certificate from the issuer on, and the issuer.
fn from_issuer(certificate: &[u8]) -> Parsed<(Der<'_>, &[u8])> {
    let mut body = Der::new(certificate).enter(SEQUENCE)?.enter(SEQUENCE)?;
    body.take_if(context(0))?; // The version.
    body.take(INTEGER)?; // The serial number.
    body.take(SEQUENCE)?; // The algorithm of the signature.
    let issuer = body.take(SEQUENCE)?;
    body.take(SEQUENCE)?; // The validity.
    Ok((body, issuer))
}

/// The issuer and the subject of an X.509 certificate, encoded.
pub(super) fn names_of(certificate: &[u8]) -> Parsed<(&[u8], &[u8])> {
    let (mut body, issuer) = from_issuer(certificate)?;
    Ok((issuer, body.take(SEQUENCE)?))
}

/// The public key of an X.509 certificate: the content of its bit string.
pub(super) fn public_key_of(certificate: &[u8]) -> Parsed<&[u8]> {
    let (mut body, _issuer) = from_issuer(certificate)?;
    body.take(SEQUENCE)?; // The subject.
    let mut key = body.enter(SEQUENCE)?;
    key.take(SEQUENCE)?; // The algorithm.
    key.take(BIT_STRING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Parsed<(u8, &[u8])>) {
        let got = Der::new(bytes).next().map(|element| (element.tag, element.content));
        assert_eq!(got, expected);
    }

    #[test]
    fn elements_are_taken_apart_and_never_beyond_their_input() {
        check(&[4, 2, 7, 8, 9], Ok((4, &[7, 8])));
        check(&[4, 0x81, 1, 7], Ok((4, &[7])));
        check(&[4, 0x84, 0, 0, 0, 1, 7], Ok((4, &[7])));
        check(&[4, 0], Ok((4, &[])));
        for cut in [&[][..], &[4], &[4, 1], &[4, 0x82, 1], &[4, 0x84, 0xff, 0xff, 0xff, 0xff]] {
            check(cut, Err("it ends too early"));
        }
        check(
            &[4, 0x80, 0, 0],
            Err("it has a length that is not told at the start (BER, not DER)"),
        );
        check(&[4, 0x85, 0, 0, 0, 0, 1, 7], Err("it has a length beyond four bytes"));
        check(&[0x1f, 1, 7], Err("it has a tag of several bytes"));
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let content = vec![7; length];
            check(&element(OCTET_STRING, &content), Ok((OCTET_STRING, &content)));
        }
    }

    #[test]
    fn numbers_have_at_most_32_bits_and_no_sign() {
        let number = |bytes: &[u8]| Der::new(bytes).number();
        assert_eq!(number(&[2, 2, 0x27, 0x10]), Ok(10_000));
        assert_eq!(number(&[2, 5, 0, 0xff, 0xff, 0xff, 0xff]), Ok(u32::MAX));
        assert_eq!(number(&[2, 1, 0]), Ok(0));
        assert_eq!(number(&[2, 1, 0xff]), Err("it has a negative number"));
        assert_eq!(number(&[2, 5, 1, 0, 0, 0, 0]), Err("it has a number beyond 32 bits"));
        assert_eq!(number(&[4, 1, 0]), Err("it has another structure"));
    }
}

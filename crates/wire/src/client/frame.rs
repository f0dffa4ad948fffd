//! Frames: a 32-bit length, then that many bytes.

use crate::jute::Put;

/// What the first four bytes of a frame announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A frame of this many bytes follows.
    Frame(usize),
    /// Negative, or above the limit: the connection cannot be used any further.
    Impossible(i32),
}

/// Reads a frame's length; `None` while fewer than four bytes are there.
pub fn length(bytes: &[u8], max_bytes: usize) -> Option<Length> {
    let len = i32::from_be_bytes(*bytes.first_chunk::<4>()?);
    Some(match usize::try_from(len) {
        Ok(bytes) if bytes <= max_bytes => Length::Frame(bytes),
        Ok(_) | Err(_) => Length::Impossible(len),
    })
}

/// Appends a frame whose body is written by `body`.
pub fn write(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put_int(0);
    body(out);
    let len = i32::try_from(out.len() - start - 4).expect("limits keep a frame below 2^31");
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_carries_its_length() {
        let mut out = vec![9];
        write(&mut out, |out| out.extend_from_slice(b"abc"));
        assert_eq!(out, [9, 0, 0, 0, 3, b'a', b'b', b'c']);
        assert_eq!(length(&out[1..], 3), Some(Length::Frame(3)));
        assert_eq!(length(&out[1..], 2), Some(Length::Impossible(3)));
        assert_eq!(length(&[0, 0, 0], 2), None);
        assert_eq!(length(&[255; 4], 2), Some(Length::Impossible(-1)));
    }
}

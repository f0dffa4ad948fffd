//! What is still to be sent to a client: small things copied together, large ones shared with the
//! tree, so that a client that does not read costs no copies of what it asked for.

use crate::limits::{SEGMENTS_PER_WRITE, SHARE_BYTES, SPARE_BYTES};
use bellwether_wire::Data;
use bellwether_wire::jute::Put;
use std::collections::VecDeque;
use std::io::{self, IoSlice};

/// Unsent bytes, in order.
///
/// Invariants: `copied` and `shared` add up what the segments still hold; only the front segment
/// has `sent` bytes that are gone already.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    segments: VecDeque<Segment>,
    sent: usize,
    copied: usize,
    shared: usize,
    /// An empty buffer, so that a client in conversation costs no allocation per reply.
    spare: Vec<u8>,
}

#[derive(Debug)]
enum Segment {
    Copied(Vec<u8>),
    Shared(Data),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Segment::Copied(bytes) => bytes,
            Segment::Shared(data) => data,
        }
    }
}

impl Put for Outbox {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.copied += bytes.len();
        match self.segments.back_mut() {
            Some(Segment::Copied(last)) => last.extend_from_slice(bytes),
            Some(Segment::Shared(_)) | None => {
                let mut first = std::mem::take(&mut self.spare);
                first.extend_from_slice(bytes);
                self.segments.push_back(Segment::Copied(first));
            }
        }
    }

    fn put_shared(&mut self, data: &Data) {
        if data.len() < SHARE_BYTES {
            self.put_slice(data);
        } else {
            self.shared += data.len();
            self.segments.push_back(Segment::Shared(data.clone()));
        }
    }
}

impl Outbox {
    /// Adds a frame whose body `body` writes.
    pub(crate) fn frame(&mut self, body: impl FnOnce(&mut Outbox)) {
        let before = self.copied + self.shared;
        self.put_int(0);
        let (segment, end) = (self.segments.len() - 1, self.last_copied_len());
        body(self);
        let len = i32::try_from(self.copied + self.shared - before - 4)
            .expect("limits keep a frame below 2^31");
        let Some(Segment::Copied(bytes)) = self.segments.get_mut(segment) else {
            unreachable!("the length was just put into this segment")
        };
        let place = bytes.get_mut(end - 4..end).expect("the length was just put here");
        place.copy_from_slice(&len.to_be_bytes());
    }

    fn last_copied_len(&self) -> usize {
        match self.segments.back() {
            Some(Segment::Copied(bytes)) => bytes.len(),
            Some(Segment::Shared(_)) | None => 0,
        }
    }

    /// Unsent bytes that are copies.
    pub(crate) fn copied(&self) -> usize {
        self.copied
    }

    /// All unsent bytes.
    pub(crate) fn len(&self) -> usize {
        self.copied + self.shared
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Sends as much as `write` takes; `true` if everything is gone.
    pub(crate) fn send(
        &mut self,
        write: impl Fn(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        while !self.segments.is_empty() {
            let mut skip = self.sent;
            let slices: Vec<IoSlice<'_>> = self
                .segments
                .iter()
                .take(SEGMENTS_PER_WRITE)
                .map(|segment| {
                    let bytes = segment.bytes().get(skip..).unwrap_or_default();
                    skip = 0;
                    IoSlice::new(bytes)
                })
                .collect();
            match write(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => self.consume(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn consume(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let Some(front) = self.segments.front() else { return };
            let left = front.bytes().len() - self.sent;
            let gone = left.min(bytes);
            match front {
                Segment::Copied(_) => self.copied -= gone,
                Segment::Shared(_) => self.shared -= gone,
            }
            bytes -= gone;
            self.sent += gone;
            if gone == left {
                self.sent = 0;
                self.drop_front();
            }
        }
    }

    /// A small buffer is kept for the next reply.
    fn drop_front(&mut self) {
        if let Some(Segment::Copied(mut bytes)) = self.segments.pop_front()
            && bytes.capacity() <= SPARE_BYTES
        {
            bytes.clear();
            self.spare = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn take_all(outbox: &mut Outbox, at_once: usize) -> Vec<u8> {
        let taken = RefCell::new(Vec::new());
        while !outbox.is_empty() {
            let calls = RefCell::new(0);
            let result = outbox.send(|slices| {
                *calls.borrow_mut() += 1;
                if *calls.borrow() > 1 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
                let some = all[..all.len().min(at_once)].to_vec();
                taken.borrow_mut().extend_from_slice(&some);
                Ok(some.len())
            });
            assert!(result.is_ok());
        }
        taken.into_inner()
    }

    #[test]
    fn what_is_put_comes_out_whatever_the_socket_takes_at_once() {
        let large: Data = vec![7; SHARE_BYTES].into();
        for at_once in [1, 3, 5000, 1 << 20] {
            let mut outbox = Outbox::default();
            outbox.frame(|out| out.put_text("ab"));
            outbox.frame(|out| {
                out.put_data(Some(&large));
                out.put_int(1);
            });
            outbox.frame(|_| {});
            let mut expected = Vec::new();
            expected.put_int(6);
            expected.put_text("ab");
            expected.put_len(4 + SHARE_BYTES + 4);
            expected.put_data(Some(&large));
            expected.put_int(1);
            expected.put_int(0);
            assert_eq!(outbox.len(), expected.len());
            assert_eq!(outbox.copied(), expected.len() - SHARE_BYTES);
            assert_eq!(take_all(&mut outbox, at_once), expected);
            assert_eq!((outbox.len(), outbox.copied()), (0, 0));
        }
    }

    #[test]
    fn large_data_is_not_copied() {
        let large: Data = vec![7; SHARE_BYTES].into();
        let mut outbox = Outbox::default();
        outbox.put_shared(&large);
        assert_eq!(std::sync::Arc::strong_count(&large), 2);
        assert_eq!(outbox.copied(), 0);
    }
}

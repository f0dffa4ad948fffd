//! What is going to happen, in order. Two things of the same moment happen in the order in which
//! they were put in, so that a run is the same every time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// The queue, and with it the true time: microseconds since the run began, which no member knows.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    now_us: u64,
    next: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at_us: u64,
    number: u64,
    what: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (u64, u64) {
        (self.at_us, self.number)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue { heap: BinaryHeap::new(), now_us: 0, next: 0 }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Puts something in; what is late happens at once.
    pub(super) fn at(&mut self, at_us: u64, what: T) {
        self.next += 1;
        let entry = Entry { at_us: at_us.max(self.now_us), number: self.next, what };
        self.heap.push(Reverse(entry));
    }

    pub(super) fn after(&mut self, us: u64, what: T) {
        self.at(self.now_us + us, what);
    }

    /// The next thing that happens not later than `until_us`; the time becomes its time.
    pub(super) fn next_until(&mut self, until_us: u64) -> Option<T> {
        if self.heap.peek()?.0.at_us > until_us {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        self.now_us = entry.at_us;
        Some(entry.what)
    }

    /// Nothing happens until then.
    pub(super) fn pass_to(&mut self, us: u64) {
        self.now_us = self.now_us.max(us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_of_one_moment_happen_in_the_order_in_which_they_were_put_in() {
        let mut queue = Queue::new();
        queue.at(20, 'c');
        queue.at(10, 'a');
        queue.at(20, 'd');
        queue.at(10, 'b');
        let order: Vec<char> = std::iter::from_fn(|| queue.next_until(30)).collect();
        assert_eq!(order, ['a', 'b', 'c', 'd']);
    }

    #[test]
    fn nothing_happens_before_its_time_and_what_is_late_happens_at_once() {
        let mut queue = Queue::new();
        queue.at(50, 'a');
        assert_eq!(queue.next_until(49), None);
        assert_eq!(queue.next_until(50), Some('a'));
        queue.at(7, 'b');
        assert_eq!((queue.next_until(50), queue.now_us()), (Some('b'), 50));
    }
}

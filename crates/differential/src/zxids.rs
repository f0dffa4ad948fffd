//! What zxids are called, so that two servers' zxids can be compared: their distance from the start
//! of the run. Where several clients write at once, which of them is first is open: these zxids are
//! named after the request that made them.

use std::collections::BTreeMap;

/// What stands around a zxid whose name is known only at the end of the step.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// The names of one run's zxids.
#[derive(Default)]
pub(crate) struct Zxids {
    /// The zxid that made the run's own node.
    pub(crate) base: i64,
    /// The last zxid before the writes that are in flight together, while they are.
    together: Option<i64>,
    /// The first and the last zxid of every step that wrote together.
    ranges: Vec<(i64, i64)>,
    names: BTreeMap<i64, String>,
}

impl Zxids {
    /// From here to [`Zxids::settle`] several clients write at once.
    pub(crate) fn begin_together(&mut self, last: i64) {
        self.together = Some(last);
    }

    pub(crate) fn are_together(&self) -> bool {
        self.together.is_some()
    }

    /// A write that was answered with this zxid.
    pub(crate) fn name(&mut self, zxid: i64, slot: usize, xid: i32) {
        if self.is_open(zxid) {
            let name = self.names.entry(zxid).or_default();
            // Two answers with one zxid show as a name that no other server gives.
            name.push_str(&format!("of {slot}:{xid}"));
        }
    }

    /// What the zxid of a node is called, perhaps only after [`Zxids::settle`].
    pub(crate) fn of_node(&self, zxid: i64) -> String {
        if self.is_open(zxid) { format!("{OPEN}{zxid}{CLOSE}") } else { self.named(zxid) }
    }

    /// What the zxid of a reply or an event is called: where nothing else is in flight, that of the
    /// last write, whoever made it.
    pub(crate) fn of_header(&self, zxid: i64) -> String {
        if self.is_open(zxid) { format!("{OPEN}{zxid}{CLOSE}") } else { self.distance(zxid) }
    }

    fn is_open(&self, zxid: i64) -> bool {
        self.together.is_some_and(|before| zxid > before)
    }

    fn named(&self, zxid: i64) -> String {
        self.names.get(&zxid).cloned().unwrap_or_else(|| self.distance(zxid))
    }

    fn distance(&self, zxid: i64) -> String {
        match zxid {
            0 => "zero".into(),
            z if z < 0 => format!("{z}"),
            z if z < self.base => "old".into(),
            z => format!("+{}", z - self.base),
        }
    }

    /// Everything that was in flight is answered: names stand for the zxids from here on.
    pub(crate) fn settle<'a>(&mut self, last: i64, lines: impl Iterator<Item = &'a mut String>) {
        if let Some(before) = self.together.take() {
            self.ranges.push((before + 1, last));
            lines.for_each(|line| *line = self.resolve(line));
        }
    }

    fn resolve(&self, line: &str) -> String {
        let mut pieces = line.split(OPEN);
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (zxid, rest) = piece.split_once(CLOSE).unwrap_or((piece, ""));
            text += &zxid.parse().map_or_else(|_| zxid.to_owned(), |zxid| self.named(zxid));
            text += rest;
        }
        text
    }

    /// A zxid to send. One among those that were written together would stand before different
    /// writes on different servers.
    pub(crate) fn place(&self, distance: i64) -> i64 {
        let zxid = self.base.saturating_add(distance);
        let within = self.ranges.iter().find(|(first, last)| (*first..=*last).contains(&zxid));
        within.map_or(zxid, |(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_in_flight_together_are_named_after_their_request() {
        let mut zxids = Zxids { base: 100, ..Zxids::default() };
        assert_eq!(zxids.of_node(107), "+7");
        zxids.begin_together(107);
        let mut lines =
            vec![format!("event {} after {}", zxids.of_header(109), zxids.of_node(107))];
        zxids.name(109, 2, 31);
        zxids.name(108, 1, 30);
        zxids.settle(109, lines.iter_mut());
        assert_eq!(lines, ["event of 2:31 after +7"]);
        assert_eq!(zxids.of_node(108), "of 1:30");
        assert_eq!(zxids.of_header(109), "+9");
        assert_eq!((zxids.place(8), zxids.place(7), zxids.place(10)), (109, 107, 110));
    }

    #[test]
    fn two_answers_with_one_zxid_are_seen() {
        let mut zxids = Zxids { base: 100, ..Zxids::default() };
        zxids.begin_together(100);
        zxids.name(101, 0, 1);
        zxids.name(101, 1, 2);
        zxids.settle(101, std::iter::empty());
        assert_eq!(zxids.of_node(101), "of 0:1of 1:2");
    }
}

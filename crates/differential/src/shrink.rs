//! Leaves out of a stream whatever its difference does not need: steps, then requests, then parts
//! of multis.

use crate::compare::Difference;
use crate::plan::{Batch, Sent, Step};
use bellwether_wire::client::Request;
use std::io;

/// How many shorter streams are tried for one difference.
const TRIES_MAX: usize = 500;

/// A stream and where it differs.
pub(crate) struct Found {
    pub(crate) steps: Vec<Step>,
    pub(crate) difference: Difference,
}

/// Runs a stream again and tells where it differs, if it does so in the same way as before.
type Again<'a> = &'a mut dyn FnMut(&[Step]) -> io::Result<Option<Difference>>;

/// The shortest stream that was found.
pub(crate) fn shrink(found: Found, again: Again<'_>) -> io::Result<Found> {
    let mut shrinker = Shrinker { best: found, again, tries: 0 };
    shrinker.cut();
    shrinker.drop_steps()?;
    shrinker.drop_requests()?;
    shrinker.drop_steps()?;
    Ok(shrinker.best)
}

struct Shrinker<'a> {
    best: Found,
    again: Again<'a>,
    tries: usize,
}

impl Shrinker<'_> {
    /// What stands behind the difference is not needed.
    fn cut(&mut self) {
        self.best.steps.truncate(self.best.difference.at + 1);
    }

    fn try_it(&mut self, steps: Vec<Step>) -> io::Result<bool> {
        self.tries += 1;
        if self.tries > TRIES_MAX {
            return Ok(false);
        }
        let Some(difference) = (self.again)(&steps)? else { return Ok(false) };
        self.best = Found { steps, difference };
        self.cut();
        Ok(true)
    }

    /// Tries without halves, quarters, and so on down to single steps.
    fn drop_steps(&mut self) -> io::Result<()> {
        let mut chunk = self.best.steps.len().div_ceil(2).max(1);
        loop {
            let mut shorter = false;
            let mut at = 0;
            while at < self.best.steps.len() && self.best.steps.len() > 1 {
                let mut candidate = self.best.steps.clone();
                let end = (at + chunk).min(candidate.len());
                candidate.drain(at..end);
                if self.try_it(candidate)? {
                    shorter = true;
                } else {
                    at += chunk;
                }
            }
            if self.tries > TRIES_MAX || (chunk == 1 && !shorter) {
                return Ok(());
            }
            chunk = (chunk / 2).max(1);
        }
    }

    /// Tries every step with a little less, from the last one on.
    fn drop_requests(&mut self) -> io::Result<()> {
        let mut step = self.best.steps.len();
        while step > 0 {
            step -= 1;
            let mut at = 0;
            while let Some(less) =
                self.best.steps.get(step).and_then(|s| smaller(s).into_iter().nth(at))
            {
                let mut candidate = self.best.steps.clone();
                if let Some(place) = candidate.get_mut(step) {
                    *place = less;
                }
                if !self.try_it(candidate)? {
                    at += 1;
                }
            }
            step = step.min(self.best.steps.len());
        }
        Ok(())
    }
}

/// Every step that is a batch, a request or a part smaller.
fn smaller(step: &Step) -> Vec<Step> {
    let Step::Send(batches) = step else { return Vec::new() };
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Vec<Batch>)| {
        let mut less = batches.clone();
        change(&mut less);
        all.push(Step::Send(less));
    };
    for (b, batch) in batches.iter().enumerate() {
        if batches.len() > 1 {
            add(&|less| drop(less.remove(b)));
        }
        for (s, sent) in batch.sent.iter().enumerate() {
            if step.len() > 1 {
                add(&|less| drop(requests(less, b).remove(s)));
            }
            for part in 0..parts(sent) {
                add(&|less| drop_part(requests(less, b).get_mut(s), part));
            }
        }
    }
    all
}

fn requests(batches: &mut [Batch], at: usize) -> &mut Vec<Sent> {
    &mut batches.get_mut(at).expect("it was counted").sent
}

fn parts(sent: &Sent) -> usize {
    match &sent.request {
        Some(Request::Multi(parts) | Request::MultiRead(parts)) => parts.len(),
        Some(_) | None => 0,
    }
}

fn drop_part(sent: Option<&mut Sent>, at: usize) {
    if let Some(Request::Multi(parts) | Request::MultiRead(parts)) =
        sent.and_then(|sent| sent.request.as_mut())
    {
        parts.remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{SLOTS, stream};
    use crate::text;

    /// Differs where a request contains this text, once there was an `open` of the slot.
    fn differs(steps: &[Step], what: &str) -> Option<Difference> {
        let at = steps.iter().position(|step| text::write_step(step).contains(what))?;
        let opened = steps.iter().take(at).any(|step| matches!(step, Step::Open { .. }));
        opened.then(|| Difference { at, apache: vec!["a".into()], ours: Vec::new() })
    }

    #[test]
    fn what_a_difference_does_not_need_is_left_out() {
        let what = "setData path=\"~/a/x\"";
        let steps = (1..).map(|seed| stream(seed, 250)).find(|s| differs(s, what).is_some());
        let steps = steps.expect("a common request");
        let difference = differs(&steps, what).expect("it was found so");
        let found = Found { steps, difference };
        let found = shrink(found, &mut |steps| Ok(differs(steps, what))).expect("no server");
        let printed = text::write(&found.steps);
        assert_eq!(found.steps.len(), 2, "{printed}");
        assert_eq!(found.steps.iter().map(Step::len).sum::<usize>(), 2, "{printed}");
        assert_eq!(printed.lines().filter(|line| line.contains(what)).count(), 1, "{printed}");
    }

    #[test]
    fn the_only_multi_loses_its_parts() {
        let file = "open 0 session=new password=right timeout=1 seen=0 protocol=0 read-only=none\n\
            send 0\n 7 multi parts=[check path=\"/a\" version=1; check path=\"/b\" version=1; \
            check path=\"/c\" version=1]";
        let steps = text::read(file, SLOTS).expect("a stream");
        let difference = differs(&steps, "/b").expect("it is there");
        let found = Found { steps, difference };
        let found = shrink(found, &mut |steps| Ok(differs(steps, "/b"))).expect("no server");
        assert!(text::write(&found.steps).ends_with("parts=[check path=\"/b\" version=1]\n"));
    }
}

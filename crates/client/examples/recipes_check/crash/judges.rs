//! What the records of holders, adders and participants have to be like.

use crate::{Checked, holds};
use bellwether_client::recipes::Fence;
use std::collections::BTreeMap;

/// Whoever held it later has a higher token, and whoever has a lower one does not hold it.
pub(super) fn one_at_a_time(held: &[Fence]) -> Checked {
    match held.windows(2).find(|pair| !pair.is_sorted()) {
        Some(pair) => Err(format!("two hold it: {pair:?}").into()),
        None => holds("it was held", !held.is_empty()),
    }
}

/// From the first to the last place in the record at which somebody's check said yes.
struct Tenure<K> {
    kind: K,
    first: usize,
    last: usize,
}

fn tenures<K: Copy>(held: &[(Fence, K)]) -> Vec<Tenure<K>> {
    let mut found: BTreeMap<Fence, Tenure<K>> = BTreeMap::new();
    for (place, (fence, kind)) in held.iter().enumerate() {
        let new = Tenure { kind: *kind, first: place, last: place };
        found.entry(*fence).or_insert(new).last = place;
    }
    found.into_values().collect()
}

/// For each tenure its kind, and the kinds of the others that go on while it begins.
fn together<K: Copy>(held: &[(Fence, K)]) -> Vec<(K, Vec<K>)> {
    let all = tenures(held);
    let beside = |it: &Tenure<K>| {
        let others = all.iter().filter(|other| other.first < it.first && it.first < other.last);
        (it.kind, others.map(|other| other.kind).collect())
    };
    all.iter().map(beside).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

pub(super) fn nobody_beside_a_writer(held: &[(Fence, Kind)]) -> Checked {
    let all = together(held);
    let writers = |kinds: &[Kind]| kinds.contains(&Kind::Write);
    let wrong = all
        .iter()
        .find(|(kind, others)| writers(others) || *kind == Kind::Write && !others.is_empty());
    if let Some((kind, others)) = wrong {
        return Err(format!("somebody has it to {kind:?} beside {others:?}").into());
    }
    holds("some read together", all.iter().any(|(_, others)| !others.is_empty()))?;
    holds("some write", all.iter().any(|(kind, _)| *kind == Kind::Write))
}

pub(super) fn at_most(leases: usize, held: &[(Fence, ())]) -> Checked {
    let most = together(held).iter().map(|(_, others)| others.len() + 1).max();
    holds(&format!("{most:?} have one of {leases} leases"), most == Some(leases))
}

/// What a keeper of a barrier and those that wait at it note.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gate {
    /// It is up from here on for certain.
    Raised,
    /// It may be down from here on.
    Lowers,
    /// Somebody has passed who began to wait when the record was so long.
    Passed { since: usize },
}

pub(super) fn nobody_passes_while_it_is_up(record: &[Gate]) -> Checked {
    let (mut up, mut held_up) = (None, 0_usize);
    for gate in record.iter().enumerate() {
        match gate {
            (place, Gate::Raised) => up = up.or(Some(place)),
            (_, Gate::Lowers) => up = None,
            (_, Gate::Passed { since }) => {
                let began = record.get(..*since).unwrap_or_default();
                let was_up = began.iter().rev().find(|it| !matches!(it, Gate::Passed { .. }));
                held_up += usize::from(matches!(was_up, Some(Gate::Raised)));
                if up.is_some_and(|place| place < *since) {
                    return Err(format!("{gate:?} while it was up since {up:?}").into());
                }
            }
        }
    }
    holds("somebody was held up", held_up > 0)
}

/// What one of the participants in a double barrier notes, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    Asks,
    In,
    Leaves,
    Out,
    /// Its session has ended.
    Gone,
}

/// As many as take part have to be there.
pub(super) fn all_enter_and_leave_together<const N: usize>(record: &[(usize, Party)]) -> Checked {
    let mut last = [Party::Gone; N];
    for (place, (who, party)) in record.iter().enumerate() {
        let others = last.iter().enumerate().filter(|(other, _)| other != who);
        for (other, state) in others {
            let next = record.iter().skip(place).find(|(who, _)| *who == other).map(|it| it.1);
            let wrong = match (party, state) {
                (Party::In, Party::Out) | (Party::Out, Party::In) => next != Some(Party::Gone),
                (Party::Asks | Party::In | Party::Leaves | Party::Out | Party::Gone, _) => false,
            };
            if wrong {
                return Err(format!("{who} is {party:?} when {other} is {state:?}").into());
            }
        }
        *last.get_mut(*who).ok_or("nobody has this number")? = *party;
    }
    holds("they met", record.iter().any(|(_, party)| *party == Party::Out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_client::Zxid;

    fn fences(numbers: &[i64]) -> Vec<Fence> {
        numbers.iter().map(|number| Fence(Zxid(*number))).collect()
    }

    #[test]
    fn two_that_hold_it_in_turns_are_found_out() {
        assert!(one_at_a_time(&fences(&[1, 1, 2, 2, 5])).is_ok());
        assert!(one_at_a_time(&fences(&[1, 2, 1])).is_err());
        assert!(one_at_a_time(&[]).is_err());
    }

    fn kinds(words: &[(i64, Kind)]) -> Vec<(Fence, Kind)> {
        words.iter().map(|(number, kind)| (Fence(Zxid(*number)), *kind)).collect()
    }

    #[test]
    fn a_writer_beside_another_is_found_out() {
        use Kind::{Read, Write};
        let good = [(1, Read), (2, Read), (1, Read), (2, Read), (3, Write), (3, Write), (4, Read)];
        assert!(nobody_beside_a_writer(&kinds(&good)).is_ok());
        for (first, second) in [(Read, Write), (Write, Read), (Write, Write)] {
            let bad = [(1, Read), (2, Read), (1, Read), (5, first), (6, second), (5, first)];
            assert!(nobody_beside_a_writer(&kinds(&bad)).is_err(), "{first:?} {second:?}");
        }
        assert!(nobody_beside_a_writer(&kinds(&[(1, Read), (2, Write)])).is_err(), "nothing");
    }

    #[test]
    fn a_lease_too_many_is_found_out_and_one_too_few_proves_nothing() {
        let held = fences(&[1, 2, 1, 2, 3, 2, 3]);
        let held: Vec<(Fence, ())> = held.into_iter().map(|fence| (fence, ())).collect();
        assert!(at_most(2, &held).is_ok());
        assert!(at_most(1, &held).is_err());
        assert!(at_most(3, &held).is_err());
    }

    #[test]
    fn whoever_passes_a_barrier_that_is_up_is_found_out() {
        use Gate::{Lowers, Passed, Raised};
        let held_up = [Raised, Lowers, Passed { since: 1 }];
        assert!(nobody_passes_while_it_is_up(&held_up).is_ok());
        assert!(nobody_passes_while_it_is_up(&[Raised, Passed { since: 0 }]).is_err(), "nothing");
        let through = [Raised, Lowers, Passed { since: 1 }, Raised, Passed { since: 4 }];
        assert!(nobody_passes_while_it_is_up(&through).is_err());
    }

    #[test]
    fn who_is_in_alone_or_out_too_early_is_found_out() {
        use Party::{Asks, Gone, In, Leaves, Out};
        let met = [(0, Asks), (1, Asks), (0, In), (1, In), (0, Leaves), (1, Leaves), (1, Out)];
        let judge = |more: &[(usize, Party)]| {
            all_enter_and_leave_together::<2>(&[met.as_slice(), more].concat())
        };
        assert!(judge(&[(0, Out)]).is_ok());
        assert!(judge(&[(0, Out), (0, Asks), (0, In)]).is_err(), "in alone");
        let again = [(0, Out), (0, Asks), (1, Asks), (0, In), (1, In), (0, Leaves), (0, Out)];
        assert!(judge(&again).is_err(), "out too early");
        assert!(judge(&[again.as_slice(), &[(1, Gone)]].concat()).is_ok(), "the other is dead");
    }
}

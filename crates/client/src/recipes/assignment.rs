//! Who has which partition: as even as weights say, and moving as few as can be.
//!
//! Pure functions. Equal arguments give equal results in every process and in every version: what
//! they compute is agreed on by nobody, and must be the same everywhere.
//!
//! Two ways: [`assign`] for whoever keeps the last assignment (exact quotas, least moves), and
//! [`rendezvous`] for whoever keeps nothing (about even, and only what was lost moves).

use std::collections::BTreeMap;

/// Somebody who can have partitions, or instances that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its name, which is nobody else's.
    pub id: Box<str>,
    /// Its share, beside the weights of the others. One of 0 gets nothing.
    pub weight: u32,
}

impl Worker {
    /// One of weight 1.
    pub fn new(id: &str) -> Worker {
        Worker { id: id.into(), weight: 1 }
    }

    /// With this weight.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Worker {
        self.weight = weight;
        self
    }
}

/// How many partitions each worker gets: its share rounded down, and one more for those with the
/// largest remainders; of equal ones, those that have more than that already, so that less moves.
fn quotas(partitions: usize, workers: &[Worker], held: &BTreeMap<&str, usize>) -> Vec<usize> {
    let total: u128 = workers.iter().map(|worker| u128::from(worker.weight)).sum();
    if total == 0 {
        return vec![0; workers.len()];
    }
    let share = |worker: &Worker| {
        let parts = u128::try_from(partitions).unwrap_or(u128::MAX) * u128::from(worker.weight);
        (parts / total, parts % total)
    };
    let mut quotas: Vec<usize> = workers
        .iter()
        .map(|worker| usize::try_from(share(worker).0).expect("no more than all partitions"))
        .collect();
    let mut order: Vec<usize> = (0..workers.len()).collect();
    order.sort_by_key(|&index| {
        let worker = workers.get(index).expect("an index of the workers");
        let has = held.get(&*worker.id).copied().unwrap_or_default();
        let has_more = quotas.get(index).is_some_and(|quota| has > *quota);
        (std::cmp::Reverse(share(worker).1), std::cmp::Reverse(has_more), worker.id.clone())
    });
    let left = partitions - quotas.iter().sum::<usize>();
    for index in order.into_iter().take(left) {
        *quotas.get_mut(index).expect("an index of the workers") += 1;
    }
    quotas
}

/// Gives each of so many partitions to a worker: entry `p` is the id of the owner of partition `p`,
/// `None` only when no worker has a weight.
///
/// Every worker gets its exact quota. Owners keep what they have up to it, those partitions first
/// for which they come first in [`rendezvous`] order; what is left goes to the first in that order
/// who has room. So no assignment with these quotas moves fewer partitions.
///
/// `before` is the last assignment; what is missing in it, or owned by nobody here, counts as free.
pub fn assign(
    partitions: usize,
    workers: &[Worker],
    before: &[Option<Box<str>>],
) -> Vec<Option<Box<str>>> {
    let known: BTreeMap<&str, usize> =
        workers.iter().enumerate().map(|(index, worker)| (&*worker.id, index)).collect();
    let owner_before = |partition: usize| -> Option<usize> {
        known.get(&**before.get(partition)?.as_ref()?).copied()
    };
    let mut held: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wanted: Vec<(usize, std::cmp::Reverse<u64>, usize)> = Vec::new();
    for partition in 0..partitions {
        let Some(index) = owner_before(partition) else { continue };
        let worker = workers.get(index).expect("an index of the workers");
        *held.entry(&*worker.id).or_default() += 1;
        let score = score(&worker.id, &partition.to_be_bytes());
        wanted.push((index, std::cmp::Reverse(score), partition));
    }
    let mut room = quotas(partitions, workers, &held);
    let mut owners: Vec<Option<usize>> = vec![None; partitions];
    // Per owner, the highest scores first.
    wanted.sort();
    for (index, _, partition) in wanted {
        place(&mut owners, &mut room, partition, index);
    }
    for partition in 0..partitions {
        if owners.get(partition) == Some(&None) {
            let order = in_rendezvous_order(&partition.to_be_bytes(), workers);
            let free = order.into_iter().find(|&index| room.get(index).is_some_and(|&r| r > 0));
            free.into_iter().for_each(|index| place(&mut owners, &mut room, partition, index));
        }
    }
    let id = |index: usize| workers.get(index).map(|worker| worker.id.clone());
    owners.into_iter().map(|owner| owner.and_then(id)).collect()
}

/// Gives a partition to a worker, if that has room.
fn place(owners: &mut [Option<usize>], room: &mut [usize], partition: usize, worker: usize) {
    let (Some(owner), Some(left)) = (owners.get_mut(partition), room.get_mut(worker)) else {
        return;
    };
    if *left > 0 {
        *left -= 1;
        *owner = Some(worker);
    }
}

/// How many partitions have another owner than before; those that had none are not counted.
pub fn moves(before: &[Option<Box<str>>], after: &[Option<Box<str>>]) -> usize {
    before.iter().zip(after).filter(|(old, new)| old.is_some() && old != new).count()
}

/// The worker for a key, by weighted rendezvous hashing: when a worker comes or goes, only the keys
/// move that it gets or had. `None` only when no worker has a weight.
pub fn rendezvous<'a>(key: &[u8], workers: &'a [Worker]) -> Option<&'a Worker> {
    let first = in_rendezvous_order(key, workers).into_iter().next()?;
    workers.get(first)
}

/// The workers with a weight, the first choice for `key` first.
fn in_rendezvous_order(key: &[u8], workers: &[Worker]) -> Vec<usize> {
    let mut scored: Vec<(f64, &str, usize)> = workers
        .iter()
        .enumerate()
        .filter(|(_, worker)| worker.weight > 0)
        .map(|(index, worker)| {
            (weighted(score(&worker.id, key), worker.weight), &*worker.id, index)
        })
        .collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    scored.into_iter().map(|(_, _, index)| index).collect()
}

/// The time until a process of this rate first happens: the shortest wins, and each worker wins in
/// proportion to its weight.
fn weighted(score: u64, weight: u32) -> f64 {
    /// Of a number's 64 bits, as many as a float holds exactly.
    const SPAN: f64 = (1_u64 << 53) as f64;
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let uniform = ((score >> 11) as f64 + 0.5) / SPAN;
    -uniform.ln() / f64::from(weight)
}

/// A number for a worker and a key that looks like chance: FNV-1a, and the end of SplitMix64.
fn score(worker: &str, key: &[u8]) -> u64 {
    let bytes = worker.bytes().chain([0]).chain(key.iter().copied());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    scattered(hash)
}

/// The end of SplitMix64: numbers near each other become numbers anywhere.
pub(super) fn scattered(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(count: usize) -> Vec<Worker> {
        (0..count).map(|number| Worker::new(&format!("worker-{number}"))).collect()
    }

    fn loads(owners: &[Option<Box<str>>]) -> Vec<usize> {
        let mut loads = BTreeMap::new();
        for owner in owners.iter().flatten() {
            *loads.entry(owner.clone()).or_insert(0) += 1;
        }
        loads.into_values().collect()
    }

    #[test]
    fn of_1024_key_groups_204_move_from_four_workers_to_five_and_back() {
        let four = assign(1024, &workers(4), &[]);
        assert_eq!(loads(&four), [256; 4]);
        let five = assign(1024, &workers(5), &four);
        assert_eq!(moves(&four, &five), 204);
        assert_eq!(loads(&five), [205, 205, 205, 205, 204]);
        let back = assign(1024, &workers(4), &five);
        assert_eq!(loads(&back), [256; 4]);
        assert_eq!(moves(&five, &back), 204, "only what the one that went had");
    }

    #[test]
    fn what_need_not_move_stays_whoever_comes_and_goes() {
        arbtest::arbtest(|u| {
            let partitions = u.int_in_range(0..=200)?;
            let team = |u: &mut arbtest::arbitrary::Unstructured<'_>| {
                let mut team = workers(u.int_in_range(1..=9)?);
                for worker in &mut team {
                    worker.weight = u.int_in_range(0..=4)?;
                }
                Ok::<_, arbtest::arbitrary::Error>(team)
            };
            let (first, second) = (team(u)?, team(u)?);
            let before = assign(partitions, &first, &[]);
            let after = assign(partitions, &second, &before);
            let held: BTreeMap<&str, usize> = second
                .iter()
                .map(|w| (&*w.id, before.iter().flatten().filter(|o| **o == w.id).count()))
                .collect();
            let quotas = quotas(partitions, &second, &held);
            let mut least = 0;
            for (worker, quota) in second.iter().zip(&quotas) {
                let has = after.iter().flatten().filter(|owner| **owner == worker.id).count();
                assert_eq!(has, *quota, "{}", worker.id);
                least += held[&*worker.id].saturating_sub(*quota);
            }
            let gone = before.iter().flatten().filter(|o| !held.contains_key(&***o)).count();
            let total: u32 = second.iter().map(|worker| worker.weight).sum();
            let expected = if total == 0 { before.iter().flatten().count() } else { least + gone };
            assert_eq!(moves(&before, &after), expected);
            assert_eq!(assign(partitions, &second, &after), after, "nothing moves without a cause");
            Ok(())
        });
    }

    #[test]
    fn without_weight_nobody_has_anything() {
        assert_eq!(assign(3, &[], &[]), [None, None, None]);
        assert_eq!(assign(1, &[Worker::new("a").weight(0)], &[]), [None]);
        assert_eq!(rendezvous(b"key", &[Worker::new("a").weight(0)]), None);
    }

    #[test]
    fn rendezvous_follows_the_weights_and_moves_only_what_was_lost() {
        let mut team = workers(4);
        team[3].weight = 3;
        let keys: Vec<[u8; 4]> = (0..6_000_u32).map(u32::to_be_bytes).collect();
        let first: Vec<&Worker> = keys.iter().filter_map(|key| rendezvous(key, &team)).collect();
        let heavy = first.iter().filter(|worker| worker.weight == 3).count();
        assert!((2_800..3_200).contains(&heavy), "{heavy} of 6,000 for half of the weight");
        let fewer: Vec<Worker> = team.iter().filter(|w| &*w.id != "worker-1").cloned().collect();
        for (key, before) in keys.iter().zip(first) {
            let after = rendezvous(key, &fewer).unwrap();
            assert!(*after == *before || &*before.id == "worker-1");
        }
    }

    #[test]
    fn choices_are_the_same_for_ever() {
        let team = workers(5);
        let chosen: Vec<&str> = ["a", "b", "c", "orders/17"]
            .iter()
            .filter_map(|key| rendezvous(key.as_bytes(), &team))
            .map(|worker| &*worker.id)
            .collect();
        assert_eq!(chosen, ["worker-3", "worker-4", "worker-0", "worker-4"]);
    }
}

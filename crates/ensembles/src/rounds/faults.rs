//! What can happen to an ensemble: members killed, paused, restarted, left behind, cut off, and
//! disks that are slow or fail.
//!
//! What it keeps true: a fault lasts until its effect can be seen, never for a time.

use super::Stand;
use crate::client::{create, set};
use crate::ensemble::Ensemble;
use crate::member::{BadDisk, Sync};
use crate::say;
use crate::wait::wait_for;

/// Writes while a member is away: many, and more than a leader keeps in memory (500).
const MANY: u64 = 300;
const BEYOND_MEMORY: u64 = 700;
/// Nodes that make a snapshot so large that a log of some hundred writes is small beside it.
const LARGE_NODES: u64 = 50;
const LARGE_BYTES: usize = 100_000;
const SNAPSHOT_BYTES_MIN: u64 = 4_000_000;
/// More writes than any server makes without a snapshot, with `snapCount=2000`.
const SNAPSHOT_WRITES: u64 = 2_500;
/// So many writes of this size fill several logs, each larger than a third of that snapshot.
/// (Apache does not count the first log that it would read.)
const FAR_WRITES: u64 = 5_000;
const FAR_BYTES: usize = 2_000;
/// What a leader sends to a follower that takes nothing: much more than it may hold.
const STALLED_WRITES: u64 = 800;
const STALLED_BYTES: usize = 900_000;
/// What it may hold for one (`LINK_UNSENT_BYTES_MAX` of the server), of records for learners that
/// come back (`RECENT_BYTES_MAX` of the peer), and what the rest may take: large pieces that the
/// allocator rounds up or has not given back, and requests on their way.
const LINK_BYTES_MAX: u64 = 96 << 20;
const RECENT_BYTES_MAX: u64 = 64 << 20;
const OTHER_BYTES_MAX: u64 = 160 << 20;
/// How many writes a leader is left alone with.
const SUFFIX: u64 = 20;

pub(super) fn writes(stand: &mut Stand) -> Result<(), String> {
    stand.under_load(|_, load| load.more(MANY))
}

pub(super) fn follower_killed(stand: &mut Stand) -> Result<(), String> {
    let follower = a_follower(&stand.ensemble)?;
    stand.under_load(|ensemble, load| {
        ensemble.kill(&[follower])?;
        load.more(MANY)
    })
}

pub(super) fn leader_killed(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    kill_leader(stand, leader)
}

/// With fewer than three voters the rest waits for the leader to come back.
pub(super) fn kill_leader(stand: &mut Stand, leader: u8) -> Result<(), String> {
    stand.under_load(|ensemble, load| {
        ensemble.kill(&[leader])?;
        if ensemble.voters().len() > 2 {
            ensemble.leader_among(&ensemble.others(&[leader]))?;
            load.more(MANY)?;
        }
        Ok(())
    })
}

pub(super) fn leader_killed_twice(stand: &mut Stand) -> Result<(), String> {
    let first = stand.ensemble.leader()?;
    stand.under_load(|ensemble, load| {
        ensemble.kill(&[first])?;
        let second = ensemble.leader_among(&ensemble.others(&[first]))?;
        load.more(MANY)?;
        ensemble.kill(&[second])?;
        ensemble.leader_among(&ensemble.others(&[first, second]))?;
        load.more(MANY)
    })
}

pub(super) fn each_killed(stand: &mut Stand) -> Result<(), String> {
    for sid in stand.ensemble.sids() {
        stand.under_load(|ensemble, load| {
            ensemble.kill(&[sid])?;
            ensemble.leader_among(&ensemble.others(&[sid]))?;
            load.more(MANY)
        })?;
    }
    Ok(())
}

pub(super) fn two_followers_killed(stand: &mut Stand) -> Result<(), String> {
    let followers = stand.ensemble.followers()?;
    let two: Vec<u8> = followers.into_iter().take(2).collect();
    stand.under_load(|ensemble, load| {
        ensemble.kill(&two)?;
        load.more(MANY)
    })
}

pub(super) fn leader_and_follower_killed(stand: &mut Stand) -> Result<(), String> {
    let two = [stand.ensemble.leader()?, a_follower(&stand.ensemble)?];
    stand.under_load(|ensemble, load| {
        ensemble.kill(&two)?;
        ensemble.leader_among(&ensemble.others(&two))?;
        load.more(MANY)
    })
}

/// It is paused until the leader has dropped it.
pub(super) fn follower_paused(stand: &mut Stand) -> Result<(), String> {
    let follower = a_follower(&stand.ensemble)?;
    stand.under_load(|ensemble, load| {
        ensemble.member(follower).pause()?;
        let gone = dropped(ensemble, 1);
        let written = gone.and_then(|()| load.more(MANY));
        ensemble.member(follower).resume()?;
        written
    })
}

/// It goes on before the leader has dropped it.
pub(super) fn follower_paused_briefly(stand: &mut Stand) -> Result<(), String> {
    let follower = a_follower(&stand.ensemble)?;
    stand.under_load(|ensemble, load| {
        ensemble.member(follower).pause()?;
        let written = load.more(20);
        ensemble.member(follower).resume()?;
        written?;
        load.more(MANY)
    })
}

/// The others elect another one; then the old one wakes up as leader and finds out.
pub(super) fn leader_paused(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    stand.under_load(|ensemble, load| {
        ensemble.member(leader).pause()?;
        let elected = ensemble.leader_among(&ensemble.others(&[leader]));
        let written = elected.and_then(|_| load.more(MANY));
        ensemble.member(leader).resume()?;
        written?;
        ensemble.leader().map(drop)
    })
}

/// It is paused, and nobody is dropped for silence: the leader drops it when its link holds too
/// much, and has not kept more than that.
pub(super) fn follower_stalled(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    let follower = a_follower(&stand.ensemble)?;
    let ensemble = &stand.ensemble;
    let write = |count: u64| {
        let mut connection = ensemble.connection(leader)?;
        // It may be there.
        let _made = connection.call(&create("/stalled", b"")).map_err(|e| e.to_string())?;
        let data = vec![b'#'; STALLED_BYTES];
        let each = |_| connection.expect(&set("/stalled", &data, -1)).map(drop);
        (0..count).try_for_each(each)
    };
    write(20)?;
    let before = ensemble.member(leader).peak_bytes()?;
    ensemble.member(follower).pause()?;
    let written = write(STALLED_WRITES);
    let followers = ensemble.member(leader).metric("zk_synced_followers");
    ensemble.member(follower).resume()?;
    written?;
    if followers != Some(1) {
        return Err(format!("the leader says that it has {followers:?} followers in step, not 1"));
    }
    let grown = ensemble.member(leader).peak_bytes()?.saturating_sub(before);
    if grown > LINK_BYTES_MAX + RECENT_BYTES_MAX + OTHER_BYTES_MAX {
        return Err(format!("the leader held {grown} bytes more than before"));
    }
    say(&format!("     the leader held at most {} MiB more than before", grown >> 20));
    Ok(())
}

pub(super) fn two_paused(stand: &mut Stand) -> Result<(), String> {
    let two = [stand.ensemble.leader()?, a_follower(&stand.ensemble)?];
    stand.under_load(|ensemble, load| {
        two.iter().try_for_each(|sid| ensemble.member(*sid).pause())?;
        let elected = ensemble.leader_among(&ensemble.others(&two));
        let written = elected.and_then(|_| load.more(MANY));
        two.iter().try_for_each(|sid| ensemble.member(*sid).resume())?;
        written?;
        ensemble.leader().map(drop)
    })
}

pub(super) fn all_killed(stand: &mut Stand) -> Result<(), String> {
    stand.under_load(|ensemble, _| {
        let all = ensemble.sids();
        ensemble.kill(&all)
    })
}

/// One after the other, as an upgrade does it.
pub(super) fn each_restarted(stand: &mut Stand) -> Result<(), String> {
    stand.under_load(|ensemble, load| {
        for sid in ensemble.sids() {
            ensemble.member_mut(sid).stop()?;
            ensemble.leader_among(&ensemble.others(&[sid]))?;
            load.more(MANY)?;
            ensemble.whole()?;
        }
        Ok(())
    })
}

pub(super) fn follower_from_nothing(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    let follower = a_follower(&stand.ensemble)?;
    by_snap(stand, leader, follower)?;
    stand.under_load(|ensemble, load| {
        ensemble.kill(&[follower])?;
        ensemble.member(follower).wipe()?;
        load.more(MANY)
    })
}

pub(super) fn behind_in_memory(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    let follower = a_follower(&stand.ensemble)?;
    by_diff(stand, leader, follower)
}

pub(super) fn behind_in_log(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    let follower = a_follower(&stand.ensemble)?;
    by_log(stand, leader, follower)
}

pub(super) fn behind_far(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    let follower = a_follower(&stand.ensemble)?;
    let ensemble = &mut stand.ensemble;
    ensemble.kill(&[follower])?;
    ensemble.write(leader, FAR_WRITES, FAR_BYTES)?;
    ensemble.start(&[follower])?;
    synced(ensemble, follower, Sync::Snap)
}

pub(super) fn uncommitted_suffix(stand: &mut Stand) -> Result<(), String> {
    let leader = a_follower(&stand.ensemble)?;
    let learner = stand.ensemble.leader()?;
    by_trunc(stand, leader, learner)
}

/// The learner comes back a few writes behind.
pub(super) fn by_diff(stand: &mut Stand, leader: u8, learner: u8) -> Result<(), String> {
    let ensemble = &mut stand.ensemble;
    ensemble.lead(leader)?;
    ensemble.kill(&[learner])?;
    ensemble.write(leader, 100, 10)?;
    ensemble.start(&[learner])?;
    synced(ensemble, learner, Sync::Diff)
}

/// The learner is further behind than the leader's memory reaches, but by little beside the size
/// of a snapshot: it is sent what is in the leader's log.
pub(super) fn by_log(stand: &mut Stand, leader: u8, learner: u8) -> Result<(), String> {
    let ensemble = &mut stand.ensemble;
    ensemble.lead(leader)?;
    ensemble.write_nodes(leader, LARGE_NODES, LARGE_BYTES)?;
    ensemble.write(leader, SNAPSHOT_WRITES, 10)?;
    let data = ensemble.member(leader).data();
    wait_for("a large snapshot of the leader", || {
        let newest = std::fs::read_dir(&data)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|file| file.file_name().to_string_lossy().starts_with("snapshot."));
        let newest = newest.max_by_key(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            i64::from_str_radix(name.trim_start_matches("snapshot."), 16).unwrap_or_default()
        });
        let bytes = newest.and_then(|file| file.metadata().ok()).map_or(0, |data| data.len());
        Ok((bytes > SNAPSHOT_BYTES_MIN).then_some(()))
    })?;
    ensemble.kill(&[learner])?;
    ensemble.write(leader, BEYOND_MEMORY, 10)?;
    ensemble.start(&[learner])?;
    synced(ensemble, learner, Sync::Diff)
}

/// The learner comes back with an empty directory.
pub(super) fn by_snap(stand: &mut Stand, leader: u8, learner: u8) -> Result<(), String> {
    let ensemble = &mut stand.ensemble;
    ensemble.lead(leader)?;
    ensemble.write(leader, BEYOND_MEMORY, 10)?;
    ensemble.kill(&[learner])?;
    ensemble.member(learner).wipe()?;
    ensemble.start(&[learner])?;
    synced(ensemble, learner, Sync::Snap)
}

/// The learner led, and its log ends with writes that nobody else has: the one that leads when it
/// comes back makes it forget them.
pub(super) fn by_trunc(stand: &mut Stand, leader: u8, learner: u8) -> Result<(), String> {
    let ensemble = &mut stand.ensemble;
    ensemble.lead(learner)?;
    let rest = ensemble.others(&[leader, learner]);
    ensemble.kill(&rest)?;
    ensemble.leader_among(&[learner])?;
    ensemble.serving(&[leader, learner])?;
    ensemble.write(learner, 10, 10)?;
    let mut connection = ensemble.connection(learner)?;
    ensemble.member(leader).pause()?;
    for number in 0..SUFFIX {
        connection.queue(&set("/bulk", format!("suffix {number} of {learner};").as_bytes(), -1));
    }
    connection.flush().map_err(|error| format!("writing a suffix: {error}"))?;
    let last = format!("suffix {} of {learner};", SUFFIX - 1);
    wait_for("the suffix to be in the log", || {
        Ok(ensemble.member(learner).has_logged(last.as_bytes()).then_some(()))
    })?;
    // The paused one has the proposals in its socket: it must not wake up.
    ensemble.kill(&[learner, leader])?;
    drop(connection);
    ensemble.start(&[leader])?;
    ensemble.start(&rest)?;
    ensemble.leader_among(&[leader])?;
    ensemble.serving(&rest)?;
    ensemble.start(&[learner])?;
    synced(ensemble, learner, Sync::Trunc)
}

fn synced(ensemble: &mut Ensemble, learner: u8, expected: Sync) -> Result<(), String> {
    ensemble.serving(&[learner])?;
    let found = ensemble.member(learner).synced_by();
    if found == Some(expected) {
        return Ok(());
    }
    Err(format!("member {learner} was brought up to date by {found:?} and not by {expected:?}"))
}

/// Waits until the leader has so many followers less than there are.
fn dropped(ensemble: &Ensemble, count: u64) -> Result<(), String> {
    let leader = ensemble.leader()?;
    let all = u64::try_from(ensemble.voters().len()).map_err(|error| error.to_string())?;
    wait_for("the leader to drop a follower", || {
        let synced = ensemble.member(leader).metric("zk_synced_followers");
        Ok((synced == Some(all - 1 - count)).then_some(()))
    })
}

pub(super) fn follower_cut_off(stand: &mut Stand) -> Result<(), String> {
    let follower = a_follower(&stand.ensemble)?;
    stand.under_load(|ensemble, load| {
        ensemble.member(follower).seat.isolate()?;
        let seen = ensemble.not_serving(follower).and_then(|()| load.more(MANY));
        ensemble.member(follower).seat.heal()?;
        seen
    })
}

/// Its clients still reach it, and must not be told anything that will not last.
pub(super) fn leader_cut_off(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    stand.under_load(|ensemble, load| {
        ensemble.member(leader).seat.isolate()?;
        let seen = ensemble
            .leader_among(&ensemble.others(&[leader]))
            .and_then(|_| ensemble.not_serving(leader))
            .and_then(|()| load.more(MANY));
        ensemble.member(leader).seat.heal()?;
        seen
    })
}

/// It hears the leader and cannot answer.
pub(super) fn follower_mute(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    let follower = a_follower(&stand.ensemble)?;
    stand.under_load(|ensemble, load| {
        let (from, to) = (&ensemble.member(follower).seat, &ensemble.member(leader).seat);
        from.mute_towards(to)?;
        let seen = dropped(ensemble, 1).and_then(|()| load.more(MANY));
        from.unmute_towards(to)?;
        seen
    })
}

/// It hears everybody, and nobody hears it.
pub(super) fn leader_mute(stand: &mut Stand) -> Result<(), String> {
    let leader = stand.ensemble.leader()?;
    stand.under_load(|ensemble, load| {
        let rest = ensemble.others(&[leader]);
        let seat = &ensemble.member(leader).seat;
        rest.iter().try_for_each(|sid| seat.mute_towards(&ensemble.member(*sid).seat))?;
        let seen = ensemble.leader_among(&rest).and_then(|_| load.more(MANY));
        rest.iter().try_for_each(|sid| seat.unmute_towards(&ensemble.member(*sid).seat))?;
        seen
    })
}

/// Everybody is alone, until nobody serves.
pub(super) fn all_cut_off(stand: &mut Stand) -> Result<(), String> {
    stand.under_load(|ensemble, _| {
        let all = ensemble.sids();
        all.iter().try_for_each(|sid| ensemble.member(*sid).seat.isolate())?;
        let silent = all.iter().try_for_each(|sid| ensemble.not_serving(*sid));
        all.iter().try_for_each(|sid| ensemble.member(*sid).seat.heal())?;
        silent
    })
}

/// Two on one side with the leader, three on the other.
pub(super) fn leader_in_the_minority(stand: &mut Stand) -> Result<(), String> {
    let few = [stand.ensemble.leader()?, a_follower(&stand.ensemble)?];
    stand.under_load(|ensemble, load| {
        few.iter().try_for_each(|sid| ensemble.member(*sid).seat.cut_off())?;
        let seen = ensemble
            .leader_among(&ensemble.others(&few))
            .and_then(|_| few.iter().try_for_each(|sid| ensemble.not_serving(*sid)))
            .and_then(|()| load.more(MANY));
        few.iter().try_for_each(|sid| ensemble.member(*sid).seat.heal())?;
        seen
    })
}

pub(super) fn slow_disk_of_follower(stand: &mut Stand) -> Result<(), String> {
    let follower = a_follower(&stand.ensemble)?;
    with_slow_disk(stand, follower, Role::Follower)
}

pub(super) fn slow_disk_of_leader(stand: &mut Stand) -> Result<(), String> {
    let member = a_follower(&stand.ensemble)?;
    with_slow_disk(stand, member, Role::Leader)
}

pub(super) fn failing_disk_of_follower(stand: &mut Stand) -> Result<(), String> {
    let follower = a_follower(&stand.ensemble)?;
    until_it_ends(stand, follower, "sync errno=EIO after=100 once", Role::Follower)
}

pub(super) fn failing_disk_of_leader(stand: &mut Stand) -> Result<(), String> {
    let member = a_follower(&stand.ensemble)?;
    until_it_ends(stand, member, "sync errno=EIO after=2000 once", Role::Leader)
}

pub(super) fn full_disk(stand: &mut Stand) -> Result<(), String> {
    let follower = a_follower(&stand.ensemble)?;
    until_it_ends(stand, follower, "write errno=ENOSPC after=1000 path=log.", Role::Follower)
}

/// Which part a member plays while its disk is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Follower,
    Leader,
}

fn restart_with(ensemble: &mut Ensemble, sid: u8, plan: Option<&str>) -> Result<(), String> {
    let library = ensemble.settings.faults.clone();
    let member = ensemble.member_mut(sid);
    if member.is_up() {
        member.stop()?;
    }
    member.bad_disk = match (plan, library) {
        (Some(plan), Some(library)) => Some(BadDisk { library, plan: plan.to_owned() }),
        (Some(_), None) => return Err("--faults is missing".to_owned()),
        (None, _) => None,
    };
    ensemble.whole()
}

fn with_slow_disk(stand: &mut Stand, sid: u8, role: Role) -> Result<(), String> {
    stand.under_load(|ensemble, load| {
        restart_with(ensemble, sid, Some("sync delay_ms=200"))?;
        if role == Role::Leader {
            ensemble.lead(sid)?;
        }
        load.more(MANY)?;
        restart_with(ensemble, sid, None)
    })
}

/// A member that cannot write its log must end, and come back with everything that it promised.
fn until_it_ends(stand: &mut Stand, sid: u8, plan: &str, role: Role) -> Result<(), String> {
    stand.under_load(|ensemble, load| {
        restart_with(ensemble, sid, Some(plan))?;
        if role == Role::Leader {
            ensemble.lead(sid)?;
        }
        let member = ensemble.member_mut(sid);
        let status = member.gone()?;
        if status.success() {
            return Err(member.explain("it ended as if all was well"));
        }
        load.more(MANY)?;
        restart_with(ensemble, sid, None)
    })
}

fn a_follower(ensemble: &Ensemble) -> Result<u8, String> {
    ensemble.followers()?.first().copied().ok_or_else(|| "there is no follower".to_owned())
}

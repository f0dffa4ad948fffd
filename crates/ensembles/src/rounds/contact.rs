//! Ensembles of Apache's members and ours: each leads the other, and brings it up to date in every
//! way that the protocol has.
//!
//! What it leaves to others: how a member gets behind (`faults`), and what must hold then
//! (`judge`).

use super::Stand;
use super::faults::{by_diff, by_log, by_snap, by_trunc, kill_leader, writes};
use crate::member::Sync;

pub(super) fn writes_under_theirs(stand: &mut Stand) -> Result<(), String> {
    let (_, theirs) = pair(stand)?;
    stand.ensemble.lead(theirs)?;
    writes(stand)
}

pub(super) fn writes_under_ours(stand: &mut Stand) -> Result<(), String> {
    let (ours, _) = pair(stand)?;
    stand.ensemble.lead(ours)?;
    writes(stand)
}

pub(super) fn ours_follows_by_diff(stand: &mut Stand) -> Result<(), String> {
    let (ours, theirs) = pair(stand)?;
    by_diff(stand, theirs, ours)
}

pub(super) fn ours_follows_by_log(stand: &mut Stand) -> Result<(), String> {
    let (ours, theirs) = pair(stand)?;
    by_log(stand, theirs, ours)
}

pub(super) fn ours_follows_by_trunc(stand: &mut Stand) -> Result<(), String> {
    let (ours, theirs) = pair(stand)?;
    by_trunc(stand, theirs, ours)
}

pub(super) fn ours_follows_by_snap(stand: &mut Stand) -> Result<(), String> {
    let (ours, theirs) = pair(stand)?;
    by_snap(stand, theirs, ours)
}

pub(super) fn theirs_follows_by_diff(stand: &mut Stand) -> Result<(), String> {
    let (ours, theirs) = pair(stand)?;
    by_diff(stand, ours, theirs)
}

pub(super) fn theirs_follows_by_log(stand: &mut Stand) -> Result<(), String> {
    let (ours, theirs) = pair(stand)?;
    by_log(stand, ours, theirs)
}

pub(super) fn theirs_follows_by_trunc(stand: &mut Stand) -> Result<(), String> {
    let (ours, theirs) = pair(stand)?;
    by_trunc(stand, ours, theirs)
}

pub(super) fn theirs_follows_by_snap(stand: &mut Stand) -> Result<(), String> {
    let (ours, theirs) = pair(stand)?;
    by_snap(stand, ours, theirs)
}

pub(super) fn our_leader_killed(stand: &mut Stand) -> Result<(), String> {
    let (ours, _) = pair(stand)?;
    stand.ensemble.lead(ours)?;
    kill_leader(stand, ours)
}

pub(super) fn their_leader_killed(stand: &mut Stand) -> Result<(), String> {
    let (_, theirs) = pair(stand)?;
    stand.ensemble.lead(theirs)?;
    kill_leader(stand, theirs)
}

pub(super) fn observer_killed(stand: &mut Stand) -> Result<(), String> {
    let (observer, _) = pair(stand)?;
    stand.under_load(|ensemble, load| {
        ensemble.kill(&[observer])?;
        load.more(300)
    })
}

pub(super) fn observer_by_diff(stand: &mut Stand) -> Result<(), String> {
    observer_by(stand, Sync::Diff)
}

pub(super) fn observer_by_snap(stand: &mut Stand) -> Result<(), String> {
    observer_by(stand, Sync::Snap)
}

fn observer_by(stand: &mut Stand, expected: Sync) -> Result<(), String> {
    let (observer, _) = pair(stand)?;
    let leader = stand.ensemble.leader()?;
    match expected {
        Sync::Diff => by_diff(stand, leader, observer),
        Sync::Snap => by_snap(stand, leader, observer),
        Sync::Trunc => Err("an observer has no writes of its own".to_owned()),
    }
}

/// One of ours and one of theirs.
fn pair(stand: &Stand) -> Result<(u8, u8), String> {
    let first = |sids: &[u8]| sids.first().copied().ok_or("a suite without one of each");
    Ok((first(&stand.ours)?, first(&stand.theirs())?))
}

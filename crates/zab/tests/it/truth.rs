//! What an ensemble promises, watched from outside: one history for all, of which nothing that
//! anybody has applied is ever lost, and one leader in an epoch.

use crate::describe;
use crate::disk::Content;
use crate::member::Member;
use crate::network::Link;
use bellwether_wire::Zxid;
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::Packet;
use bellwether_zab::Serving;
use std::collections::BTreeMap;

/// What is known to be committed, and who has led.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Everything that anybody has applied, or served with as a leader.
    pub(crate) committed: Content,
    leaders: BTreeMap<u32, i64>,
    pub(crate) asked: crate::confirmations::Asked,
    /// What its leader had applied when it last sent UPTODATE to a server.
    pub(crate) up_to_date: BTreeMap<i64, Zxid>,
}

/// Whether what a learner says of its disk is so: an epoch is promised when it is saved, and a
/// record acknowledged when it is on disk, as is everything before NEWLEADER when that is.
pub(crate) fn is_kept(member: &Member, link: &Link, packet: &Packet) -> Result<(), String> {
    let disk = &member.disk;
    let received = member.process.as_ref().map(|process| process.peer.history().received());
    let kept = match packet {
        Packet::AckEpoch { .. } => disk.accepted_epoch >= link.epoch,
        Packet::Ack { zxid } if zxid.counter() == 0 => {
            // A second one answers UPTODATE, when proposals may be on their way.
            let is_synced = link.acks > 0 || Some(disk.last()) >= received;
            disk.current_epoch >= zxid.epoch() && is_synced
        }
        Packet::Ack { zxid } => disk.last() >= *zxid,
        Packet::Request { .. }
        | Packet::Ping { .. }
        | Packet::Revalidate { .. }
        | Packet::FollowerInfo { .. }
        | Packet::ObserverInfo { .. }
        | Packet::Proposal { .. }
        | Packet::Commit { .. }
        | Packet::RevalidateReply { .. }
        | Packet::Sync
        | Packet::Inform { .. }
        | Packet::CommitAndActivate { .. }
        | Packet::InformAndActivate { .. }
        | Packet::NewLeader { .. }
        | Packet::UpToDate
        | Packet::Diff { .. }
        | Packet::Trunc { .. }
        | Packet::Snap { .. }
        | Packet::LeaderInfo { .. } => true,
    };
    let what = describe::packet(packet);
    if kept { Ok(()) } else { Err(format!("says {what}, and its disk does not have it")) }
}

impl Truth {
    /// A server hands a record to its tree, which has this.
    pub(crate) fn applied(
        &mut self,
        server: i64,
        record: &TxnRecord,
        content: &Content,
    ) -> Result<(), String> {
        let (zxid, tag) = (record.header.zxid, record.header.cxid);
        self.has_all_before(server, zxid, content)?;
        self.commits(server, zxid, tag)
    }

    /// A server is about to serve as the leader: everything in its tree is committed by that,
    /// whoever has applied it before.
    pub(crate) fn leads_with(
        &mut self,
        server: i64,
        content: Option<&Content>,
    ) -> Result<(), String> {
        for (zxid, tag) in content.into_iter().flatten() {
            self.commits(server, *zxid, *tag)?;
        }
        Ok(())
    }

    /// A server begins to serve, with this in its tree.
    pub(crate) fn serves(
        &mut self,
        server: i64,
        serving: Serving,
        content: Option<&Content>,
    ) -> Result<(), String> {
        let content = content.ok_or_else(|| format!("{server} serves and does not run"))?;
        match serving {
            Serving::Alone => return Err(format!("{server} serves alone in an ensemble")),
            Serving::Leader { epoch } => {
                if let Some(other) = self.leaders.insert(epoch, server) {
                    return Err(format!("{server} leads in epoch {epoch}, and so did {other}"));
                }
                self.has_all_before(server, Zxid(i64::MAX), content)?;
            }
            Serving::Follower { .. } | Serving::Observer { .. } => {
                let last = content.keys().next_back().copied().unwrap_or_default();
                self.has_all_before(server, last, content)?;
                if self.up_to_date.get(&server).is_some_and(|applied| *applied > last) {
                    let last = describe::zxid(last);
                    return Err(format!(
                        "{server} serves with {last}, and UPTODATE is behind more"
                    ));
                }
                for (zxid, tag) in content {
                    if self.committed.get(zxid) != Some(tag) {
                        let zxid = describe::zxid(*zxid);
                        return Err(format!("{server} serves with {zxid}, not committed"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes what a server holds for committed.
    fn commits(&mut self, server: i64, zxid: Zxid, tag: i32) -> Result<(), String> {
        let last = self.committed.keys().next_back().copied().unwrap_or_default();
        match self.committed.get(&zxid) {
            Some(known) if *known == tag => Ok(()),
            Some(_) => Err(format!("{server} has another {} than others", describe::zxid(zxid))),
            None if zxid > last => {
                self.committed.insert(zxid, tag);
                Ok(())
            }
            None => {
                let (zxid, last) = (describe::zxid(zxid), describe::zxid(last));
                Err(format!("{server} commits {zxid}, and others went on to {last} without it"))
            }
        }
    }

    /// Sees whether everything is there that is committed before a zxid.
    fn has_all_before(&self, server: i64, zxid: Zxid, content: &Content) -> Result<(), String> {
        for (before, tag) in self.committed.range(..zxid) {
            if content.get(before) != Some(tag) {
                let (zxid, before) = (describe::zxid(zxid), describe::zxid(*before));
                return Err(format!("{server} goes on to {zxid} without {before}"));
            }
        }
        Ok(())
    }
}

//! What a confirmation is worth: a leader that a quorum confirms has everything that anybody had
//! committed when it asked, in its own epoch or in a later one that it had not heard of.

use crate::describe;
use crate::world::World;
use bellwether_wire::Zxid;
use bellwether_zab::Serving;
use std::collections::BTreeMap;

/// The last zxid that was committed when a leader asked: by server, epoch and number.
pub(crate) type Asked = BTreeMap<(i64, u32, u64), Zxid>;

impl World {
    /// A leader asks whether a quorum follows it.
    pub(crate) fn ask_for_confirmation(&mut self, server: i64) -> Result<(), String> {
        let Some(epoch) = self.leads(server) else { return Ok(()) };
        let committed = |truth: &crate::truth::Truth| truth.committed.keys().next_back().copied();
        let last = self.truth.as_ref().and_then(committed).unwrap_or_default();
        let number = self.with(server, |peer, now, out| peer.confirm(now, out))?;
        if let Some(truth) = &mut self.truth {
            let asked = truth.asked.entry((server, epoch, number)).or_default();
            *asked = last.max(*asked);
        }
        Ok(())
    }

    /// A quorum has answered.
    pub(crate) fn confirmed(&mut self, server: i64, number: u64) -> Result<(), String> {
        self.say(format!("{server}: Confirmed({number})"));
        let Some(epoch) = self.leads(server) else { return Ok(()) };
        let has = self.process(server)?.peer.history().committed();
        let Some(truth) = &self.truth else { return Ok(()) };
        let asked = truth.asked.range((server, epoch, 0)..=(server, epoch, number));
        match asked.map(|(_, last)| *last).max() {
            Some(needed) if needed > has => Err(format!(
                "{server} is confirmed with {} and without {}",
                describe::zxid(has),
                describe::zxid(needed)
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The epoch in which a server serves as the leader.
    fn leads(&mut self, server: i64) -> Option<u32> {
        match self.process(server).ok()?.serves? {
            Serving::Leader { epoch } => Some(epoch),
            Serving::Alone | Serving::Follower { .. } | Serving::Observer { .. } => None,
        }
    }
}

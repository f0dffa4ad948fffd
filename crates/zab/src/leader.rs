//! Stub: leading.
use crate::effect::{LearnerLink, Out};
use crate::input::Input;
use crate::peer::{Core, LearnerStatus, Next};
use bellwether_wire::disk::TxnRecord;
use bellwether_wire::quorum::Packet;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Leader {}

impl Leader {
    pub(crate) fn begin(_core: &mut Core, _now_ms: u64, _out: &mut Out) -> Leader {
        Leader {}
    }
    pub(crate) fn step(&mut self, _: &mut Core, _now_ms: u64, _: Input, _: &mut Out) -> Next {
        todo!()
    }
    pub(crate) fn next_deadline(&self, _core: &Core) -> u64 {
        todo!()
    }
    pub(crate) fn propose(&mut self, _: &mut Core, _: u64, _: Arc<TxnRecord>, _: &mut Out) {
        todo!()
    }
    pub(crate) fn confirm(&mut self, _core: &mut Core, _now_ms: u64, _out: &mut Out) -> u64 {
        todo!()
    }
    pub(crate) fn send(&mut self, _link: LearnerLink, _packet: Packet, _out: &mut Out) {
        todo!()
    }
    pub(crate) fn learners(&self) -> Vec<LearnerStatus> {
        todo!()
    }
    /// Closes every link and stops listening.
    pub(crate) fn end(&mut self, _core: &mut Core, _out: &mut Out) {
        todo!()
    }
}

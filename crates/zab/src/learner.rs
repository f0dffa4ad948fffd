//! Stub: following and observing.
use crate::effect::Out;
use crate::input::Input;
use crate::peer::{Core, Next, Settles};
use bellwether_wire::quorum::{Packet, ServerId};

#[derive(Debug)]
pub(crate) struct Learner {}

impl Learner {
    pub(crate) fn begin(_: &mut Core, _now_ms: u64, _: ServerId, _: &mut Out) -> Learner {
        Learner {}
    }
    pub(crate) fn step(&mut self, _: &mut Core, _now_ms: u64, _: Input, _: &mut Out) -> Next {
        todo!()
    }
    pub(crate) fn next_deadline(&self, _core: &Core) -> u64 {
        todo!()
    }
    pub(crate) fn send(&mut self, _packet: Packet, _out: &mut Out) {
        todo!()
    }
    /// Closes the link; says whether a truncation or a snapshot is still being settled on disk.
    pub(crate) fn end(&mut self, _core: &mut Core, _out: &mut Out) -> Settles {
        todo!()
    }
}

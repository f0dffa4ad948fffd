//! Stub: the election.
use crate::effect::Out;
use crate::input::Input;
use crate::peer::{Core, Next};

#[derive(Debug)]
pub(crate) struct Election {}

impl Election {
    pub(crate) fn begin(_core: &mut Core, _now_ms: u64, _out: &mut Out) -> Election {
        Election {}
    }
    pub(crate) fn step(&mut self, _: &mut Core, _now_ms: u64, _: Input, _: &mut Out) -> Next {
        todo!()
    }
    pub(crate) fn next_deadline(&self) -> u64 {
        todo!()
    }
}

pub(crate) fn answer(
    _core: &Core,
    _state: bellwether_wire::quorum::PeerState,
    _heard: (bellwether_wire::quorum::ServerId, &bellwether_wire::quorum::Notification),
    _out: &mut Out,
) {
}

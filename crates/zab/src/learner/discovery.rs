//! Finding the leader and its epoch: a connection, FOLLOWERINFO or OBSERVERINFO, LEADERINFO,
//! ACKEPOCH.
//!
//! What it keeps true: an epoch is promised when it is on disk, and never one below the last that
//! was promised.

use super::line::Line;
use super::promise::EpochAccepted;
use super::sync::Choosing;
use super::{Context, Phase, Turn, unexpected};
use crate::effect::Effect;
use bellwether_wire::quorum::Packet;
use std::cmp::Ordering;
use tracing::{info, warn};

/// How long a leader that was just elected may take to open its port. Apache's learners try five
/// times in half a second and vote again, in which a slow leader loses its learners for nothing.
const TRYING_MS_MAX: u64 = 2000;

/// How long to wait after the first try that failed: most leaders open their port at that moment.
const RETRY_MS_MIN: u64 = 2;

/// How long at most. Each wait is twice the one before.
const RETRY_MS_MAX: u64 = 100;

/// No connection stands.
#[derive(Debug)]
pub(super) struct Dialling {
    began_ms: u64,
    /// How many tries were made, this one included.
    tries: u32,
    /// When the next try begins; `None` while one is made.
    retry_ms: Option<u64>,
}

impl Dialling {
    /// The first try is under way.
    pub(super) fn begin(now_ms: u64) -> Dialling {
        Dialling { began_ms: now_ms, tries: 1, retry_ms: None }
    }

    /// It stands.
    pub(super) fn connected(self, cx: &mut Context<'_>) -> Phase {
        info!(leader = %cx.leader, "connected to the leader");
        cx.line.greet(cx.core, cx.out);
        Phase::Greeting(Greeting)
    }

    /// It could not be made.
    pub(super) fn failed(self, cx: &mut Context<'_>) -> Turn {
        if self.retry_ms.is_some() {
            return Ok(Phase::Dialling(self)); // It was known.
        }
        let doublings = (self.tries - 1).min(8);
        let retry_ms = cx.now_ms + (RETRY_MS_MIN << doublings).min(RETRY_MS_MAX);
        if retry_ms >= self.ends_ms(cx.init_ms().min(TRYING_MS_MAX)) {
            return Err(format!(
                "the quorum port of server {} could not be reached in {} tries",
                cx.leader, self.tries
            ));
        }
        Ok(Phase::Dialling(Dialling { retry_ms: Some(retry_ms), ..self }))
    }

    /// Time has passed.
    pub(super) fn tick(self, cx: &mut Context<'_>) -> Turn {
        if cx.now_ms >= self.ends_ms(cx.init_ms()) {
            return Err(format!(
                "the quorum port of server {} could not be reached within initLimit",
                cx.leader
            ));
        }
        match self.retry_ms {
            Some(retry_ms) if cx.now_ms >= retry_ms => {
                *cx.line = Line::dial(cx.core, cx.leader, cx.out);
                let tries = self.tries + 1;
                Ok(Phase::Dialling(Dialling { tries, retry_ms: None, ..self }))
            }
            Some(_) | None => Ok(Phase::Dialling(self)),
        }
    }

    /// When something has to be done.
    pub(super) fn next_deadline(&self, init_ms: u64) -> u64 {
        self.ends_ms(init_ms).min(self.retry_ms.unwrap_or(u64::MAX))
    }

    fn ends_ms(&self, init_ms: u64) -> u64 {
        self.began_ms.saturating_add(init_ms)
    }
}

/// The leader was told who is there.
#[derive(Debug)]
pub(super) struct Greeting;

impl Greeting {
    pub(super) fn packet(self, cx: &mut Context<'_>, packet: &Packet) -> Turn {
        let Packet::LeaderInfo { epoch, .. } = *packet else {
            return Err(unexpected(packet, "before LEADERINFO"));
        };
        let accepted_epoch = cx.core.accepted_epoch;
        match epoch.cmp(&accepted_epoch) {
            Ordering::Less => {
                warn!(
                    leader = %cx.leader, epoch, accepted_epoch,
                    "the leader proposes an epoch below one that this server has accepted; it is \
                     not followed. If this goes on, compare the acceptedEpoch files of the servers"
                );
                Err(format!("the leader's epoch {epoch} is below {accepted_epoch}"))
            }
            Ordering::Equal => Ok(accept(&EpochAccepted::before(cx.core), cx)),
            Ordering::Greater => {
                #[cfg(feature = "canaries")]
                if cx.core.settings.is_broken(crate::Break::AcceptedEpochAfterAckEpoch) {
                    let phase = accept(&EpochAccepted::forged(epoch), cx);
                    cx.out.effects.push(Effect::SaveAcceptedEpoch(epoch));
                    return Ok(phase);
                }
                cx.out.effects.push(Effect::SaveAcceptedEpoch(epoch));
                Ok(Phase::Promising(Promising { epoch }))
            }
        }
    }
}

/// The leader's epoch is being saved.
#[derive(Debug)]
pub(super) struct Promising {
    epoch: u32,
}

impl Promising {
    /// An epoch is on disk: this one, or what a role before this one had asked for.
    pub(super) fn saved(self, cx: &mut Context<'_>, accepted: &EpochAccepted) -> Turn {
        match accepted.epoch().cmp(&self.epoch) {
            Ordering::Less => Ok(Phase::Promising(self)),
            Ordering::Equal => Ok(accept(accepted, cx)),
            Ordering::Greater => Err(format!(
                "epoch {} was accepted before the leader's {}",
                accepted.epoch(),
                self.epoch
            )),
        }
    }
}

fn accept(accepted: &EpochAccepted, cx: &mut Context<'_>) -> Phase {
    cx.line.accept(accepted, cx.core, cx.out);
    Phase::Choosing(Choosing { epoch: accepted.epoch() })
}

//! Following and observing: the learner's side of discovery, synchronisation and broadcast.
//!
//! Each phase is a type that owns its data and is consumed by the next:
//! `Dialling → Greeting → Promising → Choosing → Rebuilding → Copying → Joining → Broadcasting`, of
//! which `Promising` and `Rebuilding` are passed over where nothing has to be saved or rebuilt. An
//! error of any of them ends the role: it is the reason for which a new leader is looked for.
//!
//! What it keeps true:
//! - Packets are interpreted in the order in which they come, each once. What comes while the disk
//!   works waits in a [`Backlog`] that is bounded in bytes, and is worked off in slices.
//! - What is promised to the leader needs proof: see [`promise`].

mod backlog;
mod broadcast;
mod discovery;
mod line;
mod order;
mod promise;
mod sync;
mod takeover;

use self::backlog::{Backlog, Full};
use self::broadcast::Broadcasting;
use self::discovery::{Dialling, Greeting, Promising};
use self::line::Line;
use self::promise::Saved;
use self::sync::{Awaits, Choosing, Copying, Rebuilding};
use self::takeover::Joining;
use crate::effect::{Effect, Out};
use crate::election;
use crate::history::LogToken;
use crate::input::Input;
use crate::peer::{Core, Next, Settles};
use bellwether_wire::quorum::{Packet, ServerId};
use std::collections::BTreeSet;
use tracing::warn;

/// How many packets that waited are interpreted in one step.
const PACKETS_PER_STEP: usize = 512;

/// A follower or an observer.
#[derive(Debug)]
pub(crate) struct Learner {
    leader: ServerId,
    line: Line,
    /// When the leader was last heard, or this server had last to wait for its own disk.
    heard_ms: u64,
    waiting: Backlog,
    /// Packets that were passed over and mentioned, by name.
    mentioned: BTreeSet<&'static str>,
    phase: Phase,
}

/// How far it has come.
#[derive(Debug)]
enum Phase {
    /// No connection stands.
    Dialling(Dialling),
    /// LEADERINFO is awaited.
    Greeting(Greeting),
    /// `acceptedEpoch` is being saved.
    Promising(Promising),
    /// DIFF, TRUNC or SNAP is awaited.
    Choosing(Choosing),
    /// The log is being cut, or a snapshot received.
    Rebuilding(Rebuilding),
    /// Records come.
    Copying(Copying),
    /// NEWLEADER came.
    Joining(Joining),
    /// UPTODATE came.
    Broadcasting(Broadcasting),
    /// It has ended, and nothing of it is left on the disk to be awaited.
    Over,
}

/// The phase after an input, or the reason for which the role ends.
type Turn = Result<Phase, String>;

/// What a phase works with.
struct Context<'a> {
    core: &'a mut Core,
    leader: ServerId,
    line: &'a mut Line,
    heard_ms: &'a mut u64,
    waiting: &'a mut Backlog,
    mentioned: &'a mut BTreeSet<&'static str>,
    now_ms: u64,
    out: &'a mut Out,
}

impl Learner {
    /// Begins to follow or observe the server that won.
    pub(crate) fn begin(core: &mut Core, now_ms: u64, leader: ServerId, out: &mut Out) -> Learner {
        Learner {
            leader,
            line: Line::dial(core, leader, out),
            heard_ms: now_ms,
            waiting: Backlog::new(core.settings.learner_queue_bytes_max),
            mentioned: BTreeSet::new(),
            phase: Phase::Dialling(Dialling::begin(now_ms)),
        }
    }

    /// Takes one input.
    pub(crate) fn step(
        &mut self,
        core: &mut Core,
        now_ms: u64,
        input: Input,
        out: &mut Out,
    ) -> Next {
        let Learner { leader, line, heard_ms, waiting, mentioned, phase } = self;
        let leader = *leader;
        let cx = &mut Context { core, leader, line, heard_ms, waiting, mentioned, now_ms, out };
        if phase.patience_ms(cx.core).is_none() {
            *cx.heard_ms = now_ms;
        }
        let turn = hear(phase, cx, input);
        let turn = turn.and_then(|()| work_off(phase, cx));
        match turn.and_then(|()| check_silence(phase, cx)) {
            Ok(()) => Next::Stay,
            Err(reason) => Next::Look(reason.into()),
        }
    }

    /// When to step if nothing happens.
    pub(crate) fn next_deadline(&self, core: &Core) -> u64 {
        if self.phase.interprets() && !self.waiting.is_empty() {
            return 0;
        }
        if let Phase::Dialling(dialling) = &self.phase {
            return dialling.next_deadline(init_ms(core));
        }
        let patience_ms = self.phase.patience_ms(core).unwrap_or(u64::MAX);
        self.heard_ms.saturating_add(patience_ms).saturating_add(1)
    }

    /// Sends what the node has for the leader; dropped where clients are not served.
    pub(crate) fn send(&mut self, packet: Packet, out: &mut Out) {
        if let Phase::Broadcasting(_) = self.phase {
            self.line.forward(packet, out);
        }
    }

    /// Closes the link; says whether a truncation or a snapshot is still being settled on disk.
    pub(crate) fn end(&mut self, _core: &mut Core, out: &mut Out) -> Settles {
        self.line.close(out);
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Rebuilding(rebuilding) => rebuilding.end(out),
            Phase::Dialling(_)
            | Phase::Greeting(_)
            | Phase::Promising(_)
            | Phase::Choosing(_)
            | Phase::Copying(_)
            | Phase::Joining(_)
            | Phase::Broadcasting(_)
            | Phase::Over => Settles::AtOnce,
        }
    }
}

/// Takes an input. Where the role ends, `phase` is left as it was or is [`Phase::Over`].
fn hear(phase: &mut Phase, cx: &mut Context<'_>, input: Input) -> Result<(), String> {
    let input = match Saved::hear(cx.core, input) {
        Ok(saved) => return phase.advance(cx, |phase, cx| phase.saved(cx, saved)),
        Err(input) => input,
    };
    match input {
        Input::Tick => phase.advance(cx, Phase::tick),
        Input::Notification { from, notification } => {
            election::answer(cx.core, cx.core.learning_state(), (from, &notification), cx.out);
            Ok(())
        }
        Input::LeaderConnected(link) if cx.line.is(link) => phase.advance(cx, Phase::connected),
        Input::FromLeader(link, packet) if cx.line.is(link) => {
            *cx.heard_ms = cx.now_ms;
            arrived(phase, cx, packet)
        }
        Input::LeaderGone(link) if cx.line.is(link) => gone(phase, cx),
        Input::Durable(token) => phase.advance(cx, |phase, cx| Ok(phase.durable(cx, token))),
        Input::SnapshotPart(link) => {
            if cx.line.is(link) {
                *cx.heard_ms = cx.now_ms;
            }
            Ok(())
        }
        Input::Truncated { .. }
        | Input::TruncationImpossible
        | Input::SnapshotComplete
        | Input::SnapshotReceived(_)
        | Input::SnapshotFailed => phase.advance(cx, |phase, cx| phase.rebuilt(cx, input)),
        Input::LearnerConnected(link) => {
            cx.out.effects.push(Effect::CloseLearner(link));
            Ok(())
        }
        // Of connections that were given up, and of learners of a former role.
        Input::LeaderConnected(_)
        | Input::FromLeader(..)
        | Input::LeaderGone(_)
        | Input::FromLearner(..)
        | Input::LearnerGone(_)
        | Input::LogRead { .. }
        | Input::LogUnreadable { .. }
        | Input::SnapshotSent(_) => Ok(()),
        Input::AcceptedEpochSaved(_) | Input::CurrentEpochSaved(_) => {
            unreachable!("what is saved was heard first")
        }
    }
}

/// A packet came, and is interpreted when those before it were.
fn arrived(phase: &mut Phase, cx: &mut Context<'_>, packet: Packet) -> Result<(), String> {
    if !phase.interprets() {
        return cx.waiting.push(packet).map_err(full);
    }
    if !cx.waiting.is_empty() {
        cx.waiting.push_behind(packet);
        return Ok(());
    }
    phase.advance(cx, |phase, cx| phase.packet(cx, packet))
}

/// The connection is gone, or could not be made.
fn gone(phase: &mut Phase, cx: &mut Context<'_>) -> Result<(), String> {
    if let Phase::Dialling(_) = phase {
        return phase.advance(cx, Phase::not_connected);
    }
    Err(format!("the connection to server {} is gone", cx.leader))
}

/// Interprets what has waited, a slice of it.
fn work_off(phase: &mut Phase, cx: &mut Context<'_>) -> Result<(), String> {
    for _ in 0..PACKETS_PER_STEP {
        if !phase.interprets() {
            break;
        }
        let Some(packet) = cx.waiting.pop() else { break };
        phase.advance(cx, |phase, cx| phase.packet(cx, packet))?;
    }
    Ok(())
}

fn check_silence(phase: &Phase, cx: &Context<'_>) -> Result<(), String> {
    let Some(patience_ms) = phase.patience_ms(cx.core) else { return Ok(()) };
    if cx.core.is_silent(cx.now_ms, *cx.heard_ms, patience_ms) {
        let leader = cx.leader;
        return Err(format!("nothing was heard from server {leader} for {patience_ms} ms"));
    }
    Ok(())
}

impl Phase {
    /// Goes on to what follows from it.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        next: impl FnOnce(Phase, &mut Context<'_>) -> Turn,
    ) -> Result<(), String> {
        *self = next(std::mem::replace(self, Phase::Over), cx)?;
        Ok(())
    }

    /// Whether it interprets packets. Where the disk must have done something first, they wait.
    fn interprets(&self) -> bool {
        match self {
            Phase::Rebuilding(_) => false,
            Phase::Dialling(_)
            | Phase::Greeting(_)
            | Phase::Promising(_)
            | Phase::Choosing(_)
            | Phase::Copying(_)
            | Phase::Joining(_)
            | Phase::Broadcasting(_)
            | Phase::Over => true,
        }
    }

    /// How long the leader may be silent; `None` while this server is the one to act.
    fn patience_ms(&self, core: &Core) -> Option<u64> {
        let sync_ms = core.settings.sync_limit.saturating_mul(core.settings.tick_ms);
        match self {
            Phase::Greeting(_) | Phase::Choosing(_) | Phase::Copying(_) => Some(init_ms(core)),
            Phase::Rebuilding(rebuilding) => match rebuilding.awaits() {
                Awaits::Leader => Some(init_ms(core)),
                Awaits::Disk => None,
            },
            Phase::Joining(joining) => match joining.awaits() {
                Awaits::Leader => Some(sync_ms),
                Awaits::Disk => None,
            },
            Phase::Broadcasting(_) => Some(sync_ms),
            // A connection that is being made has a limit of its own.
            Phase::Dialling(_) | Phase::Promising(_) | Phase::Over => None,
        }
    }

    fn tick(self, cx: &mut Context<'_>) -> Turn {
        let Phase::Dialling(dialling) = self else { return Ok(self) };
        dialling.tick(cx)
    }

    fn connected(self, cx: &mut Context<'_>) -> Turn {
        let Phase::Dialling(dialling) = self else { return Ok(self) };
        *cx.heard_ms = cx.now_ms;
        Ok(dialling.connected(cx))
    }

    fn not_connected(self, cx: &mut Context<'_>) -> Turn {
        let Phase::Dialling(dialling) = self else { return Ok(self) };
        dialling.failed(cx)
    }

    fn packet(self, cx: &mut Context<'_>, packet: Packet) -> Turn {
        match self {
            Phase::Greeting(greeting) => greeting.packet(cx, &packet),
            Phase::Choosing(choosing) => choosing.packet(cx, &packet),
            Phase::Copying(copying) => copying.packet(cx, packet),
            Phase::Joining(joining) => joining.packet(cx, packet),
            Phase::Broadcasting(broadcasting) => {
                broadcasting.packet(cx, packet).map(|()| Phase::Broadcasting(broadcasting))
            }
            Phase::Promising(_) => Err(unexpected(&packet, "before ACKEPOCH")),
            Phase::Dialling(_) | Phase::Rebuilding(_) | Phase::Over => {
                unreachable!("packets come by a connection and wait for the disk")
            }
        }
    }

    fn saved(self, cx: &mut Context<'_>, saved: Saved) -> Turn {
        match (self, saved) {
            (Phase::Promising(promising), Saved::Accepted(accepted)) => {
                promising.saved(cx, &accepted)
            }
            (Phase::Joining(joining), Saved::Current(saved)) => joining.saved(cx, saved),
            // A role before this one had asked for it.
            (phase, Saved::Accepted(_) | Saved::Current(_)) => Ok(phase),
        }
    }

    fn durable(self, cx: &mut Context<'_>, token: LogToken) -> Phase {
        #[cfg(feature = "canaries")]
        let token = cx.core.completed(token);
        if let Phase::Broadcasting(broadcasting) = &self {
            broadcasting.synced(cx, token);
            return self;
        }
        // What was appended before UPTODATE is acknowledged as a whole.
        drop(cx.core.history.sync_to(token));
        if let Phase::Joining(joining) = self {
            return Phase::Joining(joining.synced(cx));
        }
        self
    }

    fn rebuilt(self, cx: &mut Context<'_>, input: Input) -> Turn {
        let Phase::Rebuilding(rebuilding) = self else {
            unreachable!("{input:?} was not asked for")
        };
        rebuilding.step(cx, input)
    }
}

impl Context<'_> {
    /// `initLimit`, milliseconds.
    fn init_ms(&self) -> u64 {
        init_ms(self.core)
    }

    /// Ignores a packet as Apache does. It is mentioned once by each connection.
    fn pass_over(&mut self, packet: &Packet) {
        if self.mentioned.insert(packet.name()) {
            warn!(
                leader = %self.leader, packet = packet.name(),
                "ignoring a packet that has no place here; this server goes on"
            );
        }
    }
}

fn init_ms(core: &Core) -> u64 {
    core.settings.init_limit.saturating_mul(core.settings.tick_ms)
}

/// A packet has no place here, and nothing can follow it.
fn unexpected(packet: &Packet, when: &str) -> String {
    warn!(packet = packet.name(), when, "the leader does not keep to the protocol");
    format!("the leader sent {} {when}", packet.name())
}

/// Too much waits.
fn full(Full { bytes_max }: Full) -> String {
    warn!(
        bytes_max,
        "the leader sends more than this server may hold back while it synchronises; it begins \
         again. If this goes on, its disk is too slow for the load, or the load too high to join"
    );
    format!("more than {bytes_max} bytes wait for the synchronisation")
}

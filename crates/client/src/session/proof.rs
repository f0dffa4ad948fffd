//! A connection that has the session and on which the client is proving who it is, by SASL.
//!
//! What it keeps true: nothing but the exchange is sent before it has succeeded, one token at a
//! time. Leaves to the session what becomes of a proof that succeeded, failed or was cut short.

use super::encode;
use crate::error::AuthFailure;
use crate::hosts::Host;
use crate::limits::SASL_ROUNDS_MAX;
use crate::sasl::{Exchange, Next};
use crate::session::{Access, Effect};
use crate::time::Millis;
use bellwether_wire::client::{ReplyBody, Request, reply::ReplyHeader};
use bellwether_wire::jute::Decoded;
use bellwether_wire::{Data, ErrorCode, OpCode, Reader};

#[derive(Debug)]
pub(super) struct Proof {
    pub(super) server: Host,
    pub(super) access: Access,
    /// When the server has taken too long for all of it.
    pub(super) deadline: Millis,
    exchange: Box<dyn Exchange>,
    /// The xid of the token that was sent last.
    round: u32,
}

/// What a frame means for the proof.
#[derive(Debug)]
pub(super) enum Proven {
    NotYet,
    Yes,
    No(AuthFailure),
}

impl Proof {
    /// Says the first word.
    pub(super) fn begin(
        (server, access): (Host, Access),
        exchange: Box<dyn Exchange>,
        deadline: Millis,
        out: &mut Vec<Effect>,
    ) -> Proof {
        let mut proof = Proof { server, access, deadline, exchange, round: 0 };
        let token = proof.exchange.first_token();
        proof.send(token, out);
        proof
    }

    fn send(&mut self, token: Vec<u8>, out: &mut Vec<Effect>) {
        self.round += 1;
        out.push(Effect::Send(encode(self.xid(), &Request::Sasl { token: token.into() })));
    }

    fn xid(&self) -> i32 {
        i32::try_from(self.round).expect("rounds are few")
    }

    /// Takes a frame in; an error says why this connection cannot be used any further.
    pub(super) fn on_frame(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<Effect>,
    ) -> Result<Proven, Box<str>> {
        let (header, token) = decode(bytes).map_err(|error| error.to_string())?;
        if header.xid != self.xid() {
            let due = self.xid();
            return Err(format!("reply {} where {due} of SASL is due", header.xid).into());
        }
        if header.err != 0 {
            return Ok(Proven::No(AuthFailure::SaslRefused(header.err)));
        }
        let Some(token) = token else {
            // Apache's server has no first word without a provider, and no last one for a proof
            // that it did not believe when it is told to keep such clients.
            return Ok(Proven::No(match self.round {
                1 => AuthFailure::SaslNotOffered,
                _ => AuthFailure::SaslRefused(ErrorCode::AuthFailed.code()),
            }));
        };
        if self.round >= SASL_ROUNDS_MAX {
            return Ok(Proven::No(AuthFailure::SaslChallenge("it does not come to an end")));
        }
        Ok(match self.exchange.on_token(&token) {
            Ok(Next::Answer(answer)) => {
                self.send(answer, out);
                Proven::NotYet
            }
            Ok(Next::Done) => Proven::Yes,
            Err(failure) => Proven::No(failure),
        })
    }
}

/// A reply's header and its token; an error has no body that means anything.
fn decode(bytes: &[u8]) -> Decoded<(ReplyHeader, Option<Data>)> {
    let r = &mut Reader::new(bytes);
    let header = ReplyHeader::decode(r)?;
    if header.err != 0 {
        return Ok((header, None));
    }
    let ReplyBody::Token(token) = ReplyBody::decode(OpCode::Sasl, r)? else {
        unreachable!("a reply's body is decoded by its request's operation")
    };
    Ok((header, token))
}

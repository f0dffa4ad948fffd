//! What the comparison does not compare: the places where this server differs on purpose, or where
//! Apache's own answer depends on the moment. Nothing else is masked.
//!
//! A row either takes something out of every stream, here, or says where it is levelled.

use crate::plan::{Batch, Mutation, Sent, Step};
use bellwether_wire::OpCode;
use bellwether_wire::client::Request;
use std::fmt::Write as _;

/// How a row keeps a difference out of the comparison.
enum How {
    /// Streams do without it.
    Avoided(fn(&mut Step)),
    /// Both transcripts are levelled, by this part of the driver.
    Levelled(&'static str),
}

/// One difference.
struct Row {
    name: &'static str,
    reason: &'static str,
    how: How,
}

const fn row(name: &'static str, reason: &'static str, how: How) -> Row {
    Row { name, reason, how }
}

use How::{Avoided, Levelled};

const ROWS: &[Row] = &[
    row(
        "internal operations",
        "Apache executes opcodes 20 and -10 from a client without a check; they are refused here",
        Avoided(without_internal_operations),
    ),
    row(
        "former connection",
        "Apache closes a session's connection before it looks at the password; here after it",
        Levelled("side: the driver closes it first"),
    ),
    row(
        "order of children",
        "Apache lists them in the order of a hash set; here by name",
        Levelled("shown: sorted"),
    ),
    row(
        "order of identities",
        "Apache keeps a connection's identities in a hash set",
        Levelled("shown: sorted in ACLs and in whoAmI"),
    ),
    row(
        "order at the end of a session",
        "Apache deletes a session's nodes in the order of a hash set",
        Levelled("compare: lines of such a step are sorted"),
    ),
    row(
        "auth and sasl in flight",
        "both are answered when they are read, ahead of an unknown number of replies",
        Levelled("compare: their replies are put first"),
    ),
    row(
        "auth that cannot be read",
        "it closes the connection, whether or not what came before it was answered",
        Avoided(without_broken_auth),
    ),
    row(
        "auth behind others",
        "whether an event of an earlier write may be seen is decided when it is sent, and the \
         identity may be there by then on both sides, or not",
        Avoided(with_auth_first),
    ),
    row(
        "setACL in flight",
        "whether it counts for the requests behind it depends on the moment in Apache's server; \
         here it always does",
        Avoided(without_set_acl_in_flight),
    ),
    row(
        "ephemeral container in flight",
        "a container or TTL node whose flags say ephemeral has no ephemeral mark in Apache's tree, \
         but counts as ephemeral until it is there",
        Avoided(without_ephemeral_containers_in_flight),
    ),
    row(
        "null path of a write",
        "a null path is refused as an empty one here; Apache runs into the null and says \
         MARSHALLINGERROR, or sends it back (sync)",
        Avoided(without_null_paths),
    ),
    row(
        "null list of setWatches",
        "it is refused as a whole here; Apache has set and fired the lists before the null",
        Avoided(without_null_lists),
    ),
    row(
        "request that is too long",
        "it is read past and answered here, where Apache hangs up",
        Avoided(without_long_frames),
    ),
    row(
        "negative time to live",
        "in a create without a flag for it, it ends Apache's server",
        Avoided(without_negative_ttl),
    ),
    row(
        "body of a refused multiRead",
        "Apache sends what it had of the results behind the error, which no client reads",
        Levelled("shown: not looked at"),
    ),
];

/// The table, as text.
pub(crate) fn table() -> String {
    let mut text = String::from("Not compared:");
    for Row { name, reason, how } in ROWS {
        let how = match how {
            Avoided(_) => "streams do without it",
            Levelled(place) => place,
        };
        write!(text, "\n  {name}: {reason} ({how})").expect("a String takes everything");
    }
    text
}

/// Takes out of a step what no comparison can hold.
pub(crate) fn leave_out(step: &mut Step) {
    for row in ROWS {
        match row.how {
            Avoided(change) => change(step),
            Levelled(_) => {} // Both transcripts are levelled later.
        }
    }
}

fn batches(step: &mut Step) -> impl Iterator<Item = &mut Batch> {
    let batches = match step {
        Step::Send(batches) => batches.as_mut_slice(),
        Step::Open { .. } | Step::Bytes { .. } | Step::Drop { .. } => &mut [],
    };
    batches.iter_mut()
}

fn sent(step: &mut Step) -> impl Iterator<Item = &mut Sent> {
    batches(step).flat_map(|batch| &mut batch.sent)
}

fn without_internal_operations(step: &mut Step) {
    let internal = [OpCode::DeleteContainer.code(), OpCode::CreateSession.code()];
    batches(step).for_each(|batch| batch.sent.retain(|sent| !internal.contains(&sent.op)));
}

fn without_broken_auth(step: &mut Step) {
    if step.len() > 1 {
        let auth = sent(step).filter(|sent| sent.op == OpCode::Auth.code());
        auth.for_each(|sent| sent.mutation = Mutation::None);
    }
}

fn with_auth_first(step: &mut Step) {
    batches(step).for_each(|batch| batch.sent.sort_by_key(|sent| sent.op != OpCode::Auth.code()));
}

fn without_set_acl_in_flight(step: &mut Step) {
    if step.len() > 1 {
        let set_acl = OpCode::SetAcl.code();
        batches(step).for_each(|batch| batch.sent.retain(|sent| sent.op != set_acl));
    }
}

fn without_ephemeral_containers_in_flight(step: &mut Step) {
    if step.len() > 1 {
        sent(step).filter_map(|sent| sent.request.as_mut()).for_each(without_ephemeral_containers);
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other request makes such nodes")]
fn without_ephemeral_containers(request: &mut Request) {
    match request {
        // 1 and 3 are the ephemeral modes; the numbers before them are not.
        Request::CreateContainer(create) | Request::CreateTtl { create, .. }
            if [1, 3].contains(&create.flags) =>
        {
            create.flags -= 1;
        }
        Request::Multi(parts) => parts.iter_mut().for_each(without_ephemeral_containers),
        _ => {}
    }
}

fn without_null_lists(step: &mut Step) {
    let set_watches = [OpCode::SetWatches.code(), OpCode::SetWatches2.code()];
    for sent in sent(step).filter(|sent| set_watches.contains(&sent.op)) {
        let may_make_one =
            matches!(&sent.mutation, Mutation::Patch { bytes, .. } if *bytes == [255; 4]);
        if may_make_one {
            sent.mutation = Mutation::None;
        }
    }
}

/// Bytes that announce a frame beyond jute.maxbuffer, up to the length from which on both hang up.
fn without_long_frames(step: &mut Step) {
    let Step::Bytes { bytes, .. } = step else { return };
    let length = bytes.first_chunk::<4>().map(|length| i32::from_be_bytes(*length));
    if length.is_some_and(|length| (0x10_0000..=128 << 20).contains(&length)) {
        bytes.clear();
    }
}

fn without_null_paths(step: &mut Step) {
    let of_writes = [1, 2, 9, 15, 19, 21, 106];
    for sent in sent(step).filter(|sent| of_writes.contains(&sent.op)) {
        if matches!(sent.mutation, Mutation::NullText | Mutation::First(-1)) {
            sent.mutation = Mutation::None;
        }
    }
}

fn without_negative_ttl(step: &mut Step) {
    for sent in sent(step) {
        if let Some(request) = &mut sent.request {
            without_negative_ttl_in(request);
        }
        let may_make_one = matches!(sent.mutation, Mutation::Patch { .. });
        if may_make_one && sent.op == OpCode::CreateTtl.code() {
            sent.mutation = Mutation::None;
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other request has a time to live")]
fn without_negative_ttl_in(request: &mut Request) {
    match request {
        Request::CreateTtl { create, ttl_ms } if ![5, 6].contains(&create.flags) => {
            *ttl_ms = (*ttl_ms).max(0);
        }
        Request::Multi(parts) | Request::MultiRead(parts) => {
            parts.iter_mut().for_each(without_negative_ttl_in);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    #[test]
    fn what_is_left_out_is_left_out_only_where_it_must_be() {
        let check = |file: &str, expected: &str| {
            let mut steps = text::read(file, 4).expect("a stream");
            steps.iter_mut().for_each(leave_out);
            assert_eq!(text::write(&steps), expected);
        };
        let acl = "  1 setACL path=\"~\" acl=null version=0\n";
        check(&format!("send 0\n{acl}"), &format!("send 0\n{acl}"));
        check(&format!("send 0\n{acl}  2 ping\n"), "send 0\n  2 ping\n");
        let auth = "  -4 auth scheme=\"digest\" auth=x\n";
        check(&format!("send 0\n  1 ping\n{auth}"), &format!("send 0\n{auth}  1 ping\n"));
        check("send 0\n  1 op=-10\n  2 op=20\n  3 op=10\n", "send 0\n  3 op=10\n");
        check("bytes 0 x00100000\nbytes 0 x7fffffff\n", "bytes 0 x\nbytes 0 x7fffffff\n");
        let alone = "send 0\n  1 createContainer path=\"~\" data=null acl=null flags=1\n";
        check(alone, alone);
        check(
            "send 0\n  1 createContainer path=\"~\" data=null acl=null flags=1\nand 1\n  2 ping\n",
            "send 0\n  1 createContainer path=\"~\" data=null acl=null flags=0\nand 1\n  2 ping\n",
        );
        check(
            "send 0\n  1 delete path=\"~\" version=0 !null-text\n",
            "send 0\n  1 delete path=\"~\" version=0\n",
        );
        check(
            "send 0\n  1 getData path=\"~\" watch=true !null-text\n",
            "send 0\n  1 getData path=\"~\" watch=true !null-text\n",
        );
        check(
            "send 0\n  1 createTTL path=\"~\" data=null acl=null flags=0 ttl=-1\n",
            "send 0\n  1 createTTL path=\"~\" data=null acl=null flags=0 ttl=0\n",
        );
    }
}

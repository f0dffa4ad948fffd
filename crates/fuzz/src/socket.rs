//! A client's bytes, as they come from its socket: four-letter words, frames, and what is neither.
//!
//! What it holds: nothing panics; a stream gets the same answers, the same end and leaves the same
//! tree whether it comes at once, byte by byte, or in the pieces that the input names; nothing of
//! it is left behind; others are served.

use crate::Verdict;
use bellwether_server::offline::Offline;
use bellwether_wire::Zxid;

/// Longer streams could give the node work for several steps, between which bytes may come or not.
const STREAM_BYTES_MAX: usize = 1_000;

/// Small enough that a stream can have frames beyond it.
const PROPERTIES: [(&str, &str); 4] = [
    ("zookeeper.dataDir", "/nowhere"),
    ("jute.maxbuffer", "200"),
    ("zookeeper.extendedTypesEnabled", "true"),
    ("zookeeper.4lw.commands.whitelist", "ruok,srvr,stat,isro"),
];

/// What the client and the tree know in the end.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    sent: Vec<u8>,
    is_open: bool,
    tree: (Zxid, u64),
}

/// When the client's next bytes come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Before the log has written anything.
    Fast,
    /// When everything is done that the former ones asked for.
    Slow,
}

/// Its first byte has the number of cuts and whether the client closes its side in the end; two
/// bytes for each cut follow, then the stream.
pub(crate) fn socket(bytes: &[u8]) -> Verdict {
    let Some((flags, bytes)) = bytes.split_first() else { return Verdict::Refused };
    let (cuts, hangs_up) = (2 * usize::from(flags % 8), flags & 0x80 != 0);
    let Some((cuts, stream)) = bytes.split_at_checked(cuts) else { return Verdict::Refused };
    let stream = stream.get(..STREAM_BYTES_MAX).unwrap_or(stream);
    let mut cuts: Vec<usize> = cuts
        .chunks_exact(2)
        .filter_map(|pair| pair.first_chunk())
        .map(|pair| usize::from(u16::from_be_bytes(*pair)) % (stream.len() + 1))
        .collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut rest = stream;
    for cut in cuts.into_iter().rev() {
        let (before, piece) = rest.split_at(cut);
        pieces.push(piece);
        rest = before;
    }
    pieces.push(rest);
    pieces.reverse();
    let whole = outcome([stream], Pace::Fast, hangs_up);
    let in_pieces = outcome(pieces.iter().copied(), Pace::Fast, hangs_up);
    assert_eq!(in_pieces, whole, "the pieces in which a stream comes change its answers");
    let bytewise = outcome(stream.chunks(1), Pace::Fast, hangs_up);
    assert_eq!(bytewise, whole, "a stream that comes byte by byte has other answers");
    outcome(pieces, Pace::Slow, hangs_up);
    Verdict::accepted_if(!whole.sent.is_empty())
}

fn outcome<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, pace: Pace, hangs_up: bool) -> Outcome {
    let mut server = Offline::new(&PROPERTIES);
    let client = server.connect();
    for piece in pieces {
        server.send(client, piece);
        if pace == Pace::Slow {
            server.settle();
        }
    }
    if hangs_up {
        server.hang_up(client);
    }
    server.settle();
    let is_open = server.is_open(client);
    assert!(!(hangs_up && is_open), "a connection that its client closed stays open");
    let other = server.connect();
    server.send(other, b"ruok");
    server.settle();
    assert_eq!(server.sent(other), b"imok", "others are not served");
    assert!(!server.is_open(other), "a word's connection is closed behind its answer");
    Outcome { sent: server.sent(client), is_open, tree: server.tree() }
}

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

/// Stands for many bytes, so that a small input has frames which need a part of the budget for
/// incomplete ones.
const LONG: &[u8] = b"LONG";
const LONG_BYTES: usize = 20_000;
const LONGS_MAX: usize = 3;

/// Small enough that a stream can have frames beyond it.
const FRAME_BYTES_MAX: &str = "200";
/// Frames of two long pieces are taken.
const LONG_FRAME_BYTES_MAX: &str = "50000";

const PROPERTIES: [(&str, &str); 3] = [
    ("zookeeper.dataDir", "/nowhere"),
    ("zookeeper.extendedTypesEnabled", "true"),
    // Not those that tell of the machine and the process.
    (
        "zookeeper.4lw.commands.whitelist",
        "ruok,srvr,stat,isro,cons,crst,srst,dump,wchs,wchp,wchc,hash,gtmk,stmk",
    ),
];

/// What the server and the client are told besides the bytes.
#[derive(Clone, Copy)]
struct Settings {
    frame_bytes_max: &'static str,
    /// Whether the client closes its side in the end.
    hangs_up: bool,
}

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

/// Its first byte has the number of cuts, whether the client closes its side in the end and whether
/// there are long pieces; two bytes for each cut follow, then the stream.
pub(crate) fn socket(bytes: &[u8]) -> Verdict {
    let Some((flags, bytes)) = bytes.split_first() else { return Verdict::Refused };
    let (cuts, is_long) = (2 * usize::from(flags % 8), flags & 0x40 != 0);
    let Some((cuts, stream)) = bytes.split_at_checked(cuts) else { return Verdict::Refused };
    let stream = stream.get(..STREAM_BYTES_MAX).unwrap_or(stream);
    let stream = &if is_long { lengthened(stream) } else { stream.to_vec() };
    let settings = Settings {
        frame_bytes_max: if is_long { LONG_FRAME_BYTES_MAX } else { FRAME_BYTES_MAX },
        hangs_up: flags & 0x80 != 0,
    };
    let pieces = pieces(stream, cuts);
    let whole = outcome([&stream[..]], Pace::Fast, settings);
    let in_pieces = outcome(pieces.iter().copied(), Pace::Fast, settings);
    assert_eq!(in_pieces, whole, "the pieces in which a stream comes change its answers");
    let bytes_at_once = if stream.len() > STREAM_BYTES_MAX { 997 } else { 1 };
    let in_crumbs = outcome(stream.chunks(bytes_at_once), Pace::Fast, settings);
    assert_eq!(in_crumbs, whole, "a stream that comes byte by byte has other answers");
    outcome(pieces, Pace::Slow, settings);
    Verdict::accepted_if(!whole.sent.is_empty())
}

/// The stream with zeros where long pieces are.
fn lengthened(mut stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..LONGS_MAX {
        let Some(at) = stream.windows(LONG.len()).position(|word| word == LONG) else { break };
        let (before, rest) = stream.split_at(at);
        out.extend_from_slice(before);
        out.resize(out.len() + LONG_BYTES, 0);
        stream = rest.get(LONG.len()..).unwrap_or_default();
    }
    out.extend_from_slice(stream);
    out
}

/// The stream, cut at these places.
fn pieces<'a>(stream: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
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
    pieces
}

fn outcome<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    pace: Pace,
    settings: Settings,
) -> Outcome {
    let Settings { frame_bytes_max, hangs_up } = settings;
    let mut properties = PROPERTIES.to_vec();
    properties.push(("jute.maxbuffer", frame_bytes_max));
    let mut server = Offline::new(&properties);
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

//! How inputs are made from inputs: changes that know what records are made of.
//!
//! What it keeps true: the same seed gives the same inputs.

/// A small generator with a small state (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let drawn = self.next().checked_rem(bound).unwrap_or(0);
        usize::try_from(drawn).expect("it is below a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(crate) fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len());
        from.get(at).expect("there is something to choose from")
    }
}

/// Inputs do not grow beyond this.
const MAX_BYTES: usize = 1 << 14;

/// Numbers at which lengths, counts, codes and ids change their meaning.
const INTS: [i32; 14] = [0, 1, -1, -2, 2, 3, 4, 5, 14, 0xff, 0x7fff, 0x1_0000, i32::MAX, i32::MIN];
const LONGS: [i64; 8] = [0, 1, -1, i64::MAX, i64::MIN, 1 << 32, (1 << 32) - 1, 0xff << 56];

/// Pieces that mean something somewhere.
const WORDS: [&[u8]; 19] = [
    b"/",
    b"/a",
    b"/zookeeper",
    b"/zookeeper/config",
    b"/zookeeper/quota",
    b"/zookeeper/quota/a",
    b"/zookeeper_limits",
    b"count=1,bytes=2=;countHardLimit=3",
    b"..",
    b"\0",
    b"world",
    b"anyone",
    b"auth",
    b"digest",
    b"super",
    b"log.",
    b"snapshot.",
    b"\xff\xfe",
    b"BS",
];

/// One to four changes of `input`.
pub(crate) fn mutate(input: &[u8], pool: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        change(&mut bytes, pool, random);
    }
    bytes.truncate(MAX_BYTES);
    bytes
}

fn change(bytes: &mut Vec<u8>, pool: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let len = 1 + random.below(16);
    match random.below(12) {
        0 => set(bytes, at, |byte| byte ^ (1 << (len % 8))),
        1 => {
            let new = random.byte();
            set(bytes, at, |_| new);
        }
        2 => overwrite(bytes, at, &random.choose(&INTS).to_be_bytes()),
        3 => overwrite(bytes, at, &random.choose(&LONGS).to_be_bytes()),
        4 => nudge(bytes, at, random),
        5 => drop(bytes.splice(range(bytes, at, len), [])),
        6 => {
            let piece = bytes.get(range(bytes, at, len)).unwrap_or_default().to_vec();
            insert(bytes, at, &piece);
        }
        7 => insert(bytes, at, random.choose::<&[u8]>(&WORDS)),
        8 => insert(bytes, at, &random.choose(&INTS).to_be_bytes()),
        9 => bytes.truncate(at),
        10 => {
            let other = random.choose(pool);
            let from = random.below(other.len() + 1);
            let piece = other.get(range(other, from, 4 * len)).unwrap_or_default();
            insert(bytes, at, piece);
        }
        _ => {
            // The beginning of one and the end of another.
            let other = random.choose(pool);
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(from..).unwrap_or_default());
        }
    }
}

fn range(bytes: &[u8], at: usize, len: usize) -> std::ops::Range<usize> {
    let at = at.min(bytes.len());
    at..(at + len).min(bytes.len())
}

fn set(bytes: &mut [u8], at: usize, new: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = new(*byte);
    }
}

fn overwrite(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(new) {
        *byte = *new;
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let at = at.min(bytes.len());
    drop(bytes.splice(at..at, piece.iter().copied()));
}

/// Adds a little to a number: lengths become wrong by one, zxids become neighbours.
fn nudge(bytes: &mut [u8], at: usize, random: &mut Random) {
    let by = i32::try_from(random.below(9)).unwrap_or(0) - 4;
    if let Some(chunk) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *chunk = i32::from_be_bytes(*chunk).wrapping_add(by).to_be_bytes();
    }
}

//! The digest of the tree: Apache's sum of one checksum per node, version 2.
//!
//! A node counts the CRC-32 of its path, its data and 60 bytes of its stat; the tree's digest is
//! the sum modulo 2^64, so it is kept up to date by subtracting a node's old value and adding its
//! new one. What is below `/zookeeper/` counts nothing, because Apache's servers keep different
//! quota statistics there.
//!
//! What a node counts is kept with it, so that only its new value is computed; a small node is
//! summed up in one piece, which is several times faster than in three.

use bellwether_wire::stat::StatPersisted;

/// Nodes with this prefix count nothing; `/zookeeper` itself counts.
const UNCOUNTED: &str = "/zookeeper/";

/// Path and data of up to this many bytes together are summed up in one piece with the stat.
const SMALL_BYTES: usize = 436;
const STAT_BYTES: usize = 60;
/// The fast way of the checksum takes this many bytes at once, and no fewer than the second.
const STRIDE: usize = 16;
const STRIDES_MIN: usize = 128;
const PIECE_BYTES: usize = SMALL_BYTES + STAT_BYTES + STRIDE;

/// What a node counts. The root's path is `"/"` or empty.
pub(crate) fn counts(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> u32 {
    if path.starts_with(UNCOUNTED) {
        return 0;
    }
    let (key, data) = (content_key(path), data.unwrap_or_default());
    let len = key.len() + data.len() + STAT_BYTES;
    if key.len() + data.len() <= SMALL_BYTES {
        // The content stands at the end of the piece, so that it begins with zeros and is whole
        // strides long.
        let mut piece = [0; PIECE_BYTES];
        let (rest, stat_bytes) = piece.split_at_mut(PIECE_BYTES - STAT_BYTES);
        put_stat(stat, stat_bytes);
        let (rest, data_bytes) = rest.split_at_mut(rest.len() - data.len());
        data_bytes.copy_from_slice(data);
        let (_, key_bytes) = rest.split_at_mut(rest.len() - key.len());
        key_bytes.copy_from_slice(key);
        checksum_of_end(&mut piece, len)
    } else {
        let mut stat_bytes = [0; STAT_BYTES];
        put_stat(stat, &mut stat_bytes);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(key);
        hasher.update(data);
        hasher.update(&stat_bytes);
        hasher.finalize()
    }
}

/// The CRC-32 of the last `len` bytes, of which there are at least four and before which there are
/// only zeros.
///
/// A register of zeros stays so over zeros, and beginning with a register of ones is the same as
/// inverting the first four bytes. So the zeros before the content may be summed up with it, and
/// nothing is left over for the slow way, byte by byte.
fn checksum_of_end(piece: &mut [u8; PIECE_BYTES], len: usize) -> u32 {
    let start = PIECE_BYTES - len;
    for byte in piece.iter_mut().skip(start).take(4) {
        *byte = !*byte;
    }
    let strides = len.next_multiple_of(STRIDE).max(STRIDES_MIN);
    let mut hasher = crc32fast::Hasher::new_with_initial(u32::MAX);
    hasher
        .update(piece.get(PIECE_BYTES - strides..).expect("the piece has room for a stride more"));
    hasher.finalize()
}

fn content_key(path: &str) -> &[u8] {
    if path == "/" { b"" } else { path.as_bytes() }
}

/// The stat's bytes in the order of the digest, which is not that of the files.
fn put_stat(stat: &StatPersisted, into: &mut [u8]) {
    let longs = [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime];
    let ints = [stat.version, stat.cversion, stat.aversion];
    let (head, owner) = into.split_at_mut(52);
    let (long_bytes, int_bytes) = head.split_at_mut(40);
    for (to, long) in long_bytes.chunks_exact_mut(8).zip(longs) {
        to.copy_from_slice(&long.to_be_bytes());
    }
    for (to, int) in int_bytes.chunks_exact_mut(4).zip(ints) {
        to.copy_from_slice(&int.to_be_bytes());
    }
    let owner = owner.first_chunk_mut::<8>().expect("there is room for a stat");
    *owner = stat.ephemeral_owner.to_be_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_wire::Zxid;

    #[test]
    fn a_node_counts_the_checksum_of_all_its_bytes() {
        let stat = StatPersisted {
            czxid: Zxid(1),
            mzxid: Zxid(2),
            ctime: 4,
            mtime: 5,
            version: 6,
            cversion: 7,
            aversion: 8,
            ephemeral_owner: 9,
            pzxid: Zxid(3),
        };
        let mut bytes = b"/pathdata".to_vec();
        for long in 1..=5i64 {
            bytes.extend_from_slice(&long.to_be_bytes());
        }
        for int in 6..=8i32 {
            bytes.extend_from_slice(&int.to_be_bytes());
        }
        bytes.extend_from_slice(&9i64.to_be_bytes());
        assert_eq!(counts("/path", Some(b"data"), &stat), crc32fast::hash(&bytes));
        let stat_bytes = bytes.split_off(9);
        for len in (0..SMALL_BYTES).chain([5000]) {
            let data = vec![7; len];
            let all = [b"/path", &*data, &*stat_bytes].concat();
            let got = counts("/path", Some(&data), &stat);
            assert_eq!(got, crc32fast::hash(&all), "{len} bytes of data");
        }
    }

    #[test]
    fn the_system_nodes_below_zookeeper_do_not_count() {
        let counts = |path, data| counts(path, data, &StatPersisted::default());
        assert_eq!(counts("/zookeeper/config", None), 0);
        assert_ne!(counts("/zookeeper", None), 0);
        assert_eq!(counts("/", None), counts("", Some(b"")));
    }
}

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
const SMALL_BYTES: usize = 452;
const STAT_BYTES: usize = 60;

/// What a node counts. The root's path is `"/"` or empty.
pub(crate) fn counts(path: &str, data: Option<&[u8]>, stat: &StatPersisted) -> u32 {
    if path.starts_with(UNCOUNTED) {
        return 0;
    }
    let (key, data) = (content_key(path), data.unwrap_or_default());
    let mut piece = [0; SMALL_BYTES + STAT_BYTES];
    if key.len() + data.len() <= SMALL_BYTES {
        let (path_bytes, rest) = piece.split_at_mut(key.len());
        path_bytes.copy_from_slice(key);
        let (data_bytes, rest) = rest.split_at_mut(data.len());
        data_bytes.copy_from_slice(data);
        put_stat(stat, rest);
        let len = key.len() + data.len() + STAT_BYTES;
        crc32fast::hash(piece.get(..len).expect("the piece has room for small content"))
    } else {
        put_stat(stat, &mut piece);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(key);
        hasher.update(data);
        hasher.update(piece.first_chunk::<STAT_BYTES>().expect("the piece is longer"));
        hasher.finalize()
    }
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
        for len in [SMALL_BYTES - 6, SMALL_BYTES - 5, SMALL_BYTES - 4, 5000] {
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

//! The digest of the tree: Apache's sum of one checksum per node, version 2.
//!
//! A node counts the CRC-32 of its path, its data and 60 bytes of its stat; the tree's digest is
//! the sum modulo 2^64, so it is kept up to date by subtracting a node's old value and adding its
//! new one. What is below `/zookeeper/` counts nothing, because Apache's servers keep different
//! quota statistics there.
//!
//! The checksum of path and data is kept in the node, so that a change of its stat alone does not
//! read the data again.

use bellwether_wire::stat::StatPersisted;

/// Nodes with this prefix count nothing; `/zookeeper` itself counts.
const UNCOUNTED: &str = "/zookeeper/";

/// The checksum of path and data. The root's path is empty here.
pub(crate) fn content_crc(path: &str, data: Option<&[u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(if path == "/" { b"" } else { path.as_bytes() });
    hasher.update(data.unwrap_or_default());
    hasher.finalize()
}

/// What a node counts.
pub(crate) fn of_node(path: &str, content_crc: u32, stat: &StatPersisted) -> u64 {
    if path.starts_with(UNCOUNTED) {
        return 0;
    }
    let mut bytes = [0; 60];
    let longs = [stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime];
    let ints = [stat.version, stat.cversion, stat.aversion];
    let (head, owner) = bytes.split_at_mut(52);
    let (long_bytes, int_bytes) = head.split_at_mut(40);
    for (to, long) in long_bytes.chunks_exact_mut(8).zip(longs) {
        to.copy_from_slice(&long.to_be_bytes());
    }
    for (to, int) in int_bytes.chunks_exact_mut(4).zip(ints) {
        to.copy_from_slice(&int.to_be_bytes());
    }
    owner.copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    let mut hasher = crc32fast::Hasher::new_with_initial(content_crc);
    hasher.update(&bytes);
    u64::from(hasher.finalize())
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
        let crc = content_crc("/path", Some(b"data"));
        assert_eq!(of_node("/path", crc, &stat), u64::from(crc32fast::hash(&bytes)));
    }

    #[test]
    fn the_system_nodes_below_zookeeper_do_not_count() {
        let stat = StatPersisted::default();
        assert_eq!(of_node("/zookeeper/config", 1, &stat), 0);
        assert_ne!(of_node("/zookeeper", 1, &stat), 0);
        assert_eq!(content_crc("/", None), content_crc("", Some(b"")));
    }
}

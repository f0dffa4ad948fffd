//! One directory's entries as they would survive a power loss, and the file that keeps them.
//!
//! A listing names inodes, never paths: a file that is renamed keeps its durable bytes, and a
//! name that was never synced is simply not listed. Links, sockets and other special files are
//! not modelled and are left out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    File(u64),
    Directory(u64),
}

/// The entries of one directory by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    pub entries: BTreeMap<OsString, Entry>,
}

impl Listing {
    /// The entries that a directory has at this moment. A name that vanishes meanwhile is left out.
    pub fn of_directory(path: &Path) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // Not what the directory says of the entry: some file systems number inodes differently
            // there.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file() {
                entries.insert(entry.file_name(), Entry::File(metadata.ino()));
            } else if metadata.is_dir() {
                entries.insert(entry.file_name(), Entry::Directory(metadata.ino()));
            }
        }
        Ok(Self { entries })
    }

    /// One line per entry, ended by a zero byte, which no file name can contain.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, entry) in &self.entries {
            let head = match entry {
                Entry::File(id) => format!("f {id} "),
                Entry::Directory(id) => format!("d {id} "),
            };
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(name.as_bytes());
            out.push(0);
        }
        out
    }

    pub fn decode(bytes: &[u8]) -> io::Result<Self> {
        let entries = bytes
            .split(|byte| *byte == 0)
            .filter(|line| !line.is_empty())
            .map(decode_entry)
            .collect::<Option<_>>()
            .ok_or_else(|| io::Error::other("a listing of the shadow is malformed"))?;
        Ok(Self { entries })
    }
}

fn decode_entry(line: &[u8]) -> Option<(OsString, Entry)> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let kind = parts.next()?;
    let id = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let name = OsString::from_vec(parts.next()?.to_vec());
    match kind {
        b"f" => Some((name, Entry::File(id))),
        b"d" => Some((name, Entry::Directory(id))),
        _ => None,
    }
}

/// The inode number behind a path.
pub fn inode_of(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_survives_its_file() {
        let mut listing = Listing::default();
        listing.entries.insert("log 1\n2".into(), Entry::File(7));
        listing.entries.insert("version-2".into(), Entry::Directory(8));
        listing.entries.insert(OsString::from_vec(vec![0xFF, b' ']), Entry::File(u64::MAX));
        assert_eq!(Listing::decode(&listing.encode()).expect("well formed"), listing);
        assert_eq!(Listing::decode(b"").expect("empty"), Listing::default());
        assert!(Listing::decode(b"x 1 name\0").is_err());
        assert!(Listing::decode(b"f one name\0").is_err());
    }
}

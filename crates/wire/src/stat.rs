//! What is known of a znode besides its data: on the wire ([`Stat`]) and on disk.

use crate::jute::{Decoded, Put, Reader};
use crate::zxid::Zxid;

/// The stat of a znode as clients see it, 68 bytes.
///
/// `cversion` here is derived (`2 × creates − children`) and `ephemeral_owner` is masked for
/// containers and TTL nodes; the stored values are in [`StatPersisted`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// The transaction that created the node.
    pub czxid: Zxid,
    /// The transaction that last set its data.
    pub mzxid: Zxid,
    /// When it was created, milliseconds since 1970 on the leader's clock.
    pub ctime: i64,
    /// When its data was last set, likewise.
    pub mtime: i64,
    /// How often its data was set.
    pub version: i32,
    /// How often its children changed.
    pub cversion: i32,
    /// How often its ACL was set.
    pub aversion: i32,
    /// The session it ends with, 0 if none.
    pub ephemeral_owner: i64,
    /// The length of its data in bytes.
    pub data_length: i32,
    /// How many children it has.
    pub num_children: i32,
    /// The transaction that last changed its children.
    pub pzxid: Zxid,
}

impl Stat {
    /// Reads a stat.
    pub fn decode(r: &mut Reader<'_>) -> Decoded<Stat> {
        Ok(Stat {
            czxid: Zxid(r.long("stat.czxid")?),
            mzxid: Zxid(r.long("stat.mzxid")?),
            ctime: r.long("stat.ctime")?,
            mtime: r.long("stat.mtime")?,
            version: r.int("stat.version")?,
            cversion: r.int("stat.cversion")?,
            aversion: r.int("stat.aversion")?,
            ephemeral_owner: r.long("stat.ephemeralOwner")?,
            data_length: r.int("stat.dataLength")?,
            num_children: r.int("stat.numChildren")?,
            pzxid: Zxid(r.long("stat.pzxid")?),
        })
    }

    /// Appends a stat.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_long(self.czxid.0);
        out.put_long(self.mzxid.0);
        out.put_long(self.ctime);
        out.put_long(self.mtime);
        out.put_int(self.version);
        out.put_int(self.cversion);
        out.put_int(self.aversion);
        out.put_long(self.ephemeral_owner);
        out.put_int(self.data_length);
        out.put_int(self.num_children);
        out.put_long(self.pzxid.0);
    }
}

/// The stat of a znode as snapshots and the tree keep it, 60 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatPersisted {
    /// See [`Stat::czxid`].
    pub czxid: Zxid,
    /// See [`Stat::mzxid`].
    pub mzxid: Zxid,
    /// See [`Stat::ctime`].
    pub ctime: i64,
    /// See [`Stat::mtime`].
    pub mtime: i64,
    /// See [`Stat::version`].
    pub version: i32,
    /// How many children were ever created: not what clients see as `cversion`.
    pub cversion: i32,
    /// See [`Stat::aversion`].
    pub aversion: i32,
    /// Session, container mark or TTL, undecoded; see [`crate::Owner`].
    pub ephemeral_owner: i64,
    /// See [`Stat::pzxid`].
    pub pzxid: Zxid,
}

impl StatPersisted {
    /// Reads it from a snapshot.
    pub fn decode(r: &mut Reader<'_>) -> Decoded<StatPersisted> {
        Ok(StatPersisted {
            czxid: Zxid(r.long("stat.czxid")?),
            mzxid: Zxid(r.long("stat.mzxid")?),
            ctime: r.long("stat.ctime")?,
            mtime: r.long("stat.mtime")?,
            version: r.int("stat.version")?,
            cversion: r.int("stat.cversion")?,
            aversion: r.int("stat.aversion")?,
            ephemeral_owner: r.long("stat.ephemeralOwner")?,
            pzxid: Zxid(r.long("stat.pzxid")?),
        })
    }

    /// Appends it to a snapshot.
    pub fn encode(&self, out: &mut impl Put) {
        out.put_long(self.czxid.0);
        out.put_long(self.mzxid.0);
        out.put_long(self.ctime);
        out.put_long(self.mtime);
        out.put_int(self.version);
        out.put_int(self.cversion);
        out.put_int(self.aversion);
        out.put_long(self.ephemeral_owner);
        out.put_long(self.pzxid.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_round_trip_at_their_documented_size() {
        let stat = Stat { czxid: Zxid(1), cversion: 9, data_length: 3, ..Stat::default() };
        let mut out = Vec::new();
        stat.encode(&mut out);
        assert_eq!(out.len(), 68);
        assert_eq!(Stat::decode(&mut Reader::new(&out)), Ok(stat));

        let stat = StatPersisted { mzxid: Zxid(4), ephemeral_owner: -1, ..Default::default() };
        let mut out = Vec::new();
        stat.encode(&mut out);
        assert_eq!(out.len(), 60);
        assert_eq!(StatPersisted::decode(&mut Reader::new(&out)), Ok(stat));
    }
}

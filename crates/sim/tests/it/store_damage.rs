//! Every way in which a log can be damaged, as rows: who wrote it, what was done to it, what the
//! side file knows, and what a start then does.

use crate::site::{Site, write};
use bellwether_store::ForceSync;

/// Who wrote the log.
#[derive(Clone, Copy, Debug)]
enum By {
    /// This store.
    Us,
    /// A writer without marks.
    Apache,
}

/// What the side file knows of the log's batches `1,2` `3,4` `5,6`.
#[derive(Clone, Copy, Debug)]
enum Side {
    /// All three were synced.
    Knows,
    /// The first two were.
    KnowsTwo,
    /// It is gone.
    Gone,
}

/// What is done to the record with this zxid.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Nothing,
    /// A byte of the payload.
    Flip(i64),
    /// The byte behind it.
    End(i64),
    /// Its length.
    Length(i64, i32),
    /// All of it.
    Zero(i64),
    /// It, and all that follows.
    ZeroFrom(i64),
    /// The file ends in its middle.
    CutWithin(i64),
    /// The file ends before it.
    CutBefore(i64),
    /// A length of zero and all the rest as it was.
    ZeroLength(i64),
}

fn apply(edit: Edit, places: &[(i64, usize, usize)], bytes: &mut Vec<u8>) {
    let at = |zxid| *places.iter().find(|(z, ..)| *z == zxid).expect("it was written");
    match edit {
        Edit::Nothing => {}
        Edit::Flip(zxid) => bytes[at(zxid).1 + 20] ^= 0x40,
        Edit::End(zxid) => bytes[at(zxid).2 - 1] = 0,
        Edit::Length(zxid, length) => {
            let (_, from, _) = at(zxid);
            bytes[from + 8..from + 12].copy_from_slice(&length.to_be_bytes());
        }
        Edit::Zero(zxid) => {
            let (_, from, to) = at(zxid);
            bytes[from..to].fill(0);
        }
        Edit::ZeroFrom(zxid) => bytes[at(zxid).1..].fill(0),
        Edit::CutWithin(zxid) => bytes.truncate(at(zxid).1 + 30),
        Edit::CutBefore(zxid) => bytes.truncate(at(zxid).1),
        Edit::ZeroLength(zxid) => {
            let (_, from, _) = at(zxid);
            bytes[from + 8..from + 12].fill(0);
        }
    }
}

fn check(site: &mut Site, row: (By, Edit, Side)) -> String {
    let (by, edit, side) = row;
    site.options.force_sync = match by {
        By::Us => ForceSync::Yes,
        By::Apache => ForceSync::No,
    };
    let mut store = site.with_batches(&[&[1, 2], &[3, 4]]);
    let two = matches!(by, By::Us).then(|| site.bytes(&site.side()));
    write(&mut store, &[&[5, 6]]);
    drop(store);
    match (side, two) {
        (Side::KnowsTwo, Some(bytes)) => site.put(&site.side(), &bytes),
        (Side::Gone, Some(_)) => site.disk.remove(&site.side()).unwrap(),
        (Side::Knows | Side::KnowsTwo | Side::Gone, _) => {}
    }
    let log = site.log(1);
    let places = site.places(&log);
    site.edit(&log, |bytes| apply(edit, &places, bytes));
    site.options.force_sync = ForceSync::Yes;
    site.outcome()
}

#[test]
fn damage_is_answered_row_by_row() {
    use {By::*, Edit::*, Side::*};
    let all = "1,2,3,4,5,6";
    let cut = "1,2,3,4 TailCut";
    let rows = [
        ((Us, Nothing, Knows), all),
        ((Us, Nothing, KnowsTwo), all),
        ((Us, Nothing, Gone), all),
        // The last batch, of which nothing is known: torn in any way, it is cut off.
        ((Us, Flip(5), KnowsTwo), cut),
        ((Us, Flip(5), Gone), cut),
        ((Us, Flip(6), KnowsTwo), "1,2,3,4,5 TailCut"),
        ((Us, End(5), KnowsTwo), cut),
        ((Us, Zero(5), KnowsTwo), cut),
        ((Us, ZeroLength(5), KnowsTwo), cut),
        ((Us, Length(5, -7), KnowsTwo), cut),
        ((Us, Length(5, i32::MAX), Gone), cut),
        ((Us, CutWithin(5), KnowsTwo), cut),
        ((Us, CutWithin(5), Gone), cut),
        ((Us, ZeroFrom(5), KnowsTwo), "1,2,3,4"),
        ((Us, CutBefore(5), Gone), "1,2,3,4"),
        // The same, but the side file knows that it was synced.
        ((Us, Flip(5), Knows), "refused: SyncedBySideFile"),
        ((Us, Flip(6), Knows), "refused: SyncedBySideFile"),
        ((Us, End(5), Knows), "refused: SyncedBySideFile"),
        ((Us, Zero(5), Knows), "refused: SyncedBySideFile"),
        ((Us, ZeroFrom(5), Knows), "refused: SyncedBySideFile"),
        ((Us, CutWithin(5), Knows), "refused: SyncedBySideFile"),
        ((Us, CutBefore(5), Knows), "refused: SyncedBySideFile"),
        // A batch before the last: the last one's mark says that it was synced.
        ((Us, Flip(3), Gone), "refused: SyncedBefore"),
        ((Us, Flip(4), Gone), "refused: SyncedBefore"),
        ((Us, End(4), Gone), "refused: SyncedBefore"),
        ((Us, Zero(3), Gone), "refused: SyncedBefore"),
        ((Us, ZeroLength(3), Gone), "refused: SyncedBefore"),
        ((Us, Length(1, -1), Gone), "refused: SyncedBefore"),
        ((Us, Length(1, 1 << 30), Gone), "refused: SyncedBefore"),
        ((Us, Flip(1), Knows), "refused: SyncedBefore"),
        ((Us, ZeroFrom(3), KnowsTwo), "refused: SyncedBySideFile"),
        // The first batch of the log, when nothing at all is known: Apache's rules.
        ((Us, ZeroFrom(1), Gone), "EmptyLogRemoved"),
        // Without marks: Apache's rules to the letter.
        ((Apache, Nothing, Gone), all),
        ((Apache, Flip(5), Gone), "refused: Checksum"),
        ((Apache, Flip(2), Gone), "refused: Checksum"),
        ((Apache, End(5), Gone), "1,2,3,4 LogEndsWithinRecord"),
        ((Apache, End(2), Gone), "1 LogEndsWithinRecord"),
        ((Apache, Zero(3), Gone), "1,2 LogEndsWithinRecord"),
        ((Apache, CutWithin(6), Gone), "1,2,3,4,5 LogEndsWithinRecord"),
        ((Apache, CutBefore(4), Gone), "1,2,3"),
        ((Apache, ZeroFrom(4), Gone), "1,2,3"),
        ((Apache, Length(5, -7), Gone), "refused: Length"),
        ((Apache, Length(5, 1 << 30), Gone), "refused: Length"),
    ];
    for (row, expected) in rows {
        Site::on_both(|mut site| assert_eq!(check(&mut site, row), expected, "{row:?}"));
    }
}

#[test]
fn cut_bytes_are_kept_and_the_next_start_is_clean() {
    Site::on_both(|mut site| {
        let cut = check(&mut site, (By::Us, Edit::Flip(5), Side::KnowsTwo));
        assert_eq!(cut, "1,2,3,4 TailCut");
        let places = site.places(&site.log(1));
        let offset = places[3].2;
        assert_eq!(site.bytes(&site.log(1)).len(), offset);
        let kept = site.options.log_dir().join(format!("bellwether.cut.log.1.{offset}"));
        assert!(site.bytes(&kept).len() > 100, "both records of the batch are kept");
        let (mut store, seen) = site.open().unwrap();
        assert_eq!((seen.zxids, seen.notices.len()), (vec![1, 2, 3, 4], 0));
        write(&mut store, &[&[5], &[6]]);
        drop(store);
        assert_eq!(site.outcome(), "1,2,3,4,5,6");
    });
}

#[test]
fn a_refusal_changes_nothing() {
    Site::on_both(|mut site| {
        check(&mut site, (By::Us, Edit::Flip(3), Side::Gone));
        let before = (site.names(), site.bytes(&site.log(1)));
        let error = site.open().map(|_| ()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("log.1, offset") && text.contains("bellwether log"), "{text}");
        assert_eq!(error.exit_code(), 1);
        assert_eq!(before, (site.names(), site.bytes(&site.log(1))));
    });
}

/// Two logs of ours, then damage in the first.
fn two_logs(site: &mut Site, edit: Edit) -> String {
    let mut store = site.with_batches(&[&[1, 2], &[3, 4]]);
    store.roll().unwrap();
    write(&mut store, &[&[5], &[6]]);
    drop(store);
    site.disk.remove(&site.side()).unwrap();
    let log = site.log(1);
    let places = site.places(&log);
    site.edit(&log, |bytes| apply(edit, &places, bytes));
    site.outcome()
}

#[test]
fn a_later_log_proves_that_an_earlier_one_was_synced() {
    let rows = [
        (Edit::Nothing, "1,2,3,4,5,6"),
        (Edit::Flip(4), "refused: SyncedBefore"),
        (Edit::CutWithin(4), "refused: SyncedBefore"),
        (Edit::ZeroFrom(4), "refused: MissingRecords"),
        (Edit::CutBefore(3), "refused: MissingRecords"),
    ];
    for (edit, expected) in rows {
        Site::on_both(|mut site| assert_eq!(two_logs(&mut site, edit), expected, "{edit:?}"));
    }
}

#[test]
fn a_log_that_is_gone_is_missed() {
    Site::on_both(|site| {
        let mut store = site.with_batches(&[&[1, 2]]);
        for first in [3, 5] {
            store.roll().unwrap();
            write(&mut store, &[&[first, first + 1]]);
        }
        drop(store);
        let middle = site.bytes(&site.log(3));
        site.disk.remove(&site.log(3)).unwrap();
        assert_eq!(site.outcome(), "refused: MissingRecords");
        site.put(&site.log(3), &middle);
        assert_eq!(site.outcome(), "1,2,3,4,5,6");
        site.disk.remove(&site.log(5)).unwrap();
        assert_eq!(site.outcome(), "refused: MissingEnd");
    });
}

#[test]
fn a_server_without_marks_may_write_in_between() {
    Site::on_both(|mut site| {
        drop(site.with_batches(&[&[1, 2]]));
        for (force_sync, first) in [(ForceSync::No, 3), (ForceSync::Yes, 5), (ForceSync::No, 7)] {
            site.options.force_sync = force_sync;
            let (mut store, _) = site.open().unwrap();
            write(&mut store, &[&[first], &[first + 1]]);
        }
        site.options.force_sync = ForceSync::Yes;
        assert_eq!(site.outcome(), "1,2,3,4,5,6,7,8");
        // That server has cut what the side file knows of, and has gone on.
        let log = site.log(5);
        let places = site.places(&log);
        site.edit(&log, |bytes| apply(Edit::CutBefore(6), &places, bytes));
        assert_eq!(site.outcome(), "1,2,3,4,5,7,8 Gap");
    });
}

#[test]
fn a_log_under_a_later_name_is_refused() {
    Site::on_both(|site| {
        drop(site.with_batches(&[&[1, 2]]));
        site.disk.rename(&site.log(1), &site.log(3)).unwrap();
        assert_eq!(site.outcome(), "refused: Misnamed");
    });
}

#[test]
fn a_log_that_goes_backwards_is_refused() {
    Site::on_both(|mut site| {
        site.options.force_sync = ForceSync::No;
        drop(site.with_batches(&[&[1, 2], &[3]]));
        site.options.force_sync = ForceSync::Yes;
        let log = site.log(1);
        let places = site.places(&log);
        let twice = |site: &Site, from: i64| {
            let place = *places.iter().find(|(zxid, ..)| *zxid == from).unwrap();
            let end = places[2].2;
            site.edit(&log, |bytes| {
                let copy = bytes[place.1..place.2].to_vec();
                bytes[end..end + copy.len()].copy_from_slice(&copy);
            });
        };
        twice(&site, 3);
        assert_eq!(site.outcome(), "1,2,3 RecordRepeated");
        twice(&site, 2);
        assert_eq!(site.outcome(), "refused: Backwards");
    });
}

#[test]
fn a_log_without_a_header_is_one_that_was_only_just_begun() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "1,2 EmptyLogRemoved"),
        (&[0; 9000], "1,2 EmptyLogRemoved"),
        (b"ZKLG", "1,2 EmptyLogRemoved"),
        (b"ZK", "1,2 EmptyLogRemoved"),
        (b"this is something else entirely", "refused: Header"),
    ];
    for (content, expected) in cases {
        Site::on_both(|site| {
            drop(site.with_batches(&[&[1, 2]]));
            site.put(&site.log(3), content);
            assert_eq!(site.outcome(), expected, "{content:?}");
            if expected.starts_with("1,2") {
                assert!(!site.names().contains(&"log.3".to_owned()));
                assert_eq!(site.outcome(), "1,2");
                // In the middle it is refused, as Apache refuses it.
                site.put(&site.log(0), content);
                assert_eq!(site.outcome(), "refused: Header", "{content:?}");
            }
        });
    }
}

#[test]
fn a_longer_record_than_allowed_is_refused_and_not_cut() {
    Site::on_both(|mut site| {
        let mut store = site.with_batches(&[&[1]]);
        store.append(&crate::site::record(2, 5000)).unwrap();
        store.sync().unwrap();
        drop(store);
        site.disk.remove(&site.side()).unwrap();
        site.options.record_bytes_max = 3000;
        assert_eq!(site.outcome(), "refused: TooLong");
    });
}

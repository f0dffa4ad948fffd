//! `bellwether log dump`: every transaction of a log, and every damaged place.

use super::describe::{self, Data};
use super::hold::Hold;
use super::json::Object;
use super::options::Options;
use super::out::Out;
use super::target::{self, Target};
use super::{Done, Failure, Found};
use bellwether_store::{OsDisk, Piece, Salvage};
use bellwether_wire::Zxid;
use std::path::Path;

pub(super) fn run(options: &Options, out: &mut Out) -> Done {
    let mut found = Found::Nothing;
    for given in &options.targets {
        match Target::find(given)? {
            Target::File(path) => found = found.or(dump(&path, Zxid::ZERO, options, out)?.0),
            Target::Directory(dir) => {
                let _hold = Hold::to_read(&dir)?;
                let mut last = Zxid::ZERO;
                for (_, path) in target::contents(&dir)?.logs {
                    let (wrong, end) = dump(&path, last, options, out)?;
                    found = found.or(wrong);
                    last = end;
                }
            }
        }
    }
    Ok(found)
}

/// Prints one log, which follows `last`; returns its own last transaction.
fn dump(
    path: &Path,
    last: Zxid,
    options: &Options,
    out: &mut Out,
) -> Result<(Found, Zxid), Failure> {
    let data = if options.data { Data::Content } else { Data::Length };
    let mut log = Salvage::open(&OsDisk, path, last)?;
    let (file, bytes) = (path.display().to_string(), log.file_bytes());
    out.text(|| format!("{file}: {bytes} bytes"))?;
    let (mut records, mut holes, mut last) = (0_u64, 0_u64, last);
    while let Some(piece) = log.step()? {
        match piece {
            Piece::Record(found) => {
                records += 1;
                last = found.record.header.zxid;
                out.say(
                    || describe::record(&found, data),
                    || describe::record_object(&file, &found, data),
                )?;
            }
            Piece::Hole(hole) => {
                holes += 1;
                out.say(|| describe::hole(&hole), || describe::hole_object(&file, &hole))?;
            }
        }
    }
    out.say(
        || format!("end of {file}: {records} transactions, {holes} damaged places"),
        || {
            let object = Object::new("log").text("file", &file).number("bytes", bytes);
            object.number("transactions", records).number("damaged", holes).text("last", last)
        },
    )?;
    Ok((if holes == 0 { Found::Nothing } else { Found::Something }, last))
}

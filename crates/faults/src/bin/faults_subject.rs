//! A program that does to files what its arguments say and then dies without a goodbye: the
//! subject of the preload library's own tests.
//!
//! It uses the standard library as a server would. A file stays open under the name that it was
//! created with. Every step prints its result, `ok` or the error number, on a line of its own.
#![expect(clippy::print_stdout, reason = "its output is what the tests read")]

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut files = BTreeMap::new();
    for step in std::env::args().skip(1) {
        let words: Vec<&str> = step.split_whitespace().collect();
        match perform(&words, &mut files) {
            Ok(()) => println!("ok"),
            Err(error) => println!("{}", error.raw_os_error().unwrap_or(-1)),
        }
    }
    std::process::abort();
}

fn perform(words: &[&str], files: &mut BTreeMap<String, File>) -> io::Result<()> {
    match *words {
        ["create", name] => {
            let file = OpenOptions::new().create(true).truncate(true).write(true).open(name)?;
            files.insert(name.to_owned(), file);
            Ok(())
        }
        ["open-append", name] => {
            let file = OpenOptions::new().append(true).open(name)?;
            files.insert(name.to_owned(), file);
            Ok(())
        }
        ["write", name, text] => open_file(files, name)?.write_all(text.as_bytes()),
        ["write-vectored", name, first, second] => {
            let parts = [IoSlice::new(first.as_bytes()), IoSlice::new(second.as_bytes())];
            let count = open_file(files, name)?.write_vectored(&parts)?;
            assert_eq!(count, first.len() + second.len(), "a vectored write is whole here");
            Ok(())
        }
        ["write-at", name, at, text] => {
            open_file(files, name)?.write_all_at(text.as_bytes(), number(at)?)
        }
        ["truncate", name, len] => open_file(files, name)?.set_len(number(len)?),
        ["copy", from, to] => fs::copy(from, to).map(|_| ()),
        ["fsync", name] => open_file(files, name)?.sync_all(),
        ["fdatasync", name] => open_file(files, name)?.sync_data(),
        ["dirsync", name] => File::open(name)?.sync_all(),
        ["rename", from, to] => fs::rename(from, to),
        ["unlink", name] => fs::remove_file(name),
        ["link", from, to] => fs::hard_link(from, to),
        ["mkdir", name] => fs::create_dir(name),
        ["close", name] => {
            files.remove(name);
            Ok(())
        }
        _ => panic!("no such step: {words:?}"),
    }
}

fn open_file<'a>(files: &'a mut BTreeMap<String, File>, name: &str) -> io::Result<&'a mut File> {
    files.get_mut(name).ok_or_else(|| io::Error::other(format!("{name} is not open")))
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(io::Error::other)
}

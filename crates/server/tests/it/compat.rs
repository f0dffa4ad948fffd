//! `docs/COMPAT.md` says what the tables in the code say. `UPDATE_EXPECT=1` writes it anew.

use crate::proofs::Proofs;
use bellwether_server::{admin, auth, config};
use bellwether_wire::{ErrorCode, OpCode};
use expect_test::expect_file;
use std::fmt::Write as _;

const HEAD: &str = "\
# Compatibility

What this server does where Apache ZooKeeper 3.9.5 does something. Every table below is written from a table in the code; a test
compares them (`UPDATE_EXPECT=1 cargo test -p bellwether-server --test it compat` writes this file anew). The last column names what proves a
row: scenarios of `conformance/scenarios`, which both servers play, or tests where no scenario can show it. A row that says yes has one.

Where Apache is dangerous, this server differs on purpose: opcodes 20 (`deleteContainer`) and -10 (`createSession`) from a client are
refused; a session's former connection is closed only after the password was checked; children are listed in the order of their names.

A request longer than `jute.maxbuffer` (up to 128 MiB) is read past and answered in its turn with MARSHALLINGERROR, where Apache hangs up
and clients try again without end; it takes no zxid. The connection is closed, as Apache does, where a client would misunderstand an error
(`setWatches`, `auth`, `sasl`, the close of a session) and for lengths below 0 or beyond. A reply is never too long for the server; a Java
client gives up the connection for one beyond its own `jute.maxbuffer`, so that both sides should have the same.

Not yet: read-only mode and local sessions, dynamic reconfiguration, TLS and X.509, SASL, the HTTP admin server, the Prometheus endpoint.
What would weaken what was asked for is refused by name; what only tunes them is accepted without effect.
JMX does not exist outside of a JVM.
";

const FILES: &str = "\
## Files

Logs, snapshots and their names are Apache's; directories of 3.5 to 3.9 are read, plain, gzip and snappy. Two things are added that Apache
passes over: four bytes behind the first transaction of a batch, and the file `bellwether.synced` beside the logs, which both tell what was
on stable storage. `bellwether.lock` keeps a second server out.
";

/// The page, and what is wrong with its proofs.
fn compat() -> (String, Vec<String>) {
    let mut text = HEAD.to_owned();
    let mut proofs = Proofs::read();
    let mut section = |(title, kind): (&str, &str), header: &str, rows: Vec<String>| {
        // Every table gets one more column: what shows that a row is true.
        let header = header.replacen('\n', " proof |\n", 1) + "---|";
        let proven = rows.iter().map(|row| format!("{row} {} |", proofs.cell(kind, row)));
        let rows: Vec<String> = proven.map(|row| row.replace("|  |", "| |")).collect();
        write!(text, "\n## {title}\n\n{header}\n{}\n", rows.join("\n"))
            .expect("a string takes all");
    };
    let ops = OpCode::ALL.iter().map(|op| {
        format!("| {} | `{}` | {} | {} |", op.code(), op.name(), op.since(), op.support())
    });
    section(
        ("Operations", "op"),
        "| code | operation | since | what this server does |\n|---|---|---|---|",
        ops.collect(),
    );
    let errors = ErrorCode::ALL
        .iter()
        .map(|code| format!("| {} | `{}` | {} |", code.code(), code.name(), code.sent()));
    section(
        ("Errors", "error"),
        "| code | name | from this server |\n|---|---|---|",
        errors.collect(),
    );
    section(("Schemes of authentication", "scheme"), auth::COMPAT_HEADER, auth::compat_rows());
    section(("Four-letter words", "word"), admin::WORDS_COMPAT_HEADER, admin::words_compat_rows());
    section(
        ("Metrics of `mntr`", "metric"),
        admin::METRICS_COMPAT_HEADER,
        admin::metrics_compat_rows(),
    );
    section(("Settings", "setting"), config::render::COMPAT_HEADER, config::render::compat_rows());
    text.push('\n');
    text.push_str(FILES);
    (text, proofs.finish())
}

#[test]
fn the_page_says_what_the_tables_say() {
    expect_file!["../../../../docs/COMPAT.md"].assert_eq(&compat().0);
}

#[test]
fn every_row_that_says_yes_has_a_proof_that_exists() {
    let (_, problems) = compat();
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

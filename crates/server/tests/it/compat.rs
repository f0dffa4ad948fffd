//! `docs/COMPAT.md` says what the tables in the code say. `UPDATE_EXPECT=1` writes it anew.

use bellwether_server::{admin, auth, config};
use bellwether_wire::{ErrorCode, OpCode};
use expect_test::expect_file;
use std::fmt::Write as _;

const HEAD: &str = "\
# Compatibility

What this server does where Apache ZooKeeper 3.9.5 does something. Every table below is written from a table in the code; a test
compares them (`UPDATE_EXPECT=1 cargo test -p bellwether-server --test it compat` writes this file anew).

Where Apache is dangerous, this server differs on purpose: opcodes 20 (`deleteContainer`) and -10 (`createSession`) from a client are
refused; a session's former connection is closed only after the password was checked; children are listed in the order of their names.

A request longer than `jute.maxbuffer` (up to 128 MiB) is read past and answered in its turn with MARSHALLINGERROR, where Apache hangs up
and clients try again without end; it takes no zxid. The connection is closed, as Apache does, where a client would misunderstand an error
(`setWatches`, `auth`, `sasl`, the close of a session) and for lengths below 0 or beyond. A reply is never too long for the server; a Java
client gives up the connection for one beyond its own `jute.maxbuffer`, so that both sides should have the same.

Not yet: ensembles, TLS, SASL, the HTTP admin server. What would need them is refused by name.
JMX does not exist outside of a JVM.
";

const FILES: &str = "\
## Files

Logs, snapshots and their names are Apache's; directories of 3.5 to 3.9 are read, plain, gzip and snappy. Two things are added that Apache
passes over: four bytes behind the first transaction of a batch, and the file `bellwether.synced` beside the logs, which both tell what was
on stable storage. `bellwether.lock` keeps a second server out.
";

fn compat() -> String {
    let mut text = HEAD.to_owned();
    let mut section = |title: &str, header: &str, rows: Vec<String>| {
        write!(text, "\n## {title}\n\n{header}\n{}\n", rows.join("\n"))
            .expect("a string takes all");
    };
    let ops = OpCode::ALL.iter().map(|op| {
        format!("| {} | `{}` | {} | {} |", op.code(), op.name(), op.since(), op.support())
    });
    section(
        "Operations",
        "| code | operation | since | what this server does |\n|---|---|---|---|",
        ops.collect(),
    );
    let errors = ErrorCode::ALL
        .iter()
        .map(|code| format!("| {} | `{}` | {} |", code.code(), code.name(), code.sent()));
    section("Errors", "| code | name | from this server |\n|---|---|---|", errors.collect());
    section("Schemes of authentication", auth::COMPAT_HEADER, auth::compat_rows());
    section("Four-letter words", admin::WORDS_COMPAT_HEADER, admin::words_compat_rows());
    section("Metrics of `mntr`", admin::METRICS_COMPAT_HEADER, admin::metrics_compat_rows());
    section("Settings", config::render::COMPAT_HEADER, config::render::compat_rows());
    text.push('\n');
    text.push_str(FILES);
    text
}

#[test]
fn the_page_says_what_the_tables_say() {
    expect_file!["../../../../docs/COMPAT.md"].assert_eq(&compat());
}

//! The commands on the session and the shell itself: `connect`, `close`, `quit`, `history`, `redo`,
//! `printwatches`, `help`, `version`.

use super::failure::Failed;
use super::shell::Shell;
use super::table::{self, ROWS, Row};
use super::words::Words;
use serde_json::{Value, json};

/// How many lines `history` prints before its own, as in zkCli.
const HISTORY_SHOWN: usize = 10;

pub(super) async fn connect(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    if let Some(servers) = words.arg(0) {
        shell.options.servers = servers.to_owned();
    }
    shell.connect().await?;
    shell.out.value(&json!({ "connected": shell.options.servers }));
    Ok(())
}

pub(super) async fn close(shell: &mut Shell, _: &Words) -> Result<(), Failed> {
    shell.disconnect().await;
    shell.out.value(&json!({ "closed": true }));
    Ok(())
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn quit(shell: &mut Shell, _: &Words) -> Result<(), Failed> {
    shell.quit();
    Ok(())
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn version(shell: &mut Shell, _: &Words) -> Result<(), Failed> {
    let version = env!("CARGO_PKG_VERSION");
    shell.out.value(&json!({ "version": version }));
    shell.out.text(format_args!("Bellwether CLI version: {version}"));
    Ok(())
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn history(shell: &mut Shell, _: &Words) -> Result<(), Failed> {
    for (number, line) in shell.history.last(HISTORY_SHOWN + 1) {
        shell.out.value(&json!({ "number": number, "line": line }));
        shell.out.text(format_args!("{number} - {line}"));
    }
    Ok(())
}

pub(super) async fn redo(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let text = words.arg(0).expect("the row asks for a number");
    let wrong = || Failed::usage("Command index out of range").hint("history shows the numbers");
    let number = text.parse::<usize>().ok().filter(|number| *number < shell.history.current());
    let line = number.and_then(|number| shell.history.get(number)).ok_or_else(wrong)?;
    let words = super::words::split(&line);
    if words.first().is_some_and(|name| name == "redo") {
        return Err(Failed::usage("No redoing redos"));
    }
    shell.history.replace_current(line);
    shell.run(&words).await
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn printwatches(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    match words.arg(0) {
        None => {
            let state = if shell.print_watches.get() { "on" } else { "off" };
            shell.out.value(&json!({ "printwatches": state }));
            shell.out.text(format_args!("printwatches is {state}"));
        }
        Some("on") => shell.print_watches.set(true),
        Some("off") => shell.print_watches.set(false),
        Some(other) => {
            return Err(Failed::usage(format!("printwatches {other}: expected on or off")));
        }
    }
    Ok(())
}

fn value_of(row: &Row) -> Value {
    let options = row.options.iter().map(|option| (option.name.to_owned(), option.about.into()));
    let options: Value = options.collect::<serde_json::Map<_, _>>().into();
    json!({ "command": row.name, "usage": row.usage, "about": row.about, "options": options })
}

#[expect(clippy::unused_async, reason = "every command has this form")]
pub(super) async fn help(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let Some(name) = words.arg(0) else {
        shell.out.value(&ROWS.iter().map(value_of).collect());
        shell.out.text(overview());
        return Ok(());
    };
    let row = table::find(name).or_else(|| table::resembling(name));
    let row = row.ok_or_else(|| super::shell::unknown(name))?;
    shell.out.value(&value_of(row));
    shell.out.text(format_args!("{}\n\n{}", row.usage(), row.about));
    Ok(())
}

/// Every command with what it does, a line each.
pub(super) fn overview() -> String {
    let width = ROWS.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let lines = ROWS.iter().map(|row| format!("  {:width$}  {}\n", row.name, row.about));
    let lines: String = lines.collect();
    format!("{lines}help COMMAND shows its options; --json anywhere prints JSON.")
}

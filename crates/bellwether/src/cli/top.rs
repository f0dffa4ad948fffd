//! `top`: what a server is busy with, from its four-letter words and from a watch of our own.
//!
//! Per session: requests in the last round, by `cons` twice. Per path: changes in the last round,
//! by a recursive watch on everything, which costs the server one event each; reads are told to
//! nobody. Watched paths: by `wchp`. What a server does not offer is named, with the setting that
//! would.

use super::failure::Failed;
use super::nodes::number;
use super::out::{Reader, colours_forbidden};
use super::shell::Shell;
use super::walk::{Below, ask_all};
use super::words::Words;
use crate::four_letters::{self, Connection};
use bellwether_client::{AddWatchMode, Change, Client, PersistentWatcher};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Nodes whose stats are asked for to find the largest.
const NODES_MAX: usize = 10_000;

/// Paths of one round whose changes are counted.
const PATHS_MAX: usize = 10_000;

/// What the command line asks for.
struct Wish {
    interval: Duration,
    rounds: u64,
    lines: usize,
    largest: bool,
}

impl Wish {
    fn parse(shell: &Shell, words: &Words) -> Result<Wish, Failed> {
        let seconds: f64 = number(words, "i", "seconds")?.unwrap_or(2.0);
        if !(0.1..=3600.0).contains(&seconds) {
            return Err(Failed::usage(format!("-i {seconds}: expected 0.1 to 3600 seconds")));
        }
        let endless = shell.out.stdout == Reader::Person && !shell.out.is_json();
        let rounds = if endless { u64::MAX } else { 1 };
        Ok(Wish {
            interval: Duration::from_secs_f64(seconds),
            rounds: number(words, "n", "a count")?.unwrap_or(rounds),
            lines: number(words, "l", "a count")?.unwrap_or(10),
            largest: words.has("z"),
        })
    }
}

/// What was seen of a server at one moment.
#[derive(Debug, Default)]
struct Sample {
    metrics: BTreeMap<String, String>,
    connections: Vec<Connection>,
    watched: BTreeMap<String, u64>,
    /// Why something is not shown.
    missing: Vec<String>,
}

pub(super) async fn top(shell: &mut Shell, words: &Words) -> Result<(), Failed> {
    let wish = Wish::parse(shell, words)?;
    let client = shell.client()?;
    let _quiet = Quiet::new(Rc::clone(&shell.print_watches));
    rounds(shell, &client, &wish).await
}

/// Events are counted here and not printed, until this is dropped: also when it is interrupted.
struct Quiet {
    print_watches: Rc<Cell<bool>>,
    before: bool,
}

impl Quiet {
    fn new(print_watches: Rc<Cell<bool>>) -> Quiet {
        let before = print_watches.replace(false);
        Quiet { print_watches, before }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.print_watches.set(self.before);
    }
}

async fn rounds(shell: &Shell, client: &Client, wish: &Wish) -> Result<(), Failed> {
    let watcher = client.add_watch("/", AddWatchMode::PersistentRecursive).await;
    let mut watcher = watcher.map_err(Failed::from)?;
    let mut before = sample(client).await?;
    let mut round = 0;
    while round < wish.rounds {
        let changes = count_changes(&mut watcher, wish.interval).await?;
        let now = sample(client).await?;
        let mut page = Page::new(&before, &now, wish);
        page.changes(&changes);
        if wish.largest {
            page.largest(largest(client).await?);
        }
        page.show(shell);
        before = now;
        round += 1;
    }
    watcher.remove().await.map_err(Failed::from)
}

async fn sample(client: &Client) -> Result<Sample, Failed> {
    let Some(peer) = client.peer() else { return Err(Failed::not_connected()) };
    let mut sample = Sample::default();
    let mut answer = |answer: Result<String, String>| match answer {
        Ok(text) => text,
        Err(why) => {
            sample.missing.push(why);
            String::new()
        }
    };
    let mntr = answer(four_letters::ask(&peer.server, "mntr").await);
    let cons = answer(four_letters::ask(&peer.server, "cons").await);
    let wchp = answer(four_letters::ask(&peer.server, "wchp").await);
    sample.metrics = four_letters::metrics(&mntr);
    sample.connections = four_letters::connections(&cons);
    sample.watched = four_letters::watched_paths(&wchp);
    Ok(sample)
}

/// The changes of each path for a while.
async fn count_changes(
    watcher: &mut PersistentWatcher,
    interval: Duration,
) -> Result<BTreeMap<String, u64>, Failed> {
    let mut counts = BTreeMap::new();
    let end = tokio::time::Instant::now() + interval;
    loop {
        match tokio::time::timeout_at(end, watcher.changed()).await {
            Err(_) => return Ok(counts),
            Ok(Ok(Change::Event(event))) => {
                let path = String::from(event.path);
                if counts.len() < PATHS_MAX || counts.contains_key(&path) {
                    *counts.entry(path).or_default() += 1;
                }
            }
            Ok(Ok(Change::Gap)) => {} // Counts are of what was heard.
            Ok(Err(end)) => return Err(Failed::local(end.to_string())),
        }
    }
}

/// The nodes with the most bytes, and with the most children, of the first that are found.
async fn largest(client: &Client) -> Result<Vec<(String, i32, i32)>, Failed> {
    let mut below = Below::new(client, "/");
    let mut nodes = Vec::new();
    while let Some(mut step) = below.next().await? {
        step.paths.truncate(NODES_MAX.saturating_sub(nodes.len()));
        let ask = |path: String| {
            let client = client.clone();
            async move { client.exists(&path).await }
        };
        for (path, stat) in ask_all(step.paths, ask).await {
            // A node that may not be read, or is gone, is left out.
            if let Ok(Some(stat)) = stat {
                nodes.push((path, stat.data_length, stat.num_children));
            }
        }
        if nodes.len() >= NODES_MAX {
            break;
        }
    }
    nodes.sort_by_key(|(_, bytes, _)| std::cmp::Reverse(*bytes));
    Ok(nodes)
}

/// What a round shows: a title and rows, each row as text and as a value.
struct Page {
    lines: usize,
    seconds: f64,
    sections: Vec<(&'static str, Vec<(String, Value)>)>,
    missing: Vec<String>,
}

impl Page {
    fn new(before: &Sample, now: &Sample, wish: &Wish) -> Page {
        let mut page = Page {
            lines: wish.lines,
            seconds: wish.interval.as_secs_f64(),
            sections: Vec::new(),
            missing: now.missing.clone(),
        };
        page.server(before, now);
        page.sessions(before, now);
        let mut watched: Vec<_> = now.watched.iter().collect();
        watched.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let row = |(path, count): (&String, &u64)| {
            (format!("{count:>8}  {path}"), json!({ "path": path, "sessions": count }))
        };
        page.add("watched by sessions", watched.into_iter().map(row));
        page
    }

    fn add(&mut self, title: &'static str, rows: impl Iterator<Item = (String, Value)>) {
        self.sections.push((title, rows.take(self.lines).collect()));
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate is shown with one digit")]
    fn rate(&self, count: u64) -> f64 {
        (count as f64 / self.seconds * 10.0).round() / 10.0
    }

    fn server(&mut self, before: &Sample, now: &Sample) {
        let value = |key: &str| now.metrics.get(key).cloned();
        let number = |sample: &Sample, key: &str| {
            sample.metrics.get(key).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
        };
        let mut rows = Vec::new();
        for key in ["zk_packets_received", "zk_packets_sent"] {
            let rate = self.rate(number(now, key).saturating_sub(number(before, key)));
            let name = key.trim_start_matches("zk_");
            if value(key).is_some() {
                rows.push((
                    format!("{rate:>12} /s  {name}"),
                    json!({ "name": name, "rate": rate }),
                ));
            }
        }
        for key in [
            "zk_server_state",
            "zk_avg_latency",
            "zk_max_latency",
            "zk_outstanding_requests",
            "zk_num_alive_connections",
            "zk_znode_count",
            "zk_ephemerals_count",
            "zk_watch_count",
            "zk_approximate_data_size",
        ] {
            let name = key.trim_start_matches("zk_");
            if let Some(value) = value(key) {
                rows.push((
                    format!("{value:>12}     {name}"),
                    json!({ "name": name, "value": value }),
                ));
            }
        }
        self.sections.push(("server", rows));
    }

    fn sessions(&mut self, before: &Sample, now: &Sample) {
        let known: BTreeMap<(&str, &str), u64> = before
            .connections
            .iter()
            .map(|one| ((one.address.as_str(), one.session.as_str()), one.received))
            .collect();
        let mut busy: Vec<(u64, &Connection)> = now
            .connections
            .iter()
            .filter(|one| !one.session.is_empty())
            .map(|one| {
                let then = known.get(&(one.address.as_str(), one.session.as_str()));
                (one.received.saturating_sub(then.copied().unwrap_or(0)), one)
            })
            .collect();
        busy.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let rows: Vec<_> = busy
            .into_iter()
            .take(self.lines)
            .map(|(count, one)| {
                let rate = self.rate(count);
                let Connection { address, session, queued, last, .. } = one;
                let (avg, max) = (&one.latency_ms_avg, &one.latency_ms_max);
                let text = format!(
                    "{rate:>12} /s  {session:<20} {address:<22} {last:<5} queued {queued}, \
                     latency {avg} ms, at most {max} ms"
                );
                let value = json!({
                    "session": session, "address": address, "rate": rate, "queued": queued,
                    "last": last, "latency_ms_avg": avg, "latency_ms_max": max,
                });
                (text, value)
            })
            .collect();
        self.sections.push(("requests by session", rows));
    }

    fn changes(&mut self, changes: &BTreeMap<String, u64>) {
        let mut changes: Vec<_> = changes.iter().collect();
        changes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let rows: Vec<_> = changes
            .into_iter()
            .take(self.lines)
            .map(|(path, count)| {
                let rate = self.rate(*count);
                (format!("{rate:>12} /s  {path}"), json!({ "path": path, "rate": rate }))
            })
            .collect();
        self.sections.push(("changes by path", rows));
    }

    fn largest(&mut self, nodes: Vec<(String, i32, i32)>) {
        let row = |(path, bytes, children): (String, i32, i32)| {
            let value = json!({ "path": path, "bytes": bytes, "children": children });
            (format!("{bytes:>12} bytes  {children:>8} children  {path}"), value)
        };
        self.add("largest nodes", nodes.into_iter().map(row));
    }

    fn show(self, shell: &Shell) {
        if shell.out.is_json() {
            let section = |(title, rows): (&str, Vec<(String, Value)>)| {
                let values = rows.into_iter().map(|(_, value)| value).collect();
                (title.to_owned(), Value::Array(values))
            };
            let mut page: serde_json::Map<_, _> = self.sections.into_iter().map(section).collect();
            page.insert("missing".to_owned(), self.missing.into());
            return shell.out.value(&Value::Object(page));
        }
        let mut text = String::new();
        if shell.out.stdout == Reader::Person && !colours_forbidden() {
            text.push_str("\x1b[H\x1b[2J");
        }
        for (title, rows) in self.sections.iter().filter(|(_, rows)| !rows.is_empty()) {
            text.push_str(&format!("{title}\n"));
            rows.iter().for_each(|(row, _)| text.push_str(&format!("{row}\n")));
            text.push('\n');
        }
        for missing in &self.missing {
            text.push_str(&format!("not shown: {missing}\n"));
        }
        shell.out.text(text.trim_end());
    }
}

//! The four-letter words, a row each.
//!
//! What it keeps true: every word that Apache 3.9.5 knows has a row, so that none is taken for the
//! length of a frame; what a word says and does comes from its row.

use super::{Detail, Part, texts};
use Part::{Clients, Connections, Listed, MeasureDirectories, ResetConnections, ResetServer, Text};
use bellwether_node::List;

/// A four-letter word.
#[derive(Debug)]
pub struct Word {
    /// The four bytes.
    pub name: &'static str,
    /// The first release of ZooKeeper that had it.
    pub since: &'static str,
    /// What it tells, or does.
    pub doc: &'static str,
    /// What this server does with it, for `docs/COMPAT.md`.
    pub support: &'static str,
    /// How many bytes follow the word.
    pub argument_bytes: usize,
    /// What it says while the server does not serve; `None` where that makes no difference.
    pub(super) not_serving: Option<&'static str>,
    pub(super) parts: &'static [Part],
    /// What it says on a follower or an observer, where that is something else.
    pub(super) parts_of_learner: Option<&'static [Part]>,
}

impl Word {
    const fn new(name: &'static str, since: &'static str, parts: &'static [Part]) -> Word {
        let not_serving = Some("This ZooKeeper instance is not currently serving requests\n");
        Word {
            name,
            since,
            doc: "",
            support: "yes",
            argument_bytes: 0,
            not_serving,
            parts,
            parts_of_learner: None,
        }
    }

    const fn tells(self, doc: &'static str) -> Word {
        Word { doc, ..self }
    }

    const fn but(self, support: &'static str) -> Word {
        Word { support, ..self }
    }

    const fn while_not_serving(self, text: &'static str) -> Word {
        Word { not_serving: Some(text), ..self }
    }

    /// It says the same whether the server serves or not.
    const fn always(self) -> Word {
        Word { not_serving: None, ..self }
    }

    const fn on_learners(self, parts: &'static [Part]) -> Word {
        Word { parts_of_learner: Some(parts), ..self }
    }

    const fn with_argument(self, argument_bytes: usize) -> Word {
        Word { argument_bytes, ..self }
    }
}

const MASK: &str = "yes: the number is kept and told; it switches nothing on, because it belongs to \
                    Apache's own trace messages; `bellwether loglevel` changes the log";
/// Every word, in the alphabet's order.
pub const WORDS: &[Word] = &[
    Word::new("conf", "3.3", &[MeasureDirectories, Text(texts::conf)]).tells("settings in effect"),
    Word::new("cons", "3.3", &[Clients(Detail::Full), Text(texts::line_break)])
        .tells("connections in full"),
    Word::new("crst", "3.3", &[ResetConnections, Text(texts::crst)])
        .tells("resets the figures of connections"),
    Word::new("dirs", "3.5", &[MeasureDirectories, Text(texts::dirs)])
        .tells("bytes in the data directories"),
    Word::new(
        "dump",
        "3.0",
        &[
            Text(texts::dump_sessions),
            Listed(List::Sessions),
            Text(texts::dump_ephemerals),
            Listed(List::Ephemerals),
            Text(texts::dump_connections),
            Connections,
        ],
    )
    .on_learners(&[
        Text(texts::dump_global_sessions),
        Listed(List::GlobalSessions),
        Text(texts::dump_ephemerals),
        Listed(List::Ephemerals),
        Text(texts::dump_connections),
        Connections,
    ])
    .tells("sessions, their ephemeral nodes, connections")
    .but("yes; times are UTC, and there are no empty sets"),
    Word::new("envi", "3.0", &[Text(texts::envi)])
        .always()
        .tells("the process and its system")
        .but("yes; what only a Java machine has is `<NA>`"),
    Word::new("gtmk", "3.5", &[Text(texts::mask)]).always().tells("the trace mask").but(MASK),
    Word::new("hash", "3.6", &[Text(texts::hash)])
        .while_not_serving("This ZooKeeper instance is not currently serving requests")
        .tells("digests of recent transactions"),
    Word::new("isro", "3.4", &[Text(texts::isro)])
        .always()
        .tells("`rw`, or `ro` for a server that only reads"),
    Word::new("mntr", "3.4", &[Text(texts::mntr)]).tells("the metrics below, a line each"),
    Word::new("ruok", "3.0", &[Text(texts::ruok)]).always().tells("`imok`"),
    Word::new("srst", "3.0", &[ResetServer, Text(texts::srst)])
        .tells("resets the figures of the server"),
    Word::new("srvr", "3.3", &[Text(texts::srvr)]).tells("the server in short"),
    Word::new(
        "stat",
        "3.0",
        &[Text(texts::stat_head), Clients(Detail::Brief), Text(texts::stat_tail)],
    )
    .tells("the server in short, and its connections"),
    Word::new("stmk", "3.5", &[Text(texts::mask)])
        .always()
        .with_argument(8)
        .tells("sets the trace mask: eight bytes follow")
        .but(MASK),
    Word::new("wchc", "3.3", &[Listed(List::WatchesBySession), Text(texts::line_break)])
        .tells("data watches by session"),
    Word::new("wchp", "3.3", &[Listed(List::WatchesByPath), Text(texts::line_break)])
        .tells("data watches by path"),
    Word::new("wchs", "3.3", &[Text(texts::wchs)]).tells("how many data watches there are"),
];

/// The rows of the section on four-letter words in `docs/COMPAT.md`.
#[must_use]
pub fn words_compat_rows() -> Vec<String> {
    let row = |word: &Word| format!("| `{}` | {} | {} |", word.name, word.doc, word.support);
    WORDS.iter().map(row).collect()
}

/// What stands above `words_compat_rows`.
pub const WORDS_COMPAT_HEADER: &str =
    "| word | what it tells | what this server does |\n|---|---|---|";

//! What an answer is made of, in order. Short things are texts; what there may be a million of is
//! a list, whose lines are made a few at a time while the client takes them.
//!
//! What it leaves to others: going through the lists (`run/words.rs`).

use super::View;
use bellwether_node::List;

/// A part of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// A text that is made at once.
    Text(fn(&View<'_>) -> String),
    /// A line for each connection.
    Clients(Detail),
    /// A line for each thing of a list that the node keeps.
    Listed(List),
    /// The connections in the order in which they would expire.
    Connections,
    /// The sizes of both data directories are looked up, for the texts that follow; says nothing.
    MeasureDirectories,
    /// The figures of the server start anew; says nothing.
    ResetServer,
    /// The figures of all connections start anew; says nothing.
    ResetConnections,
}

/// How much is said of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// As `stat` says it.
    Brief,
    /// As `cons` says it.
    Full,
}

/// The answer to a word.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is not answered as asked; this is said.
    Refused(String),
    /// These parts, in order.
    Parts(&'static [Part]),
}

//! Four-letter words, asked of a server, and what their answers say.

use bellwether_client::Host;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The largest answer that is read: `wchp` names every watched path.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// What Apache's servers, and ours, say of a word that is not to be answered.
const NOT_LISTED: &str = "is not executed because it is not in the whitelist";

/// Asks; an error says why there is no answer, and what would help.
pub(crate) async fn ask(server: &Host, word: &str) -> Result<String, String> {
    let exchange = async {
        let mut stream = TcpStream::connect((&*server.name, server.port)).await?;
        stream.write_all(word.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(ANSWER_LIMIT, exchange).await {
        Ok(Ok(answer)) if answer.contains(NOT_LISTED) => {
            Err(format!("{word} is not enabled: add it to 4lw.commands.whitelist in zoo.cfg"))
        }
        Ok(Ok(answer)) if answer.is_empty() => Err(format!("{word}: the server said nothing")),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(format!("{word}: {error}")),
        Err(_) => Err(format!("{word}: no answer within {} s", ANSWER_LIMIT.as_secs())),
    }
}

/// The lines of `mntr`.
pub(crate) fn metrics(answer: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.split_once('\t')?;
        Some((key.to_owned(), value.to_owned()))
    };
    answer.lines().filter_map(pair).collect()
}

/// A line of `cons`: a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    /// The client's address.
    pub(crate) address: String,
    /// `0x...`, empty for a connection without one.
    pub(crate) session: String,
    pub(crate) received: u64,
    pub(crate) queued: u64,
    /// The last operation.
    pub(crate) last: String,
    pub(crate) latency_ms_avg: String,
    pub(crate) latency_ms_max: String,
}

/// The connections of `cons`.
pub(crate) fn connections(answer: &str) -> Vec<Connection> {
    let connection = |line: &str| {
        let line = line.trim().strip_prefix('/')?;
        let (address, rest) = line.split_once('[')?;
        let (_, fields) = rest.split_once('(')?;
        let mut connection = Connection { address: address.to_owned(), ..Connection::default() };
        for field in fields.trim_end_matches(')').split(',') {
            let (key, value) = field.split_once('=')?;
            match key {
                "queued" => connection.queued = value.parse().ok()?,
                "recved" => connection.received = value.parse().ok()?,
                "sid" => connection.session = value.to_owned(),
                "lop" => connection.last = value.to_owned(),
                "avglat" => connection.latency_ms_avg = value.to_owned(),
                "maxlat" => connection.latency_ms_max = value.to_owned(),
                _ => {} // Nothing that is shown.
            }
        }
        Some(connection)
    };
    answer.lines().filter_map(connection).collect()
}

/// How many sessions watch a path, by `wchp`.
pub(crate) fn watched_paths(answer: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let mut path = None;
    for line in answer.lines() {
        if line.starts_with('/') {
            path = Some(line.to_owned());
        } else if let (true, Some(path)) = (line.starts_with('\t'), &path) {
            *counts.entry(path.clone()).or_default() += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_apart() {
        let mntr = metrics("zk_version\t3.9.5-x, built on y\nzk_znode_count\t5\n\n");
        assert_eq!(mntr.get("zk_znode_count").map(String::as_str), Some("5"));
        let cons = " /127.0.0.1:5[1](queued=2,recved=5,sent=5,sid=0x10,lop=GETD,est=1,to=30000,\
                    lcxid=0x1,lzxid=0x1,lresp=1,llat=0,minlat=0,avglat=1,maxlat=3)\n \
                    /[0:0:0:0:0:0:0:1]:7[0](queued=0,recved=1,sent=0)\nnonsense\n";
        let parsed = connections(cons);
        let first = Connection {
            address: "127.0.0.1:5".into(),
            session: "0x10".into(),
            received: 5,
            queued: 2,
            last: "GETD".into(),
            latency_ms_avg: "1".into(),
            latency_ms_max: "3".into(),
        };
        assert_eq!(parsed.first(), Some(&first));
        let wchp = watched_paths("/a\n\t0x1\n\t0x2\n/b\n\t0x1\n\n");
        let counts: Vec<_> = wchp.iter().map(|(path, count)| (path.as_str(), *count)).collect();
        assert_eq!(counts, [("/a", 2), ("/b", 1)]);
    }
}

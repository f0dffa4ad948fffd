//! The options of the benchmark.

use bellwether_client::Servers;
use std::ffi::OsString;
use std::time::Duration;

pub(super) const USAGE: &str = "\
Usage: bellwether bench [OPTIONS]

  --server HOST:PORT[,...]  where to; connections are spread over several (127.0.0.1:2181)
  --workload NAME           get, set, create, or mixed: nine gets to one set (get)
  --connections N           connections, each with a session (16)
  --inflight N              requests in flight per connection (32)
  --size BYTES              data of a node (100)
  --paths N                 nodes for get, set and mixed (1000)
  --seconds S               how long to measure (10)
  --warmup S                how long to run before that (2)
  --count N                 instead: measure exactly N operations, without a warm-up
  --pid PID[,...]           the server's process, or those of an ensemble: adds their CPU time (user
                            and system, in steps of the kernel's tick, 10 ms) and the peak of
                            their memory since their start
  --seed N                  the order of paths and the data (1)
  --keep                    leave the nodes there
  --json                    print one JSON object

Latencies are from handing a request to the socket until its reply is read. The loop is closed:
they include the wait behind the connection's own earlier requests.";

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    Get,
    Set,
    Create,
    Mixed,
}

impl Workload {
    pub(super) fn name(self) -> &'static str {
        match self {
            Workload::Get => "get",
            Workload::Set => "set",
            Workload::Create => "create",
            Workload::Mixed => "mixed",
        }
    }

    fn parse(name: &str) -> Option<Workload> {
        let all = [Workload::Get, Workload::Set, Workload::Create, Workload::Mixed];
        all.into_iter().find(|workload| workload.name() == name)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) servers: Servers,
    pub(super) workload: Workload,
    /// At least 1.
    pub(super) connections: usize,
    /// At least 1.
    pub(super) inflight: usize,
    pub(super) size: usize,
    /// At least 1.
    pub(super) paths: usize,
    pub(super) seconds: Duration,
    pub(super) warmup: Duration,
    pub(super) count: Option<u64>,
    /// The processes of the servers; none to leave their usage out.
    pub(super) pids: Vec<u32>,
    pub(super) seed: u64,
    pub(super) keep: bool,
    pub(super) json: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Wish {
    Run(Options),
    Help,
}

/// Data above this does not fit into a request of a server with the default `jute.maxbuffer`.
const SIZE_MAX: usize = 1_000_000;

const CONNECTIONS_MAX: usize = 10_000;

impl Options {
    fn new() -> Options {
        Options {
            servers: Servers::parse("127.0.0.1:2181").expect("this is a connect string"),
            workload: Workload::Get,
            connections: 16,
            inflight: 32,
            size: 100,
            paths: 1000,
            seconds: Duration::from_secs(10),
            warmup: Duration::from_secs(2),
            count: None,
            pids: Vec::new(),
            seed: 1,
            keep: false,
            json: false,
        }
    }

    pub(super) fn parse(args: Vec<OsString>) -> Result<Wish, String> {
        use lexopt::Arg;
        let mut options = Options::new();
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
            let name = match arg {
                Arg::Long(name) => name.to_owned(),
                Arg::Short('h') => return Ok(Wish::Help),
                Arg::Short(letter) => return Err(format!("there is no option -{letter}")),
                Arg::Value(value) => return Err(format!("{} is no option", value.display())),
            };
            match name.as_str() {
                "help" => return Ok(Wish::Help),
                "keep" => options.keep = true,
                "json" => options.json = true,
                _ => {
                    let value = parser.value().map_err(|error| error.to_string());
                    options.set(&name, value)?;
                }
            }
        }
        Ok(Wish::Run(options))
    }

    fn set(&mut self, name: &str, value: Result<OsString, String>) -> Result<(), String> {
        let text = || {
            let value = value.clone()?;
            value
                .into_string()
                .map_err(|value| format!("--{name} {} is not UTF-8", value.display()))
        };
        match name {
            "server" => {
                self.servers = Servers::parse(&text()?).map_err(|error| error.to_string())?;
                if let Some(chroot) = self.servers.chroot() {
                    return Err(format!("--server takes no chroot here: leave {chroot} out"));
                }
            }
            "workload" => {
                let text = text()?;
                let known = Workload::parse(&text);
                self.workload = known.ok_or_else(|| format!("there is no workload {text:?}"))?;
            }
            "connections" => self.connections = number(name, &text()?, 1, CONNECTIONS_MAX)?,
            "inflight" => self.inflight = number(name, &text()?, 1, 1 << 20)?,
            "size" => self.size = number(name, &text()?, 0, SIZE_MAX)?,
            "paths" => self.paths = number(name, &text()?, 1, 10_000_000)?,
            "seconds" => self.seconds = seconds(name, &text()?)?,
            "warmup" => self.warmup = seconds(name, &text()?)?,
            "count" => self.count = Some(number(name, &text()?, 1, u64::MAX)?),
            "pid" => {
                let text = text()?;
                let pids = text.split(',').map(|pid| number(name, pid, 1, u32::MAX));
                self.pids = pids.collect::<Result<_, _>>()?;
            }
            "seed" => self.seed = number(name, &text()?, 0, u64::MAX)?,
            _ => return Err(format!("there is no option --{name}")),
        }
        Ok(())
    }
}

fn number<N>(name: &str, text: &str, min: N, max: N) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse() {
        Ok(number) if number >= min && number <= max => Ok(number),
        Ok(_) | Err(_) => Err(format!("--{name} {text}: expected a number from {min} to {max}")),
    }
}

fn seconds(name: &str, text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    parsed.ok_or_else(|| format!("--{name} {text}: expected seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wish, String> {
        Options::parse(line.split(' ').map(OsString::from).collect())
    }

    #[test]
    fn every_option_is_understood() {
        let line = "--server a:1,b:2 --workload mixed --connections 3 --inflight=4 --size 5 \
                    --paths 6 --seconds 0.5 --warmup 0 --count 7 --pid 8,18 --seed 9 --keep --json";
        let Ok(Wish::Run(options)) = parse(line) else { panic!("{:?}", parse(line)) };
        assert_eq!(options.servers.to_string(), "a:1,b:2");
        assert_eq!(options.workload, Workload::Mixed);
        assert_eq!((options.connections, options.inflight, options.size), (3, 4, 5));
        assert_eq!((options.paths, options.count, options.pids), (6, Some(7), vec![8, 18]));
        assert_eq!(options.seconds, Duration::from_millis(500));
        assert_eq!((options.warmup, options.seed), (Duration::ZERO, 9));
        assert!(options.keep && options.json);
    }

    #[test]
    fn wrong_options_are_named() {
        let error = |line| parse(line).map(|_| ()).unwrap_err();
        assert_eq!(error("--frob 1"), "there is no option --frob");
        assert_eq!(error("--workload put"), "there is no workload \"put\"");
        assert_eq!(error("--inflight 0"), "--inflight 0: expected a number from 1 to 1048576");
        assert_eq!(error("--seconds -1"), "--seconds -1: expected seconds");
        assert_eq!(error("get"), "get is no option");
        assert_eq!(error("--server a/b"), "--server takes no chroot here: leave /b out");
    }
}

//! The command line of `crash-rounds`.

use std::fmt;
use std::path::PathBuf;

use super::faults::{FAULTS, Fault};
use crate::survivors::Tear;

pub const USAGE: &str = "\
crash-rounds --server PROGRAM [options]
    Runs PROGRAM as `PROGRAM server zoo.cfg` under the preload library, loads it, kills it, loses
    the power, restarts it, and compares what it shows with what it acknowledged.

    --command 'WORD ...'    the whole command instead; the path of zoo.cfg is appended
    --library FILE          the preload library (default: the one built beside this program)
    --rounds N              how many rounds (default 200)
    --first N               the number of the first round (default 0)
    --seed N                what everything random follows from (default: from the clock)
    --chain N               rounds that share a data directory (default 20)
    --clients N             connections under load (default 4)
    --faults NAME,...|all   what may go wrong (default all; `--help` lists the names)
    --tear random|nothing   how much of the unsynced survives (default random)
    --names strict|with-file
                            a new name is durable once its directory was synced (default), or
                            already once its file was
    --break VARIANT         runs the server with BELLWETHER_BREAK=VARIANT
    --expect-caught         succeeds only if a round fails, as with a broken variant it must
    --until-caught          as --expect-caught, and ends with the first round that fails
    --any-exit-code         accepts other codes than 1 from a server whose log failed
    --config KEY=VALUE      a further line for zoo.cfg (repeatable)
    --work DIRECTORY        where the data directories are (default: below the temporary directory)
    --verbose               a line per round";

/// What a command that repeats a round says otherwise or need not say.
const NOT_REPEATED: [&str; 7] =
    ["--seed", "--rounds", "--first", "--work", "--expect-caught", "--until-caught", "--verbose"];

/// Which durability of names the library is told to assume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamesOption {
    Strict,
    WithFile,
}

impl NamesOption {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::WithFile => "with-file",
        }
    }
}

/// What a run was asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program and its arguments before the path of zoo.cfg.
    pub command: Vec<String>,
    pub library: PathBuf,
    pub rounds_count: u64,
    pub first_round: u64,
    pub seed: u64,
    pub chain_rounds: u64,
    pub clients_count: u64,
    pub faults: Vec<Fault>,
    pub tear: Tear,
    pub names: NamesOption,
    pub broken: Option<String>,
    pub caught: Expectation,
    pub exit_code: ExitCodes,
    pub config: Vec<String>,
    pub work: PathBuf,
    pub detail: Detail,
    /// The arguments that a command to repeat a round needs besides the seed and the numbers.
    pub repeat_arguments: Vec<String>,
}

/// What counts as success of the whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    AllPass,
    /// At least one round fails.
    SomeFail,
    /// At least one round fails, and the first that does is the last.
    OneFails,
}

/// With which codes a server may end after its log has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCodes {
    Documented,
    Any,
}

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Groups,
    Rounds,
}

/// A command line that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The names of all faults, for the help text.
pub fn fault_names() -> String {
    FAULTS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}

impl Options {
    /// Reads the arguments; `library` and `seed` are used unless the arguments name others.
    pub fn parse(
        arguments: impl Iterator<Item = String>,
        library: Option<PathBuf>,
        seed: u64,
    ) -> Result<Self, UsageError> {
        let mut options = Self {
            command: Vec::new(),
            library: library.unwrap_or_default(),
            rounds_count: 200,
            first_round: 0,
            seed,
            chain_rounds: 20,
            clients_count: 4,
            faults: FAULTS.iter().map(|row| row.fault).collect(),
            tear: Tear::Random,
            names: NamesOption::Strict,
            broken: None,
            caught: Expectation::AllPass,
            exit_code: ExitCodes::Documented,
            config: Vec::new(),
            work: std::env::temp_dir().join(format!("crash-rounds-{}", std::process::id())),
            detail: Detail::Groups,
            repeat_arguments: Vec::new(),
        };
        let mut arguments = arguments.peekable();
        while let Some(name) = arguments.next() {
            let start = name.clone();
            let value = options.read(&name, &mut arguments)?;
            if !NOT_REPEATED.contains(&start.as_str()) {
                options.repeat_arguments.push(start);
                options.repeat_arguments.extend(value);
            }
        }
        if options.command.is_empty() {
            return Err(UsageError("give --server or --command".to_owned()));
        }
        Ok(options)
    }

    /// Reads one option and gives its value, if it takes one.
    fn read(
        &mut self,
        name: &str,
        arguments: &mut impl Iterator<Item = String>,
    ) -> Result<Option<String>, UsageError> {
        match name {
            "--expect-caught" => self.caught = Expectation::SomeFail,
            "--until-caught" => self.caught = Expectation::OneFails,
            "--any-exit-code" => self.exit_code = ExitCodes::Any,
            "--verbose" => self.detail = Detail::Rounds,
            _ => {
                let missing = || UsageError(format!("{name} needs a value, or is no option"));
                let value = arguments.next().ok_or_else(missing)?;
                self.read_value(name, &value)?;
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn read_value(&mut self, name: &str, value: &str) -> Result<(), UsageError> {
        let number =
            || value.parse::<u64>().map_err(|error| UsageError(format!("{name} {value}: {error}")));
        let unknown = || UsageError(format!("{name} {value}: no such choice"));
        match name {
            "--server" => self.command = vec![value.to_owned(), "server".to_owned()],
            "--command" => self.command = value.split_whitespace().map(str::to_owned).collect(),
            "--library" => self.library = value.into(),
            "--work" => self.work = value.into(),
            "--rounds" => self.rounds_count = number()?,
            "--first" => self.first_round = number()?,
            "--seed" => self.seed = number()?,
            "--chain" => self.chain_rounds = number()?.max(1),
            "--clients" => self.clients_count = number()?.max(1),
            "--break" => self.broken = Some(value.to_owned()),
            "--config" => self.config.push(value.to_owned()),
            "--tear" => {
                self.tear = match value {
                    "random" => Tear::Random,
                    "nothing" => Tear::Nothing,
                    _ => return Err(unknown()),
                }
            }
            "--names" => {
                self.names = match value {
                    "strict" => NamesOption::Strict,
                    "with-file" => NamesOption::WithFile,
                    _ => return Err(unknown()),
                }
            }
            "--faults" if value == "all" => {}
            "--faults" => {
                let faults = value.split(',').map(|name| Fault::named(name).ok_or_else(unknown));
                self.faults = faults.collect::<Result<_, _>>()?;
            }
            _ => return Err(UsageError(format!("{name} is no option"))),
        }
        Ok(())
    }

    /// The command that runs the chain that began with `first` up to and including `round`.
    pub fn repeat_command(&self, first: u64, round: u64) -> String {
        let quoted = self.repeat_arguments.iter().map(|word| {
            if word.contains(char::is_whitespace) { format!("'{word}'") } else { word.clone() }
        });
        let arguments = quoted.collect::<Vec<_>>().join(" ");
        let rounds = round - first + 1;
        format!("crash-rounds {arguments} --seed {} --first {first} --rounds {rounds}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, UsageError> {
        Options::parse(line.split_whitespace().map(str::to_owned), None, 1)
    }

    #[test]
    fn a_round_is_repeated_with_the_chain_that_led_to_it() {
        let options = parse("--server b --rounds 60 --faults kill,log-full --seed 9 --verbose");
        let options = options.expect("well formed");
        assert_eq!(options.faults, [Fault::Kill, Fault::LogFull]);
        assert_eq!(
            options.repeat_command(40, 47),
            "crash-rounds --server b --faults kill,log-full --seed 9 --first 40 --rounds 8"
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, problem) in [
            ("", "--server"),
            ("--server", "--server needs a value"),
            ("--server b --rounds many", "--rounds many: invalid digit"),
            ("--server b --faults kill,fire", "--faults kill,fire"),
            ("--server b --tear some", "--tear some"),
            ("--frob 1", "--frob is no option"),
        ] {
            let error = parse(line).expect_err(line).to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}

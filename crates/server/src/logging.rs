//! The server's log: one line per event on standard error, as text or as JSON.
//!
//! What it keeps true: times are UTC in RFC 3339; the level can be changed while the server runs; a
//! filter that cannot be read is an error, never a silent log; nothing here stops the server when
//! standard error is closed or full. Secrets have types without a printed form
//! (`config::Secret`), so no event can carry one.
//!
//! What it leaves to others: which events there are. An event that input can repeat goes through
//! `repeats::RateLimit`.

use std::fmt;
use std::str::FromStr;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

pub mod repeats;
pub(crate) mod utc;

/// The environment variable that holds a filter; the command line outranks it.
pub const FILTER_VARIABLE: &str = "BELLWETHER_LOG";
/// The filter where nothing else is said.
pub const FILTER_DEFAULT: &str = "info";

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl FromStr for Format {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format(text.to_owned())),
        }
    }
}

/// Why the log cannot be set up or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogError {
    Format(String),
    Filter {
        filter: String,
        /// The part of it that cannot be read.
        part: String,
    },
    /// The process has a log already.
    Installed,
    /// The log that a handle belongs to is gone.
    Gone,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(text) => write!(f, "log format `{text}`: expected text or json"),
            Self::Filter { filter, part } => write!(
                f,
                "log level `{filter}`: `{part}` cannot be read: expected error, warn, info, debug, \
                 trace or off, or module=level, separated by commas"
            ),
            Self::Installed => f.write_str("the process has a log already"),
            Self::Gone => f.write_str("the log is closed"),
        }
    }
}

impl std::error::Error for LogError {}

/// Changes the level of a running log. Clones change the same log.
#[derive(Debug, Clone)]
pub struct LevelHandle {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl LevelHandle {
    /// Takes a level (`debug`) or a filter (`info,bellwether_server::net=trace`).
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        let filter = read_filter(filter)?;
        self.filter.reload(filter).map_err(|_gone| LogError::Gone)
    }

    /// One level more for everything, as SIGUSR1 asks for. Returns the filter that holds then.
    pub fn louder(&self) -> Result<String, LogError> {
        self.step(
            &[
                (LevelFilter::OFF, "error"),
                (LevelFilter::ERROR, "warn"),
                (LevelFilter::WARN, "info"),
                (LevelFilter::INFO, "debug"),
            ],
            "trace",
        )
    }

    /// One level less for everything, as SIGUSR2 asks for. Returns the filter that holds then.
    pub fn quieter(&self) -> Result<String, LogError> {
        self.step(
            &[
                (LevelFilter::TRACE, "debug"),
                (LevelFilter::DEBUG, "info"),
                (LevelFilter::INFO, "warn"),
            ],
            "error",
        )
    }

    /// The filter that holds now.
    pub fn current(&self) -> Result<String, LogError> {
        self.filter.with_current(ToString::to_string).map_err(|_gone| LogError::Gone)
    }

    fn step(&self, steps: &[(LevelFilter, &str)], end: &str) -> Result<String, LogError> {
        let level = self
            .filter
            .with_current(|filter| filter.max_level_hint())
            .map_err(|_gone| LogError::Gone)?
            .unwrap_or(LevelFilter::TRACE);
        let next = steps.iter().find(|(from, _)| *from == level).map_or(end, |(_, to)| to);
        self.set(next)?;
        Ok(next.to_owned())
    }
}

/// Installs the log of the process, on standard error. `filter` is the command line's; without it
/// the environment's, without that the default.
pub fn install(format: Format, filter: Option<&str>) -> Result<LevelHandle, LogError> {
    let variable = std::env::var(FILTER_VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let filter = filter.or(variable.as_deref()).unwrap_or(FILTER_DEFAULT);
    let (dispatch, handle) = open(format, filter, std::io::stderr)?;
    tracing::dispatcher::set_global_default(dispatch).map_err(|_taken| LogError::Installed)?;
    Ok(handle)
}

/// A log that is not installed yet, on any writer.
fn open<W>(format: Format, filter: &str, writer: W) -> Result<(Dispatch, LevelHandle), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(read_filter(filter)?);
    let log = Registry::default().with(filter).with(lines(format, writer));
    Ok((Dispatch::new(log), LevelHandle { filter: handle }))
}

/// Each event becomes one write, so that lines of several threads do not mix. A write that fails
/// is dropped: there is no better place to complain.
fn lines<S, W>(format: Format, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer()
        .with_timer(utc::Clock)
        .with_writer(writer)
        .with_ansi(false)
        .log_internal_errors(false);
    match format {
        Format::Text => layer.boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// The library takes any word for a module's name and shows everything of it, so `inof` would
/// switch off all of the log but that.
fn read_filter(text: &str) -> Result<EnvFilter, LogError> {
    let wrong =
        |part: &str| LogError::Filter { filter: text.to_owned(), part: part.trim().to_owned() };
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if LevelFilter::from_str(level).is_err() || level.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong(part));
        }
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    EnvFilter::try_new(parts.join(",")).map_err(|_detail| wrong(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Ok(mut lines) = self.0.lock() else { return Err(io::ErrorKind::Other.into()) };
            lines.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn log(format: Format, filter: &str, during: impl FnOnce(&LevelHandle)) -> String {
        let lines = Lines::default();
        let (dispatch, handle) = open(format, filter, lines.clone()).unwrap();
        tracing::dispatcher::with_default(&dispatch, || during(&handle));
        lines.text()
    }

    #[test]
    fn the_level_changes_while_the_log_is_open() {
        let text = log(Format::Text, "info", |handle| {
            tracing::debug!("hidden before");
            handle.set("debug").unwrap();
            tracing::debug!("shown");
            assert_eq!(handle.louder().unwrap(), "trace");
            assert_eq!(handle.louder().unwrap(), "trace");
            assert_eq!(handle.quieter().unwrap(), "debug");
            assert_eq!(handle.quieter().unwrap(), "info");
            assert_eq!(handle.current().unwrap(), "info");
            tracing::debug!("hidden after");
        });
        assert!(text.contains("shown") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_an_error() {
        for good in ["info", "WARN", "off", "info,bellwether_server::net=trace", "warn, a=debug"] {
            assert!(read_filter(good).is_ok(), "{good}");
        }
        for bad in ["", "inof", "info,", "bellwether_server", "a=loud", "3", "a=3"] {
            assert!(matches!(read_filter(bad), Err(LogError::Filter { .. })), "{bad}");
        }
    }

    #[test]
    fn text_lines_have_time_level_fields_and_no_colour() {
        let text = log(Format::Text, "info", |_| tracing::warn!(port = 2181, "listening"));
        assert_eq!(text.lines().count(), 1);
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!((time.len(), time.ends_with('Z')), ("2026-01-02T03:04:05.123456Z".len(), true));
        assert!(rest.contains("WARN") && rest.contains("listening") && rest.contains("port=2181"));
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn json_lines_are_one_object_each() {
        let text = log(Format::Json, "info", |_| {
            tracing::info!(path = "a\"b\nc", "first");
            tracing::info!("second");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        for part in [r#""timestamp":"2"#, r#""level":"INFO""#, r#""path":"a\"b\nc""#] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.lines().all(|line| line.starts_with('{') && line.ends_with('}')));
    }

    #[test]
    fn formats_are_text_and_json() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("text".parse(), Ok(Format::Text));
        assert!("xml".parse::<Format>().is_err());
    }
}

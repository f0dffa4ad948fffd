//! How the user that a server runs as talks to it on its own machine: a socket in the data
//! directory, a line in and a line out. It is behind `bellwether loglevel`.
//!
//! What it keeps true: no port is opened; whoever is neither that user nor root is not answered,
//! whatever the directory allows; a server without the socket serves all the same; a client that
//! stays silent holds up only others that want the same.
//!
//! What it leaves to others: what a level is (`logging`), where the data directory is.

use crate::limits::{CONTROL_BYTES_MAX, CONTROL_PATIENCE};
use crate::logging::{LevelHandle, LogError};
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tracing::{debug, info, warn};

/// The socket's name in the data directory.
pub const SOCKET_NAME: &str = "bellwether.control";

/// The longest path that the system takes for a socket, and that is always short enough.
const PATH_BYTES_MAX: usize = 100;

/// The word of a request, and of each kind of answer.
const LEVEL: &str = "loglevel";
const OK: &str = "ok";
const ERROR: &str = "error";

/// The socket of a server; it is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Control {
    /// Listens in the data directory, which this process must hold. Where that cannot be done it
    /// says so and the server goes without.
    pub(crate) fn start(data_dir: &Path, levels: LevelHandle) -> Option<Control> {
        let path = data_dir.join(SOCKET_NAME);
        match listen(data_dir) {
            Ok(listener) => {
                let task = tokio::spawn(serve(listener, levels));
                Some(Control { path, task })
            }
            Err(error) => {
                warn!(
                    path = %path.display(), %error,
                    "no control socket: bellwether loglevel cannot reach this server; SIGUSR1 and \
                     SIGUSR2 still change the log's level"
                );
                None
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // What is left over is removed by the next server.
        drop(std::fs::remove_file(&self.path));
    }
}

fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let path = data_dir.join(SOCKET_NAME);
    match std::fs::symlink_metadata(&path) {
        // The directory's lock is held, so that nobody listens on it.
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(&path)?,
        Ok(_) => return Err(io::Error::other("there is a file of this name that is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let address = Address::of(data_dir)?;
    let listener = UnixListener::bind(&address.path)?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// A path for the socket that is short enough for the system.
struct Address {
    path: PathBuf,
    /// The directory, held open for a path that goes by its descriptor.
    _directory: Option<File>,
}

impl Address {
    fn of(data_dir: &Path) -> io::Result<Address> {
        let path = data_dir.join(SOCKET_NAME);
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(Address { path, _directory: None });
        }
        let directory = File::open(data_dir)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_NAME}", directory.as_raw_fd()));
        Ok(Address { path, _directory: Some(directory) })
    }
}

/// One client after the other: there is nothing to be gained by more at a time.
async fn serve(listener: UnixListener, levels: LevelHandle) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                debug!(%error, "a client of the control socket was gone");
                tokio::time::sleep(CONTROL_PATIENCE).await;
                continue;
            }
        };
        let own = rustix::process::geteuid().as_raw();
        match stream.peer_cred().map(|peer| peer.uid()) {
            Ok(user) if user == own || user == 0 => {}
            Ok(user) => {
                warn!(user, "refused: only the user of the server and root may control it");
                continue;
            }
            Err(error) => {
                warn!(%error, "refused: the user of a client of the control socket is not known");
                continue;
            }
        }
        match tokio::time::timeout(CONTROL_PATIENCE, converse(stream, &levels)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "a client of the control socket was gone"),
            Err(_late) => debug!("a client of the control socket did not say what it wants"),
        }
    }
}

async fn converse(mut stream: tokio::net::UnixStream, levels: &LevelHandle) -> io::Result<()> {
    let mut line = String::new();
    let (reading, mut writing) = stream.split();
    tokio::io::BufReader::new(reading.take(CONTROL_BYTES_MAX)).read_line(&mut line).await?;
    let answer = match answer(&line, levels) {
        Ok(level) => format!("{OK} {level}\n"),
        Err(why) => format!("{ERROR} {why}\n"),
    };
    writing.write_all(answer.as_bytes()).await?;
    writing.shutdown().await
}

fn answer(line: &str, levels: &LevelHandle) -> Result<String, String> {
    let (word, level) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    if word != LEVEL {
        return Err(format!("`{word}` is not known to this server: expected {LEVEL}"));
    }
    let text = |error: LogError| error.to_string();
    if !level.is_empty() {
        levels.set(level.trim()).map_err(text)?;
        info!(level = level.trim(), "the log's level was changed by a command");
    }
    levels.current().map_err(text)
}

/// Why a server could not be asked.
#[derive(Debug)]
pub enum ControlError {
    /// It answered, but does not do what it was asked for.
    Refused(String),
    /// No server has the directory.
    NoServer { path: PathBuf },
    /// Another user's.
    NotPermitted { path: PathBuf },
    /// Asking failed.
    Io { path: PathBuf, source: io::Error },
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::Refused(why) => f.write_str(why),
            ControlError::NoServer { path } => write!(
                f,
                "no server answers on {}: it does not run, or has another data directory",
                path.display()
            ),
            ControlError::NotPermitted { path } => write!(
                f,
                "{}: not permitted: ask as the user that the server runs as, or as root",
                path.display()
            ),
            ControlError::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ControlError {}

/// Asks the server of a data directory for its log's level, or sets it; returns the level that
/// holds then.
pub fn log_level(data_dir: &Path, level: Option<&str>) -> Result<String, ControlError> {
    let path = data_dir.join(SOCKET_NAME);
    let failed = |source: io::Error| {
        let path = path.clone();
        let absent = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        if absent.contains(&source.kind()) {
            ControlError::NoServer { path }
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            ControlError::NotPermitted { path }
        } else {
            ControlError::Io { path, source }
        }
    };
    let answer = ask(data_dir, &format!("{LEVEL} {}\n", level.unwrap_or_default()));
    let answer = answer.map_err(failed)?;
    match answer.trim_end().split_once(' ') {
        Some((OK, level)) => Ok(level.to_owned()),
        Some((ERROR, why)) => Err(ControlError::Refused(why.to_owned())),
        // It closes on whom it does not know.
        _ if answer.is_empty() => Err(ControlError::NotPermitted { path }),
        _ => Err(ControlError::Refused(format!("the server said: {}", answer.trim_end()))),
    }
}

fn ask(data_dir: &Path, request: &str) -> io::Result<String> {
    let address = Address::of(data_dir)?;
    let mut stream = UnixStream::connect(&address.path)?;
    // Another client may be served first, for as long as it may take.
    stream.set_read_timeout(Some(2 * CONTROL_PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(CONTROL_BYTES_MAX)).read_line(&mut answer)?;
    Ok(answer)
}

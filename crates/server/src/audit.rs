//! The audit log: a file of its own, written by a thread of its own.
//!
//! What it keeps true: lines stand in the order of their events; the core never waits for the
//! file; no line is lost in silence. While more lines wait than [`AUDIT_LINES_WAITING`], the core
//! takes no more requests, so a slow disk slows clients down, as Apache's logging does. A line that
//! the file does not take is counted, and a warning says so.
//!
//! The file is rotated as Apache's own configuration does it: at 10 MB it becomes `.1`, and up to
//! ten old files are kept. Times are UTC.

use crate::limits::{AUDIT_FILE_BYTES, AUDIT_FILES_KEPT, AUDIT_LINES_WAITING, AUDIT_STOP_PATIENCE};
use crate::logging::repeats::RateLimit;
use crate::logging::utc;
use crate::run::Message;
use bellwether_node::audit::{AuditEvent, AuditResult, Operation};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What stands before a line, after its time and level, where Apache's has the name of its class.
const LOGGER: &str = "o.a.z.a.Slf4jAuditLogger";

/// A line to be written, and when it happened.
type Entry = (i64, Box<AuditEvent>);

/// What the core and the thread both know.
#[derive(Debug, Default)]
struct Shared {
    /// Lines that are handed over and not written.
    waiting: AtomicUsize,
    written: AtomicU64,
    lost: AtomicU64,
}

/// The way to the audit log's thread.
#[derive(Debug)]
pub(crate) struct AuditLog {
    shared: Arc<Shared>,
    /// Lines of this round.
    batch: Vec<Entry>,
    tasks: Option<Sender<Vec<Entry>>>,
    /// Nothing is sent through it: it ends with the thread.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl AuditLog {
    /// Opens the file and starts the thread. `core` is told when lines were too many and are so no
    /// more.
    pub(crate) fn start(path: PathBuf, core: mpsc::Sender<Message>) -> io::Result<AuditLog> {
        let mut writer = Writer::open(path, AUDIT_FILE_BYTES)?;
        let shared = Arc::new(Shared::default());
        let (tasks, queue) = channel();
        let theirs = shared.clone();
        let (until_end, ended) = channel();
        let run = move || {
            run(&mut writer, &queue, (&theirs, &core));
            drop(until_end);
        };
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(run)?;
        let (tasks, thread) = (Some(tasks), Some(thread));
        Ok(AuditLog { shared, batch: Vec::new(), tasks, ended, thread })
    }

    /// Takes a line; [`AuditLog::hand_over`] sends it.
    pub(crate) fn put(&mut self, wall_ms: i64, event: Box<AuditEvent>) {
        self.batch.push((wall_ms, event));
    }

    /// Hands the lines of this round to the thread.
    pub(crate) fn hand_over(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        self.shared.waiting.fetch_add(batch.len(), Ordering::SeqCst);
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(batch));
        assert!(matches!(sent, Some(Ok(()))), "the audit log's thread ends after the core");
    }

    /// Whether so many lines wait that no more requests are to be taken.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.waiting.load(Ordering::SeqCst) >= AUDIT_LINES_WAITING
    }

    /// Lines that were written, and lines that were lost.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.shared.written.load(Ordering::Relaxed), self.shared.lost.load(Ordering::Relaxed))
    }

    /// Says that the server has begun to serve, or could not.
    pub(crate) fn started(&mut self, wall_ms: i64, result: AuditResult) {
        self.put(wall_ms, Box::new(AuditEvent::of_server(Operation::ServerStart, result)));
        self.hand_over();
    }
}

impl Drop for AuditLog {
    /// Waits until everything is written, but not for a disk that hangs: a server that was told to
    /// stop stops.
    fn drop(&mut self) {
        self.hand_over();
        self.tasks = None;
        if self.ended.recv_timeout(AUDIT_STOP_PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let lines = self.shared.waiting.load(Ordering::SeqCst);
            tracing::warn!(
                lines,
                "stopped while lines of the audit log were not written: its disk hangs"
            );
        } else if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

/// Writes until the core is gone.
fn run(
    writer: &mut Writer,
    queue: &Receiver<Vec<Entry>>,
    (shared, core): (&Shared, &mpsc::Sender<Message>),
) {
    let user = user_name();
    let repeats = RateLimit::default();
    let mut text = String::new();
    while let Ok(batch) = queue.recv() {
        for (wall_ms, event) in &batch {
            text.clear();
            append(&mut text, (*wall_ms, event), &user);
            match writer.write(&text) {
                Ok(()) => shared.written.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    complain(&repeats, &writer.path, &error);
                    shared.lost.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
        repeats.log_ended(Instant::now());
        let before = shared.waiting.fetch_sub(batch.len(), Ordering::SeqCst);
        if before >= AUDIT_LINES_WAITING && before - batch.len() < AUDIT_LINES_WAITING {
            // A core with a full queue looks for itself in its next round; one that has stopped
            // does not need to know.
            drop(core.try_send(Message::AuditDrained));
        }
    }
}

fn complain(repeats: &RateLimit, path: &Path, error: &io::Error) {
    crate::warn_limited!(
        repeats,
        "audit line lost",
        file = %path.display(),
        %error,
        "a line of the audit log was lost, and the change it tells of was made; free the disk or \
         mend the file's permissions (mntr counts such lines as audit_lines_lost_count)"
    );
}

fn append(text: &mut String, (wall_ms, event): (i64, &AuditEvent), user: &str) {
    let since_epoch = Duration::from_millis(u64::try_from(wall_ms).unwrap_or(0));
    let level = match event.result {
        AuditResult::Failure => "ERROR",
        AuditResult::Success | AuditResult::Invoked => "INFO",
    };
    utc::write_as_java(text, since_epoch).expect("writing to a String succeeds");
    for part in [" ", level, " ", LOGGER, ": ", &event.line(user), "\n"] {
        text.push_str(part);
    }
}

/// The file, and how much is in it.
#[derive(Debug)]
struct Writer {
    path: PathBuf,
    bytes_max: u64,
    /// `None` after a rotation that could not open the next file; it is tried again.
    file: Option<File>,
    bytes: u64,
    /// Whether the last line is there in part only.
    torn: bool,
}

impl Writer {
    fn open(path: PathBuf, bytes_max: u64) -> io::Result<Writer> {
        let file = open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Writer { path, bytes_max, file: Some(file), bytes, torn: false })
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.bytes >= self.bytes_max
            && let Err(error) = self.rotate()
        {
            // Better too long than not written. It is tried again after as much again.
            tracing::warn!(
                path = %self.path.display(),
                %error,
                "the audit log cannot be rotated and grows on; make its directory writable"
            );
            self.bytes = 0;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        if self.torn {
            file.write_all(b"\n")?;
        }
        self.torn = true;
        file.write_all(line.as_bytes())?;
        self.torn = false;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// `.9` becomes `.10`, and so on, and the file becomes `.1`.
    fn rotate(&mut self) -> io::Result<()> {
        let old = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..AUDIT_FILES_KEPT).rev() {
            rename_if_there(&old(number), &old(number + 1))?;
        }
        rename_if_there(&self.path, &old(1))?;
        (self.file, self.bytes, self.torn) = (None, 0, false);
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Who runs the server, as Java's `user.name` says it; `?` for a user without a name.
fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| "?".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_node::audit::Actor;
    use bellwether_wire::SessionId;

    /// An empty directory that is removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let dir = std::env::temp_dir().join(format!("audit-{}-{name}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Scratch(dir)
        }

        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort_by_key(|name| (name.len(), name.clone()));
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn create(result: AuditResult) -> Box<AuditEvent> {
        Box::new(AuditEvent {
            actor: Actor::Client(SessionId(0x1234), Arc::new([])),
            operation: Operation::Create,
            znode: Some("/a".into()),
            znode_type: Some("persistent"),
            acl: None,
            result,
        })
    }

    #[test]
    fn lines_are_written_before_the_log_is_gone() {
        let scratch = Scratch::new("lines");
        let path = scratch.0.join("audit.log");
        fs::write(&path, "of an earlier run\n").unwrap();
        let (core, _messages) = mpsc::channel(1);
        let mut log = AuditLog::start(path.clone(), core).unwrap();
        log.started(0, AuditResult::Success);
        log.put(0, create(AuditResult::Success));
        log.put(0, create(AuditResult::Failure));
        log.hand_over();
        let shared = log.shared.clone();
        drop(log);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        let user = user_name();
        assert_eq!(
            &lines[1]["2026-11-21 12:00:00,000".len()..],
            format!(
                " INFO o.a.z.a.Slf4jAuditLogger: user={user}\toperation=serverStart\tresult=success"
            )
        );
        assert!(lines[2].contains(
            " INFO o.a.z.a.Slf4jAuditLogger: session=0x1234\toperation=create\tznode=/a\t"
        ));
        assert!(lines[3].contains(" ERROR ") && lines[3].ends_with("\tresult=failure"), "{text}");
        assert_eq!(shared.written.load(Ordering::Relaxed), 3);
        assert_eq!(shared.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_core_hears_when_there_is_room_again() {
        let scratch = Scratch::new("room");
        let (core, mut messages) = mpsc::channel(1);
        let mut log = AuditLog::start(scratch.0.join("audit.log"), core).unwrap();
        assert!(!log.is_full());
        for _ in 0..AUDIT_LINES_WAITING {
            log.put(0, create(AuditResult::Success));
        }
        log.hand_over();
        assert!(matches!(messages.blocking_recv(), Some(Message::AuditDrained)));
        assert!(!log.is_full());
        assert_eq!(log.counts(), (AUDIT_LINES_WAITING as u64, 0));
    }

    #[test]
    fn a_full_file_makes_way_and_the_oldest_goes() {
        let scratch = Scratch::new("rotation");
        let path = scratch.0.join("audit.log");
        let mut writer = Writer::open(path.clone(), 10).unwrap();
        for number in 0..13 {
            // Each is longer than a file should be, so each has one of its own.
            writer.write(&format!("line number {number}\n")).unwrap();
        }
        assert_eq!(scratch.files().len(), 11);
        assert_eq!(scratch.files()[10], "audit.log.10");
        assert_eq!(fs::read_to_string(&path).unwrap(), "line number 12\n");
        let oldest = fs::read_to_string(scratch.0.join("audit.log.10")).unwrap();
        assert_eq!(oldest, "line number 2\n");
        // What is there counts after a restart.
        let mut writer = Writer::open(path, 10).unwrap();
        writer.write("after a restart\n").unwrap();
        assert_eq!(fs::read_to_string(scratch.0.join("audit.log.1")).unwrap(), "line number 12\n");
    }

    #[test]
    fn lost_lines_are_counted() {
        let (core, _messages) = mpsc::channel(1);
        let mut log = AuditLog::start("/dev/full".into(), core).unwrap();
        log.put(0, create(AuditResult::Success));
        log.put(0, create(AuditResult::Failure));
        log.hand_over();
        let shared = log.shared.clone();
        drop(log);
        assert_eq!(shared.lost.load(Ordering::Relaxed), 2);
        assert_eq!(shared.written.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        let (core, _messages) = mpsc::channel(1);
        assert!(AuditLog::start("/dev/null/audit.log".into(), core).is_err());
    }
}

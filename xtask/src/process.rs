//! Child processes: run with a time limit, kept in the background, waited for, ended by pid.
//!
//! Keeps true: no child outlives what started it, whatever path is taken out of a function, and
//! every wait is for a state and has a deadline. Leaves to the callers what the output means.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::tail;

/// What a program may take to end after it has closed its output.
const STREAMS_CLOSED_LIMIT: Duration = Duration::from_secs(20);

/// How often a state that nobody announces is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a program that ended left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Everything that was printed, errors last, because that is where the reason is.
    pub(crate) fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// The program's own success, or a message that ends with what it printed.
    pub(crate) fn success(self) -> Result<Self, String> {
        if self.status.success() {
            return Ok(self);
        }
        Err(format!("{}\n{}", self.status, tail(&self.output())))
    }
}

/// A directory of this run that disappears with its owner.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Creates a directory below `parent` that no other process uses.
    pub(crate) fn new(parent: &Path, name: &str) -> Result<Self, String> {
        let own = std::process::id();
        for number in 0..u32::MAX {
            let path = parent.join(format!("{own}-{name}-{number}"));
            match fs::create_dir_all(parent).and_then(|()| fs::create_dir(&path)) {
                Ok(()) => return Ok(Self { path }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(format!("cannot create {}: {e}", path.display())),
            }
        }
        Err(format!("no free name below {}", parent.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what interrupted runs left: directories whose process no longer exists.
    pub(crate) fn sweep(parent: &Path) {
        let Ok(entries) = fs::read_dir(parent) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.split('-').next());
            let alive = owner.is_none_or(|pid| Path::new("/proc").join(pid).exists());
            if !alive {
                discard(fs::remove_dir_all(entry.path()));
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        discard(fs::remove_dir_all(&self.path));
    }
}

/// Clean-up is best effort: what stays is swept by the next run.
fn discard<T, E>(result: Result<T, E>) {
    drop(result);
}

/// Runs a program to its end; when `limit` passes first, it and its descendants are killed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Finished, String> {
    let scratch = Scratch::new(&std::env::temp_dir(), "bellwether-xtask")?;
    let (stdout, stderr) = (scratch.path().join("stdout"), scratch.path().join("stderr"));
    command.stdin(Stdio::null()).stdout(create(&stdout)?).stderr(create(&stderr)?);
    let mut child = Background::spawn(command)?;
    let status = wait_for("the end of the program", limit, || child.ended());
    let read = |path: &Path| {
        fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    };
    let (stdout, stderr) = (read(&stdout), read(&stderr));
    match status {
        Ok(status) => Ok(Finished { status, stdout, stderr }),
        Err(_) => {
            let seconds = limit.as_secs();
            let printed = tail(&format!("{stdout}{stderr}"));
            Err(format!("{} did not end within {seconds} s\n{printed}", named(command)))
        }
    }
}

/// Runs a program that talks: each line it prints is shown to `answer`, whose text it gets back.
pub(crate) fn converse(
    command: &mut Command,
    limit: Duration,
    mut answer: impl FnMut(&str) -> Result<Option<&'static str>, String>,
) -> Result<Finished, String> {
    let scratch = Scratch::new(&std::env::temp_dir(), "bellwether-xtask")?;
    let errors = scratch.path().join("stderr");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(create(&errors)?);
    let mut child = Background::spawn(command)?;
    let (Some(mut input), Some(output)) = (child.child.stdin.take(), child.child.stdout.take())
    else {
        return Err("a child without pipes".to_owned());
    };
    let (sender, lines) = mpsc::channel();
    // The thread ends with the child, whose end closes the pipe.
    thread::spawn(move || {
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| sender.send(line).is_ok()) {}
    });
    let deadline = Instant::now() + limit;
    let mut stdout = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let printed = tail(&format!("{stdout}{}", read(&errors)?));
                let (name, seconds) = (named(command), limit.as_secs());
                return Err(format!("{name} did not end within {seconds} s\n{printed}"));
            }
        };
        stdout.push_str(&line);
        stdout.push('\n');
        if let Some(text) = answer(&line)? {
            input.write_all(text.as_bytes()).map_err(|e| format!("cannot answer: {e}"))?;
        }
    }
    let status = wait_for("the end of the program", STREAMS_CLOSED_LIMIT, || child.ended())?;
    Ok(Finished { status, stdout, stderr: read(&errors)? })
}

/// A child that runs beside us and ends with its owner.
#[derive(Debug)]
pub(crate) struct Background {
    child: Child,
}

impl Background {
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, String> {
        let child = command.spawn().map_err(|e| format!("cannot start {}: {e}", named(command)))?;
        Ok(Self { child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, when it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(crate) fn terminate(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        if let Some(status) = self.ended() {
            return Ok(status);
        }
        signal("TERM", &[self.pid()])?;
        wait_for("the end of the program after SIGTERM", limit, || self.ended())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        let mut pids = descendants(self.pid());
        pids.push(self.pid());
        discard(signal("KILL", &pids));
        discard(self.child.wait());
    }
}

/// Sends a signal through the shell's own `kill`, which needs no package and no unsafe code.
fn signal(name: &str, pids: &[u32]) -> Result<(), String> {
    let list: Vec<String> = pids.iter().map(u32::to_string).collect();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("kill -{name} {} 2>/dev/null", list.join(" ")));
    // The shell's verdict is not asked: a process that has ended meanwhile is what was wanted.
    shell.status().map(|_ended| ()).map_err(|e| format!("cannot send SIG{name}: {e}"))
}

/// All processes below one, so that a killed test runner leaves no server behind.
fn descendants(root: u32) -> Vec<u32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent_in_stat(&stat) {
            parents.insert(pid, parent);
        }
    }
    let mut found: Vec<u32> = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, p)| **p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// The parent's pid in a line of `/proc/PID/stat`; the name before it may hold spaces.
fn parent_in_stat(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(1)?.parse().ok()
}

/// Looks until `state` gives a value, or says what did not come.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut state: impl FnMut() -> Option<T>,
) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = state() {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(format!("waited {:.0} s in vain for {what}", limit.as_secs_f64()));
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, String> {
    free_ports(1)?.pop().ok_or_else(|| "no free loopback port".to_owned())
}

/// So many loopback ports that were free a moment ago.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let any = || TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    // All are held until all are known, so that they differ.
    let held: Result<Vec<TcpListener>, _> = (0..count).map(|_| any()).collect();
    held.and_then(|held| {
        held.iter().map(|it| it.local_addr().map(|address| address.port())).collect()
    })
    .map_err(|e| format!("no free loopback port: {e}"))
}

/// Creates a file for a child's output.
pub(crate) fn create(path: &Path) -> Result<File, String> {
    File::create(path).map_err(|e| format!("cannot create {}: {e}", path.display()))
}

/// A file's text, or what was tried.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

/// Writes a file, or says what was tried.
pub(crate) fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), String> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// Creates a directory and those above it.
pub(crate) fn make_dir(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|e| format!("cannot create {}: {e}", path.display()))
}

/// The program's name, for messages.
fn named(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        command
    }

    #[test]
    fn run_keeps_both_streams_and_the_status() {
        let done = run(&mut shell("echo out; echo err >&2; exit 3"), Duration::from_secs(10))
            .expect("a shell runs");
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(done.status.code(), Some(3));
        let why = done.success().expect_err("exit 3 is no success");
        assert!(why.contains('3') && why.ends_with("err"), "{why}");
    }

    #[test]
    fn run_kills_what_takes_too_long_and_its_children() {
        let why = run(&mut shell("sleep 600 & echo $!; wait"), Duration::from_millis(300))
            .expect_err("the limit is shorter");
        let pid = why.lines().last().expect("the shell printed a pid").to_owned();
        wait_for("the end of the grandchild", Duration::from_secs(10), || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        })
        .expect("the grandchild was killed");
    }

    #[test]
    fn a_program_that_asks_is_answered() {
        let script = "echo hello; echo ASK; read -r word; echo got $word; exit 4";
        let done = converse(&mut shell(script), Duration::from_secs(10), |line| {
            Ok((line == "ASK").then_some("this\n"))
        })
        .expect("a shell runs");
        assert_eq!((done.stdout.as_str(), done.status.code()), ("hello\nASK\ngot this\n", Some(4)));
    }

    #[test]
    fn a_program_that_talks_for_too_long_is_killed() {
        let why =
            converse(&mut shell("echo a; sleep 600"), Duration::from_millis(200), |_| Ok(None))
                .expect_err("the limit is shorter");
        assert!(why.ends_with("a"), "{why}");
    }

    #[test]
    fn a_dropped_child_is_dead() {
        let child = Background::spawn(&mut shell("exec sleep 600")).expect("a shell runs");
        let proc = PathBuf::from(format!("/proc/{}", child.pid()));
        assert!(proc.exists());
        drop(child);
        assert!(!proc.exists());
    }

    #[test]
    fn terminate_reports_how_it_ended() {
        let mut child = Background::spawn(&mut shell("trap 'exit 7' TERM; while :; do :; done"))
            .expect("a shell runs");
        let limit = Duration::from_secs(10);
        wait_for("the trap", limit, || {
            let status = fs::read_to_string(format!("/proc/{}/status", child.pid())).ok()?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let mask = u64::from_str_radix(caught.trim(), 16).ok()?;
            (mask & (1 << 14) != 0).then_some(())
        })
        .expect("the shell sets its trap");
        assert_eq!(child.terminate(limit).expect("it ends").code(), Some(7));
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let why = wait_for::<()>("godot", Duration::ZERO, || None).expect_err("nobody comes");
        assert_eq!(why, "waited 0 s in vain for godot");
    }

    #[test]
    fn reads_the_parent_behind_a_name_with_spaces() {
        assert_eq!(parent_in_stat("12 (a b) c) S 7 12 12"), Some(7));
        assert_eq!(parent_in_stat(""), None);
    }

    #[test]
    fn a_scratch_directory_disappears_with_its_owner() {
        let scratch =
            Scratch::new(&std::env::temp_dir(), "scratch-test").expect("temp is writable");
        let path = scratch.path().to_owned();
        write(&path.join("file"), "x").expect("it is ours");
        drop(scratch);
        assert!(!path.exists());
    }
}

//! The one watched directory of this process: its shadow, its fault plan, and the way in and out.
//!
//! A call enters the session at most once per thread: what the library itself does to files goes
//! straight to the C library. One lock guards the shadow; it is never held during a delay.

use std::cell::Cell;
use std::ffi::{CStr, OsStr, c_char, c_int};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock};

use crate::plan::{Call, Plan, errno_name};
use crate::shadow::{Names, Shadow};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

static SESSION: OnceLock<Option<Session>> = OnceLock::new();

struct Session {
    watched: PathBuf,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) shadow: Shadow,
    plan: Plan,
}

/// One call inside the session. Dropping it lets the thread enter again and restores `errno`.
pub(super) struct Inside {
    session: &'static Session,
    errno: Cell<i32>,
}

/// What a descriptor of the watched directory is open on.
pub(super) enum Target {
    File(u64),
    Directory(PathBuf),
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
        set_errno(self.errno.get());
    }
}

/// Enters the session, unless this process has none or this thread is already inside.
pub(super) fn enter() -> Option<Inside> {
    if INSIDE.get() {
        return None;
    }
    INSIDE.set(true);
    let errno = Cell::new(errno());
    let session = SESSION.get_or_init(|| {
        let watched = std::env::var_os("FAULTS_DIR").filter(|_| in_shared_library())?;
        Some(or_die("opening the shadow", Session::open(Path::new(&watched))))
    });
    match session {
        Some(session) => Some(Inside { session, errno }),
        None => {
            INSIDE.set(false);
            set_errno(errno.get());
            None
        }
    }
}

impl Session {
    fn open(watched: &Path) -> io::Result<Self> {
        let store = std::env::var_os("FAULTS_SHADOW")
            .ok_or_else(|| io::Error::other("FAULTS_DIR is set, FAULTS_SHADOW is not"))?;
        let names = match std::env::var("FAULTS_NAMES").as_deref() {
            Ok("with-file") => Names::WithFile,
            Ok("strict") | Err(_) => Names::Strict,
            Ok(other) => return Err(io::Error::other(format!("FAULTS_NAMES={other}"))),
        };
        let mut plan = std::env::var("FAULTS_PLAN").unwrap_or_default();
        if let Some(file) = plan.strip_prefix('@') {
            plan = std::fs::read_to_string(file)?;
        }
        let plan = Plan::parse(&plan).map_err(io::Error::other)?;
        let shadow = Shadow::open(watched, Path::new(&store), names)?;
        let watched = shadow.watched().to_owned();
        Ok(Self { watched, state: Mutex::new(State { shadow, plan }) })
    }
}

impl Inside {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.session.state.lock().expect("a panic in the library ends the process")
    }

    /// Keeps the `errno` that the real call has just left.
    pub(super) fn keep_errno(&self) {
        self.errno.set(errno());
    }

    /// Has the call fail with `errno`.
    pub(super) fn fail(&self, errno: i32) -> c_int {
        self.errno.set(errno);
        -1
    }

    /// What `fd` is open on, when that is in the watched directory. A regular file seen for the
    /// first time is tracked from here on.
    pub(super) fn target(&self, fd: c_int) -> Option<Target> {
        let (kind, device, inode) = identity(fd)?;
        if kind == libc::S_IFDIR {
            return self.path_of(fd).map(Target::Directory);
        }
        if kind != libc::S_IFREG {
            return None;
        }
        let mut state = self.lock();
        if device != state.shadow.device() {
            return None;
        }
        if !state.shadow.tracks(inode) {
            self.path_of(fd)?;
            let pin = or_die("pinning a file", File::open(format!("/proc/self/fd/{fd}")));
            or_die("tracking a file", state.shadow.track(pin));
        }
        Some(Target::File(inode))
    }

    /// The path that `fd` is open on, when it is in the watched directory.
    pub(super) fn path_of(&self, fd: c_int) -> Option<PathBuf> {
        let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        path.starts_with(&self.session.watched).then_some(path)
    }

    /// The path that a call names, when it is in the watched directory.
    ///
    /// # Safety
    ///
    /// `path` is null or a zero-terminated string.
    pub(super) unsafe fn path_at(&self, dir: c_int, path: *const c_char) -> Option<PathBuf> {
        if path.is_null() {
            return None;
        }
        // SAFETY: not null, so zero-terminated by this function's contract.
        let path = unsafe { CStr::from_ptr(path) };
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let whole = if path.is_absolute() {
            path.to_owned()
        } else if dir == libc::AT_FDCWD {
            std::env::current_dir().ok()?.join(path)
        } else {
            std::fs::read_link(format!("/proc/self/fd/{dir}")).ok()?.join(path)
        };
        whole.starts_with(&self.session.watched).then_some(whole)
    }

    /// Whether a rule of the plan names this call.
    pub(super) fn concerns(&self, call: Call) -> bool {
        self.lock().plan.concerns(call)
    }

    /// Counts a call on a watched path: waits if the plan delays it, and gives the error it is to
    /// fail with, and whether it is to do only part of its work.
    pub(super) fn judge(&self, call: Call, path: &Path) -> (Option<i32>, bool) {
        let verdict = {
            let mut state = self.lock();
            // Within the watched directory, so that a rule means the same wherever that is.
            let inner = path.strip_prefix(&self.session.watched).unwrap_or(path);
            let path = format!("/{}", inner.display());
            let verdict = state.plan.decide(call, &path);
            if let Some(errno) = verdict.errno {
                let line = format!("{call} {} {path}", errno_name(errno));
                or_die("recording a fault", state.shadow.record_fired(&line));
            }
            verdict
        };
        if !verdict.delay.is_zero() {
            std::thread::sleep(verdict.delay);
        }
        (verdict.errno, verdict.short)
    }

    /// As [`Inside::judge`] for a call on a descriptor, whose path is looked up only if needed.
    pub(super) fn judge_fd(&self, call: Call, fd: c_int) -> (Option<i32>, bool) {
        if !self.concerns(call) {
            return (None, false);
        }
        let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
        self.judge(call, &path)
    }
}

/// The value, or the end of the process: without its shadow a test would prove nothing.
#[expect(clippy::print_stderr, reason = "a preloaded library has no other way to say why it ends")]
pub(super) fn or_die<T>(doing: &str, result: io::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            eprintln!("faults: {doing}: {error}");
            std::process::abort();
        }
    }
}

/// Whether this code was loaded as a shared library. The driver and the test programs are linked
/// with this crate and so hold the interposed calls themselves; there they only pass through.
fn in_shared_library() -> bool {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let code: fn() -> bool = in_shared_library;
    // SAFETY: `info` is valid for writing one record, and a zeroed record is a valid one.
    let info = unsafe {
        libc::dladdr(code as *const libc::c_void, info.as_mut_ptr());
        info.assume_init()
    };
    if info.dli_fname.is_null() {
        return false;
    }
    // SAFETY: not null, so the zero-terminated path of the object that holds this code.
    let object = unsafe { CStr::from_ptr(info.dli_fname) };
    object.to_bytes().ends_with(b".so")
}

/// The file type, device and inode number behind a descriptor.
fn identity(fd: c_int) -> Option<(libc::mode_t, u64, u64)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is valid for writing one `stat` record.
    let result = unsafe { libc::fstat(fd, stat.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: `fstat` succeeded, so it filled the record.
    let stat = unsafe { stat.assume_init() };
    Some((stat.st_mode & libc::S_IFMT, stat.st_dev, stat.st_ino))
}

fn errno() -> i32 {
    // SAFETY: the C library's `errno` of this thread is always valid.
    unsafe { *libc::__errno_location() }
}

fn set_errno(errno: i32) {
    // SAFETY: the C library's `errno` of this thread is always valid.
    unsafe { *libc::__errno_location() = errno };
}

//! The interposed calls, in the order: write, sync, name.
//!
//! Each exported function has the name and the meaning of the C function, and passes on to the
//! helper of its kind below. Functions with a variable argument list in C (`open`) take it as a
//! fixed last argument: on the platforms where this library is built, the two are passed alike, and
//! the real function ignores it when the flags do not ask for it.

use std::ffi::{c_char, c_int, c_void};
use std::io;
use std::path::PathBuf;

use libc::{AT_FDCWD, iovec, mode_t, off_t, size_t, ssize_t};

use super::real;
use super::session::{Inside, Target, enter, or_die};
use crate::plan::Call;

/// Where a write begins.
enum Position {
    Current,
    At(off_t),
}

/// How much of its work a write is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    Part,
}

/// Defines exported functions. Every row passes straight on when the session is not entered.
macro_rules! calls {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty, $inside:ident => $body:expr;)*) => {$(
        /// # Safety
        ///
        /// As for the C function of this name.
        #[unsafe(no_mangle)]
        #[allow(clippy::allow_attributes, clippy::too_many_arguments, reason = "C's signature")]
        pub(super) unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            let Some($inside) = enter() else {
                // SAFETY: the caller keeps the contract of the C function.
                return unsafe { real::$name($($arg),*) };
            };
            // SAFETY: as above; the body passes the same arguments on, or a shorter extent of them.
            unsafe { $body }
        }
    )*};
}

calls! {
    fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t, inside =>
        writing(&inside, fd, Position::Current, |extent| {
            real::write(fd, bytes, part_of(count, extent))
        });
    fn pwrite(fd: c_int, bytes: *const c_void, count: size_t, at: off_t) -> ssize_t, inside =>
        writing(&inside, fd, Position::At(at), |extent| {
            real::pwrite(fd, bytes, part_of(count, extent), at)
        });
    fn pwrite64(fd: c_int, bytes: *const c_void, count: size_t, at: off_t) -> ssize_t, inside =>
        writing(&inside, fd, Position::At(at), |extent| {
            real::pwrite64(fd, bytes, part_of(count, extent), at)
        });
    fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t, inside =>
        writing(&inside, fd, Position::Current, |extent| {
            real::writev(fd, parts, parts_of(count, extent))
        });
    fn pwritev(fd: c_int, parts: *const iovec, count: c_int, at: off_t) -> ssize_t, inside =>
        writing(&inside, fd, Position::At(at), |extent| {
            real::pwritev(fd, parts, parts_of(count, extent), at)
        });
    fn pwritev64(fd: c_int, parts: *const iovec, count: c_int, at: off_t) -> ssize_t, inside =>
        writing(&inside, fd, Position::At(at), |extent| {
            real::pwritev64(fd, parts, parts_of(count, extent), at)
        });
    fn pwritev2(fd: c_int, parts: *const iovec, n: c_int, at: off_t, flags: c_int) -> ssize_t,
        inside => writing_v2(&inside, fd, at, flags, |extent| {
            real::pwritev2(fd, parts, parts_of(n, extent), at, flags)
        });
    fn pwritev64v2(fd: c_int, parts: *const iovec, n: c_int, at: off_t, flags: c_int) -> ssize_t,
        inside => writing_v2(&inside, fd, at, flags, |extent| {
            real::pwritev64v2(fd, parts, parts_of(n, extent), at, flags)
        });
    fn copy_file_range(
        from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, n: size_t, flags: u32
    ) -> ssize_t, inside => transferring(&inside, to, || {
        real::copy_file_range(from, from_at, to, to_at, n, flags)
    });
    fn splice(
        from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, n: size_t, flags: u32
    ) -> ssize_t, inside => transferring(&inside, to, || {
        real::splice(from, from_at, to, to_at, n, flags)
    });
    fn sendfile(to: c_int, from: c_int, at: *mut off_t, count: size_t) -> ssize_t, inside =>
        transferring(&inside, to, || real::sendfile(to, from, at, count));
    fn sendfile64(to: c_int, from: c_int, at: *mut off_t, count: size_t) -> ssize_t, inside =>
        transferring(&inside, to, || real::sendfile64(to, from, at, count));
    fn mmap(
        at: *mut c_void, n: size_t, protection: c_int, flags: c_int, fd: c_int, from: off_t
    ) -> *mut c_void, inside => mapping(&inside, (protection, flags, fd), || {
        real::mmap(at, n, protection, flags, fd, from)
    });
    fn mmap64(
        at: *mut c_void, n: size_t, protection: c_int, flags: c_int, fd: c_int, from: off_t
    ) -> *mut c_void, inside => mapping(&inside, (protection, flags, fd), || {
        real::mmap64(at, n, protection, flags, fd, from)
    });
    fn truncate(path: *const c_char, len: off_t) -> c_int, inside =>
        truncating_path(&inside, path, len, || real::truncate(path, len));
    fn truncate64(path: *const c_char, len: off_t) -> c_int, inside =>
        truncating_path(&inside, path, len, || real::truncate64(path, len));
    fn ftruncate(fd: c_int, len: off_t) -> c_int, inside =>
        truncating(&inside, fd, len, || real::ftruncate(fd, len));
    fn ftruncate64(fd: c_int, len: off_t) -> c_int, inside =>
        truncating(&inside, fd, len, || real::ftruncate64(fd, len));
    fn fallocate(fd: c_int, mode: c_int, at: off_t, len: off_t) -> c_int, inside =>
        allocating(&inside, fd, mode, || real::fallocate(fd, mode, at, len));
    fn fallocate64(fd: c_int, mode: c_int, at: off_t, len: off_t) -> c_int, inside =>
        allocating(&inside, fd, mode, || real::fallocate64(fd, mode, at, len));
    fn posix_fallocate(fd: c_int, at: off_t, len: off_t) -> c_int, inside =>
        allocating_posix(&inside, fd, || real::posix_fallocate(fd, at, len));
    fn posix_fallocate64(fd: c_int, at: off_t, len: off_t) -> c_int, inside =>
        allocating_posix(&inside, fd, || real::posix_fallocate64(fd, at, len));
}

calls! {
    fn fsync(fd: c_int) -> c_int, inside =>
        syncing(&inside, fd, Call::Fsync, || real::fsync(fd));
    fn fdatasync(fd: c_int) -> c_int, inside =>
        syncing(&inside, fd, Call::Fdatasync, || real::fdatasync(fd));
    // Starts write-back and promises nothing, so the shadow does not change.
    fn sync_file_range(fd: c_int, at: off_t, len: off_t, flags: u32) -> c_int, inside =>
        passing(&inside, || real::sync_file_range(fd, at, len, flags));
    fn syncfs(fd: c_int) -> c_int, inside => {
        if inside.path_of(fd).is_some() {
            or_die("syncing everything", inside.lock().shadow.sync_all());
        }
        passing(&inside, || real::syncfs(fd))
    };
}

calls! {
    fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int, inside =>
        opening(&inside, (AT_FDCWD, path), flags, || real::open(path, flags, mode));
    fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int, inside =>
        opening(&inside, (AT_FDCWD, path), flags, || real::open64(path, flags, mode));
    fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int, inside =>
        opening(&inside, (dir, path), flags, || real::openat(dir, path, flags, mode));
    fn openat64(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int, inside =>
        opening(&inside, (dir, path), flags, || real::openat64(dir, path, flags, mode));
    fn creat(path: *const c_char, mode: mode_t) -> c_int, inside =>
        opening(&inside, (AT_FDCWD, path), CREAT, || real::creat(path, mode));
    fn creat64(path: *const c_char, mode: mode_t) -> c_int, inside =>
        opening(&inside, (AT_FDCWD, path), CREAT, || real::creat64(path, mode));
    fn rename(from: *const c_char, to: *const c_char) -> c_int, inside =>
        naming(&inside, Call::Rename, (AT_FDCWD, to), || real::rename(from, to));
    fn renameat(fd: c_int, from: *const c_char, to_fd: c_int, to: *const c_char) -> c_int, inside =>
        naming(&inside, Call::Rename, (to_fd, to), || real::renameat(fd, from, to_fd, to));
    fn renameat2(
        fd: c_int, from: *const c_char, to_fd: c_int, to: *const c_char, flags: u32
    ) -> c_int, inside => naming(&inside, Call::Rename, (to_fd, to), || {
        real::renameat2(fd, from, to_fd, to, flags)
    });
    fn unlink(path: *const c_char) -> c_int, inside =>
        naming(&inside, Call::Unlink, (AT_FDCWD, path), || real::unlink(path));
    fn unlinkat(fd: c_int, path: *const c_char, flags: c_int) -> c_int, inside =>
        naming(&inside, Call::Unlink, (fd, path), || real::unlinkat(fd, path, flags));
    fn rmdir(path: *const c_char) -> c_int, inside =>
        naming(&inside, Call::Unlink, (AT_FDCWD, path), || real::rmdir(path));
    fn remove(path: *const c_char) -> c_int, inside =>
        naming(&inside, Call::Unlink, (AT_FDCWD, path), || real::remove(path));
    fn link(from: *const c_char, to: *const c_char) -> c_int, inside =>
        naming(&inside, Call::Link, (AT_FDCWD, to), || real::link(from, to));
    fn linkat(
        fd: c_int, from: *const c_char, to_fd: c_int, to: *const c_char, flags: c_int
    ) -> c_int, inside => naming(&inside, Call::Link, (to_fd, to), || {
        real::linkat(fd, from, to_fd, to, flags)
    });
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int, inside =>
        making_directory(&inside, (AT_FDCWD, path), || real::mkdir(path, mode));
    fn mkdirat(fd: c_int, path: *const c_char, mode: mode_t) -> c_int, inside =>
        making_directory(&inside, (fd, path), || real::mkdirat(fd, path, mode));
}

const CREAT: c_int = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;

fn part_of(count: size_t, extent: Extent) -> size_t {
    match extent {
        Extent::Whole => count,
        Extent::Part => count.div_ceil(2),
    }
}

fn parts_of(count: c_int, extent: Extent) -> c_int {
    match extent {
        Extent::Whole => count,
        Extent::Part => count.min(1),
    }
}

fn writing(
    inside: &Inside,
    fd: c_int,
    position: Position,
    write: impl Fn(Extent) -> ssize_t,
) -> ssize_t {
    let Some(Target::File(inode)) = inside.target(fd) else {
        let written = write(Extent::Whole);
        inside.keep_errno();
        return written;
    };
    let (failure, short) = inside.judge_fd(Call::Write, fd);
    if let Some(errno) = failure {
        return inside.fail(errno) as ssize_t;
    }
    let extent = if short { Extent::Part } else { Extent::Whole };
    // Under the lock, so that no other write through the same descriptor moves the file position
    // between the write and the question where it ended.
    let mut state = inside.lock();
    let written = write(extent);
    inside.keep_errno();
    if let Ok(count) = u64::try_from(written) {
        let flags = status_flags(fd);
        let start = start_of_write(fd, &position, flags, count);
        state.shadow.wrote(inode, start, count);
        if flags & libc::O_DSYNC != 0 {
            let path = inside.path_of(fd);
            or_die("a synchronous write", state.shadow.sync_file(inode, path.as_deref()));
        }
    }
    written
}

fn writing_v2(
    inside: &Inside,
    fd: c_int,
    at: off_t,
    flags: c_int,
    write: impl Fn(Extent) -> ssize_t,
) -> ssize_t {
    let position = if at == -1 { Position::Current } else { Position::At(at) };
    let written = writing(inside, fd, position, write);
    if written >= 0
        && flags & (libc::RWF_DSYNC | libc::RWF_SYNC) != 0
        && let Some(Target::File(inode)) = inside.target(fd)
    {
        let path = inside.path_of(fd);
        let synced = inside.lock().shadow.sync_file(inode, path.as_deref());
        or_die("a synchronous write", synced);
    }
    written
}

/// Where a write that has just ended began. A file open for appending is written at its end,
/// whatever position was given.
fn start_of_write(fd: c_int, position: &Position, flags: c_int, count: u64) -> u64 {
    let ended = match position {
        Position::At(at) if flags & libc::O_APPEND == 0 => {
            return u64::try_from(*at).expect("the kernel refuses a negative position");
        }
        Position::At(_) => file_len(fd),
        // SAFETY: `lseek` takes any descriptor.
        Position::Current => unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) },
    };
    u64::try_from(ended).unwrap_or(0).saturating_sub(count)
}

fn file_len(fd: c_int) -> off_t {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `stat` is valid for writing one record, and a zeroed record is a valid one.
    unsafe {
        libc::fstat(fd, stat.as_mut_ptr());
        stat.assume_init().st_size
    }
}

fn status_flags(fd: c_int) -> c_int {
    // SAFETY: `F_GETFL` takes no argument and any descriptor.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

/// Bytes that arrive from another descriptor: rare enough to count the whole file as written.
fn transferring(inside: &Inside, to: c_int, transfer: impl Fn() -> ssize_t) -> ssize_t {
    let target = inside.target(to);
    if let Some(Target::File(_)) = target
        && let (Some(errno), _) = inside.judge_fd(Call::Write, to)
    {
        return inside.fail(errno) as ssize_t;
    }
    let count = transfer();
    inside.keep_errno();
    if let Some(Target::File(inode)) = target {
        inside.lock().shadow.wrote_anywhere(inode);
    }
    count
}

fn mapping(
    inside: &Inside,
    (protection, flags, fd): (c_int, c_int, c_int),
    map: impl Fn() -> *mut c_void,
) -> *mut c_void {
    let writes = protection & libc::PROT_WRITE != 0 && flags & libc::MAP_SHARED != 0;
    if writes
        && fd >= 0
        && let Some(path) = inside.path_of(fd)
    {
        or_die(
            "a shared writable mapping of a watched file, whose writes cannot be seen",
            Err::<(), _>(io::Error::other(path.display().to_string())),
        );
    }
    let at = map();
    inside.keep_errno();
    at
}

fn truncating(inside: &Inside, fd: c_int, len: off_t, truncate: impl Fn() -> c_int) -> c_int {
    let target = inside.target(fd);
    if target.is_some()
        && let (Some(errno), _) = inside.judge_fd(Call::Truncate, fd)
    {
        return inside.fail(errno);
    }
    let result = truncate();
    inside.keep_errno();
    if let (0, Some(Target::File(inode)), Ok(len)) = (result, target, u64::try_from(len)) {
        inside.lock().shadow.truncated(inode, len);
    }
    result
}

/// # Safety
///
/// `path` is null or a zero-terminated string.
unsafe fn truncating_path(
    inside: &Inside,
    path: *const c_char,
    len: off_t,
    truncate: impl Fn() -> c_int,
) -> c_int {
    // SAFETY: this function's contract.
    let watched = unsafe { inside.path_at(AT_FDCWD, path) };
    if let Some(path) = &watched
        && let (Some(errno), _) = inside.judge(Call::Truncate, path)
    {
        return inside.fail(errno);
    }
    let result = truncate();
    inside.keep_errno();
    if let (0, Some(path), Ok(len)) = (result, watched, u64::try_from(len)) {
        let inode = or_die("a truncated file", crate::listing::inode_of(&path));
        inside.lock().shadow.truncated(inode, len);
    }
    result
}

fn allocating(inside: &Inside, fd: c_int, mode: c_int, allocate: impl Fn() -> c_int) -> c_int {
    let target = inside.target(fd);
    if target.is_some()
        && let (Some(errno), _) = inside.judge_fd(Call::Allocate, fd)
    {
        return inside.fail(errno);
    }
    let result = allocate();
    inside.keep_errno();
    // Plain allocation only lengthens the file, which its next sync sees. The other modes change
    // what is in it.
    if let (0, Some(Target::File(inode))) = (result, target)
        && mode & !libc::FALLOC_FL_KEEP_SIZE != 0
    {
        inside.lock().shadow.wrote_anywhere(inode);
    }
    result
}

/// As [`allocating`], for the call that returns its error.
fn allocating_posix(inside: &Inside, fd: c_int, allocate: impl Fn() -> c_int) -> c_int {
    if inside.target(fd).is_some()
        && let (Some(errno), _) = inside.judge_fd(Call::Allocate, fd)
    {
        return errno;
    }
    passing(inside, allocate)
}

fn passing(inside: &Inside, call: impl Fn() -> c_int) -> c_int {
    let result = call();
    inside.keep_errno();
    result
}

/// Moves what is unsynced into the shadow. The real call is not made: the page cache outlives the
/// killed process, and nothing but the shadow is read after a crash.
fn syncing(inside: &Inside, fd: c_int, call: Call, sync: impl Fn() -> c_int) -> c_int {
    match inside.target(fd) {
        None => passing(inside, sync),
        Some(Target::File(inode)) => {
            let (failure, _) = inside.judge_fd(call, fd);
            let path = inside.path_of(fd);
            let mut state = inside.lock();
            if let Some(errno) = failure {
                state.shadow.lose_unsynced(inode);
                return inside.fail(errno);
            }
            or_die("syncing a file", state.shadow.sync_file(inode, path.as_deref()));
            0
        }
        Some(Target::Directory(path)) => {
            if let (Some(errno), _) = inside.judge(Call::Dirsync, &path) {
                return inside.fail(errno);
            }
            or_die("syncing a directory", inside.lock().shadow.sync_directory(&path));
            0
        }
    }
}

/// # Safety
///
/// `path` is null or a zero-terminated string.
unsafe fn opening(
    inside: &Inside,
    (dir, path): (c_int, *const c_char),
    flags: c_int,
    open: impl Fn() -> c_int,
) -> c_int {
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_CREAT != 0;
    if writes
        && inside.concerns(Call::Open)
        // SAFETY: this function's contract.
        && let Some(path) = unsafe { inside.path_at(dir, path) }
        && let (Some(errno), _) = inside.judge(Call::Open, &path)
    {
        return inside.fail(errno);
    }
    let fd = open();
    inside.keep_errno();
    if writes
        && fd >= 0
        && let Some(Target::File(inode)) = inside.target(fd)
        && flags & libc::O_TRUNC != 0
    {
        inside.lock().shadow.truncated(inode, 0);
    }
    fd
}

/// # Safety
///
/// `path` is null or a zero-terminated string.
unsafe fn naming(
    inside: &Inside,
    call: Call,
    (dir, path): (c_int, *const c_char),
    perform: impl Fn() -> c_int,
) -> c_int {
    // SAFETY: this function's contract.
    match unsafe { judged_path(inside, call, dir, path) } {
        Err(errno) => inside.fail(errno),
        Ok(_) => passing(inside, perform),
    }
}

/// # Safety
///
/// `path` is null or a zero-terminated string.
unsafe fn making_directory(
    inside: &Inside,
    (dir, path): (c_int, *const c_char),
    perform: impl Fn() -> c_int,
) -> c_int {
    // SAFETY: this function's contract.
    let path = match unsafe { judged_path(inside, Call::Mkdir, dir, path) } {
        Err(errno) => return inside.fail(errno),
        Ok(path) => path,
    };
    let result = passing(inside, perform);
    if let (0, Some(path)) = (result, path) {
        or_die("a new directory", inside.lock().shadow.made_directory(&path));
    }
    result
}

/// The watched path that a call names, once it was judged: the error if it is to fail.
///
/// # Safety
///
/// `path` is null or a zero-terminated string.
unsafe fn judged_path(
    inside: &Inside,
    call: Call,
    dir: c_int,
    path: *const c_char,
) -> Result<Option<PathBuf>, i32> {
    // SAFETY: this function's contract.
    let path = unsafe { inside.path_at(dir, path) };
    match path.as_deref().map(|path| inside.judge(call, path)) {
        Some((Some(errno), _)) => Err(errno),
        Some((None, _)) | None => Ok(path),
    }
}

//! The C library's own definitions of the interposed calls, found once by `dlsym`.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{iovec, mode_t, off_t, size_t, ssize_t};

/// Defines one function per row that passes its arguments on to the next definition of that name.
macro_rules! real_calls {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
        /// # Safety
        ///
        /// As for the C function of this name.
        #[allow(clippy::allow_attributes, clippy::too_many_arguments, reason = "C's signature")]
        pub(super) unsafe fn $name($($arg: $type),*) -> $result {
            static NEXT: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
            let name = concat!(stringify!($name), "\0");
            let next = find(&NEXT, name);
            type Next = unsafe extern "C" fn($($type),*) -> $result;
            // SAFETY: `next` is the C library's function of this name; the row has its signature.
            let call = unsafe { std::mem::transmute::<*mut c_void, Next>(next) };
            // SAFETY: the caller keeps the contract of the C function.
            unsafe { call($($arg),*) }
        }
    )*};
}

/// The next definition of a symbol after this library's own. `name` ends with a zero byte.
fn find(cache: &AtomicPtr<c_void>, name: &'static str) -> *mut c_void {
    let cached = cache.load(Ordering::Relaxed);
    if !cached.is_null() {
        return cached;
    }
    // SAFETY: `name` is a zero-terminated string that lives as long as the program.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) };
    assert!(!found.is_null(), "the C library has no {name}");
    cache.store(found, Ordering::Relaxed);
    found
}

real_calls! {
    fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    fn openat(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    fn openat64(dir: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    fn creat(path: *const c_char, mode: mode_t) -> c_int;
    fn creat64(path: *const c_char, mode: mode_t) -> c_int;
    fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t;
    fn pwrite(fd: c_int, bytes: *const c_void, count: size_t, at: off_t) -> ssize_t;
    fn pwrite64(fd: c_int, bytes: *const c_void, count: size_t, at: off_t) -> ssize_t;
    fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    fn pwritev(fd: c_int, parts: *const iovec, count: c_int, at: off_t) -> ssize_t;
    fn pwritev64(fd: c_int, parts: *const iovec, count: c_int, at: off_t) -> ssize_t;
    fn pwritev2(fd: c_int, parts: *const iovec, n: c_int, at: off_t, flags: c_int) -> ssize_t;
    fn pwritev64v2(fd: c_int, parts: *const iovec, n: c_int, at: off_t, flags: c_int) -> ssize_t;
    fn copy_file_range(
        from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, n: size_t, flags: u32
    ) -> ssize_t;
    fn splice(
        from: c_int, from_at: *mut off_t, to: c_int, to_at: *mut off_t, n: size_t, flags: u32
    ) -> ssize_t;
    fn sendfile(to: c_int, from: c_int, at: *mut off_t, count: size_t) -> ssize_t;
    fn sendfile64(to: c_int, from: c_int, at: *mut off_t, count: size_t) -> ssize_t;
    fn mmap(
        at: *mut c_void, n: size_t, protection: c_int, flags: c_int, fd: c_int, from: off_t
    ) -> *mut c_void;
    fn mmap64(
        at: *mut c_void, n: size_t, protection: c_int, flags: c_int, fd: c_int, from: off_t
    ) -> *mut c_void;
    fn truncate(path: *const c_char, len: off_t) -> c_int;
    fn truncate64(path: *const c_char, len: off_t) -> c_int;
    fn ftruncate(fd: c_int, len: off_t) -> c_int;
    fn ftruncate64(fd: c_int, len: off_t) -> c_int;
    fn fallocate(fd: c_int, mode: c_int, at: off_t, len: off_t) -> c_int;
    fn fallocate64(fd: c_int, mode: c_int, at: off_t, len: off_t) -> c_int;
    fn posix_fallocate(fd: c_int, at: off_t, len: off_t) -> c_int;
    fn posix_fallocate64(fd: c_int, at: off_t, len: off_t) -> c_int;
    fn fsync(fd: c_int) -> c_int;
    fn fdatasync(fd: c_int) -> c_int;
    fn sync_file_range(fd: c_int, at: off_t, len: off_t, flags: u32) -> c_int;
    fn syncfs(fd: c_int) -> c_int;
    fn rename(from: *const c_char, to: *const c_char) -> c_int;
    fn renameat(fd: c_int, from: *const c_char, to_fd: c_int, to: *const c_char) -> c_int;
    fn renameat2(
        fd: c_int, from: *const c_char, to_fd: c_int, to: *const c_char, flags: u32
    ) -> c_int;
    fn unlink(path: *const c_char) -> c_int;
    fn unlinkat(fd: c_int, path: *const c_char, flags: c_int) -> c_int;
    fn rmdir(path: *const c_char) -> c_int;
    fn remove(path: *const c_char) -> c_int;
    fn link(from: *const c_char, to: *const c_char) -> c_int;
    fn linkat(
        fd: c_int, from: *const c_char, to_fd: c_int, to: *const c_char, flags: c_int
    ) -> c_int;
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int;
    fn mkdirat(fd: c_int, path: *const c_char, mode: mode_t) -> c_int;
}

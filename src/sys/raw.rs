//! The system calls that have no safe wrapper elsewhere: file handles and leases.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use super::files::{Errno, FileHandle, Result};

/// What `struct file_handle` can hold at most.
const HANDLE_BYTES_MAX: usize = libc::MAX_HANDLE_SZ as usize;

/// Which signal tells of a lease; the kernel's number, the same on every architecture.
const F_SETSIG: i32 = 10;

/// `struct file_handle` with room for the longest handle.
#[repr(C)]
struct RawHandle {
    handle_bytes: u32,
    handle_type: i32,
    f_handle: [u8; HANDLE_BYTES_MAX],
}

fn checked(result: i32) -> Result<i32> {
    if result >= 0 { Ok(result) } else { Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)) }
}

/// Returns the handle of an entry, or of the open file itself with an empty name.
pub(super) fn name_to_handle(dir: impl AsFd, name: &CStr) -> Result<FileHandle> {
    let mut raw = RawHandle { handle_bytes: HANDLE_BYTES_MAX as u32, handle_type: 0, f_handle: [0; HANDLE_BYTES_MAX] };
    let mut mount = 0;
    let flags = if name.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    // SAFETY: the descriptor is open for the call, `name` ends in NUL, `raw` has the layout of `struct file_handle` with as many bytes
    // as `handle_bytes` says, and both out-pointers are valid for writes.
    checked(unsafe { libc::name_to_handle_at(dir.as_fd().as_raw_fd(), name.as_ptr(), (&raw mut raw).cast(), &raw mut mount, flags) })?;
    let length = (raw.handle_bytes as usize).min(HANDLE_BYTES_MAX);
    Ok(FileHandle { kind: raw.handle_type, bytes: raw.f_handle[..length].to_vec() })
}

/// Opens an inode by its handle, only to name it.
pub(super) fn open_by_handle(mount: impl AsFd, handle: &FileHandle) -> Result<OwnedFd> {
    let mut raw = RawHandle { handle_bytes: handle.bytes.len() as u32, handle_type: handle.kind, f_handle: [0; HANDLE_BYTES_MAX] };
    raw.f_handle.get_mut(..handle.bytes.len()).ok_or(Errno::INVAL)?.copy_from_slice(&handle.bytes);
    // SAFETY: the descriptor is open for the call, and `raw` has the layout of `struct file_handle` with `handle_bytes` valid bytes.
    let fd = checked(unsafe { libc::open_by_handle_at(mount.as_fd().as_raw_fd(), (&raw mut raw).cast(), libc::O_PATH | libc::O_CLOEXEC) })?;
    // SAFETY: the call succeeded, so this is a descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether anybody has the file open for writing: a read lease is granted only when nobody has. It is given back at once.
pub(super) fn is_being_written(file: impl AsFd) -> Result<bool> {
    let fd = file.as_fd().as_raw_fd();
    // A writer who opens the file in the instant of the lease makes the kernel signal us; the default, SIGIO, would end the process.
    // SAFETY: `fcntl` with an integer argument on an open descriptor touches no memory of ours.
    checked(unsafe { libc::fcntl(fd, F_SETSIG, libc::SIGURG) })?;
    // SAFETY: as above.
    match checked(unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) }) {
        Err(Errno::AGAIN) => return Ok(true),
        other => other?,
    };
    // SAFETY: as above.
    checked(unsafe { libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK) })?;
    Ok(false)
}

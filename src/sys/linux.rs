//! The file system of Linux.

use std::ffi::{CString, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, Statx, StatxFlags, StatxTimestamp, XattrFlags};
use rustix::time::ClockId;

use super::files::{Access, DirEntry, Errno, FileHandle, FileKind, FileStat, Files, Handle, Result};
use super::raw;

/// How much of a directory is read at once: some hundred entries.
const FOLDER_BYTES: usize = 32 * 1024;
/// The longest value of an extended attribute, and of the list of their names, that Linux has.
const ATTRIBUTE_BYTES_MAX: usize = 64 * 1024;

/// The calls of the running kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct LinuxFiles;

fn fd(handle: &Handle) -> Result<&OwnedFd> {
    handle.get()
}

fn c_string(name: &[u8]) -> Result<CString> {
    CString::new(name).map_err(|_| Errno::INVAL)
}

/// Under this path the kernel opens again what a descriptor stands for.
fn reopened(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn nanoseconds(time: StatxTimestamp) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

fn kind(mode: u32) -> FileKind {
    match fs::FileType::from_raw_mode(mode) {
        fs::FileType::Directory => FileKind::Folder,
        fs::FileType::RegularFile => FileKind::Regular,
        fs::FileType::Symlink => FileKind::Link,
        fs::FileType::Fifo => FileKind::Pipe,
        fs::FileType::Socket => FileKind::Socket,
        _ => FileKind::Device,
    }
}

fn file_stat(raw: &Statx) -> FileStat {
    let device = fs::makedev(raw.stx_dev_major, raw.stx_dev_minor);
    let has = |flag: StatxFlags| raw.stx_mask & flag.bits() != 0;
    FileStat {
        kind: kind(raw.stx_mode.into()),
        inode: raw.stx_ino,
        device,
        mount: if has(StatxFlags::MNT_ID) { raw.stx_mnt_id } else { device },
        size_bytes: raw.stx_size,
        mode: u32::from(raw.stx_mode) & 0o7777,
        owner: raw.stx_uid,
        group: raw.stx_gid,
        links: raw.stx_nlink.into(),
        modified: nanoseconds(raw.stx_mtime),
        changed: nanoseconds(raw.stx_ctime),
        born: has(StatxFlags::BTIME).then(|| nanoseconds(raw.stx_btime)),
    }
}

/// What [`FileStat`] needs.
fn stat_mask() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID
}

impl Files for LinuxFiles {
    fn open_root(&self, path: &Path) -> Result<Handle> {
        fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map(Handle::new)
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        let resolve = |path: &Path| std::fs::canonicalize(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(resolve(parent)?.join(name)),
            _ => resolve(path),
        }
    }

    fn open(&self, dir: &Handle, path: &[u8], access: Access, cross_mounts: bool) -> Result<Handle> {
        let flags = match access {
            Access::Name | Access::Read => OFlags::PATH | OFlags::NOFOLLOW,
            Access::Folder => OFlags::DIRECTORY | OFlags::RDONLY,
        };
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        resolve.set(ResolveFlags::NO_XDEV, !cross_mounts);
        let opened = fs::openat2(fd(dir)?, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?;
        if access != Access::Read {
            return Ok(Handle::new(opened));
        }
        // Opening a device or a pipe can have effects, so what it is must be known before it is opened for reading.
        match file_stat(&fs::statx(&opened, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE)?).kind {
            FileKind::Regular => {
                fs::open(reopened(&opened), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).map(Handle::new)
            }
            FileKind::Link => Err(Errno::LOOP),
            _ => Err(Errno::INVAL),
        }
    }

    fn open_by_handle(&self, mount: &Handle, handle: &FileHandle) -> Result<Handle> {
        raw::open_by_handle(fd(mount)?, handle).map(Handle::new)
    }

    fn known_path(&self, file: &Handle) -> Result<PathBuf> {
        let path = fs::readlinkat(CWD, reopened(fd(file)?), Vec::new())?;
        Ok(OsString::from_vec(path.into_bytes()).into())
    }

    fn file_system(&self, file: &Handle) -> Result<u64> {
        Ok(fs::fstatfs(fd(file)?)?.f_type as u64)
    }

    fn stat(&self, file: &Handle) -> Result<FileStat> {
        fs::statx(fd(file)?, c"", AtFlags::EMPTY_PATH, stat_mask()).map(|raw| file_stat(&raw))
    }

    fn stat_at(&self, dir: &Handle, name: &[u8]) -> Result<FileStat> {
        fs::statx(fd(dir)?, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, stat_mask()).map(|raw| file_stat(&raw))
    }

    fn file_handle(&self, dir: &Handle, name: Option<&[u8]>) -> Result<FileHandle> {
        raw::name_to_handle(fd(dir)?, &c_string(name.unwrap_or_default())?)
    }

    fn read_folder(&self, folder: &Handle) -> Result<Vec<DirEntry>> {
        let mut buffer = [MaybeUninit::uninit(); FOLDER_BYTES];
        let mut raw = RawDir::new(fd(folder)?, &mut buffer);
        let mut entries = Vec::new();
        while let Some(entry) = raw.next() {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                entries.push(DirEntry { name });
            }
            if raw.is_buffer_empty() && !entries.is_empty() {
                break;
            }
        }
        Ok(entries)
    }

    fn read_at(&self, file: &Handle, buffer: &mut [u8], offset: u64) -> Result<usize> {
        loop {
            match rustix::io::pread(fd(file)?, &mut *buffer, offset) {
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    }

    fn create(&self, dir: &Handle, name: &[u8], mode: u32) -> Result<Handle> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(fd(dir)?, name, flags, Mode::from_raw_mode(mode)).map(Handle::new)
    }

    fn create_unnamed(&self, dir: &Handle, mode: u32) -> Result<Handle> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        fs::openat(fd(dir)?, c".", flags, Mode::from_raw_mode(mode)).map(Handle::new)
    }

    fn write_at(&self, file: &Handle, mut bytes: &[u8], mut offset: u64) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(fd(file)?, bytes, offset) {
                Ok(0) => return Err(Errno::IO),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn flush(&self, file: &Handle) -> Result<()> {
        fs::fsync(fd(file)?)
    }

    fn flush_file_system(&self, file: &Handle) -> Result<()> {
        fs::syncfs(fd(file)?)
    }

    fn make_folder(&self, dir: &Handle, name: &[u8], mode: u32) -> Result<()> {
        fs::mkdirat(fd(dir)?, name, Mode::from_raw_mode(mode))
    }

    fn rename(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()> {
        fs::renameat(fd(from)?, old, fd(to)?, new)
    }

    fn rename_no_replace(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()> {
        fs::renameat_with(fd(from)?, old, fd(to)?, new, RenameFlags::NOREPLACE)
    }

    fn exchange(&self, a: &Handle, a_name: &[u8], b: &Handle, b_name: &[u8]) -> Result<()> {
        fs::renameat_with(fd(a)?, a_name, fd(b)?, b_name, RenameFlags::EXCHANGE)
    }

    fn link(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()> {
        fs::linkat(fd(from)?, old, fd(to)?, new, AtFlags::empty())
    }

    fn remove_file(&self, dir: &Handle, name: &[u8]) -> Result<()> {
        fs::unlinkat(fd(dir)?, name, AtFlags::empty())
    }

    fn remove_folder(&self, dir: &Handle, name: &[u8]) -> Result<()> {
        fs::unlinkat(fd(dir)?, name, AtFlags::REMOVEDIR)
    }

    fn list_attributes(&self, file: &Handle) -> Result<Vec<Vec<u8>>> {
        let mut names = Vec::with_capacity(ATTRIBUTE_BYTES_MAX);
        fs::flistxattr(fd(file)?, rustix::buffer::spare_capacity(&mut names))?;
        Ok(names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
    }

    fn attribute(&self, file: &Handle, name: &[u8]) -> Result<Vec<u8>> {
        let mut value = Vec::with_capacity(ATTRIBUTE_BYTES_MAX);
        fs::fgetxattr(fd(file)?, name, rustix::buffer::spare_capacity(&mut value))?;
        // Few have more than some bytes, and many are held at one time.
        value.shrink_to_fit();
        Ok(value)
    }

    fn set_attribute(&self, file: &Handle, name: &[u8], value: &[u8]) -> Result<()> {
        fs::fsetxattr(fd(file)?, name, value, XattrFlags::empty())
    }

    fn remove_attribute(&self, file: &Handle, name: &[u8]) -> Result<()> {
        fs::fremovexattr(fd(file)?, name)
    }

    fn set_owner(&self, file: &Handle, owner: u32, group: u32) -> Result<()> {
        fs::fchown(fd(file)?, Some(fs::Uid::from_raw(owner)), Some(fs::Gid::from_raw(group)))
    }

    fn set_mode(&self, file: &Handle, mode: u32) -> Result<()> {
        fs::fchmod(fd(file)?, Mode::from_raw_mode(mode))
    }

    fn is_being_written(&self, file: &Handle) -> Result<bool> {
        raw::is_being_written(fd(file)?)
    }

    fn now(&self) -> i128 {
        // Not the coarse clock, though that is what most stamps come from: since Linux 6.13 some are finer, and would be ahead of it.
        let now = rustix::time::clock_gettime(ClockId::Realtime);
        i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
    }
}

//! The file system calls that Skybridge makes, as a trait.
//!
//! Every call is relative to an open directory, resolves beneath it and follows no links. Names are bytes, as in the directory.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use rustix::io::Errno;

/// The result of a call: the operating system's error number, uninterpreted.
pub type Result<T, E = Errno> = std::result::Result<T, E>;

/// An open file or directory, closed when the last clone is dropped.
#[derive(Clone)]
pub struct Handle(Arc<dyn Any + Send + Sync>);

impl Handle {
    /// Wraps what an implementation of [`Files`] keeps for an open file.
    #[must_use]
    pub fn new(inner: impl Any + Send + Sync) -> Self {
        Self(Arc::new(inner))
    }

    /// Returns what was wrapped.
    ///
    /// # Errors
    /// `EBADF` when another implementation made the handle.
    pub fn get<T: Any>(&self) -> Result<&T> {
        self.0.downcast_ref().ok_or(Errno::BADF)
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

/// What an existing file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only to name it: stat, file handle, rename check. Needs no permission on the file itself and never blocks.
    Name,
    /// To list a directory, or to work beneath it.
    Folder,
    /// To read a regular file, its attributes and to change them. Anything but a regular file is `ELOOP` or `EINVAL`.
    Read,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Folder,
    /// A regular file.
    Regular,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
}

/// The state of a file. Times are in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Its inode number.
    pub inode: u64,
    /// Its file system.
    pub device: u64,
    /// The mount through which it was reached; the device where the kernel does not tell.
    pub mount: u64,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Permission bits, set-id bits and the sticky bit.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
    /// Its group.
    pub group: u32,
    /// Under how many names it exists.
    pub links: u64,
    /// When its bytes last changed.
    pub modified: i128,
    /// When anything of it last changed.
    pub changed: i128,
    /// When it was made, if the file system tells.
    pub born: Option<i128>,
}

/// The operating system's name for an inode, which no later inode gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileHandle {
    /// The file system's kind of handle.
    pub kind: i32,
    /// The handle.
    pub bytes: Vec<u8>,
}

/// An entry as a directory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name. `.` and `..` are not listed.
    pub name: Vec<u8>,
}

/// The file system. Errors are those that Linux documents for the call of the same name.
pub trait Files: std::fmt::Debug + Send + Sync {
    /// Opens the directory at an absolute path; links in it are followed, for it comes from the administrator.
    fn open_root(&self, path: &Path) -> Result<Handle>;

    /// Returns an absolute path without links to where the directory part of `path` leads; the last component is not followed.
    fn canonical(&self, path: &Path) -> Result<PathBuf>;

    /// Opens what is at a relative path of one or more components. A link anywhere on the way is `ELOOP`, leaving `dir` and
    /// crossing into another mount is `EXDEV` (crossing is allowed with `cross_mounts`).
    fn open(&self, dir: &Handle, path: &[u8], access: Access, cross_mounts: bool) -> Result<Handle>;

    /// Opens an inode by the handle that [`file_handle`](Files::file_handle) gave, on the file system of `mount`; `ESTALE` proves that it
    /// no longer exists. `EPERM` without the privilege.
    fn open_by_handle(&self, mount: &Handle, handle: &FileHandle) -> Result<Handle>;

    /// Returns the absolute path under which the kernel knows an open file, if it knows one; it may be out of date at once.
    fn known_path(&self, file: &Handle) -> Result<PathBuf>;

    /// Returns the number by which Linux knows the kind of file system that an open file is on.
    fn file_system(&self, file: &Handle) -> Result<u64>;

    /// Returns the state of an open file.
    fn stat(&self, file: &Handle) -> Result<FileStat>;

    /// Returns the state of an entry.
    fn stat_at(&self, dir: &Handle, name: &[u8]) -> Result<FileStat>;

    /// Returns the handle of an open file, or of an entry. `EOPNOTSUPP` where the file system has none.
    fn file_handle(&self, dir: &Handle, name: Option<&[u8]>) -> Result<FileHandle>;

    /// Returns the next entries of a directory, a bounded number; none at the end. Each opening of a directory lists it once.
    fn read_folder(&self, folder: &Handle) -> Result<Vec<DirEntry>>;

    /// Reads at an offset; 0 bytes at the end.
    fn read_at(&self, file: &Handle, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Makes a new file for writing and reading; `EEXIST` if there is one.
    fn create(&self, dir: &Handle, name: &[u8], mode: u32) -> Result<Handle>;

    /// Makes a file without a name, that inherits from the directory what a new file inherits there. `EOPNOTSUPP` on some file systems.
    fn create_unnamed(&self, dir: &Handle, mode: u32) -> Result<Handle>;

    /// Writes all bytes at an offset.
    fn write_at(&self, file: &Handle, bytes: &[u8], offset: u64) -> Result<()>;

    /// Makes a file's bytes and attributes, or a directory's entries, durable.
    fn flush(&self, file: &Handle) -> Result<()>;

    /// Makes everything durable that was done on the file system of an open file, whoever did it.
    fn flush_file_system(&self, file: &Handle) -> Result<()>;

    /// Makes a directory.
    fn make_folder(&self, dir: &Handle, name: &[u8], mode: u32) -> Result<()>;

    /// Renames; whatever has the new name is replaced.
    fn rename(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()>;

    /// Renames; `EEXIST` if the new name is taken, `EINVAL` or `ENOSYS` where the file system cannot promise that.
    fn rename_no_replace(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()>;

    /// Swaps two entries in one step; `EINVAL` or `ENOSYS` where the file system cannot.
    fn exchange(&self, a: &Handle, a_name: &[u8], b: &Handle, b_name: &[u8]) -> Result<()>;

    /// Gives a file a second name; `EEXIST` if it is taken.
    fn link(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()>;

    /// Removes a name that is no directory.
    fn remove_file(&self, dir: &Handle, name: &[u8]) -> Result<()>;

    /// Removes an empty directory; `ENOTEMPTY` otherwise.
    fn remove_folder(&self, dir: &Handle, name: &[u8]) -> Result<()>;

    /// Lists the names of an open file's extended attributes, as far as the caller may see them.
    fn list_attributes(&self, file: &Handle) -> Result<Vec<Vec<u8>>>;

    /// Returns an extended attribute; `ENODATA` if it is not set.
    fn attribute(&self, file: &Handle, name: &[u8]) -> Result<Vec<u8>>;

    /// Sets an extended attribute.
    fn set_attribute(&self, file: &Handle, name: &[u8], value: &[u8]) -> Result<()>;

    /// Removes an extended attribute; `ENODATA` if it is not set.
    fn remove_attribute(&self, file: &Handle, name: &[u8]) -> Result<()>;

    /// Sets owner and group.
    fn set_owner(&self, file: &Handle, owner: u32, group: u32) -> Result<()>;

    /// Sets the permission bits, set-id bits and the sticky bit.
    fn set_mode(&self, file: &Handle, mode: u32) -> Result<()>;

    /// Whether anybody has a file, opened with [`Access::Read`], open for writing; an error where that cannot be seen.
    fn is_being_written(&self, file: &Handle) -> Result<bool>;

    /// The time by which the file system stamps changes, in nanoseconds since 1970.
    fn now(&self) -> i128;
}

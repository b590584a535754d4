//! The few operations on files that a pack log needs, so that a simulation can stand in for the disk.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

/// An open pack.
pub trait PackFile: std::fmt::Debug + Send + Sync {
    /// Writes all bytes at an offset. On an error some of them may have been written.
    ///
    /// # Errors
    /// What the system says.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Fills the buffer from an offset.
    ///
    /// # Errors
    /// `UnexpectedEof` past the end, or what the system says.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// What the system says; then it is unknown what of it is durable.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of packs.
pub trait PackDirectory: std::fmt::Debug + Send + Sync {
    /// Makes a new, empty pack whose existence is durable.
    ///
    /// # Errors
    /// When there is one already, or what the system says.
    fn create(&self, pack: u32) -> io::Result<Arc<dyn PackFile>>;

    /// Opens a pack for reading.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn open(&self, pack: u32) -> io::Result<Arc<dyn PackFile>>;

    /// Returns the packs and their sizes in bytes, in any order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<(u32, u64)>>;

    /// Removes a pack.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn remove(&self, pack: u32) -> io::Result<()>;
}

/// Packs as files `00000001.pack`, … of one directory. Other files there are left alone.
#[derive(Debug)]
pub struct DiskDirectory {
    path: PathBuf,
}

impl DiskDirectory {
    /// Uses the directory at `path`, made if need be, for this user alone: it holds everybody's documents.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(Self { path })
    }

    fn file(&self, pack: u32) -> PathBuf {
        self.path.join(format!("{pack:08}.pack"))
    }

    /// Makes the directory's entries durable.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl PackDirectory for DiskDirectory {
    fn create(&self, pack: u32) -> io::Result<Arc<dyn PackFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.file(pack))?;
        self.sync()?;
        Ok(Arc::new(file))
    }

    fn open(&self, pack: u32) -> io::Result<Arc<dyn PackFile>> {
        Ok(Arc::new(File::open(self.file(pack))?))
    }

    fn list(&self) -> io::Result<Vec<(u32, u64)>> {
        let mut packs = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".pack")).and_then(|number| number.parse().ok());
            if let Some(pack) = number {
                packs.push((pack, entry.metadata()?.len()));
            }
        }
        Ok(packs)
    }

    fn remove(&self, pack: u32) -> io::Result<()> {
        fs::remove_file(self.file(pack))?;
        self.sync()
    }
}

impl PackFile for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

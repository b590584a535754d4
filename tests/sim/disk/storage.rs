//! What stores and depots keep on the machine: a file for redb, and a directory of packs. What they do counts as effects of their process.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skybridge::depot::packs::{PackDirectory, PackFile};
use skybridge::sys::{Access, Errno, Files as _, Handle};

use super::process::{Process, bytes};

/// An open file of a process.
#[derive(Debug)]
pub(crate) struct DiskFile {
    process: Process,
    file: Handle,
}

/// A directory of packs.
#[derive(Debug)]
pub(crate) struct DiskPacks {
    process: Process,
    path: PathBuf,
}

impl Process {
    /// Opens the file of a store as the store does, or makes it; its name is durable then.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn database(&self, path: &Path) -> io::Result<DiskFile> {
        let file = self.open_writable(path)?;
        self.flush(&file)?;
        self.forget_cached(&file)?;
        self.flush(&self.open_root(path.parent().unwrap_or(Path::new("/")))?)?;
        Ok(DiskFile { process: self.clone(), file })
    }

    /// Uses the directory at a path, which is made if need be.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn packs(&self, path: &Path) -> io::Result<DiskPacks> {
        let above = self.open_root(path.parent().unwrap_or(Path::new("/")))?;
        match self.make_folder(&above, bytes(Path::new(path.file_name().unwrap_or_default())), 0o700) {
            Ok(()) | Err(Errno::EXIST) => self.flush(&above)?,
            Err(errno) => return Err(errno.into()),
        }
        Ok(DiskPacks { process: self.clone(), path: path.to_owned() })
    }
}

impl DiskFile {
    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.process.read_at(&self.file, &mut buffer[filled..], offset + filled as u64)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        Ok(())
    }
}

impl redb::StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.process.stat(&self.file)?.size_bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fill(out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Ok(self.process.set_length(&self.file, length)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(self.process.flush(&self.file)?)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Ok(self.process.write_at(&self.file, data, offset)?)
    }
}

impl PackFile for DiskFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        Ok(self.process.write_at(&self.file, bytes, offset)?)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.fill(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(self.process.flush(&self.file)?)
    }
}

impl DiskPacks {
    fn folder(&self) -> io::Result<Handle> {
        Ok(self.process.open_root(&self.path)?)
    }

    fn file(&self, file: Handle) -> Arc<dyn PackFile> {
        Arc::new(DiskFile { process: self.process.clone(), file })
    }
}

fn pack_name(pack: u32) -> Vec<u8> {
    format!("{pack:08}.pack").into_bytes()
}

impl PackDirectory for DiskPacks {
    fn create(&self, pack: u32) -> io::Result<Arc<dyn PackFile>> {
        let folder = self.folder()?;
        let file = self.process.create(&folder, &pack_name(pack), 0o600)?;
        self.process.flush(&folder)?;
        Ok(self.file(file))
    }

    fn open(&self, pack: u32) -> io::Result<Arc<dyn PackFile>> {
        let file = self.process.open(&self.folder()?, &pack_name(pack), Access::Read, false)?;
        Ok(self.file(file))
    }

    fn list(&self) -> io::Result<Vec<(u32, u64)>> {
        let folder = self.folder()?;
        let mut packs = Vec::new();
        loop {
            let piece = self.process.read_folder(&folder)?;
            if piece.is_empty() {
                return Ok(packs);
            }
            for entry in piece {
                let number = std::str::from_utf8(&entry.name).ok().and_then(|name| name.strip_suffix(".pack")?.parse().ok());
                if let Some(pack) = number {
                    packs.push((pack, self.process.stat_at(&folder, &entry.name)?.size_bytes));
                }
            }
        }
    }

    fn remove(&self, pack: u32) -> io::Result<()> {
        let folder = self.folder()?;
        self.process.remove_file(&folder, &pack_name(pack))?;
        Ok(self.process.flush(&folder)?)
    }
}

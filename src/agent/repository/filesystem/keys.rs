//! Keys of items: `volume 8 | tag 1 | what the operating system knows the item by`.

use super::refused;
use crate::agent::repository::{RepoKey, Result};
use crate::sys::{Errno, FileHandle, FileStat, Files, Handle};

/// What the keys of one file system begin with, so that handles of another are not taken for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Volume([u8; 8]);

/// A file handle follows: kind (i32), handle.
const BY_HANDLE: u8 = 1;
/// Inode number (u64) and time of birth (i128) follow.
const BY_BIRTH: u8 = 2;
/// Device (u64) and inode number (u64) of something on another mount follow.
const ELSEWHERE: u8 = 3;

impl Volume {
    /// Makes one of what is unlikely to be the same elsewhere.
    pub(super) fn derived(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        let mut volume = [0; 8];
        hasher.finalize_xof().fill(&mut volume);
        Self(volume)
    }

    pub(super) fn from_hex(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }

    fn key(self, tag: u8, parts: &[&[u8]]) -> RepoKey {
        let mut bytes = [&self.0[..], &[tag]].concat();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        RepoKey(bytes.into())
    }

    /// Whether a key is of this volume.
    pub(super) fn owns(self, key: &RepoKey) -> bool {
        key.0.starts_with(&self.0)
    }

    /// The file handle in a key of this volume, if it has one.
    pub(super) fn handle_in(self, key: &RepoKey) -> Option<FileHandle> {
        let (kind, bytes) = key.0.strip_prefix(&self.0)?.strip_prefix(&[BY_HANDLE])?.split_first_chunk()?;
        Some(FileHandle { kind: i32::from_le_bytes(*kind), bytes: bytes.to_vec() })
    }
}

impl std::fmt::Display for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Returns the key of an open file, or of an entry of an open directory, whose state was just seen.
pub(super) fn key_of(files: &dyn Files, volume: Volume, dir: &Handle, name: Option<&[u8]>, stat: &FileStat) -> Result<RepoKey> {
    match files.file_handle(dir, name) {
        Ok(handle) => Ok(volume.key(BY_HANDLE, &[&handle.kind.to_le_bytes(), &handle.bytes])),
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::OVERFLOW) => {
            Ok(volume.key(BY_BIRTH, &[&stat.inode.to_le_bytes(), &stat.born.unwrap_or_default().to_le_bytes()]))
        }
        Err(errno) => Err(refused(errno)),
    }
}

/// Returns the key of the root of another mount; it is never the key of anything in a repository.
pub(super) fn key_elsewhere(volume: Volume, stat: &FileStat) -> RepoKey {
    volume.key(ELSEWHERE, &[&stat.device.to_le_bytes(), &stat.inode.to_le_bytes()])
}

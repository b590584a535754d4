//! Sites: where they are, the marker by which the right root is known, and what their file system can do.
//!
//! A root is opened afresh for each operation and checked before anything beneath it is believed. The operation then works beneath
//! what was opened, so that a mount that comes or goes meanwhile cannot mislead it, and no descriptor keeps a volume from being unmounted.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::keys::{Volume, key_of};
use super::{Config, INTERNAL, lock, refused};
use crate::agent::repository::{Capabilities, RepoKey, RepositoryError, Result, SiteName, Unhealthy};
use crate::sys::{Access, Errno, FileStat, Files, Handle};

/// The marker of a root, beneath it.
const MARKER: &[u8] = b".skybridge/repository";
/// The marker while it is written.
const MARKER_NEW: &[u8] = b"repository.new";
/// Where content waits to be placed.
pub(super) const STAGING: &[u8] = b".skybridge/staging";
/// Where what was displaced waits to be discarded.
pub(super) const DISPLACED: &[u8] = b".skybridge/displaced";
/// No marker is longer.
const MARKER_BYTES_MAX: usize = 4096;
/// File systems whose changes on other machines are not reported here: NFS, SMB, CIFS, FUSE, 9P, Ceph.
const REMOTE: [u64; 6] = [0x6969, 0xfe53_4d42, 0xff53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400];

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marker {
    format: u32,
    /// Whose repository this is.
    repository: String,
    /// What the keys of this root begin with.
    volume: String,
    /// The key of the root itself: a copy has another.
    library: String,
}

const MARKER_FORMAT: u32 = 1;

/// A site.
#[derive(Debug)]
pub(super) struct SiteState {
    pub(super) name: SiteName,
    /// The directory that the administrator named.
    base: PathBuf,
    /// From there to the document library; empty when it is the library.
    inner: PathBuf,
    pub(super) default_locale: String,
    /// It was synced before, so its marker must be there.
    known: bool,
    seen: Mutex<Option<Seen>>,
}

/// What was found out about a site when it was first seen healthy.
#[derive(Debug, Clone)]
struct Seen {
    library: RepoKey,
    volume: Volume,
    capabilities: Capabilities,
    device: u64,
    /// The state of the marker when it was read: while this is the same, so is what it says.
    marker: FileStat,
}

/// A root that is open, and was seen to be the right one.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) dir: Handle,
    pub(super) stat: FileStat,
    pub(super) key: RepoKey,
    pub(super) volume: Volume,
    pub(super) capabilities: Capabilities,
}

impl SiteState {
    pub(super) fn new(name: SiteName, base: PathBuf, inner: PathBuf, config: &Config) -> Self {
        let default_locale = config.default_locale.clone();
        let known = config.known.contains(&name);
        Self { name, base, inner, default_locale, known, seen: Mutex::new(None) }
    }

    /// The absolute path of the document library.
    pub(super) fn path(&self) -> PathBuf {
        self.base.join(&self.inner)
    }

    /// The key of the document library, once it was seen.
    pub(super) fn library(&self) -> Option<RepoKey> {
        lock(&self.seen).as_ref().map(|seen| seen.library.clone())
    }

    pub(super) fn capabilities(&self) -> Option<Capabilities> {
        lock(&self.seen).as_ref().map(|seen| seen.capabilities)
    }

    /// Whether an item with this key may be at the site.
    pub(super) fn may_hold(&self, key: &RepoKey) -> bool {
        lock(&self.seen).as_ref().is_none_or(|seen| seen.volume.owns(key))
    }

    /// The volume, if the site is on this device.
    fn volume_on(&self, device: u64) -> Option<Volume> {
        lock(&self.seen).as_ref().filter(|seen| seen.device == device).map(|seen| seen.volume)
    }

    /// Makes the site believe that its file system can do less than it can.
    #[cfg(test)]
    pub(super) fn pretend(&self, change: impl FnOnce(&mut Capabilities)) {
        change(&mut lock(&self.seen).as_mut().unwrap().capabilities);
    }

    fn open(&self, files: &dyn Files) -> Result<(Handle, FileStat)> {
        let missing = |errno| {
            RepositoryError::Unknown(match errno {
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => Unhealthy::RootMissing,
                Errno::ACCESS | Errno::PERM => Unhealthy::Unreadable,
                errno => Unhealthy::Failed(errno.raw_os_error()),
            })
        };
        let mut dir = files.open_root(&self.base).map_err(missing)?;
        if !self.inner.as_os_str().is_empty() {
            dir = files.open(&dir, path_bytes(&self.inner), Access::Folder, true).map_err(missing)?;
        }
        let stat = files.stat(&dir).map_err(missing)?;
        Ok((dir, stat))
    }

    /// Opens the root and checks that it is the right one. The first time ever, marks it.
    pub(super) fn enter(&self, files: &dyn Files, config: &Config, others: &[Self]) -> Result<Root> {
        let (dir, stat) = self.open(files)?;
        let found = match files.stat_at(&dir, MARKER) {
            Ok(found) => Some(found),
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(errno) => return Err(refused(errno)),
        };
        let seen = lock(&self.seen).clone();
        let seen = match (found, seen) {
            (Some(found), Some(seen)) if found == seen.marker => seen,
            (None, None) if !self.known => self.mark(files, config, others, &dir, &stat)?,
            (Some(found), _) => self.recognise(files, config, &dir, &stat, found)?,
            (None, _) => return Err(RepositoryError::Unknown(Unhealthy::ForeignRoot)),
        };
        if key_of(files, seen.volume, &dir, None, &stat)? != seen.library {
            return Err(RepositoryError::Unknown(Unhealthy::CopiedRoot));
        }
        Ok(Root { dir, stat, key: seen.library, volume: seen.volume, capabilities: seen.capabilities })
    }

    /// Marks whatever is at the root now as this site.
    pub(super) fn accept(&self, files: &dyn Files, config: &Config, others: &[Self]) -> Result<()> {
        let (dir, stat) = self.open(files)?;
        self.mark(files, config, others, &dir, &stat).map(drop)
    }

    fn recognise(&self, files: &dyn Files, config: &Config, dir: &Handle, stat: &FileStat, found: FileStat) -> Result<Seen> {
        let foreign = || RepositoryError::Unknown(Unhealthy::ForeignRoot);
        let file = files.open(dir, MARKER, Access::Read, false).map_err(refused)?;
        let mut bytes = vec![0; MARKER_BYTES_MAX];
        let length = files.read_at(&file, &mut bytes, 0).map_err(refused)?;
        let marker: Marker = serde_json::from_slice(&bytes[..length]).map_err(|_| foreign())?;
        let volume = Volume::from_hex(&marker.volume).ok_or_else(foreign)?;
        if marker.format != MARKER_FORMAT || marker.repository != config.repository.to_string() {
            return Err(if self.known { foreign() } else { RepositoryError::Unknown(Unhealthy::ClaimedRoot) });
        }
        let library = key_of(files, volume, dir, None, stat)?;
        if marker.library != library.to_string() {
            return Err(RepositoryError::Unknown(Unhealthy::CopiedRoot));
        }
        self.remember(files, dir, stat, library, volume, found)
    }

    fn mark(&self, files: &dyn Files, config: &Config, others: &[Self], dir: &Handle, stat: &FileStat) -> Result<Seen> {
        for name in [INTERNAL, STAGING, DISPLACED] {
            match files.make_folder(dir, name, 0o700) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(refused(errno)),
            }
        }
        // Sites on one file system share a volume, so that what moves from one to the other keeps its key.
        let shared = others.iter().filter(|other| other.name != self.name).find_map(|other| other.volume_on(stat.device));
        let volume = shared.unwrap_or_else(|| {
            Volume::derived(&[config.repository.as_bytes(), self.name.0.as_bytes(), &stat.inode.to_le_bytes(), &files.now().to_le_bytes()])
        });
        let library = key_of(files, volume, dir, None, stat)?;
        let marker = Marker {
            format: MARKER_FORMAT,
            repository: config.repository.to_string(),
            volume: volume.to_string(),
            library: library.to_string(),
        };
        let bytes = serde_json::to_vec(&marker).map_err(|_| RepositoryError::Unknown(Unhealthy::ForeignRoot))?;
        let internal = files.open(dir, INTERNAL, Access::Folder, false).map_err(refused)?;
        match files.remove_file(&internal, MARKER_NEW) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(errno)),
        }
        let file = files.create(&internal, MARKER_NEW, 0o600).map_err(refused)?;
        files.write_at(&file, &bytes, 0).and_then(|()| files.flush(&file)).map_err(refused)?;
        files.rename(&internal, MARKER_NEW, &internal, b"repository").map_err(refused)?;
        files.flush(&internal).and_then(|()| files.flush(dir)).map_err(refused)?;
        let found = files.stat_at(dir, MARKER).map_err(refused)?;
        self.remember(files, dir, stat, library, volume, found)
    }

    fn remember(
        &self,
        files: &dyn Files,
        dir: &Handle,
        stat: &FileStat,
        library: RepoKey,
        volume: Volume,
        marker: FileStat,
    ) -> Result<Seen> {
        let capabilities = probe(files, dir)?;
        let seen = Seen { library, volume, capabilities, device: stat.device, marker };
        *lock(&self.seen) = Some(seen.clone());
        Ok(seen)
    }
}

/// Finds out what the file system can do, by trying it in the staging folder.
fn probe(files: &dyn Files, root: &Handle) -> Result<Capabilities> {
    let (a, b, free, upper): (&[u8], &[u8], &[u8], &[u8]) = (b"probe-a", b"probe-b", b"probe-c", b"PROBE-A");
    let dir = files.open(root, STAGING, Access::Folder, false).map_err(refused)?;
    let clear = || {
        [a, b, free].into_iter().try_for_each(|name| match files.remove_file(&dir, name) {
            Err(Errno::NOENT) => Ok(()),
            other => other.map_err(refused),
        })
    };
    clear()?;
    for name in [a, b] {
        drop(files.create(&dir, name, 0o600).map_err(refused)?);
    }
    let file = files.open(&dir, a, Access::Read, false).map_err(refused)?;
    let handle = files.file_handle(&file, None);
    let capabilities = Capabilities {
        exchange: files.exchange(&dir, a, &dir, b).is_ok(),
        // The kernel itself refuses a taken name. Only a free one shows whether the file system can; NFS cannot.
        no_replace: files.rename_no_replace(&dir, b, &dir, a) == Err(Errno::EXIST) && files.rename_no_replace(&dir, b, &dir, free).is_ok(),
        handles: handle.is_ok(),
        open_by_handle: handle.is_ok_and(|handle| files.open_by_handle(root, &handle).is_ok()),
        leases: files.is_being_written(&file) == Ok(false),
        properties: files.set_attribute(&file, b"user.skybridge.probe", b"1").is_ok(),
        events: !REMOTE.contains(&files.file_system(root).map_err(refused)?),
        case_sensitive: files.stat_at(&dir, upper).is_err(),
        read_only_enforced: false,
    };
    clear()?;
    Ok(capabilities)
}

/// The bytes of a relative path.
pub(super) fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

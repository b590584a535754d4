//! Looking: entries, listings, and what a person's path means.

use std::path::Path;

use super::keys::{key_elsewhere, key_of};
use super::site::{Root, path_bytes};
use super::{FilesystemRepository, GRAIN, INTERNAL, lock, refused};
use crate::agent::repository::{
    Entry, EntryName, Item, NotSyncable, RepoKey, RepositoryError, Resolved, Result, Stamp, Unhealthy, UnsupportedKind,
};
use crate::model::Name;
use crate::sys::{Access, Errno, FileKind, FileStat, Handle};

/// How often a folder that changes while it is listed is listed again, before that is left to a later time.
const LISTINGS_MAX: usize = 4;

/// The directory of all sites, beneath a root.
const SITES: &str = "Sites";
/// The directory of people's homes.
const HOMES: &str = "User Homes";
/// The directory of the shared files.
const SHARED: &str = "Shared";

impl FilesystemRepository {
    /// Looks at one entry.
    pub(super) fn entry(&self, root: &Root, dir: &Handle, name: &[u8]) -> Result<Option<Entry>> {
        let stat = match self.files.stat_at(dir, name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(refused(errno)),
        };
        let mounted = stat.mount != root.stat.mount;
        let key = if mounted { Ok(key_elsewhere(root.volume, &stat)) } else { key_of(&*self.files, root.volume, dir, Some(name), &stat) };
        let key = match key {
            // It vanished between the two calls.
            Err(RepositoryError::Changed) => return Ok(None),
            other => other?,
        };
        let item = match stat.kind {
            _ if mounted => Item::Unsupported(UnsupportedKind::Mount),
            FileKind::Folder => Item::Folder,
            FileKind::Regular => Item::Document,
            FileKind::Link => Item::Unsupported(UnsupportedKind::Link),
            FileKind::Pipe => Item::Unsupported(UnsupportedKind::Pipe),
            FileKind::Socket => Item::Unsupported(UnsupportedKind::Socket),
            FileKind::Device => Item::Unsupported(UnsupportedKind::Device),
        };
        Ok(Some(Entry { key, name: EntryName::from_bytes(name), item, stamp: self.stamp(&stat), links: stat.links }))
    }

    pub(super) fn stamp(&self, stat: &FileStat) -> Stamp {
        Stamp {
            size_bytes: if stat.kind == FileKind::Regular { stat.size_bytes } else { 0 },
            modified: stat.modified,
            changed: stat.changed,
            inode: stat.inode,
            settled: stat.changed + GRAIN < self.files.now(),
        }
    }

    /// Lists an open folder completely, and remembers where the folders in it are.
    pub(super) fn entries(&self, root: &Root, key: &RepoKey, dir: &Handle) -> Result<Vec<Entry>> {
        let state = || self.files.stat(dir).map(|stat| self.stamp(&stat)).map_err(refused);
        for _ in 0..LISTINGS_MAX {
            let before = state()?;
            // Opened anew, for a descriptor lists once.
            let listing = self.files.open(dir, b".", Access::Folder, false).map_err(refused)?;
            let mut entries = Vec::new();
            loop {
                let piece = self.files.read_folder(&listing).map_err(refused)?;
                if piece.is_empty() {
                    break;
                }
                for found in piece {
                    if found.name == INTERNAL && *key == root.key {
                        continue;
                    }
                    if let Some(entry) = self.entry(root, dir, &found.name)? {
                        entries.push(entry);
                    }
                }
            }
            if state()?.times() == before.times() {
                let mut folders = lock(&self.folders);
                for entry in entries.iter().filter(|entry| entry.item == Item::Folder) {
                    folders.learn(&entry.key, key, entry.name.as_bytes());
                }
                return Ok(entries);
            }
        }
        Err(RepositoryError::Unknown(Unhealthy::Restless))
    }

    pub(super) fn list(&self, key: &RepoKey) -> Result<Vec<Entry>> {
        let folder = self.folder(key)?;
        self.entries(&folder.root, key, &folder.dir)
    }

    pub(super) fn look(&self, key: &RepoKey, name: &Name) -> Result<Option<Entry>> {
        let folder = self.folder(key)?;
        if folder.root.capabilities.case_sensitive {
            let entry = self.entry(&folder.root, &folder.dir, name.as_str().as_bytes())?;
            if let Some(entry) = entry.as_ref().filter(|entry| entry.item == Item::Folder) {
                lock(&self.folders).learn(&entry.key, key, name.as_str().as_bytes());
            }
            return Ok(entry);
        }
        // Any spelling would be found here, and another spelling is another name.
        let entries = self.entries(&folder.root, key, &folder.dir)?;
        Ok(entries.into_iter().find(|entry| entry.name.allowed() == Some(name)))
    }

    pub(super) fn resolve(&self, path: &Path) -> Result<Resolved, NotSyncable> {
        let path = self.files.canonical(path).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => RepositoryError::Gone,
            errno => refused(errno),
        })?;
        let inside = self.sites.iter().position(|site| path.starts_with(site.path()));
        let Some(site) = inside else { return Err(self.outside(&path)) };
        let inner = path.strip_prefix(self.sites[site].path()).map_err(|_| NotSyncable::Outside)?;
        let Some(name) = inner.file_name() else { return Err(NotSyncable::Library) };
        if inner.starts_with(".skybridge") {
            return Err(NotSyncable::Internal);
        }
        let root = self.enter(site)?;
        let parent = inner.parent().map(path_bytes).unwrap_or_default();
        let folders = self.learn_path(&root, parent)?;
        let holder = folders.last().ok_or(RepositoryError::Gone)?;
        let folder = self.folder(holder)?;
        let name = path_bytes(Path::new(name));
        let entry = self.entry(&folder.root, &folder.dir, name)?.ok_or(RepositoryError::Gone)?;
        if entry.item == Item::Folder {
            lock(&self.folders).learn(&entry.key, holder, name);
        }
        Ok(Resolved { site: self.sites[site].name.clone(), folders, entry })
    }

    /// Why a path that is in no document library cannot be synced.
    fn outside(&self, path: &Path) -> NotSyncable {
        let inner = self.root.as_ref().and_then(|root| path.strip_prefix(root).ok());
        match inner.and_then(|inner| inner.iter().next()).and_then(|first| first.to_str()) {
            Some(SITES) if inner.is_some_and(|inner| inner.iter().count() > 1) => NotSyncable::Site,
            Some(HOMES) => NotSyncable::Home,
            Some(SHARED) => NotSyncable::SharedFiles,
            _ => NotSyncable::Outside,
        }
    }
}

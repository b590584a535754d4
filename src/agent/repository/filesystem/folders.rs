//! Finding folders by their keys, wherever they are now.
//!
//! Where folders were last seen is kept in memory, as a name and a parent each, so that renaming a folder is one change however much is
//! beneath. It is only ever a guess: whatever is opened by it is believed when it has the right key.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::keys::key_of;
use super::site::{Root, path_bytes};
use super::{FilesystemRepository, INTERNAL, lock, refused};
use crate::agent::repository::{EntryName, Item, RepoKey, RepoPlace, RepositoryError, Result, Unhealthy};
use crate::sys::{Access, Errno, FileKind, FileStat, Handle};

/// Paths are opened in pieces of about this length, for Linux takes no path over 4096 bytes.
const PIECE_BYTES: usize = 2048;
/// No chain of parents is longer; longer ones are circles of outdated guesses.
const DEPTH_MAX: usize = 4096;

/// Where folders were last seen.
#[derive(Debug, Default)]
pub(super) struct FolderIndex {
    places: HashMap<RepoKey, (RepoKey, Vec<u8>)>,
}

impl FolderIndex {
    pub(super) fn learn(&mut self, folder: &RepoKey, parent: &RepoKey, name: &[u8]) {
        self.places.insert(folder.clone(), (parent.clone(), name.to_vec()));
    }

    pub(super) fn forget(&mut self, folder: &RepoKey) {
        self.places.remove(folder);
    }

    /// The library above a folder, and the path from there.
    fn path(&self, folder: &RepoKey) -> (RepoKey, Vec<u8>) {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = folder;
        while let Some((parent, name)) = self.places.get(at)
            && names.len() < DEPTH_MAX
        {
            names.push(name);
            at = parent;
        }
        names.reverse();
        (at.clone(), names.join(&b'/'))
    }
}

/// A folder that is open, beneath a root that is the right one.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) site: usize,
    pub(super) root: Root,
    pub(super) key: RepoKey,
    pub(super) dir: Handle,
    pub(super) stat: FileStat,
    /// From the document library.
    pub(super) path: Vec<u8>,
}

impl FilesystemRepository {
    /// Opens the folder that has this key.
    pub(super) fn folder(&self, key: &RepoKey) -> Result<Folder> {
        let (top, path) = lock(&self.folders).path(key);
        if let Some(site) = self.sites.iter().position(|site| site.library().as_ref() == Some(&top)) {
            let root = self.enter(site)?;
            if let Some(folder) = self.folder_at(site, root, path, key)? {
                return Ok(folder);
            }
        }
        self.find_folder(key)
    }

    /// Opens the folder at a path if it has this key.
    fn folder_at(&self, site: usize, root: Root, path: Vec<u8>, key: &RepoKey) -> Result<Option<Folder>> {
        let dir = match self.descend(&root.dir, &path) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(None),
            Err(errno) => return Err(refused(errno)),
        };
        let stat = self.files.stat(&dir).map_err(refused)?;
        let found = key_of(&*self.files, root.volume, &dir, None, &stat)?;
        Ok((found == *key).then(|| Folder { site, root, key: found, dir, stat, path }))
    }

    fn descend(&self, root: &Handle, path: &[u8]) -> Result<Handle, Errno> {
        let mut dir = root.clone();
        let mut rest = path;
        while !rest.is_empty() {
            let end = if rest.len() <= PIECE_BYTES {
                rest.len()
            } else {
                let first = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
                rest[..PIECE_BYTES].iter().rposition(|byte| *byte == b'/').unwrap_or(first)
            };
            dir = self.files.open(&dir, &rest[..end], Access::Folder, false)?;
            rest = rest[end..].strip_prefix(b"/").unwrap_or_default();
        }
        Ok(dir)
    }

    /// Finds a folder that is not where it was last seen.
    fn find_folder(&self, key: &RepoKey) -> Result<Folder> {
        let mut unknown = None;
        for site in 0..self.sites.len() {
            let root = match self.enter(site) {
                Ok(root) => root,
                Err(error) => {
                    unknown = Some(error);
                    continue;
                }
            };
            if root.key == *key {
                let (dir, stat) = (root.dir.clone(), root.stat);
                return Ok(Folder { site, root, key: key.clone(), dir, stat, path: Vec::new() });
            }
            let path = match self.path_by_handle(site, &root, key) {
                ByHandle::Beneath(path) => Some(path),
                ByHandle::Gone | ByHandle::Elsewhere => continue,
                ByHandle::Unclear => self.walk_for(&root, key)?,
            };
            if let Some(path) = path
                && let Some(folder) = self.folder_at(site, root, path, key)?
            {
                self.learn_path(&folder.root, &folder.path)?;
                return Ok(folder);
            }
        }
        lock(&self.folders).forget(key);
        Err(unknown.unwrap_or(RepositoryError::Gone))
    }

    fn walk_for(&self, root: &Root, key: &RepoKey) -> Result<Option<Vec<u8>>> {
        let mut found = None;
        self.walk(root, &mut |path, entry_key, place| {
            if entry_key == key {
                found = Some(join(path, place.name.as_bytes()));
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// What the operating system knows of where a key is.
    fn path_by_handle(&self, site: usize, root: &Root, key: &RepoKey) -> ByHandle {
        if !root.volume.owns(key) {
            return ByHandle::Elsewhere;
        }
        let Some(handle) = root.volume.handle_in(key) else { return ByHandle::Unclear };
        let opened = match self.files.open_by_handle(&root.dir, &handle) {
            Ok(opened) => opened,
            Err(Errno::STALE) if root.capabilities.events => return ByHandle::Gone,
            Err(_) => return ByHandle::Unclear,
        };
        let Ok(stat) = self.files.stat(&opened) else { return ByHandle::Unclear };
        if stat.links == 0 {
            return ByHandle::Gone;
        }
        let Ok(path) = self.files.known_path(&opened) else { return ByHandle::Unclear };
        match path.strip_prefix(self.sites[site].path()) {
            Ok(inner) => ByHandle::Beneath(path_bytes(inner).to_vec()),
            // Of a folder the kernel always knows the one place.
            Err(_) if stat.kind == FileKind::Folder => ByHandle::Elsewhere,
            Err(_) => ByHandle::Unclear,
        }
    }

    /// Remembers the folders along a path, and returns their keys, the library's first.
    pub(super) fn learn_path(&self, root: &Root, path: &[u8]) -> Result<Vec<RepoKey>> {
        let mut keys = vec![root.key.clone()];
        let (mut dir, mut parent) = (root.dir.clone(), root.key.clone());
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            dir = self.files.open(&dir, name, Access::Folder, false).map_err(refused)?;
            let stat = self.files.stat(&dir).map_err(refused)?;
            let key = key_of(&*self.files, root.volume, &dir, None, &stat)?;
            lock(&self.folders).learn(&key, &parent, name);
            keys.push(key.clone());
            parent = key;
        }
        Ok(keys)
    }

    /// Looks at everything beneath a root until `visit`, which gets the path of the folder, the key and the place of each entry, says
    /// `false`. Complete, or an error.
    fn walk(&self, root: &Root, visit: &mut dyn FnMut(&[u8], &RepoKey, RepoPlace) -> bool) -> Result<()> {
        let mut waiting = vec![(root.key.clone(), Vec::new())];
        while let Some((key, path)) = waiting.pop() {
            let dir = match self.descend(&root.dir, &path) {
                Ok(dir) => dir,
                // It was moved or removed since it was listed: what it held may be anywhere.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(RepositoryError::Unknown(Unhealthy::Restless)),
                Err(Errno::ACCESS | Errno::PERM) => return Err(RepositoryError::Unknown(Unhealthy::Unreadable)),
                Err(errno) => return Err(refused(errno)),
            };
            for entry in self.entries(root, &key, &dir)? {
                let name = entry.name.clone();
                if !visit(&path, &entry.key, RepoPlace { folder: key.clone(), name: name.clone() }) {
                    return Ok(());
                }
                if entry.item == Item::Folder {
                    waiting.push((entry.key, join(&path, name.as_bytes())));
                }
            }
        }
        Ok(())
    }

    pub(super) fn locate(&self, keys: &[RepoKey]) -> Result<Vec<Option<RepoPlace>>> {
        let mut places: HashMap<&RepoKey, Option<RepoPlace>> = HashMap::new();
        // A site that is on another file system for sure need not be there.
        let candidates = (0..self.sites.len()).filter(|site| keys.iter().any(|key| self.sites[*site].may_hold(key)));
        let roots: Vec<(usize, Root)> = candidates.map(|site| Ok((site, self.enter(site)?))).collect::<Result<_>>()?;
        for (site, root) in &roots {
            for key in keys {
                match self.path_by_handle(*site, root, key) {
                    ByHandle::Gone => {
                        places.insert(key, None);
                    }
                    ByHandle::Beneath(path) => {
                        if let Some(place) = self.place_at(root, &path, key)? {
                            places.insert(key, Some(place));
                        }
                    }
                    ByHandle::Unclear | ByHandle::Elsewhere => {}
                }
            }
        }
        for (site, root) in &roots {
            let unclear =
                |key: &RepoKey| !places.contains_key(key) && !matches!(self.path_by_handle(*site, root, key), ByHandle::Elsewhere);
            let mut wanted: HashSet<&RepoKey> = keys.iter().filter(|key| unclear(key)).collect();
            if wanted.is_empty() {
                continue;
            }
            let mut found = Vec::new();
            self.walk(root, &mut |_, key, place| {
                if let Some(key) = wanted.take(key) {
                    found.push((key, Some(place)));
                }
                !wanted.is_empty()
            })?;
            places.extend(found);
        }
        Ok(keys.iter().map(|key| places.get(key).cloned().flatten()).collect())
    }

    /// The place at a path, if the item there has this key and lies in the repository proper.
    fn place_at(&self, root: &Root, path: &[u8], key: &RepoKey) -> Result<Option<RepoPlace>> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        if name.is_empty() || path == INTERNAL || path.starts_with(b".skybridge/") {
            return Ok(None);
        }
        let folders = match self.learn_path(root, parent) {
            Ok(folders) => folders,
            Err(RepositoryError::Changed | RepositoryError::Unsupported(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(folder) = folders.last() else { return Ok(None) };
        let dir = self.descend(&root.dir, parent).map_err(refused)?;
        let found = self.entry(root, &dir, name)?.is_some_and(|entry| entry.key == *key);
        Ok(found.then(|| RepoPlace { folder: folder.clone(), name: EntryName::from_bytes(name) }))
    }

    pub(super) fn path_of(&self, folder: &RepoKey, name: &EntryName) -> Result<PathBuf> {
        let folder = self.folder(folder)?;
        let bytes = join(&folder.path, name.as_bytes());
        let inner: std::ffi::OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
        Ok(self.sites[folder.site].path().join(inner))
    }
}

/// What the operating system knows of where an inode is.
enum ByHandle {
    /// The inode no longer exists.
    Gone,
    /// It was at this path beneath the library.
    Beneath(Vec<u8>),
    /// It is not in this library.
    Elsewhere,
    /// It does not tell, or tells one of several names.
    Unclear,
}

/// A path with one more component.
pub(super) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

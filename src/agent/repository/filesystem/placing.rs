//! Placing: replacing, moving and removing items without ever losing what somebody else put there.
//!
//! Everything is checked by key and stamp before, done in one step that cannot overwrite, and looked at afterwards, because the file
//! system cannot be told "only if it is still this one". What came out unexpectedly goes back, or is kept.

use std::collections::BTreeMap;

use super::attributes::WRITABLE;
use super::keys::key_of;
use super::reading::{FilesystemDocument, Opened};
use super::site::{DISPLACED, Root, STAGING};
use super::staging::op_name;
use super::{FilesystemRepository, lock, refused};
use crate::agent::repository::{At, Displaced, Placed, Protection, RepoKey, RepositoryError, Result, SiteName, Staged, Stamp};
use crate::model::{Name, OpId, Property, Value};
use crate::sys::{Access, Errno, FileKind, FileStat, Handle};

impl FilesystemRepository {
    pub(super) fn place_new(&self, staged: &Staged, folder: &RepoKey, name: &Name) -> Result<Placed> {
        let folder = self.folder(folder)?;
        let staging = self.internal(&self.enter(self.site(&staged.site)?)?.dir, STAGING)?;
        self.bequeath(&folder, &staging, &staged.file)?;
        let name = name.as_str().as_bytes();
        let before = self.files.stat(&staged.file).map_err(refused)?;
        self.move_to_free(&folder.root, (&staging, &op_name(staged.op)), (&folder.dir, name))?;
        self.touch(&folder.dir)?;
        let placed = self.placed(&staged.file, staged.key.clone(), &before)?;
        if before.kind == FileKind::Folder {
            lock(&self.folders).learn(&staged.key, &folder.key, name);
        }
        Ok(placed)
    }

    /// Renames to a name that must be free.
    fn move_to_free(&self, root: &Root, (from, old): (&Handle, &[u8]), (to, new): (&Handle, &[u8])) -> Result<()> {
        if root.capabilities.no_replace {
            return self.files.rename_no_replace(from, old, to, new).map_err(|errno| match errno {
                Errno::INVAL => RepositoryError::Unsupported("moving a folder into itself"),
                errno => refused(errno),
            });
        }
        match self.files.stat_at(to, new) {
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(errno)),
            Ok(_) => return Err(RepositoryError::Exists),
        }
        // A second name cannot overwrite either, where files can have two.
        match self.files.link(from, old, to, new) {
            Ok(()) => self.files.remove_file(from, old).map_err(refused),
            Err(Errno::EXIST) => Err(RepositoryError::Exists),
            // Of a folder, or where files cannot: a small window remains, which the capability tells of.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::ISDIR) => self.files.rename(from, old, to, new).map_err(refused),
            Err(errno) => Err(refused(errno)),
        }
    }

    pub(super) fn replace(&self, staged: &Staged, at: &At, stamp: &Stamp) -> Result<(Placed, Displaced)> {
        let current = self.open_unchanged(at, stamp)?;
        let root = &current.folder.root;
        let staging = self.internal(&self.enter(self.site(&staged.site)?)?.dir, STAGING)?;
        let displaced = self.internal(&root.dir, DISPLACED)?;
        let before = self.files.stat(&staged.file).map_err(refused)?;
        if root.capabilities.exchange {
            self.exchange(staged, at, &current, &staging, &displaced)?;
        } else {
            self.link_and_rename(staged, at, &current, &staging, &displaced)?;
        }
        self.touch(&current.folder.dir)?;
        self.touch(&displaced)?;
        let out = self.displaced(&current, staged.op, &displaced, at)?;
        Ok((self.placed(&staged.file, staged.key.clone(), &before)?, out))
    }

    /// Swaps the staged content with the document, by way of the name under which the document will be kept.
    pub(super) fn exchange(&self, staged: &Staged, at: &At, current: &Opened, staging: &Handle, displaced: &Handle) -> Result<()> {
        let (waiting, name) = (op_name(staged.op), at.name.as_str().as_bytes());
        let dir = &current.folder.dir;
        self.move_to_free(&current.folder.root, (staging, &waiting), (displaced, &waiting))?;
        let swapped = self.files.exchange(displaced, &waiting, dir, name).map_err(refused).and_then(|()| {
            match self.files.stat_at(displaced, &waiting).map_err(refused)?.kind {
                FileKind::Regular => Ok(()),
                // Somebody put a folder or a link into its place: not ours to keep.
                _ => {
                    self.files.exchange(displaced, &waiting, dir, name).map_err(refused)?;
                    Err(RepositoryError::Changed)
                }
            }
        });
        if swapped.is_err() {
            self.move_to_free(&current.folder.root, (displaced, &waiting), (staging, &waiting))?;
        }
        swapped
    }

    /// Keeps the document under a second name and puts the staged content over the first. What somebody puts there between the last
    /// look and the renaming is lost: the capability tells of it.
    pub(super) fn link_and_rename(&self, staged: &Staged, at: &At, current: &Opened, staging: &Handle, displaced: &Handle) -> Result<()> {
        let (waiting, name) = (op_name(staged.op), at.name.as_str().as_bytes());
        let dir = &current.folder.dir;
        match self.files.link(dir, name, displaced, &waiting) {
            Ok(()) => {}
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => {
                // No second names here: the document is away for a moment, but nothing can be lost.
                self.move_to_free(&current.folder.root, (dir, name), (displaced, &waiting))?;
                return self.move_to_free(&current.folder.root, (staging, &waiting), (dir, name));
            }
            Err(errno) => return Err(refused(errno)),
        }
        let linked = self.entry(&current.folder.root, displaced, &waiting)?;
        if linked.is_none_or(|linked| linked.key != at.key) {
            self.files.remove_file(displaced, &waiting).map_err(refused)?;
            return Err(RepositoryError::Changed);
        }
        self.files.rename(staging, &waiting, dir, name).map_err(refused)
    }

    /// Looks at what an operation took out of its place.
    pub(super) fn displaced(&self, current: &Opened, op: OpId, dir: &Handle, at: &At) -> Result<Displaced> {
        let root = &current.folder.root;
        let out = self.entry(root, dir, &op_name(op))?.ok_or(RepositoryError::Changed)?;
        let now = self.files.stat(&current.file).map_err(refused)?;
        let same_bytes = (now.size_bytes, now.modified) == (current.stat.size_bytes, current.stat.modified);
        let written = self.files.is_being_written(&current.file) == Ok(true);
        let as_expected = out.key == at.key && same_bytes && !written;
        Ok(Displaced { op, site: self.sites[current.folder.site].name.clone(), key: out.key, as_expected })
    }

    pub(super) fn remove_document(&self, at: &At, stamp: &Stamp, op: OpId) -> Result<Displaced> {
        let current = self.open_unchanged(at, stamp)?;
        let root = &current.folder.root;
        let displaced = self.internal(&root.dir, DISPLACED)?;
        let (waiting, name) = (op_name(op), at.name.as_str().as_bytes());
        self.move_to_free(root, (&current.folder.dir, name), (&displaced, &waiting))?;
        self.touch(&current.folder.dir)?;
        self.touch(&displaced)?;
        let out = self.displaced(&current, op, &displaced, at)?;
        if !out.as_expected {
            // An edit outlives a delete. If the name was taken meanwhile, the bytes stay here.
            match self.move_to_free(root, (&displaced, &waiting), (&current.folder.dir, name)) {
                Ok(()) => return Err(RepositoryError::Changed),
                Err(RepositoryError::Exists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(out)
    }

    pub(super) fn remove_folder(&self, at: &At) -> Result<()> {
        let opened = self.open_item(at)?;
        if opened.stat.kind != FileKind::Folder {
            return Err(RepositoryError::Changed);
        }
        self.files.remove_folder(&opened.folder.dir, at.name.as_str().as_bytes()).map_err(refused)?;
        lock(&self.folders).forget(&at.key);
        self.touch(&opened.folder.dir)
    }

    pub(super) fn rename(&self, at: &At, folder: &RepoKey, name: &Name, known: &Stamp) -> Result<Placed> {
        let from = self.folder(&at.folder)?;
        let to = self.folder(folder)?;
        let (old, new) = (at.name.as_str().as_bytes(), name.as_str().as_bytes());
        let file = self.files.open(&from.dir, old, Access::Name, false).map_err(refused)?;
        if self.key_of_file(&from.root, &file)? != at.key {
            return Err(RepositoryError::Changed);
        }
        let before = self.files.stat(&file).map_err(refused)?;
        let moved = match self.move_to_free(&from.root, (&from.dir, old), (&to.dir, new)) {
            // Where case does not matter, another spelling of its own name is taken by itself.
            Err(RepositoryError::Exists) if !from.root.capabilities.case_sensitive && at.folder == *folder => {
                match self.entry(&to.root, &to.dir, new)? {
                    Some(entry) if entry.key == at.key => self.files.rename(&from.dir, old, &to.dir, new).map_err(refused),
                    _ => Err(RepositoryError::Exists),
                }
            }
            other => other,
        };
        moved?;
        self.touch(&from.dir)?;
        self.touch(&to.dir)?;
        let entry = self.entry(&to.root, &to.dir, new)?;
        if entry.as_ref().is_none_or(|entry| entry.key != at.key) {
            // Something else took its place at the last moment, and was moved instead of it.
            if entry.is_some() {
                self.move_to_free(&from.root, (&to.dir, new), (&from.dir, old))?;
            }
            return Err(RepositoryError::Changed);
        }
        if before.kind == FileKind::Folder {
            lock(&self.folders).learn(&at.key, folder, new);
        }
        self.placed_if_known(&file, at.key.clone(), &before, known)
    }

    pub(super) fn set_properties(&self, at: &At, stamp: &Stamp, changes: &BTreeMap<Property, Option<Value>>) -> Result<Placed> {
        let opened = self.open_item(at)?;
        if self.stamp(&opened.stat).times() != stamp.times() {
            return Err(RepositoryError::Changed);
        }
        self.write_properties(&opened.file, &self.sites[opened.folder.site], changes)?;
        self.placed(&opened.file, at.key.clone(), &opened.stat)
    }

    pub(super) fn protection(&self, at: &At) -> Result<Protection> {
        let opened = self.open_item(at)?;
        let FileStat { owner, group, mode, .. } = opened.stat;
        Ok(Protection { owner, group, mode, list: self.access_list(&opened.file)? })
    }

    pub(super) fn protect(&self, at: &At, known: &Stamp) -> Result<Placed> {
        let opened = self.open_item(at)?;
        // The group's bits are also the mask of an access control list, so this takes the right to write from everybody it names.
        self.change_mode(&opened, opened.stat.mode & !WRITABLE)?;
        self.placed_if_known(&opened.file, at.key.clone(), &opened.stat, known)
    }

    pub(super) fn unprotect(&self, at: &At, original: &Protection) -> Result<()> {
        let opened = self.open_item(at)?;
        // The owner differs where somebody put a file of their own into its place.
        self.give(&opened.file, &opened.stat, (original.owner, original.group))?;
        self.set_access_list(&opened.file, original.list.as_deref())?;
        self.change_mode(&opened, original.mode)
    }

    fn change_mode(&self, opened: &Opened, mode: u32) -> Result<()> {
        if self.files.stat(&opened.file).map_err(refused)?.mode != mode {
            self.files.set_mode(&opened.file, mode).map_err(refused)?;
        }
        Ok(())
    }

    /// What something is that was changed here, but for its bytes. What somebody wrote since `before` nobody has seen: the stamp does not say
    /// otherwise.
    fn placed(&self, file: &Handle, key: RepoKey, before: &FileStat) -> Result<Placed> {
        let now = self.files.stat(file).map_err(refused)?;
        let same_bytes = (now.size_bytes, now.modified) == (before.size_bytes, before.modified);
        Ok(Placed { key, stamp: if same_bytes { self.stamp(&now) } else { Stamp::UNSEEN } })
    }

    /// The same, of something that was last looked at when it had the stamp `known`.
    fn placed_if_known(&self, file: &Handle, key: RepoKey, before: &FileStat, known: &Stamp) -> Result<Placed> {
        let placed = self.placed(file, key, before)?;
        Ok(if self.stamp(before).times() == known.times() { placed } else { Placed { stamp: Stamp::UNSEEN, ..placed } })
    }

    fn kept(&self, displaced: &Displaced) -> Result<(Root, Handle)> {
        let root = self.enter(self.site(&displaced.site)?)?;
        let dir = self.internal(&root.dir, DISPLACED)?;
        Ok((root, dir))
    }

    pub(super) fn open_displaced(&self, displaced: &Displaced) -> Result<(Stamp, FilesystemDocument)> {
        let (root, dir) = self.kept(displaced)?;
        let gone = |errno| if errno == Errno::NOENT { RepositoryError::Gone } else { refused(errno) };
        let file = self.files.open(&dir, &op_name(displaced.op), Access::Read, false).map_err(gone)?;
        let stat = self.files.stat(&file).map_err(refused)?;
        if key_of(&*self.files, root.volume, &file, None, &stat)? != displaced.key {
            return Err(RepositoryError::Gone);
        }
        Ok((self.stamp(&stat), FilesystemDocument::new(self.files.clone(), file, stat)))
    }

    pub(super) fn displaced_in_use(&self, displaced: &Displaced) -> Result<bool> {
        let (root, _) = self.kept(displaced)?;
        let (_, document) = self.open_displaced(displaced)?;
        self.is_in_use(&root, document.file(), document.state())
    }

    /// Remembers that a folder's names have to be made durable.
    fn touch(&self, dir: &Handle) -> Result<()> {
        let stat = self.files.stat(dir).map_err(refused)?;
        lock(&self.unsettled).insert((stat.device, stat.inode), dir.clone());
        Ok(())
    }

    pub(super) fn settle(&self) -> Result<()> {
        let folders = std::mem::take(&mut *lock(&self.unsettled));
        let mut folders = folders.into_iter();
        while let Some((id, dir)) = folders.next() {
            if let Err(errno) = self.files.flush(&dir) {
                lock(&self.unsettled).extend(folders.chain([(id, dir)]));
                return Err(refused(errno));
            }
        }
        Ok(())
    }
    pub(super) fn settle_all(&self, site: &SiteName) -> Result<()> {
        self.files.flush_file_system(&self.enter(self.site(site)?)?.dir).map_err(refused)
    }
}

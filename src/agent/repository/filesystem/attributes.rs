//! Owner, group, permissions, access control lists and foreign attributes: what a new item gets, and what a replacement keeps.

use super::{FilesystemRepository, Folder, properties, refused};
use crate::agent::repository::{RepositoryError, Result};
use crate::model::Property;
use crate::sys::{Errno, FileKind, FileStat, Handle};

/// The access control list of an item.
const ACL: &[u8] = b"system.posix_acl_access";
/// The one that what is made in a folder gets.
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
/// New items in the folder get its group.
const SET_GROUP: u32 = 0o2000;
/// The bits that let somebody write.
pub(super) const WRITABLE: u32 = 0o222;

/// Names a probe in the staging folder where files without a name cannot be made.
const PROBE: &[u8] = b"probe-new";

impl FilesystemRepository {
    /// Gives something staged what a new item gets in a folder: group, mode and access control list as the folder has it, and the
    /// configured owner.
    pub(super) fn bequeath(&self, folder: &Folder, staging: &Handle, file: &Handle) -> Result<()> {
        let before = self.files.stat(file).map_err(refused)?;
        let is_folder = before.kind == FileKind::Folder;
        let create_mode = if is_folder { 0o777 } else { 0o666 };
        let set_group = folder.stat.mode & SET_GROUP != 0;
        // The kernel shows what it would give: nobody else needs to know how umask and default lists work together.
        let (mut mode, group, acl) = match self.files.create_unnamed(&folder.dir, create_mode) {
            Ok(probe) => {
                let stat = self.files.stat(&probe).map_err(refused)?;
                (stat.mode, stat.group, self.optional_attribute(&probe, ACL)?)
            }
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL | Errno::ACCESS) => {
                let (mode, group) = self.plain_attributes(staging, create_mode)?;
                (mode, if set_group { folder.stat.group } else { group }, None)
            }
            Err(errno) => return Err(refused(errno)),
        };
        let (owner, configured_group) = self.owner.unwrap_or((before.owner, group));
        let group = if set_group { group } else { configured_group };
        if is_folder && set_group {
            mode |= SET_GROUP;
        }
        self.give(file, &before, (owner, group))?;
        if is_folder && let Some(list) = self.optional_attribute(&folder.dir, DEFAULT_ACL)? {
            self.files.set_attribute(file, DEFAULT_ACL, &list).map_err(not_kept)?;
        }
        if let Some(list) = acl {
            self.files.set_attribute(file, ACL, &list).map_err(not_kept)?;
        }
        self.files.set_mode(file, mode).map_err(not_kept)
    }

    /// What the process's umask and group give to a file with a name.
    fn plain_attributes(&self, staging: &Handle, mode: u32) -> Result<(u32, u32)> {
        match self.files.remove_file(staging, PROBE) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(errno)),
        }
        let probe = self.files.create(staging, PROBE, mode).map_err(refused)?;
        let stat = self.files.stat(&probe).map_err(refused)?;
        self.files.remove_file(staging, PROBE).map_err(refused)?;
        Ok((stat.mode, stat.group))
    }

    /// Gives a staged file everything that the document has which it will replace, but for `dropped` properties.
    pub(super) fn copy_attributes(&self, from: &Handle, to: &Handle, dropped: &[Property]) -> Result<()> {
        let model = self.files.stat(from).map_err(refused)?;
        let before = self.files.stat(to).map_err(refused)?;
        self.give(to, &before, (model.owner, model.group))?;
        let names = match self.files.list_attributes(from) {
            Ok(names) => names,
            Err(Errno::OPNOTSUPP) => Vec::new(),
            Err(errno) => return Err(refused(errno)),
        };
        for name in names.iter().filter(|name| !properties::holds_any(name, dropped)) {
            let Some(value) = self.optional_attribute(from, name)? else { continue };
            // Labels that the system gives by itself may not be ours to set, and need not be if they are equal.
            if self.optional_attribute(to, name)?.as_ref() != Some(&value) {
                self.files.set_attribute(to, name, &value).map_err(not_kept)?;
            }
        }
        self.files.set_mode(to, model.mode).map_err(not_kept)?;
        let after = self.files.stat(to).map_err(refused)?;
        if (after.owner, after.group, after.mode) != (model.owner, model.group, model.mode) {
            return Err(RepositoryError::Denied("owner or permissions of the document cannot be kept"));
        }
        Ok(())
    }

    pub(super) fn give(&self, file: &Handle, before: &FileStat, (owner, group): (u32, u32)) -> Result<()> {
        if (before.owner, before.group) == (owner, group) {
            return Ok(());
        }
        self.files.set_owner(file, owner, group).map_err(not_kept)
    }

    /// Returns the access control list of an item, if it has one.
    pub(super) fn access_list(&self, file: &Handle) -> Result<Option<Vec<u8>>> {
        self.optional_attribute(file, ACL)
    }

    /// Gives an item an access control list, or takes it away. The mode has to be set afterwards: each writes into the other.
    pub(super) fn set_access_list(&self, file: &Handle, list: Option<&[u8]>) -> Result<()> {
        match (self.access_list(file)?, list) {
            (now, list) if now.as_deref() == list => Ok(()),
            (_, Some(list)) => self.files.set_attribute(file, ACL, list).map_err(refused),
            (_, None) => self.files.remove_attribute(file, ACL).map_err(refused),
        }
    }

    fn optional_attribute(&self, file: &Handle, name: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.files.attribute(file, name) {
            Ok(value) => Ok(Some(value)),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(refused(errno)),
        }
    }
}

/// An attribute that could not be given.
fn not_kept(errno: Errno) -> RepositoryError {
    match errno {
        Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL => {
            RepositoryError::Denied("owner, permissions or attributes cannot be given to the new content")
        }
        errno => refused(errno),
    }
}

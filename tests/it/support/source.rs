//! The document library on premises, as any program of the machine uses it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::Tree;

/// A directory that is a site's document library. Paths are relative to it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    root: PathBuf,
    /// Whom belongs what is written; whoever writes if unset.
    owner: Option<u32>,
}

impl Source {
    pub(crate) fn new(root: PathBuf) -> Self {
        fs::create_dir_all(&root).expect("the library is made");
        Self { root, owner: None }
    }

    /// A library of somebody else's.
    pub(crate) fn of(root: PathBuf, owner: u32) -> Self {
        let source = Self { owner: Some(owner), ..Self::new(root) };
        source.give("", owner, owner);
        source
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Writes a document in place, making its folders.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("it is below the library")).expect("folders are made");
        fs::write(&path, text).expect("it is written");
        if let Some(owner) = self.owner {
            let folders = Path::new(relative).ancestors().filter(|at| !at.as_os_str().is_empty());
            folders.for_each(|at| self.give(at.to_str().expect("UTF-8"), owner, owner));
        }
    }

    /// Writes a document as editors do: beside it, then over it.
    pub(crate) fn save(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        let beside = path.with_file_name(format!(".{}.swp~", path.file_name().expect("a name").to_string_lossy()));
        fs::write(&beside, text).expect("it is written");
        fs::rename(&beside, &path).expect("it is renamed");
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        let path = self.path(relative);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn exists(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }

    pub(crate) fn mkdir(&self, relative: &str) {
        fs::create_dir_all(self.path(relative)).expect("it is made");
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap_or_else(|error| panic!("{from} to {to}: {error}"));
    }

    /// Removes a document, or a folder with what is in it: at one moment, by taking it out of the library first.
    pub(crate) fn remove(&self, relative: &str) {
        let path = self.path(relative);
        let bin = tempfile::tempdir_in(self.root.parent().expect("a library lies somewhere")).expect("a bin");
        fs::rename(&path, bin.path().join("removed")).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Sets a property as other programs do.
    pub(crate) fn set_attribute(&self, relative: &str, name: &str, value: &str) {
        setxattr(self.path(relative), name, value.as_bytes(), XattrFlags::empty()).expect("the attribute is set");
    }

    /// Reads a property as other programs do.
    pub(crate) fn attribute(&self, relative: &str, name: &str) -> Option<String> {
        let mut value = [0; 256];
        let length = getxattr(self.path(relative), name, &mut value).ok()?;
        Some(String::from_utf8(value[..length].to_vec()).expect("text"))
    }

    /// Lets a user write to an item, besides its owner and its group; of a folder also to what is made in it from now on, if `default`.
    pub(crate) fn let_write(&self, relative: &str, user: u32, default: bool) {
        let name = if default { "system.posix_acl_default" } else { "system.posix_acl_access" };
        setxattr(self.path(relative), name, &access_list(user), XattrFlags::empty()).expect("the access list is set");
    }

    /// Returns the access list of an item, if it has one.
    pub(crate) fn access_list(&self, relative: &str) -> Option<Vec<u8>> {
        let mut value = [0; 256];
        let length = getxattr(self.path(relative), "system.posix_acl_access", &mut value).ok()?;
        Some(value[..length].to_vec())
    }

    /// Returns owner, group and permissions.
    pub(crate) fn owner(&self, relative: &str) -> (u32, u32, u32) {
        let metadata = fs::metadata(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"));
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    }

    pub(crate) fn set_mode(&self, relative: &str, mode: u32) {
        fs::set_permissions(self.path(relative), fs::Permissions::from_mode(mode)).expect("the permissions are set");
    }

    /// Gives an item to somebody else, if this process may.
    pub(crate) fn give(&self, relative: &str, user: u32, group: u32) {
        if rustix::process::geteuid().is_root() {
            chown(self.path(relative), Some(user), Some(group)).expect("it is given away");
        }
    }

    /// Returns what is below a folder, without what the agent keeps for itself.
    pub(crate) fn tree(&self, folder: &str) -> Tree {
        let mut found = Tree::new();
        collect(&self.path(folder), "", &mut found);
        found
    }
}

/// An access list of the kernel's form: owner, group and one more user may read and write, the rest may read.
fn access_list(user: u32) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in [(0x01_u16, 6_u16, NOBODY), (0x02, 6, user), (0x04, 6, NOBODY), (0x10, 6, NOBODY), (0x20, 4, NOBODY)] {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    list
}

fn collect(folder: &Path, prefix: &str, found: &mut Tree) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if prefix.is_empty() && name == ".skybridge" {
            continue;
        }
        let relative = format!("{prefix}{name}");
        if entry.file_type().expect("a type").is_dir() {
            found.insert(format!("{relative}/"), String::new());
            collect(&entry.path(), &format!("{relative}/"), found);
        } else {
            let text = fs::read(entry.path()).map_or_else(|error| error.to_string(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
            found.insert(relative, text);
        }
    }
}

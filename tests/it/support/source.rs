//! The document library on premises, as any program of the machine uses it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::Tree;

/// A directory that is a site's document library. Paths are relative to it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    root: PathBuf,
}

impl Source {
    pub(crate) fn new(root: PathBuf) -> Self {
        fs::create_dir_all(&root).expect("the library is made");
        Self { root }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Writes a document in place, making its folders.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("it is below the library")).expect("folders are made");
        fs::write(&path, text).expect("it is written");
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

    /// Returns what is below a folder, without what the agent keeps for itself.
    pub(crate) fn tree(&self, folder: &str) -> Tree {
        let mut found = Tree::new();
        collect(&self.path(folder), "", &mut found);
        found
    }
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

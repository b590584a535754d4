//! Where downloads are written: never outside the folder that the person named, and each document whole or not at all.
//!
//! Names come from outside. Every one is checked, and every folder below the destination is opened without following a link, so that
//! neither a name nor a link that waits in the destination leads anywhere else.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, mkdirat, open, openat, renameat, renameat_with, unlinkat};

use crate::model::Name;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);
/// What the person's umask leaves of these is what others may do.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// An open folder that downloads go to.
#[derive(Debug)]
pub(super) struct Destination {
    folder: OwnedFd,
    path: PathBuf,
}

impl Destination {
    /// Opens a folder that is there; a link is followed, since the person named it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(Self { folder: open(path, FOLDER, Mode::empty())?, path: path.to_owned() })
    }

    /// Returns the path that was opened, for people.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a folder below, made if it is missing.
    pub(super) fn enter(&self, names: &[Name]) -> io::Result<Self> {
        let mut folder = self.folder.try_clone()?;
        let mut path = self.path.clone();
        for name in names {
            path.push(name.as_str());
            match mkdirat(&folder, name.as_str(), FOLDER_MODE) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = openat(&folder, name.as_str(), FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(|error| match error {
                rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => io::Error::other("something that is no folder is in the way"),
                error => error.into(),
            })?;
        }
        Ok(Self { folder, path })
    }

    /// Begins a document. Nothing is to be seen of it under its name before [`Draft::commit`].
    pub(super) fn draft(&self, name: &Name) -> io::Result<Draft> {
        let temporary = format!(".skybridge-{}", uuid::Uuid::new_v4().simple());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&self.folder, &temporary, flags, FILE_MODE)?);
        Ok(Draft { folder: self.folder.try_clone()?, temporary, name: name.clone(), file: Some(file) })
    }
}

/// A document that is being written; gone when dropped before it is committed.
#[derive(Debug)]
pub(super) struct Draft {
    folder: OwnedFd,
    temporary: String,
    name: Name,
    file: Option<File>,
}

impl Draft {
    /// Returns a handle to write with.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.as_ref().ok_or_else(|| io::Error::other("the draft is committed"))?.try_clone()
    }

    /// Flushes the document and gives it its name; only `replace` takes the place of what has the name already.
    pub(super) fn commit(mut self, replace: bool) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let result = file.sync_all().and_then(|()| self.rename(replace));
        if result.is_err() {
            self.file = Some(file);
        }
        result
    }

    fn rename(&self, replace: bool) -> io::Result<()> {
        let (folder, temporary, name) = (self.folder.as_fd(), self.temporary.as_str(), self.name.as_str());
        if replace {
            return Ok(renameat(folder, temporary, folder, name)?);
        }
        match renameat_with(folder, temporary, folder, name, RenameFlags::NOREPLACE) {
            // Some network file systems cannot rename without replacing, but a link does not replace either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
                rustix::fs::linkat(folder, temporary, folder, name, AtFlags::empty())?;
                Ok(unlinkat(folder, temporary, AtFlags::empty())?)
            }
            outcome => Ok(outcome?),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.file.is_some() {
            // A file that cannot be removed stays under a name that says whose it is; the command reports its own error.
            unlinkat(&self.folder, &self.temporary, AtFlags::empty()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    #[test]
    fn a_draft_is_whole_or_not_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let destination = Destination::open(directory.path()).expect("opened");
        drop(destination.draft(&name("a")).expect("begun"));
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 0);

        let write = |text: &str, replace| {
            let draft = destination.draft(&name("a")).expect("begun");
            draft.file().and_then(|mut file| file.write_all(text.as_bytes())).expect("written");
            draft.commit(replace)
        };
        write("one", false).expect("new");
        assert_eq!(write("two", false).expect_err("it is there").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(directory.path().join("a")).expect("read"), "one");
        write("three", true).expect("replaced");
        assert_eq!(fs::read_to_string(directory.path().join("a")).expect("read"), "three");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_link_that_waits_in_the_destination_is_not_followed() {
        let directory = tempfile::tempdir().expect("a directory");
        let outside = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(outside.path(), directory.path().join("folder")).expect("linked");
        let destination = Destination::open(directory.path()).expect("opened");
        assert!(destination.enter(&[name("folder")]).is_err());
        destination.enter(&[name("other"), name("deeper")]).expect("made");
        assert!(directory.path().join("other/deeper").is_dir());
        assert_eq!(fs::read_dir(outside.path()).expect("listed").count(), 0);
    }
}

//! What people's programs do, by paths, with their own rights. None of it counts as an effect, and none of it is made to fail.

use std::path::{Path, PathBuf};

use skybridge::sys::{Errno, FileKind, FileStat, Result};

use super::attributes::check_attribute;
use super::caller::{Caller, READ};
use super::naming::Rename;
use super::node::Body;
use super::process::bytes;
use super::state::{Place, State};
use super::walk::{FOLLOWED, Last, PLAIN};
use super::{Disk, Opened};

/// Somebody who works on the machine, or through a server that runs there.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(super) disk: Disk,
    pub(super) caller: Caller,
}

/// A file that somebody is writing to, until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenedByPerson {
    person: Person,
    opened: Opened,
}

impl Person {
    fn at<T>(&self, path: &Path, follow: bool, act: impl FnOnce(&mut State, Place) -> Result<T>) -> Result<T> {
        let mut state = self.disk.state();
        let place = state.at_path(&self.caller, path, if follow { FOLLOWED } else { PLAIN })?;
        act(&mut state, place)
    }

    fn make(&self, path: &Path, mode: u32, body: Body) -> Result<()> {
        let mut state = self.disk.state();
        let top = state.top();
        state.make(&self.caller, top, bytes(path), mode, body).map(drop)
    }

    fn renamed(&self, old: &Path, new: &Path, how: Rename) -> Result<()> {
        let mut state = self.disk.state();
        let top = state.top();
        state.rename(&self.caller, (top, bytes(old)), (top, bytes(new)), how)
    }

    /// Opens a file for writing; with `create`, makes it if there is none; with `truncate`, empties it.
    pub(crate) fn open(&self, path: &Path, create: bool, truncate: bool) -> Result<OpenedByPerson> {
        let mut state = self.disk.state();
        let caller = &self.caller;
        let (folder, last, found) = state.follow(caller, state.top(), bytes(path), FOLLOWED, false)?;
        let id = match (found, last) {
            (Some(place), _) => {
                let id = state.open_file(caller, place, None, true)?;
                if truncate {
                    state.set_length(caller, id, 0)?;
                }
                id
            }
            (None, Last::Name(name)) if create => {
                let place = state.make(caller, folder, &name, 0o666, State::empty())?;
                state.open_place(place, None, false, true)
            }
            (None, _) => return Err(Errno::NOENT),
        };
        drop(state);
        Ok(OpenedByPerson { person: self.clone(), opened: Opened { disk: self.disk.clone(), id } })
    }

    /// Writes a whole file in place, or a new one.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.open(path, true, true)?.write(bytes, 0)
    }

    /// Where a careful program writes the new file that it then renames over another.
    pub(crate) fn beside(path: &Path) -> PathBuf {
        let mut name = std::ffi::OsString::from(".~save-");
        name.push(path.file_name().unwrap_or_default());
        path.with_file_name(name)
    }

    /// Saves as careful programs do: writes a new file beside it, and renames that over it.
    pub(crate) fn save(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let beside = Self::beside(path);
        self.open(&beside, true, true).and_then(|file| file.write(bytes, 0))?;
        self.rename(&beside, path)
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.at(path, true, |state, place| {
            state.open_file(&self.caller, place, None, false).map(|id| state.close(id))?;
            Ok(state.node(place.node).content().ok_or(Errno::ISDIR)?.seen().to_vec())
        })
    }

    /// Makes a folder.
    pub(crate) fn make_folder(&self, path: &Path) -> Result<()> {
        self.make(path, 0o777, Body::Folder(Default::default()))
    }

    /// Makes a folder and all above it that are not there.
    pub(crate) fn make_folders(&self, path: &Path) -> Result<()> {
        let above: Vec<&Path> = path.ancestors().filter(|path| path.file_name().is_some()).collect();
        above.into_iter().rev().try_for_each(|path| match self.make_folder(path) {
            Err(Errno::EXIST) => Ok(()),
            other => other,
        })
    }

    /// Makes a symbolic link.
    pub(crate) fn make_link(&self, target: &Path, path: &Path) -> Result<()> {
        self.make(path, 0o777, Body::Link(bytes(target).to_vec()))
    }

    /// Makes a pipe, a socket or a device.
    pub(crate) fn make_special(&self, path: &Path, kind: FileKind) -> Result<()> {
        self.make(path, 0o666, Body::Special(kind))
    }

    /// Moves, over what is there.
    pub(crate) fn rename(&self, old: &Path, new: &Path) -> Result<()> {
        self.renamed(old, new, Rename::Replace)
    }

    /// Swaps two items.
    pub(crate) fn exchange(&self, a: &Path, b: &Path) -> Result<()> {
        self.renamed(a, b, Rename::Exchange)
    }

    /// Gives a file a second name.
    pub(crate) fn link(&self, old: &Path, new: &Path) -> Result<()> {
        let mut state = self.disk.state();
        let top = state.top();
        state.link(&self.caller, top, bytes(old), top, bytes(new))
    }

    /// Removes what is no folder.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        let mut state = self.disk.state();
        let top = state.top();
        state.remove(&self.caller, top, bytes(path), false)
    }

    /// Removes an empty folder.
    pub(crate) fn remove_folder(&self, path: &Path) -> Result<()> {
        let mut state = self.disk.state();
        let top = state.top();
        state.remove(&self.caller, top, bytes(path), true)
    }

    /// Removes whatever is there, with all that is in it.
    pub(crate) fn remove_all(&self, path: &Path) -> Result<()> {
        if self.stat(path)?.kind != FileKind::Folder {
            return self.remove(path);
        }
        for name in self.list(path)? {
            self.remove_all(&path.join(os(&name)))?;
        }
        self.remove_folder(path)
    }

    /// Copies a file, or a folder with all files and folders in it, to where nothing is.
    pub(crate) fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        match self.stat(from)?.kind {
            FileKind::Regular => self.write(to, &self.read(from)?),
            FileKind::Folder => {
                self.make_folder(to)?;
                self.list(from)?.into_iter().try_for_each(|name| self.copy(&from.join(os(&name)), &to.join(os(&name))))
            }
            _ => Ok(()),
        }
    }

    /// Lists a folder, in order of the bytes.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<Vec<u8>>> {
        self.at(path, true, |state, place| {
            let node = state.node(place.node);
            let entries = node.entries().ok_or(Errno::NOTDIR)?;
            self.caller.check(node, READ)?;
            Ok(entries.keys().cloned().collect())
        })
    }

    /// Returns the state of what is there; a link is not followed.
    pub(crate) fn stat(&self, path: &Path) -> Result<FileStat> {
        self.at(path, false, |state, place| Ok(state.stat(place)))
    }

    /// Sets the permissions.
    pub(crate) fn set_mode(&self, path: &Path, mode: u32) -> Result<()> {
        self.at(path, true, |state, place| state.set_mode(&self.caller, place, mode))
    }

    /// Sets owner and group.
    pub(crate) fn set_owner(&self, path: &Path, owner: u32, group: u32) -> Result<()> {
        self.at(path, true, |state, place| state.set_owner(&self.caller, place, owner, group))
    }

    /// Sets when the bytes last changed, as copying programs do.
    pub(crate) fn set_modified(&self, path: &Path, modified: i128) -> Result<()> {
        self.at(path, true, |state, place| state.set_times(&self.caller, place, modified))
    }

    /// Sets an extended attribute, or removes it.
    pub(crate) fn set_attribute(&self, path: &Path, name: &[u8], value: Option<&[u8]>) -> Result<()> {
        check_attribute(name, value)?;
        self.at(path, true, |state, place| state.set_attribute(&self.caller, place, name, value))
    }

    /// Returns an extended attribute.
    pub(crate) fn attribute(&self, path: &Path, name: &[u8]) -> Result<Vec<u8>> {
        check_attribute(name, None)?;
        self.at(path, true, |state, place| state.attribute(&self.caller, place.node, name))
    }

    /// Returns what a link says.
    pub(crate) fn target(&self, path: &Path) -> Result<PathBuf> {
        self.at(path, false, |state, place| match &state.node(place.node).body {
            Body::Link(target) => Ok(os(target).into()),
            _ => Err(Errno::INVAL),
        })
    }
}

impl OpenedByPerson {
    /// Writes at an offset.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.person.disk.state().write(&self.person.caller, self.opened.id, bytes, offset)
    }

    /// Sets the length.
    pub(crate) fn set_length(&self, length: u64) -> Result<()> {
        self.person.disk.state().set_length(&self.person.caller, self.opened.id, length)
    }

    /// Makes what was written durable.
    pub(crate) fn flush(&self) -> Result<()> {
        self.person.disk.state().flush(self.opened.id)
    }
}

pub(crate) fn os(name: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name)
}

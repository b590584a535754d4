//! A process of ours on the machine: the file system as [`Files`], until it ends.

use std::path::{Path, PathBuf};

use skybridge::sys::{Access, DirEntry, Errno, FileHandle, FileStat, Files, Handle, Result};

use super::attributes::check_attribute;
use super::caller::Caller;
use super::faults::{CallKind, Faults, Hook, Verdict};
use super::naming::Rename;
use super::node::Body;
use super::state::{Place, State};
use super::walk::{FOLLOWED, How, PLAIN};
use super::{Disk, Opened};

/// Beneath the folder that is open, and through no links.
const BENEATH: How = How { follow_last: false, links: false, leave: false, cross: true };

/// A process; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(super) disk: Disk,
    pub(super) life: u64,
    pub(super) caller: Caller,
    pub(super) faults: Faults,
}

impl Process {
    /// Returns how many effects it had, or was about to have: every call that changes something, and every flush.
    #[must_use]
    pub(crate) fn effects(&self) -> u64 {
        self.faults.effects()
    }

    /// Sets who decides what goes wrong from now on; nobody at first.
    pub(crate) fn set_hook(&self, hook: Option<Hook>) {
        self.faults.set(hook);
    }

    /// Ends it, as `kill -9` does: what it wrote is there for everybody, what it had open is closed, and whatever it still tries fails.
    pub(crate) fn kill(&self) {
        self.disk.state().end_life(self.life);
    }

    /// Whether it has not ended.
    #[must_use]
    pub(crate) fn is_alive(&self) -> bool {
        self.disk.state().lives.contains(&self.life)
    }

    /// Makes a call, unless it is to go wrong.
    pub(super) fn call<T>(&self, kind: CallKind, name: &[u8], act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.decided(self.ask(kind, name)?, act)
    }

    fn ask(&self, kind: CallKind, name: &[u8]) -> Result<Verdict> {
        if self.is_alive() { Ok(self.faults.ask(kind, name)) } else { Err(Errno::IO) }
    }

    fn decided<T>(&self, verdict: Verdict, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.disk.state();
        match verdict {
            Verdict::Proceed => act(&mut state),
            Verdict::Fail(errno) | Verdict::WriteStops(_, errno) => Err(errno),
            Verdict::CrashBefore => {
                state.end_life(self.life);
                Err(Errno::IO)
            }
            Verdict::CrashAfter => {
                let done = act(&mut state).map(drop);
                state.end_life(self.life);
                Err(done.err().unwrap_or(Errno::IO))
            }
        }
    }

    pub(super) fn id(&self, handle: &Handle) -> Result<u64> {
        let opened = handle.get::<Opened>()?;
        if opened.disk.is(&self.disk) { Ok(opened.id) } else { Err(Errno::BADF) }
    }

    pub(super) fn wrap(&self, id: u64) -> Handle {
        Handle::new(Opened { disk: self.disk.clone(), id })
    }

    /// Makes a call with something open.
    fn with<T>(&self, kind: CallKind, name: &[u8], handle: &Handle, act: impl FnOnce(&mut State, Place) -> Result<T>) -> Result<T> {
        let id = self.id(handle)?;
        self.call(kind, name, |state| {
            let place = state.place(id)?;
            act(state, place)
        })
    }

    /// Makes a call with something that is open for more than its name.
    fn with_opened<T>(&self, kind: CallKind, name: &[u8], handle: &Handle, act: impl FnOnce(&mut State, Place) -> Result<T>) -> Result<T> {
        let id = self.id(handle)?;
        self.call(kind, name, |state| {
            let place = state.opened_place(id)?;
            act(state, place)
        })
    }

    /// Opens a file at an absolute path for reading and writing, and makes it first if there is none.
    pub(super) fn open_writable(&self, path: &Path) -> Result<Handle> {
        let found = self.call(CallKind::Open, bytes(path), |state| {
            let place = state.at_path(&self.caller, path, FOLLOWED)?;
            state.open_file(&self.caller, place, Some(self.life), true)
        });
        let id = match found {
            Err(Errno::NOENT) => self.call(CallKind::Create, bytes(path), |state| {
                let place = state.make(&self.caller, state.top(), bytes(path), 0o600, State::empty())?;
                Ok(state.open_place(place, Some(self.life), false, true))
            }),
            other => other,
        };
        id.map(|id| self.wrap(id))
    }

    /// Forgets what is kept in memory of a file, as far as it is clean.
    pub(super) fn forget_cached(&self, file: &Handle) -> Result<()> {
        let id = self.id(file)?;
        self.disk.state().forget_cached(id)
    }

    /// Sets the length of an open file.
    pub(super) fn set_length(&self, file: &Handle, length: u64) -> Result<()> {
        let id = self.id(file)?;
        self.call(CallKind::Write, b"", |state| state.set_length(&self.caller, id, length))
    }

    fn renamed(&self, from: (&Handle, &[u8]), to: (&Handle, &[u8]), how: Rename) -> Result<()> {
        let (old, new) = (self.id(from.0)?, self.id(to.0)?);
        self.call(CallKind::Rename, to.1, |state| {
            let (old, new) = (state.place(old)?, state.place(new)?);
            state.rename(&self.caller, (old, from.1), (new, to.1), how)
        })
    }
}

pub(super) fn bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

impl Files for Process {
    fn open_root(&self, path: &Path) -> Result<Handle> {
        let id = self.call(CallKind::Open, bytes(path), |state| {
            let place = state.at_path(&self.caller, path, FOLLOWED)?;
            state.open_folder(&self.caller, place, Some(self.life))
        });
        id.map(|id| self.wrap(id))
    }

    fn canonical(&self, path: &Path) -> Result<PathBuf> {
        let resolve = |path: &Path| {
            self.call(CallKind::Stat, bytes(path), |state| {
                let place = state.at_path(&self.caller, path, FOLLOWED)?;
                Ok(state.known_path(place))
            })
        };
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(resolve(parent)?.join(name)),
            _ => resolve(path),
        }
    }

    fn open(&self, dir: &Handle, path: &[u8], access: Access, cross_mounts: bool) -> Result<Handle> {
        let id = self.with(CallKind::Open, path, dir, |state, dir| {
            let follow_last = access == Access::Folder;
            let place = state.walk(&self.caller, dir, path, How { follow_last, cross: cross_mounts, ..BENEATH })?;
            match access {
                Access::Name => Ok(state.open_place(place, Some(self.life), true, false)),
                Access::Folder => state.open_folder(&self.caller, place, Some(self.life)),
                Access::Read if state.node(place.node).is_folder() => Err(Errno::INVAL),
                Access::Read => state.open_file(&self.caller, place, Some(self.life), false),
            }
        });
        id.map(|id| self.wrap(id))
    }

    fn open_by_handle(&self, mount: &Handle, handle: &FileHandle) -> Result<Handle> {
        let id = self.with_opened(CallKind::Open, b"", mount, |state, mount| state.open_handle(&self.caller, mount, handle, self.life));
        id.map(|id| self.wrap(id))
    }

    fn known_path(&self, file: &Handle) -> Result<PathBuf> {
        self.with(CallKind::Stat, b"", file, |state, place| Ok(state.known_path(place)))
    }

    fn file_system(&self, file: &Handle) -> Result<u64> {
        self.with(CallKind::Stat, b"", file, |state, place| Ok(state.volume_of(place.node).options.file_system))
    }

    fn stat(&self, file: &Handle) -> Result<FileStat> {
        self.with(CallKind::Stat, b"", file, |state, place| Ok(state.stat(place)))
    }

    fn stat_at(&self, dir: &Handle, name: &[u8]) -> Result<FileStat> {
        self.with(CallKind::Stat, name, dir, |state, dir| Ok(state.stat(state.walk(&self.caller, dir, name, PLAIN)?)))
    }

    fn file_handle(&self, dir: &Handle, name: Option<&[u8]>) -> Result<FileHandle> {
        let name = name.unwrap_or_default();
        self.with(CallKind::Stat, name, dir, |state, dir| {
            let place = if name.is_empty() { dir } else { state.walk(&self.caller, dir, name, PLAIN)? };
            state.handle(place)
        })
    }

    fn read_folder(&self, folder: &Handle) -> Result<Vec<DirEntry>> {
        let id = self.id(folder)?;
        let names = self.call(CallKind::List, b"", |state| state.list(id))?;
        Ok(names.into_iter().map(|name| DirEntry { name }).collect())
    }

    fn read_at(&self, file: &Handle, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let id = self.id(file)?;
        self.call(CallKind::Read, b"", |state| state.read(id, buffer, offset))
    }

    fn create(&self, dir: &Handle, name: &[u8], mode: u32) -> Result<Handle> {
        let id = self.with(CallKind::Create, name, dir, |state, dir| {
            let place = state.make(&self.caller, dir, name, mode, State::empty())?;
            Ok(state.open_place(place, Some(self.life), false, true))
        });
        id.map(|id| self.wrap(id))
    }

    fn create_unnamed(&self, dir: &Handle, mode: u32) -> Result<Handle> {
        let id = self.with(CallKind::Create, b"", dir, |state, dir| state.open_unnamed(&self.caller, dir, mode, self.life));
        id.map(|id| self.wrap(id))
    }

    fn write_at(&self, file: &Handle, bytes: &[u8], offset: u64) -> Result<()> {
        let id = self.id(file)?;
        if bytes.is_empty() {
            return Ok(());
        }
        let write = |state: &mut State, bytes: &[u8]| state.write(&self.caller, id, bytes, offset);
        match self.ask(CallKind::Write, b"")? {
            Verdict::WriteStops(after, errno) => {
                let fitting = &bytes[..after.min(bytes.len())];
                if !fitting.is_empty() {
                    write(&mut self.disk.state(), fitting)?;
                }
                Err(errno)
            }
            verdict => self.decided(verdict, |state| write(state, bytes)),
        }
    }

    fn flush(&self, file: &Handle) -> Result<()> {
        let id = self.id(file)?;
        let verdict = self.ask(CallKind::Flush, b"")?;
        if matches!(verdict, Verdict::Fail(_)) {
            self.disk.state().flush_failed(id);
        }
        self.decided(verdict, |state| state.flush(id))
    }

    fn flush_file_system(&self, file: &Handle) -> Result<()> {
        self.with_opened(CallKind::FlushFileSystem, b"", file, |state, place| {
            state.flush_volume(state.node(place.node).volume);
            Ok(())
        })
    }

    fn make_folder(&self, dir: &Handle, name: &[u8], mode: u32) -> Result<()> {
        self.with(CallKind::MakeFolder, name, dir, |state, dir| {
            state.make(&self.caller, dir, name, mode, Body::Folder(Default::default())).map(drop)
        })
    }

    fn rename(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()> {
        self.renamed((from, old), (to, new), Rename::Replace)
    }

    fn rename_no_replace(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()> {
        self.renamed((from, old), (to, new), Rename::NoReplace)
    }

    fn exchange(&self, a: &Handle, a_name: &[u8], b: &Handle, b_name: &[u8]) -> Result<()> {
        self.renamed((a, a_name), (b, b_name), Rename::Exchange)
    }

    fn link(&self, from: &Handle, old: &[u8], to: &Handle, new: &[u8]) -> Result<()> {
        let to = self.id(to)?;
        self.with(CallKind::Link, new, from, |state, from| {
            let to = state.place(to)?;
            state.link(&self.caller, from, old, to, new)
        })
    }

    fn remove_file(&self, dir: &Handle, name: &[u8]) -> Result<()> {
        self.with(CallKind::Remove, name, dir, |state, dir| state.remove(&self.caller, dir, name, false))
    }

    fn remove_folder(&self, dir: &Handle, name: &[u8]) -> Result<()> {
        self.with(CallKind::Remove, name, dir, |state, dir| state.remove(&self.caller, dir, name, true))
    }

    fn list_attributes(&self, file: &Handle) -> Result<Vec<Vec<u8>>> {
        self.with_opened(CallKind::Attribute, b"", file, |state, place| Ok(state.attribute_names(&self.caller, place.node)))
    }

    fn attribute(&self, file: &Handle, name: &[u8]) -> Result<Vec<u8>> {
        check_attribute(name, None)?;
        self.with_opened(CallKind::Attribute, name, file, |state, place| state.attribute(&self.caller, place.node, name))
    }

    fn set_attribute(&self, file: &Handle, name: &[u8], value: &[u8]) -> Result<()> {
        check_attribute(name, Some(value))?;
        self.with_opened(CallKind::SetAttribute, name, file, |state, place| state.set_attribute(&self.caller, place, name, Some(value)))
    }

    fn remove_attribute(&self, file: &Handle, name: &[u8]) -> Result<()> {
        check_attribute(name, None)?;
        self.with_opened(CallKind::SetAttribute, name, file, |state, place| state.set_attribute(&self.caller, place, name, None))
    }

    fn set_owner(&self, file: &Handle, owner: u32, group: u32) -> Result<()> {
        self.with_opened(CallKind::SetAttribute, b"", file, |state, place| state.set_owner(&self.caller, place, owner, group))
    }

    fn set_mode(&self, file: &Handle, mode: u32) -> Result<()> {
        self.with_opened(CallKind::SetAttribute, b"", file, |state, place| state.set_mode(&self.caller, place, mode))
    }

    fn is_being_written(&self, file: &Handle) -> Result<bool> {
        let id = self.id(file)?;
        self.call(CallKind::Stat, b"", |state| state.is_written(&self.caller, id))
    }

    fn now(&self) -> i128 {
        self.disk.state().now
    }
}

impl State {
    /// Ends a process.
    pub(super) fn end_life(&mut self, life: u64) {
        self.lives.remove(&life);
        self.watching.retain(|_, instance| instance.life != life);
        let open: Vec<u64> = self.opens.iter().filter(|(_, open)| open.life == Some(life)).map(|(id, _)| *id).collect();
        open.into_iter().for_each(|id| self.close(id));
    }
}

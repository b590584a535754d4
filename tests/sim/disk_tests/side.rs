//! The two sides of a comparison: the kernel, in a temporary directory, and the model.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use skybridge::sys::{Errno, FileKind, Files, LinuxFiles, LinuxWatches, Result, Watches};

use super::op::{Act, WRITERS};
use crate::disk::{Caller, Disk, OpenedByPerson, Person, VolumeOptions};

/// The folder of a comparison, deep enough that no path that is looked at leads out of what both sides have alike.
const INNER: &str = "a/a/a/top";

/// One of the two.
pub(super) trait Side {
    /// The folder in which everything happens.
    fn top(&self) -> &Path;
    /// The calls of the agent.
    fn files(&self) -> Arc<dyn Files>;
    /// The calls of somebody who sees everything, for comparisons.
    fn all(&self) -> Arc<dyn Files>;
    fn watches(&self) -> &dyn Watches;
    /// Runs something with the agent's rights.
    fn as_agent(&self, run: &mut dyn FnMut());
    fn act(&mut self, user: u32, act: &Act) -> Result<()>;
    /// Time passes.
    fn tick(&self);
}

/// The running kernel.
pub(super) struct Kernel {
    _dir: tempfile::TempDir,
    top: PathBuf,
    agent: u32,
    watches: LinuxWatches,
    /// What people have open, and who.
    writers: [Option<(OwnedFd, u32)>; WRITERS],
}

/// Takes the rights of a user, for this thread alone.
fn become_user(user: u32) {
    let (uid, gid) = (fs::Uid::from_raw(user), fs::Gid::from_raw(user));
    let root = fs::Uid::ROOT;
    set_thread_res_uid(root, root, root).unwrap();
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(gid, gid, gid).unwrap();
    set_thread_res_uid(root, uid, root).unwrap();
}

impl Kernel {
    pub(super) fn new(agent: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::chmod(dir.path(), Mode::from_raw_mode(0o755)).unwrap();
        let top = dir.path().join(INNER);
        std::fs::create_dir_all(&top).unwrap();
        fs::chmod(&top, Mode::from_raw_mode(0o777)).unwrap();
        Self { _dir: dir, top, agent, watches: LinuxWatches::new().unwrap(), writers: Default::default() }
    }

    fn done(&mut self, user: u32, act: &Act) -> Result<()> {
        let at = |path: &[u8]| self.top.join(crate::disk::os(path));
        let set = XattrFlags::empty();
        match act {
            Act::Open(writer, path, create, truncate) => {
                let mut flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
                flags.set(OFlags::CREATE, *create);
                flags.set(OFlags::TRUNC, *truncate);
                let path = at(path);
                // Pipes and devices can be opened too; the model only has files to write to.
                if let Ok(stat) = fs::stat(&path)
                    && !matches!(FileType::from_raw_mode(stat.st_mode), FileType::RegularFile | FileType::Directory)
                {
                    return Err(Errno::INVAL);
                }
                let opened = fs::open(&path, flags, Mode::from_raw_mode(0o666))?;
                self.writers[*writer] = Some((opened, user));
                Ok(())
            }
            Act::Write(writer, offset, length) => match &self.writers[*writer] {
                Some(_) if *length == 0 => Ok(()),
                Some((file, _)) => rustix::io::pwrite(file, &vec![b'w'; *length], *offset).map(drop),
                None => Err(Errno::BADF),
            },
            Act::Shorten(writer, length) => {
                self.writers[*writer].as_ref().map_or(Err(Errno::BADF), |(file, _)| fs::ftruncate(file, *length))
            }
            Act::Close(writer) => {
                self.writers[*writer] = None;
                Ok(())
            }
            Act::MakeFolder(path) => fs::mkdir(at(path), Mode::from_raw_mode(0o777)),
            Act::MakeLink(target, path) => fs::symlink(crate::disk::os(target), at(path)),
            Act::MakeSpecial(path, kind) => {
                let kind = match kind {
                    FileKind::Pipe => FileType::Fifo,
                    FileKind::Socket => FileType::Socket,
                    _ => FileType::CharacterDevice,
                };
                // A device of zero can be made by everybody: it is the whiteout of overlay file systems.
                fs::mknodat(CWD, at(path), kind, Mode::from_raw_mode(0o666), 0)
            }
            Act::Rename(old, new) => fs::rename(at(old), at(new)),
            Act::Exchange(a, b) => fs::renameat_with(CWD, at(a), CWD, at(b), RenameFlags::EXCHANGE),
            Act::Link(old, new) => fs::linkat(CWD, at(old), CWD, at(new), AtFlags::empty()),
            Act::Remove(path) => fs::unlink(at(path)),
            Act::RemoveFolder(path) => fs::rmdir(at(path)),
            Act::SetMode(path, mode) => fs::chmod(at(path), Mode::from_raw_mode(*mode)),
            Act::SetOwner(path, owner, group) => fs::chown(at(path), Some(fs::Uid::from_raw(*owner)), Some(fs::Gid::from_raw(*group))),
            Act::SetModified(path, time) => {
                let time = Timespec { tv_sec: (time / 1_000_000_000) as i64, tv_nsec: (time % 1_000_000_000) as i64 };
                fs::utimensat(CWD, at(path), &Timestamps { last_access: time, last_modification: time }, AtFlags::empty())
            }
            Act::SetAttribute(path, name, Some(value)) => fs::setxattr(at(path), name.as_slice(), value, set),
            Act::SetAttribute(path, name, None) => fs::removexattr(at(path), name.as_slice()),
        }
    }
}

impl Side for Kernel {
    fn top(&self) -> &Path {
        &self.top
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(LinuxFiles)
    }

    fn all(&self) -> Arc<dyn Files> {
        Arc::new(LinuxFiles)
    }

    fn watches(&self) -> &dyn Watches {
        &self.watches
    }

    fn as_agent(&self, run: &mut dyn FnMut()) {
        become_user(self.agent);
        run();
        become_user(0);
    }

    fn act(&mut self, user: u32, act: &Act) -> Result<()> {
        // Whoever opened a file is who writes to it.
        let user = match act {
            Act::Write(writer, ..) | Act::Shorten(writer, _) => self.writers[*writer].as_ref().map_or(user, |(_, opener)| *opener),
            _ => user,
        };
        become_user(user);
        let done = self.done(user, act);
        become_user(0);
        done
    }

    fn tick(&self) {}
}

/// The model.
pub(super) struct Model {
    disk: Disk,
    top: PathBuf,
    files: Arc<dyn Files>,
    all: Arc<dyn Files>,
    watches: Box<dyn Watches>,
    umask: u32,
    writers: [Option<OpenedByPerson>; WRITERS],
}

impl Model {
    pub(super) fn new(agent: u32) -> Self {
        let umask = std::fs::read_to_string("/proc/self/status").unwrap();
        let umask = umask.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
        let umask = u32::from_str_radix(umask.trim(), 8).unwrap();
        let disk = Disk::new(VolumeOptions::default());
        let top = Path::new("/outer").join(INNER);
        let person = disk.person(Caller::root());
        person.make_folders(&top).unwrap();
        person.set_mode(&top, 0o777).unwrap();
        let process = disk.process(Caller { umask, ..Caller::user(agent) });
        let watches = Box::new(process.watches());
        let all = Arc::new(disk.process(Caller::root()));
        Self { all, top, files: Arc::new(process), watches, umask, writers: Default::default(), disk }
    }

    fn person(&self, user: u32) -> Person {
        self.disk.person(Caller { umask: self.umask, ..Caller::user(user) })
    }
}

impl Side for Model {
    fn top(&self) -> &Path {
        &self.top
    }

    fn files(&self) -> Arc<dyn Files> {
        self.files.clone()
    }

    fn all(&self) -> Arc<dyn Files> {
        self.all.clone()
    }

    fn watches(&self) -> &dyn Watches {
        &*self.watches
    }

    fn as_agent(&self, run: &mut dyn FnMut()) {
        run();
    }

    fn act(&mut self, user: u32, act: &Act) -> Result<()> {
        let person = self.person(user);
        let at = |path: &[u8]| self.top.join(crate::disk::os(path));
        match act {
            Act::Open(writer, path, create, truncate) => {
                let opened = person.open(&at(path), *create, *truncate)?;
                self.writers[*writer] = Some(opened);
                Ok(())
            }
            Act::Write(writer, offset, length) => {
                self.writers[*writer].as_ref().map_or(Err(Errno::BADF), |file| file.write(&vec![b'w'; *length], *offset))
            }
            Act::Shorten(writer, length) => self.writers[*writer].as_ref().map_or(Err(Errno::BADF), |file| file.set_length(*length)),
            Act::Close(writer) => {
                self.writers[*writer] = None;
                Ok(())
            }
            Act::MakeFolder(path) => person.make_folder(&at(path)),
            Act::MakeLink(target, path) => person.make_link(Path::new(crate::disk::os(target)), &at(path)),
            Act::MakeSpecial(path, kind) => person.make_special(&at(path), *kind),
            Act::Rename(old, new) => person.rename(&at(old), &at(new)),
            Act::Exchange(a, b) => person.exchange(&at(a), &at(b)),
            Act::Link(old, new) => person.link(&at(old), &at(new)),
            Act::Remove(path) => person.remove(&at(path)),
            Act::RemoveFolder(path) => person.remove_folder(&at(path)),
            Act::SetMode(path, mode) => person.set_mode(&at(path), *mode),
            Act::SetOwner(path, owner, group) => person.set_owner(&at(path), *owner, *group),
            Act::SetModified(path, time) => person.set_modified(&at(path), *time),
            Act::SetAttribute(path, name, value) => person.set_attribute(&at(path), name, value.as_deref()),
        }
    }

    fn tick(&self) {
        self.disk.set_now(self.disk.now() + 1_000_000);
    }
}

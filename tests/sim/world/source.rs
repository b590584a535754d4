//! What people do at a source: with the file system, and with the agent's local service.

use std::path::{Path, PathBuf};

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use skybridge::sys::FileKind;

use super::agent::LIBRARY;
use super::ledger::{Ledger, Side, root};
use super::machine::Machine;
use super::{Trace, names, properties};
use crate::disk::{Caller, Person};

/// The folder at the top of the library that something is in; none for what is at the top itself.
fn top(path: &Path) -> Option<&Path> {
    let inner = path.strip_prefix(LIBRARY).ok()?;
    (inner.components().count() > 1).then(|| inner.iter().next().map(Path::new)).flatten()
}

/// Somebody at the machine of an agent.
#[derive(Debug)]
pub(super) struct AtSource<'a> {
    agent: usize,
    person: Person,
    machine: &'a Machine,
    trace: &'a Trace,
    ledger: &'a mut Ledger,
}

impl<'a> AtSource<'a> {
    pub(super) fn new(agent: usize, machine: &'a Machine, trace: &'a Trace, ledger: &'a mut Ledger) -> Self {
        machine.disk.set_now(machine.clock.stamp());
        Self { agent, person: machine.disk.person(machine.people.clone()), machine, trace, ledger }
    }

    fn side(&self) -> Side {
        Side::Source(self.agent)
    }

    /// All folders and documents, without what the agent keeps for itself.
    fn items(&self, kind: FileKind) -> Vec<PathBuf> {
        let mut found = Vec::new();
        self.collect(Path::new(LIBRARY), kind, &mut found);
        found
    }

    fn collect(&self, folder: &Path, kind: FileKind, found: &mut Vec<PathBuf>) {
        for name in self.person.list(folder).unwrap_or_default() {
            let path = folder.join(String::from_utf8_lossy(&name).as_ref());
            if name == b".skybridge" {
                continue;
            }
            let Ok(stat) = self.person.stat(&path) else { continue };
            if stat.kind == kind {
                found.push(path.clone());
            }
            if stat.kind == FileKind::Folder {
                self.collect(&path, kind, found);
            }
        }
    }

    fn some_folder(&self, chance: &mut StdRng) -> PathBuf {
        let folders = self.items(FileKind::Folder);
        let within = chance.random_ratio(9, 10);
        folders.choose(chance).filter(|_| within).cloned().unwrap_or_else(|| PathBuf::from(LIBRARY))
    }

    fn some_document(&self, chance: &mut StdRng) -> Option<PathBuf> {
        self.items(FileKind::Regular).choose(chance).cloned()
    }

    /// The contents of all documents at and beneath a path.
    fn contents(&self, path: &Path) -> Vec<super::ledger::Root> {
        match self.person.stat(path).map(|stat| stat.kind) {
            Ok(FileKind::Regular) => self.person.read(path).map(|bytes| vec![root(&bytes)]).unwrap_or_default(),
            Ok(FileKind::Folder) => {
                let names = self.person.list(path).unwrap_or_default();
                names.iter().flat_map(|name| self.contents(&path.join(String::from_utf8_lossy(name).as_ref()))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Does something.
    pub(super) fn act(&mut self, chance: &mut StdRng) {
        match chance.random_range(0..100) {
            0..22 => self.write_new(chance),
            22..44 => self.edit(chance),
            44..54 => self.make_folder(chance),
            54..76 => self.rename(chance),
            76..84 => self.remove_document(chance),
            84..88 => self.remove_folder(chance),
            88..92 => self.copy(chance),
            92..95 => self.swap(chance),
            _ => self.describe(chance),
        }
    }

    /// Makes what there is in the beginning.
    pub(super) fn furnish(&mut self, chance: &mut StdRng) {
        let (root, people) = (self.machine.disk.person(Caller::root()), &self.machine.people);
        root.make_folders(Path::new(LIBRARY)).expect("a library");
        root.set_owner(Path::new(LIBRARY), people.user, people.group).expect("a library of theirs");
        for folder in ["Plans", "Plans/Old", "Ideas"] {
            self.person.make_folders(&Path::new(LIBRARY).join(folder)).expect("a folder");
        }
        for document in ["Plans/a.txt", "Plans/b.txt", "Plans/Old/a.txt", "Ideas/note", "Ideas/c.doc", "single.txt", "second.txt"] {
            self.write(&Path::new(LIBRARY).join(document), chance);
        }
    }

    fn write(&mut self, path: &Path, chance: &mut StdRng) {
        let length = names::length(chance);
        self.write_so(path, length, chance.random_range(0..3));
    }

    /// Writes a document: beside it and renamed, at once, or piece by piece and flushed.
    pub(super) fn write_so(&mut self, path: &Path, length: usize, way: u8) {
        let bytes = self.ledger.compose(self.side(), length);
        let (before, is_new) = (self.contents(path), self.person.stat(path).is_err());
        if way == 0 {
            // A crash in the middle of an earlier save left it, and somebody may have taken it for a document since.
            self.contents(&Person::beside(path)).iter().for_each(|gone| self.ledger.gone_at_source(self.agent, gone, false));
        }
        let done = match way {
            0 => self.person.save(path, &bytes),
            1 => self.person.write(path, &bytes),
            _ => self.person.open(path, true, true).and_then(|file| {
                file.write(&bytes, 0)?;
                file.flush()
            }),
        };
        self.tell(format!("writes {} bytes to {} ({way}): {done:?}", bytes.len(), path.display()));
        if done.is_ok() {
            before.iter().for_each(|gone| self.ledger.gone_at_source(self.agent, gone, false));
            let written = root(&bytes);
            self.ledger.wrote_at_source(self.agent, written);
            self.ledger.change(&written, |content| content.made_at = is_new.then(|| path.to_owned()));
        }
        self.trace.count("source: write");
    }

    fn write_new(&mut self, chance: &mut StdRng) {
        let path = self.some_folder(chance).join(names::document(chance));
        if !self.person.stat(&path).is_ok_and(|stat| stat.kind == FileKind::Folder) {
            self.write(&path, chance);
        }
    }

    fn edit(&mut self, chance: &mut StdRng) {
        if let Some(path) = self.some_document(chance) {
            self.touch(&path);
            self.write(&path, chance);
        }
    }

    fn make_folder(&mut self, chance: &mut StdRng) {
        let path = self.some_folder(chance).join(names::folder(chance));
        if path.components().count() > 9 {
            return;
        }
        self.make_folder_at(&path);
    }

    fn some_item(&self, chance: &mut StdRng) -> Option<PathBuf> {
        if chance.random_ratio(1, 3) { self.items(FileKind::Folder).choose(chance).cloned() } else { self.some_document(chance) }
    }

    fn rename(&mut self, chance: &mut StdRng) {
        let Some(from) = self.some_item(chance) else { return };
        let is_folder = self.person.stat(&from).is_ok_and(|stat| stat.kind == FileKind::Folder);
        let name = if is_folder { names::folder(chance) } else { names::document(chance) };
        let to = match chance.random_range(0..3) {
            0 => from.with_file_name(name),
            1 => self.some_folder(chance).join(from.file_name().unwrap_or_default()),
            _ => self.some_folder(chance).join(name),
        };
        self.rename_to(&from, &to);
    }

    /// Renames something over whatever is there.
    pub(super) fn rename_to(&mut self, from: &Path, to: &Path) {
        let lost = if from == to { Vec::new() } else { self.contents(to) };
        self.touch(from);
        self.carry(from, to);
        let done = self.person.rename(from, to);
        self.tell(format!("renames {} to {}: {done:?}", from.display(), to.display()));
        if done.is_ok() {
            lost.iter().for_each(|gone| self.ledger.gone_at_source(self.agent, gone, false));
        }
        self.trace.count("source: rename");
    }

    /// Takes note of what leaves the folder at the top that it is in, in which a sync set may end.
    fn carry(&mut self, from: &Path, to: &Path) {
        let (carried, moved) = (top(from).is_none() || top(from) != top(to), from.parent() != to.parent());
        for root in self.contents(from) {
            self.ledger.change(&root, |content| (content.carried, content.moved) = (content.carried | carried, content.moved | moved));
        }
    }

    /// Sets the permissions that something has.
    pub(super) fn touch_mode(&mut self, path: &Path) {
        let done = self.person.stat(path).and_then(|stat| self.person.set_mode(path, stat.mode & 0o7777));
        self.tell(format!("sets the permissions of {}: {done:?}", path.display()));
    }

    /// Documents with what they hold.
    pub(super) fn documents(&self) -> Vec<(PathBuf, super::ledger::Root)> {
        let held = |path: PathBuf| self.contents(&path).first().map(|root| (path, *root));
        self.items(FileKind::Regular).into_iter().filter_map(held).collect()
    }

    /// Makes a folder.
    pub(super) fn make_folder_at(&mut self, path: &Path) {
        let done = self.person.make_folder(path);
        self.tell(format!("makes {}: {done:?}", path.display()));
        self.trace.count("source: make folder");
    }

    /// All folders.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.items(FileKind::Folder)
    }

    pub(super) fn remove(&mut self, path: &Path) {
        let gone = self.contents(path);
        if let [root] = gone.as_slice() {
            self.ledger.change(root, |content| content.removed_at = Some(path.to_owned()));
        }
        let done = self.person.remove_all(path);
        self.tell(format!("removes {}: {done:?}", path.display()));
        if done.is_ok() {
            gone.iter().for_each(|gone| self.ledger.gone_at_source(self.agent, gone, true));
        }
    }

    fn remove_document(&mut self, chance: &mut StdRng) {
        if let Some(path) = self.some_document(chance) {
            self.remove(&path);
            self.trace.count("source: remove document");
        }
    }

    fn remove_folder(&mut self, chance: &mut StdRng) {
        if let Some(path) = self.items(FileKind::Folder).choose(chance) {
            self.remove(path);
            self.trace.count("source: remove folder");
        }
    }

    fn copy(&mut self, chance: &mut StdRng) {
        let Some(from) = self.some_document(chance) else { return };
        let to = self.some_folder(chance).join(names::document(chance));
        if self.person.stat(&to).is_ok() {
            return;
        }
        let done = self.person.copy(&from, &to);
        self.tell(format!("copies {} to {}: {done:?}", from.display(), to.display()));
        for copied in self.contents(&to) {
            self.ledger.change(&copied, |content| (content.copies, content.restored) = (content.copies + 1, true));
        }
        self.trace.count("source: copy");
    }

    fn swap(&mut self, chance: &mut StdRng) {
        let (Some(a), Some(b)) = (self.some_item(chance), self.some_item(chance)) else { return };
        self.touch(&a);
        self.touch(&b);
        self.carry(&a, &b);
        self.carry(&b, &a);
        let done = self.person.exchange(&a, &b);
        self.tell(format!("swaps {} and {}: {done:?}", a.display(), b.display()));
        self.trace.count("source: swap");
    }

    fn describe(&mut self, chance: &mut StdRng) {
        let Some(path) = self.some_item(chance) else { return };
        self.touch(&path);
        let (name, value) = properties::some_attribute(chance);
        self.ledger.properties_gone |= value.is_none();
        let done = self.person.set_attribute(&path, name.as_bytes(), value.as_deref().map(str::as_bytes));
        self.tell(format!("sets {name} of {} to {value:?}: {done:?}", path.display()));
        self.trace.count("source: set property");
    }

    /// Somebody does something to what is at a path, or to a folder of it.
    fn touch(&mut self, path: &Path) {
        let side = self.side();
        for root in self.contents(path) {
            self.ledger.change(&root, |content| {
                content.touched.insert(side);
            });
        }
    }

    fn tell(&self, what: String) {
        self.trace.note(&[what.as_bytes()]);
        self.trace.tell(|| format!("{:?}: somebody {what}", self.machine.host));
    }
}

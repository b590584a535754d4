//! Runs the same operations on both sides. After each step they must have answered the same, and look the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use skybridge::sys::{Access, Errno, FileHandle, FileKind, FileStat, Files, Handle, Result, WatchEvent};

use super::op::{Op, SLOTS, USERS, Way, draw};
use super::side::{Kernel, Model, Side};

/// Operations of one sequence.
const STEPS: usize = 200;
/// So many differences are enough for one run.
const FAILURES_MAX: usize = 6;

/// What an operation answered, as far as both sides can answer the same.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Done,
    Stat(FileKind, u64, u32, u32, u32, u64),
    Names(BTreeSet<Vec<u8>>),
    Bytes(Vec<u8>),
    Is(bool),
    Path(Vec<u8>),
    Watch(i32),
}

/// What a side keeps while operations run.
struct Runner<S> {
    side: S,
    slots: [Option<Handle>; SLOTS],
    remembered: [Option<FileHandle>; SLOTS],
    /// When each item last changed, by its handle.
    times: BTreeMap<Vec<u8>, (i128, i128)>,
}

/// All that can be seen of an item, as far as it is the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    stat: Answer,
    bytes: Vec<u8>,
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether the bytes changed since the step before, and whether anything did. New items changed.
    changed: (bool, bool),
}

fn answer(stat: &FileStat) -> Answer {
    let size = if stat.kind == FileKind::Folder { 0 } else { stat.size_bytes };
    Answer::Stat(stat.kind, size, stat.mode, stat.owner, stat.group, stat.links)
}

impl<S: Side> Runner<S> {
    fn new(side: S) -> Self {
        Self { side, slots: Default::default(), remembered: Default::default(), times: BTreeMap::new() }
    }

    fn run(&mut self, op: &Op) -> Result<Answer> {
        if let Op::Person(user, act) = op {
            return self.side.act(*user, act).map(|()| Answer::Done);
        }
        let files = self.side.files();
        let mut answer = Err(Errno::IO);
        let (side, slots, remembered) = (&self.side, &mut self.slots, &mut self.remembered);
        side.as_agent(&mut || answer = call(side, &*files, slots, remembered, op));
        answer
    }

    /// Looks at everything, and remembers when it changed. Also returns who is who: by path, the handle.
    fn look(&mut self) -> (BTreeMap<Vec<u8>, Seen>, BTreeMap<Vec<u8>, Vec<u8>>) {
        let files = self.side.all();
        let top = files.open_root(self.side.top()).unwrap();
        let (mut seen, mut handles, mut times) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut waiting = vec![(top, Vec::new())];
        while let Some((folder, path)) = waiting.pop() {
            let item = see(&*files, &folder, &files.stat(&folder).unwrap());
            self.note((&path, &*files, &folder, None), item, &mut seen, &mut handles, &mut times);
            for name in list(&*files, &folder).unwrap() {
                let inner = [path.as_slice(), b"/", &name].concat();
                let stat = files.stat_at(&folder, &name).unwrap();
                let access = match stat.kind {
                    FileKind::Folder => Access::Folder,
                    FileKind::Regular => Access::Read,
                    _ => Access::Name,
                };
                let item = files.open(&folder, &name, access, false).unwrap();
                if stat.kind == FileKind::Folder {
                    waiting.push((item, inner));
                    continue;
                }
                let found = see(&*files, &item, &stat);
                self.note((&inner, &*files, &folder, Some(&name)), found, &mut seen, &mut handles, &mut times);
            }
        }
        self.times = times;
        (seen, handles)
    }

    fn note(
        &self,
        (path, files, folder, name): (&[u8], &dyn Files, &Handle, Option<&[u8]>),
        (mut item, stat): (Seen, FileStat),
        seen: &mut BTreeMap<Vec<u8>, Seen>,
        handles: &mut BTreeMap<Vec<u8>, Vec<u8>>,
        times: &mut BTreeMap<Vec<u8>, (i128, i128)>,
    ) {
        let handle = files.file_handle(folder, name).unwrap().bytes;
        let before = self.times.get(&handle);
        item.changed = before.map_or((true, true), |(modified, changed)| (*modified != stat.modified, *changed != stat.changed));
        times.insert(handle.clone(), (stat.modified, stat.changed));
        handles.insert(path.to_vec(), handle);
        seen.insert(path.to_vec(), item);
    }

    fn events(&self) -> BTreeSet<(i32, Option<Option<Vec<u8>>>)> {
        let mut events = BTreeSet::new();
        loop {
            let piece = self.side.watches().read().unwrap();
            if piece.is_empty() {
                return events;
            }
            // A file without a name has its number as one.
            let plain = |name: Vec<u8>| if name.starts_with(b"#") { b"#".to_vec() } else { name };
            events.extend(piece.into_iter().map(|event| match event {
                WatchEvent::Changed(watch, name) => (watch, Some(name.map(plain))),
                WatchEvent::Ended(watch) => (watch, None),
                WatchEvent::Overflow => (0, None),
            }));
        }
    }
}

fn see(files: &dyn Files, item: &Handle, stat: &FileStat) -> (Seen, FileStat) {
    let mut bytes = Vec::new();
    if stat.kind == FileKind::Regular {
        bytes.resize(stat.size_bytes as usize, 0);
        assert_eq!(files.read_at(item, &mut bytes, 0).unwrap(), bytes.len());
    }
    let mut attributes = BTreeMap::new();
    if matches!(stat.kind, FileKind::Regular | FileKind::Folder) {
        for name in files.list_attributes(item).unwrap() {
            let value = files.attribute(item, &name).unwrap();
            attributes.insert(name, value);
        }
    }
    (Seen { stat: answer(stat), bytes, attributes, changed: (true, true) }, *stat)
}

fn list(files: &dyn Files, folder: &Handle) -> Result<BTreeSet<Vec<u8>>> {
    let mut names = BTreeSet::new();
    loop {
        let piece = files.read_folder(folder)?;
        if piece.is_empty() {
            return Ok(names);
        }
        names.extend(piece.into_iter().map(|entry| entry.name));
    }
}

/// Makes a call of the agent.
fn call(
    side: &dyn Side,
    files: &dyn Files,
    slots: &mut [Option<Handle>; SLOTS],
    remembered: &mut [Option<FileHandle>; SLOTS],
    op: &Op,
) -> Result<Answer> {
    let at = |slot: &usize| slots[*slot].clone().ok_or(Errno::BADF);
    let (opened, into) = match op {
        Op::Root(into) => (files.open_root(side.top())?, into),
        Op::Open(dir, path, access, into) => (files.open(&at(dir)?, path, *access, false)?, into),
        Op::Create(dir, name, mode, into) => (files.create(&at(dir)?, name, *mode)?, into),
        Op::Unnamed(dir, mode, into) => (files.create_unnamed(&at(dir)?, *mode)?, into),
        Op::Again(mount, which, into) => (files.open_by_handle(&at(mount)?, remembered[*which].as_ref().ok_or(Errno::BADF)?)?, into),
        Op::Close(slot) => {
            slots[*slot] = None;
            return Ok(Answer::Done);
        }
        Op::Remember(dir, name, which) => {
            remembered[*which] = Some(files.file_handle(&at(dir)?, name.as_deref())?);
            return Ok(Answer::Done);
        }
        other => return ask(side, files, &at, other),
    };
    let stat = files.stat(&opened)?;
    slots[*into] = Some(opened);
    Ok(answer(&stat))
}

fn ask(side: &dyn Side, files: &dyn Files, at: &dyn Fn(&usize) -> Result<Handle>, op: &Op) -> Result<Answer> {
    let inner = |path: &Path| {
        let inner = path.strip_prefix(side.top()).unwrap_or(path);
        Answer::Path(std::os::unix::ffi::OsStrExt::as_bytes(inner.as_os_str()).to_vec())
    };
    let done = |()| Answer::Done;
    match op {
        // Of several names, or none, the kernel tells any.
        Op::KnownPath(slot) if files.stat(&at(slot)?)?.links == 1 || files.stat(&at(slot)?)?.kind == FileKind::Folder => {
            files.known_path(&at(slot)?).map(|path| inner(&path))
        }
        Op::Stat(slot) => files.stat(&at(slot)?).map(|stat| answer(&stat)),
        Op::StatAt(slot, path) => files.stat_at(&at(slot)?, path).map(|stat| answer(&stat)),
        Op::List(slot) => list(files, &files.open(&at(slot)?, b".", Access::Folder, false)?).map(Answer::Names),
        Op::Read(slot, offset) => {
            let mut bytes = vec![0; 5000];
            let length = files.read_at(&at(slot)?, &mut bytes, *offset)?;
            bytes.truncate(length);
            Ok(Answer::Bytes(bytes))
        }
        Op::Write(slot, offset, length) => files.write_at(&at(slot)?, &vec![b'n'; *length], *offset).map(done),
        Op::Flush(slot) => files.flush(&at(slot)?).map(done),
        Op::FlushAll(slot) => files.flush_file_system(&at(slot)?).map(done),
        Op::MakeFolder(dir, name, mode) => files.make_folder(&at(dir)?, name, *mode).map(done),
        Op::Rename(Way::Replace, a, old, b, new) => files.rename(&at(a)?, old, &at(b)?, new).map(done),
        Op::Rename(Way::NoReplace, a, old, b, new) => files.rename_no_replace(&at(a)?, old, &at(b)?, new).map(done),
        Op::Rename(Way::Exchange, a, old, b, new) => files.exchange(&at(a)?, old, &at(b)?, new).map(done),
        Op::Link(a, old, b, new) => files.link(&at(a)?, old, &at(b)?, new).map(done),
        Op::RemoveFile(dir, name) => files.remove_file(&at(dir)?, name).map(done),
        Op::RemoveFolder(dir, name) => files.remove_folder(&at(dir)?, name).map(done),
        Op::Attributes(slot) => files.list_attributes(&at(slot)?).map(|names| Answer::Names(names.into_iter().collect())),
        Op::Attribute(slot, name) => files.attribute(&at(slot)?, name).map(Answer::Bytes),
        Op::SetAttribute(slot, name, Some(value)) => files.set_attribute(&at(slot)?, name, value).map(done),
        Op::SetAttribute(slot, name, None) => files.remove_attribute(&at(slot)?, name).map(done),
        Op::SetOwner(slot, owner, group) => files.set_owner(&at(slot)?, *owner, *group).map(done),
        Op::SetMode(slot, mode) => files.set_mode(&at(slot)?, *mode).map(done),
        Op::IsWritten(slot) => files.is_being_written(&at(slot)?).map(Answer::Is),
        Op::Canonical(path) => files.canonical(&side.top().join(crate::disk::os(path))).map(|path| inner(&path)),
        Op::Watch(slot) => side.watches().add(&at(slot)?).map(Answer::Watch),
        Op::Unwatch(watch) => side.watches().remove(*watch).map(done),
        _ => Ok(Answer::Done),
    }
}

/// Runs operations on both sides; returns at which step they differ, and how.
fn differ(agent: u32, ops: &[Op], answers: &mut BTreeMap<i32, u64>) -> Option<(usize, String)> {
    let (mut kernel, mut model) = (Runner::new(Kernel::new(agent)), Runner::new(Model::new(agent)));
    let mut same: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (step, op) in ops.iter().enumerate() {
        model.side.tick();
        let (real, modelled) = (kernel.run(op), model.run(op));
        if real != modelled {
            return Some((step, format!("the kernel answers {real:?}, the model {modelled:?}")));
        }
        *answers.entry(real.map_or_else(Errno::raw_os_error, |_| 0)).or_default() += 1;
        let (real, modelled) = (kernel.events(), model.events());
        if real != modelled {
            return Some((step, format!("the kernel reports {real:?}, the model {modelled:?}")));
        }
        let ((real, real_handles), (modelled, model_handles)) = (kernel.look(), model.look());
        if real != modelled {
            let paths: BTreeSet<_> = real.keys().chain(modelled.keys()).filter(|path| real.get(*path) != modelled.get(*path)).collect();
            let shown: Vec<_> = paths.iter().map(|path| (path.escape_ascii().to_string(), real.get(*path), modelled.get(*path))).collect();
            return Some((step, format!("the kernel and the model show {shown:?}")));
        }
        // What is the same item on one side is the same on the other, and never becomes another one.
        for (path, handle) in &real_handles {
            if same.entry(handle.clone()).or_insert_with(|| model_handles[path].clone()) != &model_handles[path] {
                return Some((step, format!("{} is another item", path.escape_ascii())));
            }
        }
    }
    None
}

/// Leaves out operations as long as the sides still differ.
fn shrink(agent: u32, mut ops: Vec<Op>) -> Vec<Op> {
    let mut piece = ops.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + piece).min(ops.len()));
            match differ(agent, &fewer, &mut BTreeMap::new()) {
                Some((step, _)) => {
                    fewer.truncate(step + 1);
                    ops = fewer;
                }
                None => at += piece,
            }
        }
        piece /= 2;
    }
    ops
}

/// Runs sequences; returns how often each error was answered, and how the first that differ do.
fn check(seeds: std::ops::Range<u64>) -> (BTreeMap<i32, u64>, Vec<String>) {
    let (mut answers, mut failures) = (BTreeMap::new(), Vec::new());
    for seed in seeds {
        let mut chance = StdRng::seed_from_u64(seed);
        let agent = USERS[(seed % 3 / 2) as usize];
        let ops: Vec<Op> = std::iter::once(Op::Root(0)).chain((0..STEPS).map(|_| draw(&mut chance))).collect();
        if let Some((step, _)) = differ(agent, &ops, &mut answers) {
            let ops = shrink(agent, ops[..=step].to_vec());
            let how = differ(agent, &ops, &mut BTreeMap::new()).map(|(_, how)| how);
            let lines: Vec<String> = ops.iter().map(|op| format!("    {op:.120?}")).collect();
            failures.push(format!("seed {seed}, agent {agent}:\n{}\n{}", lines.join("\n"), how.unwrap_or_default()));
        }
        if failures.len() == FAILURES_MAX {
            break;
        }
    }
    (answers, failures)
}

/// `SKYBRIDGE_DISK_SEEDS=<first>..<end>` runs others than the usual ones.
#[test]
fn the_model_behaves_as_the_kernel() {
    let asked = std::env::var("SKYBRIDGE_DISK_SEEDS").ok();
    let asked = asked.as_deref().and_then(|range| range.split_once("..")).map(|(from, to)| from.parse().unwrap()..to.parse().unwrap());
    if !rustix::process::geteuid().is_root() {
        // Acting for several people, and opening by handle, is root's alone.
        return;
    }
    // Rights are the thread's: none of the other tests must get this one's.
    let checked = std::thread::scope(|scope| scope.spawn(|| check(asked.unwrap_or(0..60))).join());
    let (answers, failures) = checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("answers by error number: {answers:?}");
    let met = [
        Errno::NOENT,
        Errno::EXIST,
        Errno::NOTEMPTY,
        Errno::INVAL,
        Errno::NOTDIR,
        Errno::ISDIR,
        Errno::LOOP,
        Errno::XDEV,
        Errno::ACCESS,
        Errno::PERM,
        Errno::STALE,
        Errno::NAMETOOLONG,
        Errno::BUSY,
        Errno::NODATA,
        Errno::BADF,
        Errno::NOSPC,
        Errno::TOOBIG,
    ];
    for errno in met {
        assert!(answers.contains_key(&errno.raw_os_error()), "{errno} is never answered: {answers:?}");
    }
    assert!(answers[&0] > 2_000);
}

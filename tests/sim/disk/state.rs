//! All inodes, names, file systems and open files of a machine, and how they change.

use std::collections::{BTreeMap, BTreeSet};

use skybridge::sys::{Errno, FileStat, Result};

use super::caller::Caller;
use super::content::Content;
use super::node::{Body, Entry, Id, Meta, NameId, Named, Node};
use super::volume::{Undo, Volume, VolumeOptions};
use super::watch::Instance;

/// Where in the tree something was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) mount: u64,
    pub(super) node: Id,
    pub(super) name: NameId,
}

/// A file system in its place.
#[derive(Debug, Clone)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) volume: usize,
    /// The mount and the folder that it covers; none for the first one, and once it is unmounted.
    pub(super) covers: Option<(u64, Id)>,
    /// It can still be reached by paths.
    pub(super) attached: bool,
}

/// An open file.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) place: Place,
    pub(super) named_only: bool,
    pub(super) writes: bool,
    /// Where listing goes on: behind the entry with this hash and name.
    pub(super) listed: Option<(u64, Vec<u8>)>,
    /// The process that has it open; people's programs have none.
    pub(super) life: Option<u64>,
}

/// A machine's files.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) nodes: BTreeMap<Id, Node>,
    pub(super) names: BTreeMap<NameId, Named>,
    pub(super) volumes: Vec<Volume>,
    pub(super) mounts: Vec<Mount>,
    pub(super) opens: BTreeMap<u64, Open>,
    pub(super) watching: BTreeMap<u64, Instance>,
    pub(super) lives: BTreeSet<u64>,
    pub(super) now: i128,
    /// How many entries one call lists at most.
    pub(super) listing_batch: usize,
    pub(super) watches_max: usize,
    pub(super) queue_max: usize,
    pub(super) events_held: bool,
    serial: u64,
}

impl State {
    pub(super) fn new(options: VolumeOptions) -> Self {
        let mut state = Self {
            nodes: BTreeMap::new(),
            names: BTreeMap::new(),
            volumes: Vec::new(),
            mounts: Vec::new(),
            opens: BTreeMap::new(),
            watching: BTreeMap::new(),
            lives: BTreeSet::new(),
            // 2026, as good as any.
            now: 1_767_225_600_000_000_000,
            listing_batch: 100,
            watches_max: 100_000,
            queue_max: 16_384,
            events_held: false,
            serial: 0,
        };
        let volume = state.add_volume(options);
        state.add_mount(volume, None);
        state
    }

    /// Goes on with what was copied earlier: nothing is open or runs, and no number is drawn again.
    pub(super) fn go_on_from(&mut self, serial: u64, now: i128) {
        self.lives.clear();
        self.opens.clear();
        self.watching.clear();
        self.names.clear();
        (self.serial, self.now) = (serial, now);
        self.rebuild();
    }

    /// Draws a number that no later thing gets.
    pub(super) fn draw(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn add_volume(&mut self, options: VolumeOptions) -> usize {
        let (volume, top) = (self.volumes.len(), self.draw());
        let device = 0xfe00 + volume as u64;
        self.volumes.push(Volume::new(options, device, top));
        let now = self.time(volume);
        let meta = Meta { mode: 0o755, owner: 0, group: 0, modified: now, changed: now, attributes: BTreeMap::new() };
        let mut node = Node {
            volume,
            number: 2,
            generation: 0,
            born: now,
            meta,
            body: Body::Folder(BTreeMap::new()),
            names: BTreeSet::new(),
            links: 1,
            opens: 0,
            writers: 0,
            last: 0,
            flushed: 0,
            released: false,
        };
        let name = self.draw();
        node.names.insert(name);
        self.names.insert(name, Named { parent: None, bytes: Vec::new(), node: top, linked: true });
        self.nodes.insert(top, node);
        volume
    }

    pub(super) fn add_mount(&mut self, volume: usize, covers: Option<(u64, Id)>) -> u64 {
        let id = self.draw();
        self.mounts.push(Mount { id, volume, covers, attached: true });
        id
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[&id]
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        self.nodes.get_mut(&id).expect("a node that is known")
    }

    pub(super) fn volume_of(&self, id: Id) -> &Volume {
        &self.volumes[self.node(id).volume]
    }

    /// The time of a file system.
    pub(super) fn time(&self, volume: usize) -> i128 {
        self.now + self.volumes[volume].options.clock_ahead
    }

    pub(super) fn open(&self, open: u64) -> Result<&Open> {
        self.opens.get(&open).ok_or(Errno::BADF)
    }

    /// Begins an operation that changes a file system.
    pub(super) fn begin(&mut self, volume: usize) -> Result<u64> {
        let volume = &mut self.volumes[volume];
        if volume.options.read_only {
            return Err(Errno::ROFS);
        }
        volume.last += 1;
        Ok(volume.last)
    }

    /// Changes attributes as part of an operation.
    pub(super) fn change(&mut self, operation: u64, id: Id, change: impl FnOnce(&mut Meta)) {
        let node = self.nodes.get_mut(&id).expect("a node that is known");
        node.last = operation;
        let was = node.meta.clone();
        change(&mut node.meta);
        if node.meta != was {
            self.volumes[node.volume].journal.push_back((operation, Undo::Meta { node: id, was }));
        }
    }

    /// Stamps that something of a file changed.
    pub(super) fn stamp_changed(&mut self, operation: u64, id: Id) {
        let now = self.time(self.node(id).volume);
        self.change(operation, id, |meta| meta.changed = now);
    }

    /// Stamps that the bytes of a file, or the entries of a folder, changed.
    pub(super) fn stamp_modified(&mut self, operation: u64, id: Id) {
        let now = self.time(self.node(id).volume);
        self.change(operation, id, |meta| (meta.modified, meta.changed) = (now, now));
    }

    /// Sets or removes an entry as part of an operation. Names and links are the caller's to keep.
    pub(super) fn set_entry(&mut self, operation: u64, folder: Id, name: &[u8], entry: Option<Entry>) {
        let node = self.nodes.get_mut(&folder).expect("a node that is known");
        node.last = operation;
        let Body::Folder(entries) = &mut node.body else { return };
        let was = match entry {
            Some(entry) => entries.insert(name.to_vec(), entry),
            None => entries.remove(name),
        };
        self.volumes[node.volume].journal.push_back((operation, Undo::Entry { folder, name: name.to_vec(), was }));
    }

    /// Makes an inode that has no name yet.
    pub(super) fn make_node(&mut self, operation: u64, caller: &Caller, folder: Id, mode: u32, body: Body) -> Id {
        let volume = self.node(folder).volume;
        let (number, generation) = self.volumes[volume].draw_number();
        let now = self.time(volume);
        let meta = self.new_meta(caller, folder, mode, &body, now);
        let id = self.draw();
        let node = Node {
            volume,
            number,
            generation,
            born: now,
            meta,
            body,
            names: BTreeSet::new(),
            links: 0,
            opens: 0,
            writers: 0,
            last: operation,
            flushed: 0,
            released: false,
        };
        self.nodes.insert(id, node);
        id
    }

    /// Puts an inode under a name as part of an operation.
    pub(super) fn attach(&mut self, operation: u64, folder: Id, bytes: &[u8], node: Id) -> NameId {
        let name = self.draw();
        self.names.insert(name, Named { parent: Some(folder), bytes: bytes.to_vec(), node, linked: true });
        self.set_entry(operation, folder, bytes, Some(Entry { node, name }));
        let inode = self.node_mut(node);
        inode.names.insert(name);
        inode.links += 1;
        inode.last = operation;
        name
    }

    /// Takes a name from an inode, whose entry is gone or goes to another one.
    pub(super) fn unname(&mut self, operation: u64, entry: Entry) {
        let name = self.names.get_mut(&entry.name).expect("a name that is known");
        name.linked = false;
        let node = self.node_mut(entry.node);
        node.links -= 1;
        node.last = operation;
        self.drop_unused(entry.node);
    }

    /// Forgets an inode without names that nobody has open, but for what a power loss could bring back.
    pub(super) fn drop_unused(&mut self, id: Id) {
        let node = self.node(id);
        if node.opens > 0 {
            return;
        }
        let gone: Vec<NameId> = node.names.iter().copied().filter(|name| !self.names[name].linked).collect();
        for name in gone {
            self.names.remove(&name);
            self.node_mut(id).names.remove(&name);
        }
        let node = self.node_mut(id);
        if node.links == 0 && !node.released {
            node.released = true;
            let (volume, number) = (node.volume, node.number);
            self.volumes[volume].release(number);
            self.watched_gone(id);
            self.purge(volume);
        }
    }

    /// Forgets what no power loss can bring back any more.
    pub(super) fn purge(&mut self, volume: usize) {
        let committed = self.volumes[volume].committed;
        self.nodes.retain(|_, node| node.volume != volume || !node.released || node.last > committed);
    }

    pub(super) fn commit(&mut self, volume: usize, to: u64) {
        self.volumes[volume].commit(to);
        self.purge(volume);
    }

    /// How many bytes are free, if that is limited.
    pub(super) fn free_bytes(&self, volume: usize) -> Option<u64> {
        let capacity = self.volumes[volume].options.capacity_bytes?;
        let living = self.nodes.values().filter(|node| node.volume == volume && !node.released);
        let used: u64 = living.map(|node| node.size_bytes().next_multiple_of(4096).max(4096)).sum();
        Some(capacity.saturating_sub(used))
    }

    /// Fails when there is no room for another inode.
    pub(super) fn check_room(&self, volume: usize) -> Result<()> {
        if self.free_bytes(volume).is_some_and(|free| free < 4096) { Err(Errno::NOSPC) } else { Ok(()) }
    }

    pub(super) fn stat(&self, place: Place) -> FileStat {
        let node = self.node(place.node);
        let volume = &self.volumes[node.volume];
        FileStat {
            kind: node.kind(),
            inode: node.number,
            device: volume.device,
            mount: place.mount,
            size_bytes: node.size_bytes(),
            mode: node.meta.mode,
            owner: node.meta.owner,
            group: node.meta.group,
            links: self.links(node),
            modified: node.meta.modified,
            changed: node.meta.changed,
            born: volume.options.births.then_some(node.born),
        }
    }

    fn links(&self, node: &Node) -> u64 {
        match node.entries() {
            Some(_) if node.links == 0 => 0,
            Some(entries) => 2 + entries.values().filter(|entry| self.node(entry.node).is_folder()).count() as u64,
            None => node.links,
        }
    }

    /// An empty file.
    pub(super) fn empty() -> Body {
        Body::Regular(Content::default())
    }
}

//! The calls on open files: opening, closing, reading, writing, listing, flushing.

use skybridge::sys::{Errno, FileHandle, FileKind, Result};

use super::caller::{Caller, READ, SEARCH, WRITE};
use super::node::{Body, Named};
use super::state::{Open, Place, State};
use super::volume::FileFlush;

/// No file is longer on ext4 with blocks of 4 KiB.
const FILE_BYTES_MAX: u64 = 1 << 44;
/// The kind of handle that holds a number and a generation.
const HANDLE_KIND: i32 = 1;

impl State {
    /// Opens what is at a place.
    pub(super) fn open_place(&mut self, place: Place, life: Option<u64>, named_only: bool, writes: bool) -> u64 {
        let open = self.draw();
        self.opens.insert(open, Open { place, named_only, writes, listed: None, life });
        let node = self.node_mut(place.node);
        node.opens += 1;
        node.writers += u64::from(writes);
        open
    }

    /// Opens what is at a place for reading, and for writing if that is asked for.
    pub(super) fn open_file(&mut self, caller: &Caller, place: Place, life: Option<u64>, writes: bool) -> Result<u64> {
        let node = self.node(place.node);
        match node.kind() {
            FileKind::Regular => {}
            FileKind::Link => return Err(Errno::LOOP),
            FileKind::Folder if writes => return Err(Errno::ISDIR),
            _ => return Err(Errno::INVAL),
        }
        caller.check(node, if writes { READ | WRITE } else { READ })?;
        if writes && self.volume_of(place.node).options.read_only {
            return Err(Errno::ROFS);
        }
        Ok(self.open_place(place, life, false, writes))
    }

    /// Opens a folder.
    pub(super) fn open_folder(&mut self, caller: &Caller, place: Place, life: Option<u64>) -> Result<u64> {
        let node = self.node(place.node);
        if !node.is_folder() {
            return Err(if node.kind() == FileKind::Link { Errno::LOOP } else { Errno::NOTDIR });
        }
        caller.check(node, READ)?;
        Ok(self.open_place(place, life, false, false))
    }

    /// Makes a file without a name.
    pub(super) fn open_unnamed(&mut self, caller: &Caller, dir: Place, mode: u32, life: u64) -> Result<u64> {
        let folder = self.node(dir.node);
        let volume = folder.volume;
        if !folder.is_folder() {
            return Err(Errno::NOTDIR);
        }
        caller.check(folder, WRITE | SEARCH)?;
        if !self.volumes[volume].options.unnamed {
            return Err(Errno::OPNOTSUPP);
        }
        // In a folder that is removed ext4 makes no inodes.
        if folder.links == 0 {
            return Err(Errno::PERM);
        }
        self.check_room(volume)?;
        let operation = self.begin(volume)?;
        let node = self.make_node(operation, caller, dir.node, mode, Self::empty());
        let name = self.draw();
        let bytes = format!("#{}", self.node(node).number).into_bytes();
        self.names.insert(name, Named { parent: Some(dir.node), bytes, node, linked: false });
        self.node_mut(node).names.insert(name);
        Ok(self.open_place(Place { mount: dir.mount, node, name }, Some(life), false, true))
    }

    /// Closes a file. Closing what is not open, or no more, does nothing.
    pub(super) fn close(&mut self, open: u64) {
        let Some(Open { place, writes, .. }) = self.opens.remove(&open) else { return };
        if writes {
            self.report_bytes(place.name);
        }
        let node = self.node_mut(place.node);
        node.opens -= 1;
        node.writers -= u64::from(writes);
        self.drop_unused(place.node);
    }

    /// What is open for more than its name.
    fn opened(&self, open: u64) -> Result<&Open> {
        self.open(open).and_then(|open| if open.named_only { Err(Errno::BADF) } else { Ok(open) })
    }

    pub(super) fn opened_place(&self, open: u64) -> Result<Place> {
        self.opened(open).map(|open| open.place)
    }

    pub(super) fn place(&self, open: u64) -> Result<Place> {
        self.open(open).map(|open| open.place)
    }

    pub(super) fn read(&self, open: u64, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let node = self.node(self.opened_place(open)?.node);
        let content = node.content().ok_or(Errno::ISDIR)?.seen();
        let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    /// Writes as much as there is room for; fails when that is not all.
    pub(super) fn write(&mut self, caller: &Caller, open: u64, bytes: &[u8], offset: u64) -> Result<()> {
        let opened = self.opened(open)?;
        let (place, writes) = (opened.place, opened.writes);
        if !writes {
            return Err(Errno::BADF);
        }
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= FILE_BYTES_MAX).ok_or(Errno::FBIG)?;
        let node = self.node(place.node);
        let size = node.size_bytes();
        let room = self.free_bytes(node.volume).map(|free| size.next_multiple_of(4096).max(4096) + free);
        let fitting = room.map_or(end, |room| end.min(room)).saturating_sub(offset) as usize;
        if fitting == 0 {
            return Err(Errno::NOSPC);
        }
        let operation = self.begin(self.node(place.node).volume)?;
        self.stamp_modified(operation, place.node);
        let mode = self.node(place.node).meta.mode;
        let left = caller.without_set_ids(&self.node(place.node).meta);
        if !caller.is_root() && left != mode {
            self.change(operation, place.node, |meta| meta.mode = left);
            self.report_attributes(place.node, place.name);
        }
        if let Body::Regular(content) = &mut self.node_mut(place.node).body {
            content.write(&bytes[..fitting], offset as usize);
        }
        self.report_bytes(place.name);
        if fitting == bytes.len() { Ok(()) } else { Err(Errno::NOSPC) }
    }

    pub(super) fn set_length(&mut self, caller: &Caller, open: u64, length: u64) -> Result<()> {
        let opened = self.opened(open)?;
        let (place, writes) = (opened.place, opened.writes);
        if !writes {
            return Err(Errno::INVAL);
        }
        let node = self.node(place.node);
        let grows = length.saturating_sub(node.size_bytes());
        if self.free_bytes(node.volume).is_some_and(|free| free < grows) {
            return Err(Errno::NOSPC);
        }
        let operation = self.begin(node.volume)?;
        self.stamp_modified(operation, place.node);
        if !caller.is_root() {
            self.change(operation, place.node, |meta| meta.mode = caller.without_set_ids(meta));
        }
        if let Body::Regular(content) = &mut self.node_mut(place.node).body {
            content.set_length(length as usize);
        }
        // By the name that it had, though not when something is written to it then: so Linux has it.
        self.report_attributes(place.node, place.name);
        Ok(())
    }

    /// Makes a file, or the entries of a folder, durable.
    pub(super) fn flush(&mut self, open: u64) -> Result<()> {
        let place = self.opened_place(open)?;
        let node = self.node_mut(place.node);
        let (volume, last) = (node.volume, node.last);
        node.flushed = node.last;
        let whole = match &mut node.body {
            Body::Regular(content) => {
                content.flush();
                self.volumes[volume].options.file_flush == FileFlush::Journal
            }
            _ => true,
        };
        if whole {
            self.commit(volume, last);
        }
        Ok(())
    }

    /// As Linux when flushing fails: what was to be written is forgotten, though programs still see it.
    pub(super) fn flush_failed(&mut self, open: u64) {
        if let Ok(place) = self.opened_place(open)
            && let Body::Regular(content) = &mut self.node_mut(place.node).body
        {
            content.lose();
        }
    }

    /// Forgets what is kept in memory of a file, as far as it is clean.
    pub(super) fn forget_cached(&mut self, open: u64) -> Result<()> {
        let place = self.opened_place(open)?;
        if let Body::Regular(content) = &mut self.node_mut(place.node).body {
            content.forget();
        }
        Ok(())
    }

    /// Makes everything on a file system durable.
    pub(super) fn flush_volume(&mut self, volume: usize) {
        for node in self.nodes.values_mut().filter(|node| node.volume == volume) {
            if let Body::Regular(content) = &mut node.body {
                content.flush();
            }
        }
        let last = self.volumes[volume].last;
        self.commit(volume, last);
    }

    /// Returns the next names of a folder, in the order of their hashes.
    pub(super) fn list(&mut self, open: u64) -> Result<Vec<Vec<u8>>> {
        let opened = self.opened(open)?;
        let node = self.node(opened.place.node);
        let entries = node.entries().ok_or(Errno::NOTDIR)?;
        if node.links == 0 {
            return Err(Errno::NOENT);
        }
        let mut names: Vec<(u64, Vec<u8>)> = entries.keys().map(|name| (hash(name), name.clone())).collect();
        names.retain(|key| opened.listed.as_ref().is_none_or(|listed| key > listed));
        names.sort();
        names.truncate(self.listing_batch);
        let opened = self.opens.get_mut(&open).ok_or(Errno::BADF)?;
        if let Some(last) = names.last() {
            opened.listed = Some(last.clone());
        }
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    /// Returns the handle of an inode.
    pub(super) fn handle(&self, place: Place) -> Result<FileHandle> {
        let node = self.node(place.node);
        if !self.volumes[node.volume].options.handles {
            return Err(Errno::OPNOTSUPP);
        }
        let bytes = [(node.number as u32).to_le_bytes(), node.generation.to_le_bytes()].concat();
        Ok(FileHandle { kind: HANDLE_KIND, bytes })
    }

    /// Opens an inode by its handle, only to name it.
    pub(super) fn open_handle(&mut self, caller: &Caller, mount: Place, handle: &FileHandle, life: u64) -> Result<u64> {
        let volume = self.node(mount.node).volume;
        if !caller.is_root() {
            return Err(Errno::PERM);
        }
        if !self.volumes[volume].options.handles {
            return Err(Errno::OPNOTSUPP);
        }
        let found = self.nodes.iter().find(|(_, node)| {
            let bytes = [(node.number as u32).to_le_bytes(), node.generation.to_le_bytes()].concat();
            node.volume == volume && !node.released && bytes == handle.bytes
        });
        let (id, _) = found.filter(|_| handle.kind == HANDLE_KIND).ok_or(Errno::STALE)?;
        let node = *id;
        let place = Place { mount: mount.mount, node, name: self.name_of(node) };
        Ok(self.open_place(place, Some(life), true, false))
    }

    /// Whether anybody has a file open for writing.
    pub(super) fn is_written(&self, caller: &Caller, open: u64) -> Result<bool> {
        let node = self.node(self.opened_place(open)?.node);
        if !caller.owns(&node.meta) {
            return Err(Errno::ACCESS);
        }
        if node.kind() != FileKind::Regular || !self.volumes[node.volume].options.leases {
            return Err(Errno::INVAL);
        }
        Ok(node.writers > 0)
    }
}

/// An order of names that has nothing to do with the alphabet.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

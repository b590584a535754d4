//! File systems: what they can do, which inode numbers are free, and the journal from which a power loss takes the end away.

use std::collections::{BTreeSet, VecDeque};

use super::node::{Entry, Id, Meta};

/// What a file system promises when a file is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFlush {
    /// The bytes and attributes of the file, not the names by which it is found: what POSIX says.
    FileOnly,
    /// Everything in the journal up to the last operation on the file too, so also its name: what ext4 does.
    Journal,
}

/// What a file system is and can do.
#[derive(Debug, Clone)]
pub(crate) struct VolumeOptions {
    /// How many bytes it holds. Each inode takes a block at least.
    pub(crate) capacity_bytes: Option<u64>,
    /// The number by which Linux knows its kind.
    pub(crate) file_system: u64,
    /// It can swap two entries in one step.
    pub(crate) exchange: bool,
    /// It can rename without replacing.
    pub(crate) no_replace: bool,
    /// It has file handles.
    pub(crate) handles: bool,
    /// It can make files without a name.
    pub(crate) unnamed: bool,
    /// It has extended attributes, and access control lists among them.
    pub(crate) attributes: bool,
    /// It can give a file a second name.
    pub(crate) links: bool,
    /// It tells who is writing to a file.
    pub(crate) leases: bool,
    /// Watches see what people do, who are on this machine then.
    pub(crate) events: bool,
    /// It tells when a file was made.
    pub(crate) births: bool,
    /// It is mounted read-only.
    pub(crate) read_only: bool,
    /// By how much its clock is ahead of this machine's, in nanoseconds.
    pub(crate) clock_ahead: i128,
    /// What flushing a file makes durable.
    pub(crate) file_flush: FileFlush,
}

impl Default for VolumeOptions {
    fn default() -> Self {
        Self {
            capacity_bytes: None,
            file_system: 0xef53,
            exchange: true,
            no_replace: true,
            handles: true,
            unnamed: true,
            attributes: true,
            links: true,
            leases: true,
            events: true,
            births: true,
            read_only: false,
            clock_ahead: 0,
            file_flush: FileFlush::FileOnly,
        }
    }
}

impl VolumeOptions {
    /// One on another machine, as NFS shows it.
    #[must_use]
    pub(crate) fn remote() -> Self {
        Self {
            file_system: 0x6969,
            exchange: false,
            no_replace: false,
            handles: false,
            unnamed: false,
            attributes: false,
            leases: false,
            events: false,
            births: false,
            ..Self::default()
        }
    }
}

/// What brings back the state before an operation.
#[derive(Debug, Clone)]
pub(super) enum Undo {
    Entry { folder: Id, name: Vec<u8>, was: Option<Entry> },
    Meta { node: Id, was: Meta },
}

/// A file system.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    pub(super) options: VolumeOptions,
    pub(super) device: u64,
    pub(super) top: Id,
    /// The number of the last operation.
    pub(super) last: u64,
    /// Operations up to this one are durable.
    pub(super) committed: u64,
    /// How to undo those that are not, the oldest first.
    pub(super) journal: VecDeque<(u64, Undo)>,
    free: BTreeSet<u64>,
    next_number: u64,
    generations: u32,
}

impl Volume {
    pub(super) fn new(options: VolumeOptions, device: u64, top: Id) -> Self {
        Self {
            options,
            device,
            top,
            last: 0,
            committed: 0,
            journal: VecDeque::new(),
            free: BTreeSet::new(),
            // As ext4, whose first file has this number.
            next_number: 12,
            generations: 0,
        }
    }

    /// Draws a number for a new inode, an old one if any is free, and its generation.
    pub(super) fn draw_number(&mut self) -> (u64, u32) {
        self.generations = self.generations.wrapping_add(0x9e37_79b9);
        let number = self.free.pop_first().unwrap_or_else(|| {
            self.next_number += 1;
            self.next_number - 1
        });
        (number, self.generations)
    }

    pub(super) fn release(&mut self, number: u64) {
        self.free.insert(number);
    }

    /// Takes the numbers that are in use after a power loss.
    pub(super) fn occupy(&mut self, used: &BTreeSet<u64>) {
        self.free = (12..self.next_number).filter(|number| !used.contains(number)).collect();
    }

    /// Makes operations up to this one durable.
    pub(super) fn commit(&mut self, to: u64) {
        self.committed = self.committed.max(to);
        while self.journal.front().is_some_and(|(operation, _)| *operation <= self.committed) {
            self.journal.pop_front();
        }
    }
}

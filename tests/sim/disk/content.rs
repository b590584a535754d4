//! The bytes of a file: what programs see, and what would be left if the power went.

use std::collections::BTreeSet;

use rand::Rng as _;
use rand::rngs::StdRng;

/// What a disk writes in one piece.
pub(super) const BLOCK_BYTES: usize = 4096;

/// What a power loss left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// It is what programs saw.
    pub(super) as_seen: bool,
    /// It is what was flushed last.
    pub(super) as_flushed: bool,
}

/// The bytes of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Blocks that were written and not flushed.
    dirty: BTreeSet<usize>,
    /// The length changed and was not flushed.
    resized: bool,
    /// The shortest that the file was since it was flushed.
    shortest: usize,
}

impl Content {
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.seen.len() {
            self.set_length(end);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / BLOCK_BYTES..=(end.saturating_sub(1)) / BLOCK_BYTES);
    }

    pub(super) fn set_length(&mut self, length: usize) {
        // What is cut off within a block, or beyond the end, is zeros: as much a change as any other.
        let (from, to) = (self.seen.len().min(length), self.seen.len().max(length));
        self.dirty.extend(from / BLOCK_BYTES..to.div_ceil(BLOCK_BYTES));
        self.seen.resize(length, 0);
        self.shortest = self.shortest.min(length);
        self.resized = true;
    }

    /// Makes durable what is dirty.
    pub(super) fn flush(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for block in std::mem::take(&mut self.dirty) {
            let (start, end) = bounds(block, self.seen.len());
            self.durable[start..end].copy_from_slice(&self.seen[start..end]);
        }
        self.settled();
    }

    /// As Linux after a failed flush: the pages count as clean, and what is in them never reaches the disk.
    pub(super) fn lose(&mut self) {
        self.dirty.clear();
        self.settled();
    }

    /// As Linux when it is told that nobody needs what it keeps in memory: what is clean is read from the disk again.
    pub(super) fn forget(&mut self) {
        for block in (0..self.seen.len().div_ceil(BLOCK_BYTES)).filter(|block| !self.dirty.contains(block)) {
            let (start, end) = bounds(block, self.seen.len());
            let kept = end.min(self.durable.len()).max(start);
            self.seen[start..kept].copy_from_slice(&self.durable[start.min(kept)..kept]);
            self.seen[kept..end].fill(0);
        }
    }

    fn settled(&mut self) {
        self.resized = false;
        self.shortest = self.seen.len();
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.resized || !self.dirty.is_empty()
    }

    /// Takes the power away.
    pub(super) fn lose_power(&mut self, chance: &mut StdRng) -> Left {
        let before = std::mem::take(&mut self.seen);
        let length = if self.resized { self.length_left(before.len(), chance) } else { self.durable.len() };
        let mut left = self.durable.clone();
        left.resize(length, 0);
        // All blocks of a file are often written back together, or none.
        let all = chance.random_ratio(1, 3).then(|| chance.random::<bool>());
        for block in std::mem::take(&mut self.dirty) {
            if all.unwrap_or_else(|| chance.random()) {
                let (start, end) = bounds(block, length.min(before.len()));
                left[start..end].copy_from_slice(&before[start..end]);
            }
        }
        let found = Left { as_seen: left == before, as_flushed: left == self.durable };
        self.durable.clone_from(&left);
        self.seen = left;
        self.settled();
        found
    }

    fn length_left(&self, seen: usize, chance: &mut StdRng) -> usize {
        match chance.random_range(0..4) {
            0 => self.durable.len(),
            1 => seen,
            2 => self.shortest,
            _ => (chance.random_range(self.shortest / BLOCK_BYTES..=seen / BLOCK_BYTES) * BLOCK_BYTES).max(self.shortest),
        }
    }
}

/// Where a block of a file of this length begins and ends.
fn bounds(block: usize, length: usize) -> (usize, usize) {
    ((block * BLOCK_BYTES).min(length), ((block + 1) * BLOCK_BYTES).min(length))
}

//! Packs as an append log: one pack is open, and is left for a new one when it is full, when a flush of it failed, and when the
//! program starts.
//!
//! Because a new run never appends to an old pack, a torn tail needs no repair: nothing refers to it (the index learns of bytes after
//! their flush), nothing is written behind it, and nothing is ever cut off. It goes when its pack is compacted.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{Location, PackDirectory, PackError, PackFile, PackStore};
use crate::task;

/// An open pack that has this many bytes is left for a new one: few files, and none too large to be rewritten in one go.
pub const PACK_BYTES_MAX: u64 = 256 << 20;
/// Packs that are kept open for reading; with more, all are closed and opened again as needed.
const OPEN_PACKS_MAX: usize = 64;

/// A log of packs in a directory. Cheap to clone; clones are the same log.
#[derive(Debug, Clone)]
pub struct PackLog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: Box<dyn PackDirectory>,
    /// Works in the callers' threads, so that a simulation stays deterministic.
    inline: bool,
    pack_bytes_max: u64,
    floor: AtomicU32,
    writer: Mutex<Writer>,
    readers: Mutex<HashMap<u32, Arc<dyn PackFile>>>,
}

#[derive(Debug)]
struct Writer {
    /// The number of the next pack.
    next: u32,
    open: Option<Arc<Segment>>,
}

/// A pack that is, or was, open for appending.
#[derive(Debug)]
struct Segment {
    pack: u32,
    file: Arc<dyn PackFile>,
    /// Bytes that are wholly written. Changed under the writer's lock only. A failed write does not move it, so that the next one
    /// overwrites what it left.
    written: AtomicU64,
    flushed: Mutex<Flushed>,
}

#[derive(Debug, Default)]
struct Flushed {
    up_to: u64,
    /// A flush failed. The system may have dropped what it could not write, so a later flush that succeeds would prove nothing.
    failed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Segment {
    fn has_failed(&self) -> bool {
        lock(&self.flushed).failed
    }

    /// Makes the bytes before `end` durable. Whoever waits here while another flushes finds its own bytes flushed along.
    fn flush(&self, end: u64) -> io::Result<()> {
        let mut flushed = lock(&self.flushed);
        if flushed.up_to >= end {
            return Ok(());
        }
        if flushed.failed {
            return Err(io::Error::other("an earlier flush of this pack failed"));
        }
        let written = self.written.load(Ordering::Acquire);
        self.file.sync().inspect_err(|_| flushed.failed = true)?;
        flushed.up_to = written;
        Ok(())
    }
}

impl PackLog {
    /// Opens the log in a directory.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn open(directory: impl PackDirectory + 'static) -> io::Result<Self> {
        Self::with(directory, PACK_BYTES_MAX, false)
    }

    /// Opens the log so that it works in the callers' threads, for simulations, and leaves packs at `pack_bytes_max`.
    ///
    /// # Errors
    /// As [`PackLog::open`].
    pub fn open_inline(directory: impl PackDirectory + 'static, pack_bytes_max: u64) -> io::Result<Self> {
        Self::with(directory, pack_bytes_max, true)
    }

    fn with(directory: impl PackDirectory + 'static, pack_bytes_max: u64, inline: bool) -> io::Result<Self> {
        let next = directory.list()?.into_iter().map(|(pack, _)| pack).max().unwrap_or(0) + 1;
        let inner = Inner {
            directory: Box::new(directory),
            inline,
            pack_bytes_max,
            floor: AtomicU32::new(next),
            writer: Mutex::new(Writer { next, open: None }),
            readers: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs file operations where they do not hold up other tasks.
    async fn run<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Inner) -> Result<T, PackError> + Send + 'static,
    ) -> Result<T, PackError> {
        if self.inner.inline {
            return work(&self.inner);
        }
        let inner = Arc::clone(&self.inner);
        task::blocking(name, move || work(&inner)).await?
    }
}

impl Inner {
    fn append(&self, bytes: &[u8]) -> Result<(u32, u64), PackError> {
        let (segment, offset) = {
            let mut writer = lock(&self.writer);
            let segment = self.writable(&mut writer).map_err(|source| PackError::Io { pack: 0, source })?;
            let offset = segment.written.load(Ordering::Relaxed);
            segment.file.write_all_at(bytes, offset).map_err(|source| PackError::Io { pack: segment.pack, source })?;
            segment.written.store(offset + bytes.len() as u64, Ordering::Release);
            (segment, offset)
        };
        segment.flush(offset + bytes.len() as u64).map_err(|source| PackError::Io { pack: segment.pack, source })?;
        Ok((segment.pack, offset))
    }

    /// Returns the open pack, or a new one where there is none to go on with.
    fn writable(&self, writer: &mut Writer) -> io::Result<Arc<Segment>> {
        if let Some(segment) = &writer.open
            && segment.written.load(Ordering::Relaxed) < self.pack_bytes_max
            && !segment.has_failed()
        {
            return Ok(Arc::clone(segment));
        }
        let pack = writer.next;
        // Also when making it fails: a file may be there now.
        writer.next += 1;
        writer.open = None;
        let file = self.directory.create(pack)?;
        let segment = Arc::new(Segment { pack, file, written: AtomicU64::new(0), flushed: Mutex::default() });
        writer.open = Some(Arc::clone(&segment));
        self.floor.store(pack, Ordering::Release);
        Ok(segment)
    }

    fn reader(&self, pack: u32) -> io::Result<Arc<dyn PackFile>> {
        if let Some(file) = lock(&self.readers).get(&pack) {
            return Ok(Arc::clone(file));
        }
        let file = self.directory.open(pack)?;
        let mut readers = lock(&self.readers);
        if readers.len() >= OPEN_PACKS_MAX {
            readers.clear();
        }
        readers.insert(pack, Arc::clone(&file));
        Ok(file)
    }

    fn read(&self, at: Location) -> Result<Vec<u8>, PackError> {
        let mut bytes = vec![0; at.length as usize];
        let read = self.reader(at.pack).and_then(|file| file.read_exact_at(&mut bytes, at.offset));
        match read.map_err(|source| (source.kind(), source)) {
            Ok(()) => Ok(bytes),
            Err((ErrorKind::NotFound | ErrorKind::UnexpectedEof, _)) => Err(PackError::Gone { pack: at.pack }),
            Err((_, source)) => Err(PackError::Io { pack: at.pack, source }),
        }
    }

    fn remove(&self, pack: u32) -> Result<(), PackError> {
        lock(&self.readers).remove(&pack);
        match self.directory.remove(pack) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(PackError::Io { pack, source }),
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<(u32, u64)>, PackError> {
        let mut packs = self.directory.list().map_err(|source| PackError::Io { pack: 0, source })?;
        packs.sort_unstable();
        Ok(packs)
    }
}

impl PackStore for PackLog {
    fn append(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<(u32, u64), PackError>> {
        self.run("append to a pack", move |inner| inner.append(&bytes)).boxed()
    }

    fn read(&self, at: Location) -> BoxFuture<'_, Result<Vec<u8>, PackError>> {
        self.run("read from a pack", move |inner| inner.read(at)).boxed()
    }

    fn floor(&self) -> u32 {
        self.inner.floor.load(Ordering::Acquire)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<(u32, u64)>, PackError>> {
        self.run("list packs", Inner::list).boxed()
    }

    fn remove(&self, pack: u32) -> BoxFuture<'_, Result<(), PackError>> {
        self.run("remove a pack", move |inner| inner.remove(pack)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::{MemoryDirectory, PackFaults};
    use super::*;

    #[test]
    fn a_flush_covers_what_others_have_written_meanwhile() {
        let directory = MemoryDirectory::default();
        let file = directory.create(1).expect("a new pack");
        let segment = Segment { pack: 1, file, written: AtomicU64::new(200), flushed: Mutex::default() };
        segment.flush(100).expect("a flush");
        segment.flush(200).expect("nothing to do");
        assert_eq!(directory.syncs(), 1);
        segment.written.store(300, Ordering::Relaxed);
        segment.flush(300).expect("a flush");
        assert_eq!(directory.syncs(), 2);
    }

    #[test]
    fn after_a_flush_failed_its_pack_is_left_and_nothing_of_it_is_taken_for_durable() {
        let directory = MemoryDirectory::default();
        let log = PackLog::open_inline(directory.clone(), 1000).expect("an empty directory");
        assert_eq!(log.inner.append(b"abc").expect("an append"), (1, 0));
        let segment = lock(&log.inner.writer).open.clone().expect("an open pack");
        directory.fail(PackFaults { sync_fails: true, ..PackFaults::default() });
        assert!(log.inner.append(b"def").is_err());
        directory.fail(PackFaults::default());
        assert!(segment.flush(6).is_err(), "the system may have dropped what it could not write");
        segment.flush(3).expect("durable before");
        assert_eq!((log.inner.append(b"ghi").expect("an append"), log.floor()), ((2, 0), 2));
    }

    #[test]
    fn edge_f01_a_full_disk_leaves_the_pack_usable() {
        let directory = MemoryDirectory::default();
        let log = PackLog::open_inline(directory.clone(), 1000).expect("an empty directory");
        log.inner.append(b"abc").expect("an append");
        directory.fail(PackFaults { write_stops_after: Some(2), ..PackFaults::default() });
        assert!(log.inner.append(b"defgh").is_err());
        directory.fail(PackFaults::default());
        assert_eq!(log.inner.append(b"x").expect("an append"), (1, 3));
        let at = |offset, length| log.inner.read(Location { pack: 1, offset, length });
        assert_eq!(at(0, 4).expect("what was appended"), b"abcx");
        assert!(matches!(at(3, 9), Err(PackError::Gone { pack: 1 })));
        assert!(matches!(log.inner.read(Location { pack: 9, offset: 0, length: 1 }), Err(PackError::Gone { pack: 9 })));
    }

    #[test]
    fn a_full_pack_is_left_and_so_is_that_of_an_earlier_run() {
        let directory = MemoryDirectory::default();
        let log = PackLog::open_inline(directory.clone(), 4).expect("an empty directory");
        let packs: Vec<_> = (0..3).map(|_| log.inner.append(b"abc").expect("an append")).collect();
        assert_eq!(packs, [(1, 0), (1, 3), (2, 0)]);
        let next = PackLog::open_inline(directory, 4).expect("two packs");
        assert_eq!((next.floor(), next.inner.append(b"abc").expect("an append")), (3, (3, 0)));
        assert_eq!(next.inner.list().expect("three packs"), [(1, 6), (2, 3), (3, 3)]);
    }
}

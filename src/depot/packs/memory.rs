//! A directory of packs in memory, for tests and simulations. It forgets what was not flushed, and fails, when told to.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{PackDirectory, PackFile};

/// What goes wrong from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PackFaults {
    /// Every write stops after this many bytes and fails, as on a full disk.
    pub write_stops_after: Option<usize>,
    /// Every flush fails, and nothing becomes durable.
    pub sync_fails: bool,
    /// No pack can be removed.
    pub remove_fails: bool,
}

/// Cheap to clone; clones are the same directory.
#[derive(Debug, Clone, Default)]
pub struct MemoryDirectory {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    packs: BTreeMap<u32, Pack>,
    faults: PackFaults,
    syncs: usize,
}

#[derive(Debug, Default)]
struct Pack {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug)]
struct MemoryFile {
    pack: u32,
    directory: MemoryDirectory,
}

impl MemoryDirectory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what goes wrong from now on.
    pub fn fail(&self, faults: PackFaults) {
        self.state().faults = faults;
    }

    /// Forgets what was not flushed, as when the power goes. Of each pack's unflushed bytes `keep` stay: a torn tail.
    pub fn lose_power(&self, keep: usize) {
        for pack in self.state().packs.values_mut() {
            let kept = pack.bytes.len().min(pack.durable.len() + keep);
            let mut bytes = std::mem::take(&mut pack.durable);
            if bytes.len() < kept {
                bytes.extend_from_slice(&pack.bytes[bytes.len()..kept]);
            }
            pack.durable = bytes.clone();
            pack.bytes = bytes;
        }
    }

    /// Changes one byte, as a failing disk does.
    pub fn damage(&self, pack: u32, offset: u64) {
        if let Some(byte) = self.state().packs.get_mut(&pack).and_then(|pack| pack.bytes.get_mut(offset as usize)) {
            *byte ^= 0xff;
        }
    }

    /// Returns how many flushes there were.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.state().syncs
    }

    fn file(&self, pack: u32) -> Arc<dyn PackFile> {
        Arc::new(MemoryFile { pack, directory: self.clone() })
    }
}

impl PackDirectory for MemoryDirectory {
    fn create(&self, pack: u32) -> io::Result<Arc<dyn PackFile>> {
        if self.state().packs.contains_key(&pack) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.state().packs.insert(pack, Pack::default());
        Ok(self.file(pack))
    }

    fn open(&self, pack: u32) -> io::Result<Arc<dyn PackFile>> {
        if self.state().packs.contains_key(&pack) { Ok(self.file(pack)) } else { Err(ErrorKind::NotFound.into()) }
    }

    fn list(&self) -> io::Result<Vec<(u32, u64)>> {
        Ok(self.state().packs.iter().map(|(number, pack)| (*number, pack.bytes.len() as u64)).collect())
    }

    fn remove(&self, pack: u32) -> io::Result<()> {
        if self.state().faults.remove_fails {
            return Err(io::Error::other("the pack cannot be removed"));
        }
        self.state().packs.remove(&pack).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl PackFile for MemoryFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.directory.state();
        let stop = state.faults.write_stops_after.filter(|stop| *stop < bytes.len());
        let pack = state.packs.get_mut(&self.pack).ok_or(ErrorKind::NotFound)?;
        let written = &bytes[..stop.unwrap_or(bytes.len())];
        let (start, end) = (offset as usize, offset as usize + written.len());
        let length = pack.bytes.len().max(end);
        pack.bytes.resize(length, 0);
        pack.bytes[start..end].copy_from_slice(written);
        if stop.is_some() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.directory.state();
        let pack = state.packs.get(&self.pack).ok_or(ErrorKind::NotFound)?;
        let start = offset as usize;
        let bytes = pack.bytes.get(start..start + buffer.len()).ok_or(ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.directory.state();
        if state.faults.sync_fails {
            return Err(io::Error::other("the flush failed"));
        }
        state.syncs += 1;
        let pack = state.packs.get_mut(&self.pack).ok_or(ErrorKind::NotFound)?;
        pack.durable.clone_from(&pack.bytes);
        Ok(())
    }
}

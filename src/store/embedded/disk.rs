//! A disk for tests: what is not flushed is lost when it crashes, and it fails when it is told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    seen: Vec<u8>,
    flushed: Vec<u8>,
    flushes: u32,
    failing: Option<Failing>,
    /// Handles of an earlier life can do nothing any more.
    life: u32,
}

/// What fails, once: as with a real disk, the next attempt may work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failing {
    Read,
    Flush,
}

#[derive(Debug)]
pub(super) struct Handle {
    disk: Disk,
    life: u32,
}

impl Disk {
    pub(super) fn handle(&self) -> Handle {
        Handle { disk: self.clone(), life: self.state().life }
    }

    pub(super) fn fail_once(&self, what: Failing) {
        self.state().failing = Some(what);
    }

    pub(super) fn flushes(&self) -> u32 {
        self.state().flushes
    }

    pub(super) fn crash(&self) {
        let mut state = self.state();
        state.life += 1;
        state.seen = state.flushed.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.life == self.life { Ok(state) } else { Err(io::Error::other("crashed")) }
    }
}

impl State {
    fn check(&mut self, what: Failing) -> io::Result<()> {
        match self.failing.take_if(|failing| *failing == what) {
            Some(_) => Err(io::Error::other("as a test asks")),
            None => Ok(()),
        }
    }
}

fn range(offset: u64, length: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start + length
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state()?;
        state.check(Failing::Read)?;
        out.copy_from_slice(&state.seen[range(offset, out.len())]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.state()?.seen.resize(usize::try_from(length).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.check(Failing::Flush)?;
        state.flushes += 1;
        state.flushed = state.seen.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state()?.seen[range(offset, data.len())].copy_from_slice(data);
        Ok(())
    }
}

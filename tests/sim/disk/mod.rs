//! A machine's disks in memory, for simulations: what [`skybridge::sys::Files`] and [`skybridge::sys::Watches`] promise, as ext4 on Linux
//! behaves, with power loss, faults and people.
//!
//! ```text
//! Disk ── process(caller) ─▶ Process: Files, watches(), database(path), packs(path)      ours, until it is killed
//!      ── person(caller) ──▶ Person                                                      everybody else
//!      ── lose_power(seed), mount(…), unmount(…), overflow_watches(), …                  what happens to machines
//! ```
//!
//! Nothing here has threads, clocks or chance of its own: the same calls have the same results. Whoever simulates sets the time
//! ([`Disk::set_now`]), decides what goes wrong ([`Process::set_hook`]) and gives the seeds. `tests/sim/disk_tests/` compares all of it with
//! the running kernel.
//!
//! Different from ext4 on purpose:
//! - Flushing a file does not make its name durable, unless [`FileFlush::Journal`] is chosen.
//! - The kernel flushes nothing by itself; [`Disk::write_back`] does.
//! - Times are exactly what was set, so that two changes can have the same.
//! - The lowest free inode number is always the next to be used.
#![allow(dead_code, unused_imports, reason = "what simulations call, which is more than the tests beside it need")]

mod acl;
mod attributes;
mod caller;
mod content;
mod faults;
mod naming;
mod node;
mod opening;
mod people;
mod power;
mod process;
mod state;
mod storage;
mod tree;
mod volume;
mod walk;
mod watch;
mod watches;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use skybridge::sys::{Errno, Result};

pub(crate) use caller::Caller;
pub(crate) use faults::{Call, CallKind, Hook, Verdict};
pub(crate) use people::{OpenedByPerson, Person, os};
pub(crate) use power::{PowerLoss, Torn};
pub(crate) use process::Process;
pub(crate) use storage::{DiskFile, DiskPacks};
pub(crate) use tree::Item;
pub(crate) use volume::{FileFlush, VolumeOptions};
pub(crate) use watches::DiskWatches;

use faults::Faults;
use state::{Mount, State};
use walk::FOLLOWED;

/// A file system of a [`Disk`]. The first one is at the top of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VolumeId(usize);

impl VolumeId {
    /// The one at the top.
    pub(crate) const FIRST: Self = Self(0);
}

/// The disks of a machine; clones are the same machine.
#[derive(Debug, Clone)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// All that was on the disks of a machine at some moment.
#[derive(Debug)]
pub(crate) struct Backup(State);

/// Something open, which is closed when this is dropped.
#[derive(Debug)]
struct Opened {
    disk: Disk,
    id: u64,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.disk.state().close(self.id);
    }
}

impl Disk {
    /// Makes a machine with one empty file system.
    #[must_use]
    pub(crate) fn new(options: VolumeOptions) -> Self {
        Self(Arc::new(Mutex::new(State::new(options))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Starts a process.
    #[must_use]
    pub(crate) fn process(&self, caller: Caller) -> Process {
        let mut state = self.state();
        let life = state.draw();
        state.lives.insert(life);
        drop(state);
        Process { disk: self.clone(), life, caller, faults: Faults::default() }
    }

    /// Lets somebody in.
    #[must_use]
    pub(crate) fn person(&self, caller: Caller) -> Person {
        Person { disk: self.clone(), caller }
    }

    /// Sets the time, in nanoseconds since 1970.
    pub(crate) fn set_now(&self, now: i128) {
        self.state().now = now;
    }

    /// Returns the time.
    #[must_use]
    pub(crate) fn now(&self) -> i128 {
        self.state().now
    }

    /// Takes the power away and gives it back: processes end, and what was not flushed is there or not, as the seed has it.
    pub(crate) fn lose_power(&self, seed: u64) -> PowerLoss {
        self.state().lose_power(seed)
    }

    /// Copies all that is there.
    #[must_use]
    pub(crate) fn back_up(&self) -> Backup {
        Backup(self.state().clone())
    }

    /// Makes everything as it was, durably; whoever runs there is killed before.
    pub(crate) fn restore(&self, backup: &Backup) {
        let mut state = self.state();
        let (serial, now) = (state.draw(), state.now);
        *state = backup.0.clone();
        state.go_on_from(serial, now);
        (0..state.volumes.len()).for_each(|volume| state.flush_volume(volume));
    }

    /// Makes everything on every file system durable, as the kernel does by itself after some time.
    pub(crate) fn write_back(&self) {
        let mut state = self.state();
        (0..state.volumes.len()).for_each(|volume| state.flush_volume(volume));
    }

    /// Adds a file system that is mounted nowhere yet.
    #[must_use]
    pub(crate) fn add_volume(&self, options: VolumeOptions) -> VolumeId {
        VolumeId(self.state().add_volume(options))
    }

    /// Changes what a file system can do, or how much it holds.
    pub(crate) fn change_volume(&self, volume: VolumeId, change: impl FnOnce(&mut VolumeOptions)) {
        change(&mut self.state().volumes[volume.0].options);
    }

    /// Mounts a file system on a folder, which it covers with all that is in it.
    ///
    /// # Errors
    /// When there is no such folder.
    pub(crate) fn mount(&self, volume: VolumeId, path: &Path) -> Result<()> {
        let mut state = self.state();
        let place = state.at_path(&Caller::root(), path, FOLLOWED)?;
        if !state.node(place.node).is_folder() {
            return Err(Errno::NOTDIR);
        }
        state.add_mount(volume.0, Some((place.mount, place.node)));
        Ok(())
    }

    /// Unmounts what is mounted at a path. What it covered is there again.
    ///
    /// # Errors
    /// `EBUSY` while something on it is open, `EINVAL` when nothing is mounted there.
    pub(crate) fn unmount(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        let mount = mounted_at(&state, path)?;
        let above = state.mounts.iter().any(|other| other.attached && other.covers.is_some_and(|(covered, _)| covered == mount.id));
        if above || state.opens.values().any(|open| open.place.mount == mount.id) {
            return Err(Errno::BUSY);
        }
        state.detach(&mount);
        Ok(())
    }

    /// Takes what is mounted at a path out of the tree at once; what is open on it stays open.
    ///
    /// # Errors
    /// `EINVAL` when nothing is mounted there.
    pub(crate) fn detach(&self, path: &Path) -> Result<()> {
        let mut state = self.state();
        let mount = mounted_at(&state, path)?;
        state.detach(&mount);
        Ok(())
    }

    /// Sets how many entries one call lists at most.
    pub(crate) fn set_listing_batch(&self, entries: usize) {
        self.state().listing_batch = entries.max(1);
    }

    /// Sets how many watches there can be, and how many events wait at most before they are lost.
    pub(crate) fn set_watch_limits(&self, watches: usize, events: usize) {
        let mut state = self.state();
        (state.watches_max, state.queue_max) = (watches, events);
    }

    /// Loses all events that are waiting.
    pub(crate) fn overflow_watches(&self) {
        self.state().overflow();
    }

    /// Keeps events back, until this is called with `false`.
    pub(crate) fn hold_events(&self, held: bool) {
        self.state().events_held = held;
    }

    /// Changes the order of waiting events, but not among those of one watch.
    pub(crate) fn shuffle_events(&self, seed: u64) {
        self.state().shuffle_events(&mut StdRng::seed_from_u64(seed));
    }
}

fn mounted_at(state: &State, path: &Path) -> Result<Mount> {
    let place = state.at_path(&Caller::root(), path, FOLLOWED)?;
    let at = state.mounts.iter().find(|mount| mount.id == place.mount && state.volumes[mount.volume].top == place.node);
    at.filter(|mount| mount.covers.is_some()).cloned().ok_or(Errno::INVAL)
}

impl State {
    fn detach(&mut self, mount: &Mount) {
        if let Some(known) = self.mounts.iter_mut().find(|known| known.id == mount.id) {
            known.attached = false;
        }
        self.flush_volume(mount.volume);
        self.watched_unmounted(mount.volume);
    }
}

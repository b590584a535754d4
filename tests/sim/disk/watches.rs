//! The watch events of a process, as [`Watches`].

use std::time::Duration;

use skybridge::sys::{Errno, Handle, Result, WatchEvent, WatchId, Watches};

use super::caller::READ;
use super::faults::CallKind;
use super::process::Process;
use super::watch::Instance;

/// How many events one read returns at most.
const READ_EVENTS_MAX: usize = 500;

/// A queue of events. Waiting for them never waits: it tells whether there are any.
#[derive(Debug)]
pub(crate) struct DiskWatches {
    process: Process,
    instance: u64,
}

impl Process {
    /// Makes a queue of watch events.
    #[must_use]
    pub(crate) fn watches(&self) -> DiskWatches {
        let mut state = self.disk.state();
        let instance = state.draw();
        state.watching.insert(instance, Instance::new(self.life));
        DiskWatches { process: self.clone(), instance }
    }
}

impl Watches for DiskWatches {
    fn add(&self, folder: &Handle) -> Result<WatchId> {
        let id = self.process.id(folder)?;
        self.process.call(CallKind::Watch, b"", |state| {
            let place = state.place(id)?;
            let node = state.node(place.node);
            if !node.is_folder() {
                return Err(Errno::NOTDIR);
            }
            self.process.caller.check(node, READ)?;
            state.add_watch(self.instance, place.node)
        })
    }

    fn remove(&self, watch: WatchId) -> Result<()> {
        self.process.call(CallKind::Watch, b"", |state| state.remove_watch(self.instance, watch))
    }

    fn wait(&self, _: Duration) -> Result<bool> {
        self.process.call(CallKind::Watch, b"", |state| state.has_events(self.instance))
    }

    fn read(&self) -> Result<Vec<WatchEvent>> {
        self.process.call(CallKind::Watch, b"", |state| state.take_events(self.instance, READ_EVENTS_MAX))
    }
}

impl Drop for DiskWatches {
    fn drop(&mut self) {
        self.process.disk.state().watching.remove(&self.instance);
    }
}

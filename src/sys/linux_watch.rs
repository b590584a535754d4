//! Watch events of Linux: inotify.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::files::{Errno, Handle, Result};
use super::watches::{WatchEvent, WatchId, Watches};

/// How many bytes of events are read at once: some hundred.
const EVENT_BYTES: usize = 32 * 1024;

/// What is reported. `MODIFY` is among them for truncation by path, which closes nothing.
fn flags() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ATTRIB
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::EXCL_UNLINK
        | WatchFlags::ONLYDIR
}

/// An inotify instance.
#[derive(Debug)]
pub struct LinuxWatches(OwnedFd);

impl LinuxWatches {
    /// Makes one.
    ///
    /// # Errors
    /// `EMFILE` when the user has too many.
    pub fn new() -> Result<Self> {
        inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map(Self)
    }
}

impl Watches for LinuxWatches {
    fn add(&self, folder: &Handle) -> Result<WatchId> {
        // Through the descriptor, so that what is watched is what was opened, whatever its name is by now.
        inotify::add_watch(&self.0, format!("/proc/self/fd/{}", folder.get::<OwnedFd>()?.as_raw_fd()), flags())
    }

    fn remove(&self, watch: WatchId) -> Result<()> {
        inotify::remove_watch(&self.0, watch)
    }

    fn wait(&self, wait: Duration) -> Result<bool> {
        let timeout = Timespec::try_from(wait).map_err(|_| Errno::INVAL)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)) {
            Err(Errno::INTR) => Ok(false),
            other => other.map(|ready| ready > 0),
        }
    }

    fn read(&self) -> Result<Vec<WatchEvent>> {
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => events.push(translate(&event)),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => return Err(error),
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        Ok(events)
    }
}

fn translate(event: &inotify::Event<'_>) -> WatchEvent {
    if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
        WatchEvent::Overflow
    } else if event.events().contains(ReadFlags::IGNORED) {
        WatchEvent::Ended(event.wd())
    } else {
        WatchEvent::Changed(event.wd(), event.file_name().map(|name| name.to_bytes().to_vec()))
    }
}

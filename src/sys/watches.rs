//! Watch events, as a trait.

use std::time::Duration;

use super::files::{Handle, Result};

/// A watched directory. It stays the same when the directory is renamed.
pub type WatchId = i32;

/// What was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// An entry of a watched directory was made, removed, renamed, written or changed in its attributes; without a name the directory itself.
    Changed(WatchId, Option<Vec<u8>>),
    /// The watch has ended by itself: the directory was removed or its file system unmounted.
    Ended(WatchId),
    /// Events were lost.
    Overflow,
}

/// Reports of changes in directories.
pub trait Watches: std::fmt::Debug + Send + Sync {
    /// Starts to watch an open directory; the same id again if it is watched already. `ENOSPC` when the limit is reached.
    fn add(&self, folder: &Handle) -> Result<WatchId>;

    /// Stops to watch. Events that are waiting may still come.
    fn remove(&self, watch: WatchId) -> Result<()>;

    /// Waits at most this long for events; `true` when there are some. One that cannot block answers at once.
    fn wait(&self, wait: Duration) -> Result<bool>;

    /// Returns a bounded number of the events that are there, without waiting; empty when there are none.
    fn read(&self) -> Result<Vec<WatchEvent>>;
}

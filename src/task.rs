//! The only place that spawns tasks: named, tracked, cancelled by token.
//!
//! A task that panics is logged with its name and, awaited through [`Handle`], seen by its parent; it never takes the process along.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Why a task has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("task {name} panicked or was aborted")]
pub struct Lost {
    /// The task.
    pub name: &'static str,
}

/// The result of a task, once it ends. Dropping it lets the task go on.
#[derive(Debug)]
pub struct Handle<T> {
    name: &'static str,
    inner: tokio::task::JoinHandle<T>,
}

impl<T> Handle<T> {
    /// Waits for the task.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn join(self) -> Result<T, Lost> {
        self.inner.await.map_err(|_| Lost { name: self.name })
    }

    /// Ends the task at its next await.
    pub fn abort(&self) {
        self.inner.abort();
    }
}

/// A group of tasks that end together. Cheap to clone; clones are the same group.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
    running: Arc<Running>,
}

#[derive(Debug, Default)]
struct Running {
    next: AtomicU64,
    names: Mutex<BTreeMap<u64, &'static str>>,
}

/// Takes a task off the list however it ends.
struct Registration {
    running: Arc<Running>,
    id: u64,
    finished: bool,
}

impl Running {
    fn register(self: &Arc<Self>, name: &'static str) -> Registration {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(id, name);
        Registration { running: Arc::clone(self), id, finished: false }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let name = self.running.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
        if !self.finished && std::thread::panicking() {
            tracing::error!(task = name, "task panicked");
        }
    }
}

impl Tasks {
    /// Makes an empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a group that also ends when `cancel` fires.
    #[must_use]
    pub fn under(cancel: &CancellationToken) -> Self {
        Self { cancel: cancel.child_token(), ..Self::default() }
    }

    /// Makes a group that ends with this one, and may end before it.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { cancel: self.cancel.child_token(), tracker: self.tracker.clone(), running: Arc::clone(&self.running) }
    }

    /// Returns the token that ends the group.
    #[must_use]
    pub const fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Starts a task. It must watch [`Tasks::cancel`] itself.
    #[allow(clippy::disallowed_methods, reason = "this is the place")]
    pub fn spawn<T: Send + 'static>(&self, name: &'static str, future: impl Future<Output = T> + Send + 'static) -> Handle<T> {
        let registration = self.running.register(name);
        let span = tracing::debug_span!("task", task = name);
        let task = async move {
            // Taken in whole: a block captures fields one by one.
            let mut registration = registration;
            let result = future.await;
            registration.finished = true;
            result
        };
        Handle { name, inner: tokio::spawn(self.tracker.track_future(task.instrument(span))) }
    }

    /// Cancels the group and waits for its tasks, at most `limit`; logs who is late. Returns whether all ended.
    pub async fn shutdown(&self, limit: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_ok() {
            return true;
        }
        let late: Vec<_> = self.running.names.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect();
        tracing::warn!(?late, "tasks did not end in time");
        false
    }
}

/// Runs blocking work on a thread made for it, and waits for it.
///
/// # Errors
/// When it panicked.
pub async fn blocking<T: Send + 'static>(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
    let span = tracing::debug_span!("blocking", task = name);
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.map_err(|_| Lost { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shutdown_waits_for_tasks_that_watch_their_token() {
        let tasks = Tasks::new();
        let cancel = tasks.cancel().clone();
        let task = tasks.spawn("waits", async move { cancel.cancelled().await });
        assert!(tasks.shutdown(Duration::from_secs(5)).await);
        assert_eq!(task.join().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_gives_up_on_a_task_that_never_ends() {
        let tasks = Tasks::new();
        drop(tasks.spawn("never", std::future::pending::<()>()));
        assert!(!tasks.shutdown(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_panic_is_seen_by_the_parent() {
        let tasks = Tasks::new();
        let task = tasks.spawn("panics", async { panic!("on purpose") });
        assert_eq!(task.join().await, Err(Lost { name: "panics" }));
        assert_eq!(blocking("panics", || panic!("on purpose")).await, Err::<(), _>(Lost { name: "panics" }));
    }
}

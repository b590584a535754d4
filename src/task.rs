//! The only place that spawns tasks: named, tracked, cancelled by token.
//!
//! A task that panics is logged with its name and, awaited through [`Handle`], seen by its parent; it never takes the process along.
//!
//! A simulation runs everything in one thread and in an order of its own: [`run_blocking_inline`] lets blocking work happen there, too.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
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
    tasks: Mutex<BTreeMap<u64, (&'static str, Option<AbortHandle>)>>,
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
        self.tasks().insert(id, (name, None));
        Registration { running: Arc::clone(self), id, finished: false }
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<u64, (&'static str, Option<AbortHandle>)>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let task = self.running.tasks().remove(&self.id);
        if !self.finished && std::thread::panicking() {
            tracing::error!(task = task.map(|(name, _)| name), "task panicked");
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
        let id = registration.id;
        let span = tracing::debug_span!("task", task = name);
        let task = async move {
            // Taken in whole: a block captures fields one by one.
            let mut registration = registration;
            let result = future.await;
            registration.finished = true;
            result
        };
        let inner = tokio::spawn(self.tracker.track_future(task.instrument(span)));
        // It may have ended already.
        if let Some((_, abort)) = self.running.tasks().get_mut(&id) {
            *abort = Some(inner.abort_handle());
        }
        Handle { name, inner }
    }

    /// Ends all tasks of the group at their next await, whatever they are at.
    pub fn abort(&self) {
        self.cancel.cancel();
        // Out of the lock: dropping a task takes it off the list.
        let aborts: Vec<_> = self.running.tasks().values().filter_map(|(_, abort)| abort.clone()).collect();
        aborts.iter().for_each(AbortHandle::abort);
    }

    /// Cancels the group and waits for its tasks, at most `limit`; logs who is late, and aborts them. Returns whether all ended.
    pub async fn shutdown(&self, limit: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_ok() {
            return true;
        }
        let late: Vec<_> = self.running.tasks().values().map(|(name, _)| *name).collect();
        tracing::warn!(?late, "tasks did not end in time");
        self.abort();
        false
    }
}

thread_local! {
    static INLINE: Cell<bool> = const { Cell::new(false) };
}

/// Lets [`blocking`] work happen in this thread from now on, as part of whatever asks for it, so that a simulation stays deterministic.
pub fn run_blocking_inline() {
    INLINE.set(true);
}

/// Runs blocking work on a thread made for it, and waits for it. The work waits for nothing but the disk.
///
/// # Errors
/// When it panicked.
pub async fn blocking<T: Send + 'static>(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Lost> {
    let span = tracing::debug_span!("blocking", task = name);
    if INLINE.get() {
        return catch_unwind(AssertUnwindSafe(|| span.in_scope(work))).map_err(|_| Lost { name });
    }
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
        assert!(tasks.shutdown(Duration::from_secs(5)).await, "it was aborted");
    }

    #[tokio::test]
    async fn blocking_work_happens_in_this_thread_when_it_is_asked_to() {
        run_blocking_inline();
        let here = std::thread::current().id();
        assert_eq!(blocking("inline", || std::thread::current().id()).await, Ok(here));
        assert_eq!(blocking("panics", || panic!("on purpose")).await, Err::<(), _>(Lost { name: "panics" }));
    }

    #[tokio::test]
    async fn a_panic_is_seen_by_the_parent() {
        let tasks = Tasks::new();
        let task = tasks.spawn("panics", async { panic!("on purpose") });
        assert_eq!(task.join().await, Err(Lost { name: "panics" }));
        assert_eq!(blocking("panics", || panic!("on purpose")).await, Err::<(), _>(Lost { name: "panics" }));
    }
}

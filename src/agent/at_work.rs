//! Operations by which the agent takes something out of its place at the source without an order of the planner.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::OpId;

/// The operations that are under way; clones are the same. What they displace is theirs until they end: nobody else takes it for left over.
#[derive(Debug, Clone, Default)]
pub struct AtWork(Arc<Mutex<BTreeSet<OpId>>>);

impl AtWork {
    /// Begins an operation, which ends when the value is dropped.
    #[must_use]
    pub fn begin(&self, op: OpId) -> Working {
        self.lock(|ops| ops.insert(op));
        Working { all: self.clone(), op }
    }

    /// Returns those that are under way now.
    #[must_use]
    pub fn now(&self) -> BTreeSet<OpId> {
        self.lock(|ops| ops.clone())
    }

    fn lock<T>(&self, with: impl FnOnce(&mut BTreeSet<OpId>) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An operation that is under way.
#[derive(Debug)]
pub struct Working {
    all: AtWork,
    op: OpId,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.all.lock(|ops| ops.remove(&self.op));
    }
}

//! A store that misbehaves on purpose, for tests of the code above it.

use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::backend::{Backend, Job, Outcome};
use super::{Read, Store, StoreError, Transaction};

/// How often, in a hundred transactions, each thing goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The transaction waits for a few turns of the executor first, so that others overtake it.
    pub delayed: u8,
    /// The body runs twice, as after a conflict; the first run has no effect.
    pub repeated: u8,
    /// Nothing happens, and the caller is told so.
    pub not_processed: u8,
    /// The caller is told that the outcome is unknown; half of the time it happened.
    pub unknown: u8,
}

/// Wraps a store so that its transactions go wrong as `faults` says; the same seed and the same order of calls give the same course.
#[must_use]
pub fn faulty(store: &Store, faults: Faults, seed: u64) -> Store {
    Store::on(Faulty { inner: store.clone(), faults, random: Mutex::new(StdRng::seed_from_u64(seed)) })
}

#[derive(Debug)]
struct Faulty {
    inner: Store,
    faults: Faults,
    random: Mutex<StdRng>,
}

/// What happens to one transaction.
#[derive(Debug, Clone, Copy)]
struct Plan {
    turns: u8,
    repeat: bool,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Honest,
    NotProcessed,
    UnknownLost,
    UnknownDone,
}

impl Faulty {
    fn plan(&self) -> Plan {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut happens = |percent: u8| random.random_range(0..100) < percent;
        let (delayed, repeat) = (happens(self.faults.delayed), happens(self.faults.repeated));
        let end = match (happens(self.faults.not_processed), happens(self.faults.unknown), happens(50)) {
            (true, _, _) => End::NotProcessed,
            (_, true, true) => End::UnknownDone,
            (_, true, false) => End::UnknownLost,
            _ => End::Honest,
        };
        Plan { turns: if delayed { random.random_range(1..8) } else { 0 }, repeat, end }
    }

    async fn disturb(&self, job: Box<dyn Job>) {
        let plan = self.plan();
        for _ in 0..plan.turns {
            tokio::task::yield_now().await;
        }
        match plan.end {
            End::NotProcessed => job.answer(Outcome::NotProcessed(StoreError::Injected)),
            _ => self.inner.backend.submit(Box::new(Disturbed { job, plan })).await,
        }
    }
}

impl Backend for Faulty {
    fn submit(&self, job: Box<dyn Job>) -> BoxFuture<'_, ()> {
        self.disturb(job).boxed()
    }

    fn snapshot(&self) -> Result<Box<dyn Read + '_>, StoreError> {
        self.inner.backend.snapshot()
    }
}

struct Disturbed {
    job: Box<dyn Job>,
    plan: Plan,
}

impl Job for Disturbed {
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool {
        if self.plan.repeat {
            self.job.run(&mut Transaction::new(&*transaction));
        }
        self.job.run(transaction) && self.plan.end != End::UnknownLost
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        self.job.answer(match (self.plan.end, outcome) {
            (End::UnknownLost | End::UnknownDone, Outcome::Durable) => Outcome::Unknown(StoreError::Injected),
            (_, outcome) => outcome,
        });
    }
}

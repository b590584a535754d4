//! What happened in a run: a hash of all of it, which two runs of one seed share, and counts of its kinds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The trace of a run; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Trace(Arc<Mutex<Inner>>);

/// The time in a run when something was noted last, for whoever looks from another thread; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct TraceClock(Arc<AtomicU64>);

impl TraceClock {
    /// In nanoseconds since the run began.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Inner {
    begun: Instant,
    clock: TraceClock,
    hasher: blake3::Hasher,
    counts: BTreeMap<String, u64>,
    /// What a person reads of it, if somebody does.
    told: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(told: bool, clock: TraceClock) -> Self {
        let told = told.then(Vec::new);
        Self(Arc::new(Mutex::new(Inner { begun: Instant::now(), clock, hasher: blake3::Hasher::new(), counts: BTreeMap::new(), told })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes something into the hash.
    pub(crate) fn note(&self, parts: &[&[u8]]) {
        let mut inner = self.inner();
        let at = inner.begun.elapsed().as_nanos();
        inner.clock.0.store(u64::try_from(at).unwrap_or(u64::MAX), Ordering::Relaxed);
        let at = at.to_be_bytes();
        inner.hasher.update(&at);
        for part in parts {
            inner.hasher.update(&(part.len() as u64).to_be_bytes());
            inner.hasher.update(part);
        }
        let hash = inner.hasher.finalize();
        let begun = inner.begun;
        if let Some(told) = inner.told.as_mut().filter(|_| std::env::var_os("SKYBRIDGE_SIM_BYTES").is_some()) {
            let text: Vec<_> = parts.iter().map(|part| part[..part.len().min(40)].escape_ascii().to_string()).collect();
            told.push(format!("{:>12.6} {} {}", begun.elapsed().as_secs_f64(), &hash.to_hex()[..8], text.join(" ")));
        }
    }

    /// Counts something.
    pub(crate) fn count(&self, kind: impl Into<String>) {
        *self.inner().counts.entry(kind.into()).or_default() += 1;
    }

    /// Tells what happened, to whoever looks for the cause of a failure.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        let mut inner = self.inner();
        let at = inner.begun.elapsed().as_secs_f64();
        if let Some(told) = &mut inner.told {
            told.push(format!("{at:>12.6} {}", what()));
        }
    }

    pub(crate) fn hash(&self) -> String {
        self.inner().hasher.finalize().to_hex().to_string()
    }

    /// Whether something of this kind was counted.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.inner().counts.contains_key(kind)
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.inner().counts.clone()
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.inner().told.clone().unwrap_or_default()
    }
}

//! Time and chance of a host.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use skybridge::sys::World;
use tokio::time::Instant;
use uuid::Uuid;

/// When every run begins, in milliseconds since 1970: 2026.
const BEGINNING_MILLIS: u64 = 1_767_225_600_000;
/// How often the clock of a file system ticks, in nanoseconds.
const TICK: i128 = 4_000_000;

/// A host's clock, which may be set; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    begun: Instant,
    ahead_millis: Arc<AtomicI64>,
}

impl Clock {
    pub(crate) fn new(begun: Instant) -> Self {
        Self { begun, ahead_millis: Arc::default() }
    }

    pub(crate) fn millis(&self) -> u64 {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        (BEGINNING_MILLIS + since).saturating_add_signed(self.ahead_millis.load(Ordering::Relaxed))
    }

    /// By what files are stamped, in nanoseconds since 1970.
    pub(crate) fn stamp(&self) -> i128 {
        let now = i128::from(BEGINNING_MILLIS) * 1_000_000
            + self.begun.elapsed().as_nanos().cast_signed()
            + i128::from(self.ahead_millis.load(Ordering::Relaxed)) * 1_000_000;
        now / TICK * TICK
    }

    /// Sets the clock forward or back.
    pub(crate) fn jump(&self, millis: i64) {
        self.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }
}

/// What a host takes for the world.
#[derive(Debug)]
pub(crate) struct Chance {
    clock: Clock,
    random: Mutex<StdRng>,
}

impl Chance {
    pub(crate) fn new(clock: Clock, seed: u64) -> Self {
        Self { clock, random: Mutex::new(StdRng::seed_from_u64(seed)) }
    }
}

impl World for Chance {
    fn now_millis(&self) -> u64 {
        self.clock.millis()
    }

    fn mint(&self) -> Uuid {
        let (low, high) = (self.draw(), self.draw());
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&low.to_be_bytes());
        bytes[8..].copy_from_slice(&high.to_be_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(self.now_millis(), &bytes).into_uuid()
    }

    fn draw(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}

//! Time and chance, so that a simulation can replace them.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// Where the time and everything random come from.
pub trait World: std::fmt::Debug + Send + Sync {
    /// Milliseconds since 1970. May jump; nothing but what people see and how long things are kept hangs on it.
    fn now_millis(&self) -> u64;

    /// Mints a UUIDv7.
    fn mint(&self) -> Uuid;

    /// Draws a random number that nobody can guess: tokens and salts are made of these.
    fn draw(&self) -> u64;
}

/// The real world.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealWorld;

impl World for RealWorld {
    fn now_millis(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn mint(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn draw(&self) -> u64 {
        rand::random()
    }
}

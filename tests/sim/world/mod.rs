//! A run: a coordinator, agents and people, and what goes wrong between and beneath them, from two seeds.
//!
//! Runs from number 10,000 on have a *scene* besides, something that they have more of: `run/scenes.rs`.
//!
//! The *workload* seed says what people do, the *schedule* seed when it goes wrong and how: a failure is made smaller by changing one of them.
//! Everything of the product is real but for what [`skybridge::sys`], [`skybridge::store`], [`skybridge::depot::packs`] and
//! [`skybridge::net`] let be replaced: the file system and the disks ([`crate::disk`]), the network ([`crate::net`]), time and chance.

mod agent;
mod at_agent;
mod check;
mod clock;
mod cloud;
mod coordinator;
mod events;
mod healing;
mod ledger;
mod library;
mod log;
mod machine;
mod names;
mod prompt;
mod properties;
mod run;
mod source;
mod trace;

use std::time::Duration;

pub(crate) use clock::{Chance, Clock};
pub(crate) use prompt::latencies;
pub(crate) use run::{Outcome, run};
pub(crate) use trace::Trace;

/// What a run is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed {
    pub(crate) workload: u64,
    pub(crate) schedule: u64,
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.workload, self.schedule)
    }
}

/// How long a coordinator that stops lets calls end.
const SETTLED_LIMIT: Duration = Duration::from_secs(1);

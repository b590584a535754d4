//! The simulation: whole systems in one process, from one seed, over a model of their disks.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as a test does")]

mod disk;
mod disk_tests;

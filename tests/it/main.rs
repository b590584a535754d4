//! The one integration test binary.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as a test does")]

mod at_the_source;
mod command_line;
mod edge_cases;
mod misuse;
mod promises;
mod quickstart;
mod rights;
mod support;
mod telemetry;
mod tidy;

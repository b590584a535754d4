//! The one integration test binary.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail as a test does")]

mod command_line;
mod edge_cases;
mod misuse;
mod promises;
mod quickstart;
mod support;
mod telemetry;
mod tidy;

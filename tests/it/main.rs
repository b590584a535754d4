//! The one integration test binary.

mod command_line;
mod promises;
mod quickstart;
mod support;
mod telemetry;
mod tidy;

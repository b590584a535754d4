//! The one integration test binary.

mod command_line;
mod support;
mod tidy;

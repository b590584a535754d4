//! What integration tests share.

mod process;

pub(crate) use process::{Process, eventually};

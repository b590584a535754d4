//! x
#![cfg(test)]

mod drive;
#[path = "../../src/engine/mod.rs"]
pub mod engine;
#[path = "../../src/model/mod.rs"]
pub mod model;

//! Runs the planner's properties through as many cases as it is told to.
//!
//! The planner and its tests are compiled here once more, with all optimisations: that takes half a minute, and a case then 0.18 ms of one
//! core, while to optimise the whole of Skybridge would cost minutes with every build. They need nothing else, so this builds by itself:
//!
//! ```text
//! cargo test --package skybridge-planner                                        the first 20,000 cases
//! SKYBRIDGE_PLANNER_CASES=5000000 cargo test --package skybridge-planner        the first five million
//! SKYBRIDGE_PLANNER_CASES=17..18 cargo test --package skybridge-planner         only case 17
//! SKYBRIDGE_PLANNER_CASES=1000000..9000000000 cargo test --package …            others, for hours
//! ```
//!
//! A case that fails is made smaller and printed as a row of `src/engine/reconcile/tests/found.rs`, where it is to be kept.
#![cfg(test)]

mod drive;
#[path = "../../src/engine/mod.rs"]
pub mod engine;
#[path = "../../src/model/mod.rs"]
pub mod model;

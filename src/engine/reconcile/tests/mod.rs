//! Tests of the planner.
//!
//! `table` holds each row of the decision tables; `complete` shows that no combination lacks one. `properties` runs the planner in a small
//! `world` in which people do whatever they like on both sides; `found` keeps, as small as they could be made, the cases that broke it.
//!
//! The properties are tried on a few hundred cases each. `SKYBRIDGE_PLANNER_CASES=1000000 cargo test --release reconcile` tries more.

mod facts;
mod properties;
mod world;

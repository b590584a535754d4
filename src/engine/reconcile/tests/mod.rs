//! Tests of the planner.
//!
//! `properties` runs the planner in a small `world` in which people do whatever they like on both sides.
//!
//! The properties are tried on a few hundred cases each. `SKYBRIDGE_PLANNER_CASES=1000000 cargo test --release reconcile` tries more.

mod facts;
mod properties;
mod world;

use crate::model::SetOptions;

/// All options that a set can have.
fn options() -> Vec<SetOptions> {
    let all = [false, true].into_iter().flat_map(|lock_source| {
        [(false, false), (true, false), (true, true)].map(|(delete_on_cloud, delete_source)| SetOptions {
            lock_source,
            delete_on_cloud,
            delete_source,
        })
    });
    all.collect()
}

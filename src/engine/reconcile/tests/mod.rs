//! Tests of the planner.
//!
//! `table` holds the rows of the decision tables by name; `complete` shows that no combination lacks a row. `properties` runs the planner in a
//! small `world` in which people do whatever they like on both sides; `found` keeps, as small as they could be made, the cases that broke it;
//! `edge` does the same with cases that sync systems are known to fail at.
//!
//! A case is made from one number, so the number is all it takes to see it again. Here a few hundred are tried. The package in `tests/planner`
//! compiles planner and tests once more, optimised, and tries as many as it is told to.

mod case;
mod complete;
mod edge;
mod facts;
mod fate;
mod found;
pub(crate) mod properties;
mod table;
mod world;

use super::{Apply, Step};
use crate::model::{Push, Reason, SetOptions};

/// What kind of step it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Do {
    MakeThere,
    DeleteThere,
    Release,
    Adopt,
    MakeHere,
    DeleteHere,
    Merge,
    Forget,
    Hold(Reason),
    Wait,
}

impl Do {
    fn of(step: &Step) -> Self {
        match step {
            Step::Push(Push::Create(_)) => Self::MakeThere,
            Step::Push(Push::Delete { .. }) => Self::DeleteThere,
            Step::Push(Push::Release { .. }) => Self::Release,
            Step::Apply(Apply::Create(_)) => Self::MakeHere,
            Step::Apply(Apply::Delete) => Self::DeleteHere,
            Step::Adopt { .. } => Self::Adopt,
            Step::Forget => Self::Forget,
            Step::Hold(hold) => hold.reason.map_or(Self::Wait, Self::Hold),
            _ => Self::Merge,
        }
    }
}

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

//! Decisions, as pure functions: what to do next, who wins, who may. No I/O, no clock, no randomness.
//!
//! The heart is [`reconcile`](reconcile::reconcile): it looks at one node of one sync set in three trees, what the repository last
//! showed (*source*), what the coordinator's journal last said (*target*) and the last state in which both were known to be equal
//! (*base*), and names the next step. Whoever runs the step changes a tree; planning repeats until nothing is dirty.

pub mod brake;
mod member;
pub mod membership;
pub mod reconcile;

pub use member::{Activity, Member, Source, SourceNode, Target, TreeView, Unsettled};

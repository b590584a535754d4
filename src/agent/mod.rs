//! The agent beside a repository: it sees changes, pushes them, and applies what the coordinator decided.
//!
//! Data flows one way. The [`tracker`] looks at the repository and the [`session`] listens to the coordinator; both write what they saw into
//! the trees of [`state`], which marks members as dirty. The [`planner`] names the next step of each dirty member. Pushes leave by the
//! session (content ahead of them by [`crate::transfer`]), changes of the source are made by the [`applier`]; their outcomes are written
//! into the trees again. People at the source talk to [`local`].

pub mod applier;
mod at_work;
pub mod context;
mod enrolment;
mod forget;
mod housekeeping;
pub mod local;
pub mod planner;
pub mod repository;
mod run;
pub mod session;
pub mod state;
pub mod tracker;
pub mod versions;

pub use at_work::{AtWork, Working};
pub use enrolment::{EnrolError, enrol, is_enrolled};
pub use run::{Agent, AgentError, Parts, run};

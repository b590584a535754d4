//! The coordinator in the cloud: libraries, accounts, sync sets, the journal and the sessions of agents.
//!
//! Domain modules are synchronous functions over one transaction or snapshot of the store: [`networks`], [`library`], [`journal`],
//! [`sets`], [`operations`], [`accounts`], [`agents`]. Around them is what waits and talks: [`content`] moves bytes, [`session`] holds the
//! agents' streams, [`service`] has a thin file a gRPC service, [`auth`] says who may call, [`server`] starts and stops all of it.

pub mod accounts;
pub mod administration;
pub mod agents;
pub mod auth;
pub mod content;
pub mod context;
pub mod failure;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod invariants;
pub mod journal;
pub mod library;
mod maintenance;
pub mod networks;
pub mod notices;
pub mod operations;
pub mod server;
#[cfg(test)]
mod server_tests;
mod service;
pub mod session;
pub mod sets;
#[cfg(test)]
mod testing;

pub use context::Context;
pub use server::{Coordinator, CoordinatorError, run};

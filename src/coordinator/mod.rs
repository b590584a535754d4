//! The coordinator in the cloud: libraries, accounts, sync sets, the journal and the sessions of agents.

pub mod failure;
pub mod journal;
pub mod library;
pub mod networks;
pub mod operations;
pub mod sets;

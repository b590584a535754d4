//! What Skybridge promises to its users, each promise seen to hold between a real agent and a real coordinator.

mod absence;
mod arriving;
mod brake;
mod changes;
mod conflicts;
mod deletes;
mod failures;
mod membership;
mod moves;
mod outside;
mod permissions;
mod roles;
mod setup;

//! The agent beside a repository: it sees changes, pushes them, and applies what the coordinator decided.

pub mod repository;

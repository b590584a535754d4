//! The sessions of agents: one bidirectional stream an agent, all its sync sets in it.
//!
//! Owned by the coordinator. A session is one task ([`conversation`]); what it is made of are small parts that it owns and polls:
//! [`pushes`] bring operations to the store in order, [`deliveries`] read the journal for the agent, [`notes`] store what the agent
//! acknowledges and reports, and [`directives`] pass on what people ask. The [`Registry`] knows which agent has a session. Rules about
//! nodes and sets are not known here.
//!
//! Reading and writing never wait for each other: what leaves goes into a bounded queue without waiting, and an agent that does not
//! empty it is let go. How a session ended is logged once, with counts.

mod conversation;
mod deliveries;
mod directives;
mod notes;
mod pushes;
mod registry;

#[cfg(test)]
mod tests;

pub use conversation::{Outgoing, open};
pub use registry::Registry;

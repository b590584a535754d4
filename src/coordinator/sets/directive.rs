//! What people in the cloud ask of agents, kept until it was passed on.

use serde::{Deserialize, Serialize};

use super::Definition;
use crate::model::{AgentId, NodeId, SetId, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// The most directives of one agent that are read at once.
const PENDING_MAX: usize = 1_000;

/// Something asked of an agent about a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Directive {
    /// Look again, and try again what failed.
    RequestSync {
        /// One member with what is in it; `None` for the whole set.
        node: Option<NodeId>,
    },
    /// The set was ended.
    Ended,
}

/// A directive that waits for its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// What is asked.
    pub directive: Directive,
    /// When.
    pub at: Timestamp,
}

impl Record for Pending {
    const TABLE: Table = Table::Directive;
    const FORMAT: u8 = 1;
    /// The bytes are the node that it is about, or all the same for the whole set, so that asking twice is asking once.
    type Key = (AgentId, SetId, [u8; 16]);
    type Value = Self;
}

fn key(agent: AgentId, set: SetId, directive: Directive) -> (AgentId, SetId, [u8; 16]) {
    let subject = match directive {
        Directive::RequestSync { node: Some(node) } => *node.as_bytes(),
        Directive::RequestSync { node: None } => [0; 16],
        Directive::Ended => [255; 16],
    };
    (agent, set, subject)
}

/// Asks something of the agent of a set.
///
/// # Errors
/// When the store fails.
pub fn direct(tx: &mut Transaction<'_>, definition: &Definition, directive: Directive, at: Timestamp) -> Result<(), StoreError> {
    tx.put::<Pending>(&key(definition.set.agent, definition.set.id, directive), &Pending { directive, at })
}

/// Lists what waits for an agent.
///
/// # Errors
/// When the store fails.
pub fn pending_directives(read: &(impl Read + ?Sized), agent: AgentId) -> Result<Vec<(SetId, Pending)>, StoreError> {
    let rows = read.scan::<Pending>(&(agent,), None, PENDING_MAX)?;
    Ok(rows.into_iter().map(|((_, set, _), pending)| (set, pending)).collect())
}

/// Forgets a directive that was passed on, unless it was asked again since.
///
/// # Errors
/// When the store fails.
pub fn clear_directive(tx: &mut Transaction<'_>, agent: AgentId, set: SetId, passed_on: Pending) -> Result<(), StoreError> {
    let key = key(agent, set, passed_on.directive);
    if tx.get::<Pending>(&key)? == Some(passed_on) { tx.delete::<Pending>(&key) } else { Ok(()) }
}

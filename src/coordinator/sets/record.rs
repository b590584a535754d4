//! The records of a sync set: its definition with the grant, how it is found, and its direct members.

use serde::{Deserialize, Serialize};

use crate::model::{AgentId, NetworkId, NodeId, SetId, SyncSet, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table};

/// A sync set as the coordinator keeps it: the definition, and with it the owner's grant to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// What both sides know.
    pub set: SyncSet,
    /// Where the source is, in the words of the agent.
    pub source_path: String,
    /// When it was made.
    pub created: Timestamp,
    /// Whether the grant was revoked: the agent may do nothing on behalf of the set.
    pub grant_revoked: bool,
    /// Whether the set is being ended, which for many direct members takes several transactions. It reaches nothing any more.
    pub ending: bool,
}

impl Record for Definition {
    const TABLE: Table = Table::SyncSet;
    const FORMAT: u8 = 1;
    type Key = (SetId,);
    type Value = Self;
}

impl Definition {
    /// Returns a set that exists and is not being ended.
    ///
    /// # Errors
    /// When the store fails.
    pub fn in_force(read: &(impl Read + ?Sized), set: SetId) -> Result<Option<Self>, StoreError> {
        Ok(read.get::<Self>(&(set,))?.filter(|definition| !definition.ending))
    }
}

/// Finds the sets of a network.
#[derive(Debug)]
pub(super) struct SetOfNetwork;

impl Record for SetOfNetwork {
    const TABLE: Table = Table::SetOfNetwork;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, SetId);
    type Value = ();
}

/// Finds the sets of an agent.
#[derive(Debug)]
pub(super) struct SetOfAgent;

impl Record for SetOfAgent {
    const TABLE: Table = Table::SetOfAgent;
    const FORMAT: u8 = 1;
    type Key = (AgentId, SetId);
    type Value = ();
}

/// Finds the direct members of a set, in the trash or not. Written together with their markers.
#[derive(Debug)]
pub struct DirectMember;

impl Record for DirectMember {
    const TABLE: Table = Table::DirectMember;
    const FORMAT: u8 = 1;
    type Key = (SetId, NodeId);
    type Value = ();
}

//! The versions of documents. A version is a content: renaming, moving and changing properties make none.

use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::model::{ContentRef, Name, NetworkId, NodeId};
use crate::store::{Record, Table};

/// One content that a document had, or has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The content.
    pub content: ContentRef,
    /// The document's name then.
    pub name: Name,
    /// When it was made and by whom.
    pub made: Stamp,
    /// Whether a sync made it.
    pub by_sync: bool,
}

impl Record for Version {
    const TABLE: Table = Table::Version;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, NodeId, u32);
    type Value = Self;
}

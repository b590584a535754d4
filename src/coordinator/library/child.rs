//! The index of what is in a folder, by folded name. It is what keeps names unique among siblings.

use crate::model::{FoldedName, NetworkId, NodeId};
use crate::store::{Record, Table};

/// Finds a live node by its folder and its name.
#[derive(Debug)]
pub struct Child;

impl Record for Child {
    const TABLE: Table = Table::Child;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, NodeId, FoldedName);
    type Value = NodeId;
}

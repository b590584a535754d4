//! Journal entries, and where a reader of the journal stands.

use crate::model::{Change, Cursor, Departure, Epoch, JournalEntry, Revisions, Sequence, TargetNode};

use super::{At, ProtocolError, common, field, pb};

impl TryFrom<pb::Cursor> for Cursor {
    type Error = ProtocolError;

    fn try_from(pb: pb::Cursor) -> Result<Self, ProtocolError> {
        if pb.epoch == 0 {
            return Err(ProtocolError::missing("epoch"));
        }
        Ok(Self { epoch: Epoch::new(pb.epoch), sequence: Sequence::new(pb.sequence) })
    }
}

impl From<Cursor> for pb::Cursor {
    fn from(cursor: Cursor) -> Self {
        Self { epoch: cursor.epoch.get(), sequence: cursor.sequence.get() }
    }
}

impl TryFrom<pb::MemberNode> for TargetNode {
    type Error = ProtocolError;

    fn try_from(pb: pb::MemberNode) -> Result<Self, ProtocolError> {
        let node = field::id("node_id", &pb.node_id)?;
        let (state, properties) = common::node_state(field::required("state", pb.state)?).at("state")?;
        let revisions = Revisions {
            existence: Sequence::new(pb.existence_revision),
            place: Sequence::new(pb.place_revision),
            content: Sequence::new(pb.content_revision),
            properties,
        };
        Ok(Self { node, state, revisions })
    }
}

impl From<TargetNode> for pb::MemberNode {
    fn from(node: TargetNode) -> Self {
        Self {
            node_id: node.node.to_string(),
            state: Some(common::node_state_entry(node.state, &node.revisions.properties)),
            existence_revision: node.revisions.existence.get(),
            place_revision: node.revisions.place.get(),
            content_revision: node.revisions.content.get(),
        }
    }
}

impl TryFrom<pb::ChangeEntry> for JournalEntry {
    type Error = ProtocolError;

    fn try_from(pb: pb::ChangeEntry) -> Result<Self, ProtocolError> {
        use pb::change_entry::Kind;
        if pb.sequence == 0 {
            return Err(ProtocolError::missing("sequence"));
        }
        let change = match field::required("kind", pb.kind)? {
            Kind::Present(node) => Change::Present(node.try_into().at("present")?),
            Kind::Entered(entered) => Change::Entered { node: field::message("node", entered.node).at("entered")?, lists: entered.lists },
            Kind::Left(left) => left_node(&left).at("left")?,
        };
        Ok(Self { sequence: Sequence::new(pb.sequence), op: field::optional_id("op_id", &pb.op_id)?, change })
    }
}

fn left_node(pb: &pb::LeftNode) -> Result<Change, ProtocolError> {
    use pb::left_node::Departure as Pb;
    let departure = match Pb::try_from(pb.departure) {
        Ok(Pb::Unspecified) => return Err(ProtocolError::missing("departure")),
        Ok(Pb::Deleted) => Departure::Deleted,
        Ok(Pb::Released) => Departure::Released,
        // A way of leaving that a newer coordinator knows deletes nothing here.
        Ok(Pb::MovedOut) | Err(_) => Departure::MovedOut,
    };
    Ok(Change::Left { node: field::id("node_id", &pb.node_id)?, departure })
}

impl From<JournalEntry> for pb::ChangeEntry {
    fn from(entry: JournalEntry) -> Self {
        use pb::change_entry::Kind;
        use pb::left_node::Departure as Pb;
        let kind = match entry.change {
            Change::Present(node) => Kind::Present(node.into()),
            Change::Entered { node, lists } => Kind::Entered(pb::EnteredNode { node: Some(node.into()), lists }),
            Change::Left { node, departure } => {
                let departure = match departure {
                    Departure::Deleted => Pb::Deleted,
                    Departure::MovedOut => Pb::MovedOut,
                    Departure::Released => Pb::Released,
                };
                Kind::Left(pb::LeftNode { node_id: node.to_string(), departure: departure.into() })
            }
        };
        Self { sequence: entry.sequence.get(), op_id: field::optional_text(entry.op), kind: Some(kind) }
    }
}

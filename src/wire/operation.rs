//! Pushes and their outcomes.

use bytes::Bytes;
use prost::Message as _;

use crate::model::{ContentRef, NodeState, OpId, Operation, Outcome, Place, Push, Refusal, Sequence};

use super::{At, ProtocolError, common, field, pb};

/// An operation as it travels: with the bytes of its content, if these ride along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedOperation {
    /// What to do.
    pub operation: Operation,
    /// All bytes of the content that it names; how long they are was checked, not their hash.
    pub inline: Option<Bytes>,
}

impl PushedOperation {
    /// Returns how many bytes it takes in a message.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        pb::Operation::from(self.clone()).encoded_len()
    }
}

/// Operations to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushBatch {
    /// Its number in the session, dense from 1.
    pub batch: u64,
    /// The operations.
    pub operations: Vec<PushedOperation>,
    /// W3C trace context of the sender; may be empty.
    pub traceparent: String,
}

/// The answers to a batch, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOutcomes {
    /// The batch that is answered.
    pub batch: u64,
    /// One for each operation.
    pub outcomes: Vec<(OpId, Outcome)>,
}

impl TryFrom<pb::PushBatch> for PushBatch {
    type Error = ProtocolError;

    fn try_from(pb: pb::PushBatch) -> Result<Self, ProtocolError> {
        if pb.batch == 0 {
            return Err(ProtocolError::new("batch", "is numbered from 1"));
        }
        let operations = pb
            .operations
            .into_iter()
            .enumerate()
            .map(|(index, operation)| PushedOperation::try_from(operation).at_index("operations", index))
            .collect::<Result<_, _>>()?;
        Ok(Self { batch: pb.batch, operations, traceparent: field::bounded("traceparent", pb.traceparent, 100)? })
    }
}

impl From<PushBatch> for pb::PushBatch {
    fn from(batch: PushBatch) -> Self {
        Self { batch: batch.batch, operations: batch.operations.into_iter().map(Into::into).collect(), traceparent: batch.traceparent }
    }
}

impl TryFrom<pb::Operation> for PushedOperation {
    type Error = ProtocolError;

    fn try_from(pb: pb::Operation) -> Result<Self, ProtocolError> {
        let (push, inline) = push(field::required("push", pb.push)?)?;
        let operation = Operation {
            op: field::id("op_id", &pb.op_id)?,
            set: field::id("set_id", &pb.set_id)?,
            node: field::id("node_id", &pb.node_id)?,
            pairing: field::id("pairing_id", &pb.pairing_id)?,
            push,
        };
        Ok(Self { operation, inline })
    }
}

fn push(pb: pb::operation::Push) -> Result<(Push, Option<Bytes>), ProtocolError> {
    use pb::operation::Push as Pb;
    Ok(match pb {
        Pb::Create(pb) => {
            let state: NodeState = field::message("state", pb.state).at("create")?;
            let inline = inline(pb.inline_content, state.content).at("create")?;
            (Push::Create(state), inline)
        }
        Pb::Update(pb) => update(pb).at("update")?,
        Pb::Delete(pb) => (Push::Delete { through: Sequence::new(pb.through_sequence) }, None),
        Pb::Release(pb) => (Push::Release { through: pb.through_sequence.map(Sequence::new) }, None),
        Pb::Pair(pb) => (Push::Pair { content: field::optional_message("content", pb.content).at("pair")? }, None),
    })
}

fn update(pb: pb::UpdateNode) -> Result<(Push, Option<Bytes>), ProtocolError> {
    let content: Option<ContentRef> = field::optional_message("content", pb.content)?;
    let place: Option<Place> = field::optional_message("place", pb.place)?;
    let properties = common::property_changes(pb.properties)?;
    if content.is_none() && place.is_none() && properties.is_empty() {
        return Err(ProtocolError::new("content", "one of content, place and properties is required"));
    }
    let inline = inline(pb.inline_content, content)?;
    let push = Push::Update {
        content: content.map(|content| (content, Sequence::new(pb.content_revision))),
        place: place.map(|place| (place, Sequence::new(pb.place_revision))),
        properties,
    };
    Ok((push, inline))
}

fn inline(bytes: Option<Bytes>, content: Option<ContentRef>) -> Result<Option<Bytes>, ProtocolError> {
    let Some(bytes) = bytes else { return Ok(None) };
    match content {
        Some(content) if content.height == 0 && content.size_bytes == bytes.len() as u64 => Ok(Some(bytes)),
        Some(_) => Err(ProtocolError::new("inline_content", "must be all bytes of a content of one chunk")),
        None => Err(ProtocolError::new("inline_content", "has no content that it belongs to")),
    }
}

impl From<PushedOperation> for pb::Operation {
    fn from(PushedOperation { operation, inline }: PushedOperation) -> Self {
        use pb::operation::Push as Pb;
        let push = match operation.push {
            Push::Create(state) => Pb::Create(pb::CreateNode { state: Some(state.into()), inline_content: inline }),
            Push::Update { content, place, properties } => Pb::Update(pb::UpdateNode {
                content_revision: content.map_or(0, |(_, base)| base.get()),
                content: content.map(|(content, _)| content.into()),
                inline_content: inline,
                place_revision: place.as_ref().map_or(0, |(_, base)| base.get()),
                place: place.map(|(place, _)| place.into()),
                properties: properties.into_iter().map(Into::into).collect(),
            }),
            Push::Delete { through } => Pb::Delete(pb::DeleteNode { through_sequence: through.get() }),
            Push::Release { through } => Pb::Release(pb::ReleaseNode { through_sequence: through.map(Sequence::get) }),
            Push::Pair { content } => Pb::Pair(pb::PairNode { content: content.map(Into::into) }),
        };
        Self {
            op_id: operation.op.to_string(),
            set_id: operation.set.to_string(),
            node_id: operation.node.to_string(),
            pairing_id: operation.pairing.to_string(),
            push: Some(push),
        }
    }
}

impl TryFrom<pb::Place> for Place {
    type Error = ProtocolError;

    fn try_from(pb: pb::Place) -> Result<Self, ProtocolError> {
        Ok(Self { parent: field::optional_id("parent_id", &pb.parent_id)?, name: field::name("name", pb.name)? })
    }
}

impl From<Place> for pb::Place {
    fn from(place: Place) -> Self {
        Self { parent_id: field::optional_text(place.parent), name: place.name.into() }
    }
}

impl TryFrom<pb::PushOutcomes> for PushOutcomes {
    type Error = ProtocolError;

    fn try_from(pb: pb::PushOutcomes) -> Result<Self, ProtocolError> {
        let outcomes = pb
            .outcomes
            .into_iter()
            .enumerate()
            .map(|(index, outcome)| outcome_entry(outcome).at_index("outcomes", index))
            .collect::<Result<_, _>>()?;
        Ok(Self { batch: pb.batch, outcomes })
    }
}

impl From<PushOutcomes> for pb::PushOutcomes {
    fn from(answers: PushOutcomes) -> Self {
        use pb::operation_outcome::Kind;
        let outcomes = answers.outcomes.into_iter().map(|(op, outcome)| pb::OperationOutcome {
            op_id: op.to_string(),
            kind: Some(match outcome {
                Outcome::Done(sequence) => Kind::DoneSequence(sequence.get()),
                Outcome::Refused(refusal) => Kind::Refusal(refusal.into()),
            }),
        });
        Self { batch: answers.batch, outcomes: outcomes.collect() }
    }
}

fn outcome_entry(pb: pb::OperationOutcome) -> Result<(OpId, Outcome), ProtocolError> {
    use pb::operation_outcome::Kind;
    let outcome = match field::required("kind", pb.kind)? {
        Kind::DoneSequence(sequence) => Outcome::Done(Sequence::new(sequence)),
        Kind::Refusal(refusal) => Outcome::Refused(Refusal::try_from(refusal).at("refusal")?),
    };
    Ok((field::id("op_id", &pb.op_id)?, outcome))
}

impl TryFrom<pb::Refusal> for Refusal {
    type Error = ProtocolError;

    fn try_from(pb: pb::Refusal) -> Result<Self, ProtocolError> {
        use pb::refusal::Kind;
        Ok(match Kind::try_from(pb.kind) {
            Ok(Kind::Unspecified) => return Err(ProtocolError::missing("kind")),
            Ok(Kind::Stale) => Self::Stale,
            Ok(Kind::NameTaken) => Self::NameTaken { holder: field::optional_id("holder_id", &pb.holder_id)? },
            Ok(Kind::Missing) => Self::Missing,
            Ok(Kind::NotEmpty) => Self::NotEmpty,
            Ok(Kind::ContentMissing) => Self::ContentMissing,
            Ok(Kind::IdInUse) => Self::IdInUse,
            Ok(Kind::Reason) => {
                Self::Because(common::reason(pb.reason).ok_or_else(|| ProtocolError::missing("reason"))?, field::clipped(pb.detail))
            }
            // A refusal that a newer coordinator knows: the member shows it as a fault and tries again.
            Err(_) => Self::Because(crate::model::Reason::Internal, field::clipped(pb.detail)),
        })
    }
}

impl From<Refusal> for pb::Refusal {
    fn from(refusal: Refusal) -> Self {
        use pb::refusal::Kind;
        let of_kind = |kind: Kind| Self { kind: kind.into(), ..Self::default() };
        match refusal {
            Refusal::Stale => of_kind(Kind::Stale),
            Refusal::NameTaken { holder } => Self { holder_id: field::optional_text(holder), ..of_kind(Kind::NameTaken) },
            Refusal::Missing => of_kind(Kind::Missing),
            Refusal::NotEmpty => of_kind(Kind::NotEmpty),
            Refusal::ContentMissing => of_kind(Kind::ContentMissing),
            Refusal::IdInUse => of_kind(Kind::IdInUse),
            Refusal::Because(reason, detail) => Self { reason: common::reason_number(Some(reason)), detail, ..of_kind(Kind::Reason) },
        }
    }
}

//! Short ways to say what the tests talk about.

use uuid::Uuid;

use crate::engine::{Activity, Member, Source, SourceNode, Target};
use crate::model::{ContentRef, Hash, Kind, Name, NodeId, NodeState, Place, Properties, Property, Revisions, Sequence, TargetNode, Value};

pub(super) fn id(number: u128) -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(number))
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn content(number: u64) -> ContentRef {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ContentRef { root: Hash::from_bytes(bytes), size_bytes: 1, height: 0 }
}

pub(super) fn author(text: &str) -> Properties {
    let mut properties = Properties::default();
    properties.set(Property::Author, Some(Value::Text(text.to_owned()))).unwrap();
    properties
}

pub(super) fn place(parent: Option<NodeId>, text: &str) -> Place {
    Place { parent, name: name(text) }
}

pub(super) fn document(parent: Option<NodeId>, text: &str, number: u64) -> NodeState {
    NodeState { kind: Kind::Document, place: place(parent, text), content: Some(content(number)), properties: Properties::default() }
}

pub(super) fn folder(parent: Option<NodeId>, text: &str) -> NodeState {
    NodeState { kind: Kind::Folder, place: place(parent, text), content: None, properties: Properties::default() }
}

pub(super) fn here(state: &NodeState) -> Source {
    Source::Present(SourceNode { state: state.clone(), properties_known: true, problem: None })
}

/// At the target, as of sequence 7.
pub(super) fn there(node: NodeId, state: &NodeState) -> Target {
    let revisions = Revisions::all_at(Sequence::new(7), &state.properties);
    Target::Present(TargetNode { node, state: state.clone(), revisions })
}

pub(super) fn member(node: NodeId, base: Option<&NodeState>, source: Source, target: Target) -> Member {
    Member { node, source, target, base: base.cloned(), activity: Activity::Idle, shallow: false, aside: false }
}

/// A member of which both sides and base are equal.
pub(super) fn settled(node: NodeId, state: &NodeState) -> Member {
    member(node, Some(state), here(state), there(node, state))
}

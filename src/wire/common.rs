//! `common.proto`: content references, properties, node states, and the closed lists.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::model::{
    ContentRef, Kind, MemberState, NodeState, Place, Properties, Property, PropertyChange, Reason, Role, Sequence, Timestamp, Value,
};

use super::{At, ProtocolError, field, pb};

impl TryFrom<pb::ContentRef> for ContentRef {
    type Error = ProtocolError;

    fn try_from(pb: pb::ContentRef) -> Result<Self, ProtocolError> {
        let height = u8::try_from(pb.height).ok().filter(|height| *height <= Self::HEIGHT_MAX);
        Ok(Self {
            root: field::hash("root", &pb.root)?,
            size_bytes: pb.size_bytes,
            height: height.ok_or_else(|| ProtocolError::new("height", format_args!("must be from 0 to {}", Self::HEIGHT_MAX)))?,
        })
    }
}

impl From<ContentRef> for pb::ContentRef {
    fn from(content: ContentRef) -> Self {
        Self { root: Bytes::copy_from_slice(content.root.as_bytes()), size_bytes: content.size_bytes, height: content.height.into() }
    }
}

impl TryFrom<prost_types::Timestamp> for Timestamp {
    type Error = ProtocolError;

    fn try_from(pb: prost_types::Timestamp) -> Result<Self, ProtocolError> {
        match u32::try_from(pb.nanos) {
            Ok(nanoseconds) if nanoseconds < 1_000_000_000 => Ok(Self { seconds: pb.seconds, nanoseconds }),
            _ => Err(ProtocolError::new("nanos", "must be from 0 to 999,999,999")),
        }
    }
}

impl From<Timestamp> for prost_types::Timestamp {
    fn from(time: Timestamp) -> Self {
        // Below a second by construction, so it fits.
        Self { seconds: time.seconds, nanos: i32::try_from(time.nanoseconds).unwrap_or_default() }
    }
}

impl TryFrom<pb::PropertyValue> for Value {
    type Error = ProtocolError;

    fn try_from(pb: pb::PropertyValue) -> Result<Self, ProtocolError> {
        use pb::property_value::Kind;
        Ok(match field::required("kind", pb.kind)? {
            Kind::Text(text) => Self::Text(text),
            Kind::Localized(localized) => Self::Localized(localized.texts.into_iter().collect()),
            Kind::Double(number) => Self::Double(number),
            Kind::Integer(number) => Self::Integer(number),
            Kind::Boolean(value) => Self::Boolean(value),
            Kind::Time(time) => Self::Time(Timestamp::try_from(time).at("time")?),
        })
    }
}

impl From<Value> for pb::PropertyValue {
    fn from(value: Value) -> Self {
        use pb::property_value::Kind;
        let kind = match value {
            Value::Text(text) => Kind::Text(text),
            Value::Localized(texts) => Kind::Localized(pb::LocalizedText { texts: texts.into_iter().collect() }),
            Value::Double(number) => Kind::Double(number),
            Value::Integer(number) => Kind::Integer(number),
            Value::Boolean(value) => Kind::Boolean(value),
            Value::Time(time) => Kind::Time(time.into()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::PropertyEntry> for PropertyChange {
    type Error = ProtocolError;

    fn try_from(pb: pb::PropertyEntry) -> Result<Self, ProtocolError> {
        let property = Property::from_name(&pb.property)
            .ok_or_else(|| ProtocolError::new("property", format_args!("{:?} is not a synced property", clip(&pb.property))))?;
        let value = field::optional_message("value", pb.value)?;
        // The rules of the property are the model's: they are asked for by setting it on nothing.
        Properties::default().set(property, value.clone()).map_err(|error| ProtocolError::new("value", error))?;
        Ok(Self { property, value, base: Sequence::new(pb.revision) })
    }
}

impl From<PropertyChange> for pb::PropertyEntry {
    fn from(change: PropertyChange) -> Self {
        Self { property: change.property.name().to_owned(), value: change.value.map(Into::into), revision: change.base.get() }
    }
}

/// Reads the entries of a repeated field `properties`; each property at most once.
///
/// # Errors
/// When one is malformed or given twice.
pub fn property_changes(entries: Vec<pb::PropertyEntry>) -> Result<Vec<PropertyChange>, ProtocolError> {
    let mut seen = std::collections::BTreeSet::new();
    let mut changes = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let change = PropertyChange::try_from(entry).at_index("properties", index)?;
        if !seen.insert(change.property) {
            return Err(ProtocolError::new(format!("properties[{index}].property"), "is given twice"));
        }
        changes.push(change);
    }
    Ok(changes)
}

/// A node's state and the revisions of its properties, removed ones included, as entries carry both.
pub(super) type StateWithRevisions = (NodeState, BTreeMap<Property, Sequence>);

/// Reads a node's state with its properties' revisions.
///
/// # Errors
/// When a field is malformed or contradicts the kind.
pub(super) fn node_state(pb: pb::NodeState) -> Result<StateWithRevisions, ProtocolError> {
    let kind = Kind::try_from(pb.kind())?;
    let content: Option<ContentRef> = field::optional_message("content", pb.content)?;
    match (kind, content) {
        (Kind::Document, None) => return Err(ProtocolError::new("content", "is required for a document")),
        (Kind::Folder, Some(_)) => return Err(ProtocolError::new("content", "must be unset for a folder")),
        (Kind::Document, Some(_)) | (Kind::Folder, None) => {}
    }
    let place = Place { parent: field::optional_id("parent_id", &pb.parent_id)?, name: field::name("name", pb.name)? };
    let mut properties = Properties::default();
    let mut revisions = BTreeMap::new();
    for (index, change) in property_changes(pb.properties)?.into_iter().enumerate() {
        revisions.insert(change.property, change.base);
        properties.set(change.property, change.value).map_err(|error| ProtocolError::new(format!("properties[{index}].value"), error))?;
    }
    Ok((NodeState { kind, place, content, properties }, revisions))
}

/// Writes a node's state; with revisions, entries carry them, and there is one for each removed property too.
pub(super) fn node_state_entry(state: NodeState, revisions: &BTreeMap<Property, Sequence>) -> pb::NodeState {
    let removed = revisions
        .iter()
        .filter(|(property, _)| state.properties.get(**property).is_none())
        .map(|(property, revision)| pb::PropertyEntry { property: property.name().to_owned(), value: None, revision: revision.get() });
    let set = state.properties.iter().map(|(property, value)| pb::PropertyEntry {
        property: property.name().to_owned(),
        value: Some(value.clone().into()),
        revision: revisions.get(&property).copied().unwrap_or_default().get(),
    });
    let properties = set.chain(removed).collect();
    pb::NodeState {
        kind: pb::NodeKind::from(state.kind).into(),
        parent_id: field::optional_text(state.place.parent),
        name: state.place.name.into(),
        content: state.content.map(Into::into),
        properties,
    }
}

impl TryFrom<pb::NodeState> for NodeState {
    type Error = ProtocolError;

    fn try_from(pb: pb::NodeState) -> Result<Self, ProtocolError> {
        if let Some(index) = pb.properties.iter().position(|entry| entry.value.is_none()) {
            return Err(ProtocolError::missing(format!("properties[{index}].value")));
        }
        node_state(pb).map(|(state, _)| state)
    }
}

impl From<NodeState> for pb::NodeState {
    fn from(state: NodeState) -> Self {
        node_state_entry(state, &BTreeMap::new())
    }
}

impl TryFrom<pb::NodeKind> for Kind {
    type Error = ProtocolError;

    fn try_from(pb: pb::NodeKind) -> Result<Self, ProtocolError> {
        match pb {
            pb::NodeKind::Document => Ok(Self::Document),
            pb::NodeKind::Folder => Ok(Self::Folder),
            pb::NodeKind::Unspecified => Err(ProtocolError::new("kind", "must be a document or a folder")),
        }
    }
}

impl From<Kind> for pb::NodeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Document => Self::Document,
            Kind::Folder => Self::Folder,
        }
    }
}

/// Generates the conversions of a closed list whose members have the same names on both sides, but for "unspecified".
macro_rules! closed_list {
    ($name:ident: $($member:ident),+) => {
        impl From<$name> for pb::$name {
            fn from(value: $name) -> Self {
                match value { $($name::$member => Self::$member),+ }
            }
        }

        impl From<pb::$name> for Option<$name> {
            /// Unspecified is `None`.
            fn from(pb: pb::$name) -> Self {
                match pb { pb::$name::Unspecified => None, $(pb::$name::$member => Some($name::$member)),+ }
            }
        }
    };
}

closed_list!(Role: Consumer, Contributor, Collaborator, Manager, Administrator);
closed_list!(MemberState: Pending, Syncing, Synced, Retrying, Failed, WaitingForLock, Released, Excluded, Paused);
closed_list!(Reason: NameClash, TargetFolderMissing, TargetNoLongerExists, DeletedOnCloud, AlreadySynced, OwnerNotFound, SourceAccessDenied,
    TargetAccessDenied, ContentLimitExceeded, QuotaExceeded, AuthenticationFailed, RuleFailed, Locked, UnsupportedType, NameNotAllowed,
    BrakeEngaged, SourceUnknown, Unavailable, Internal);

/// Reads a reason; one that a newer peer knows and this program does not is [`Reason::Internal`], so that it is shown and tried again.
pub(super) fn reason(number: i32) -> Option<Reason> {
    pb::Reason::try_from(number).map_or(Some(Reason::Internal), Into::into)
}

/// Writes a reason that may be absent.
pub(super) fn reason_number(reason: Option<Reason>) -> i32 {
    reason.map_or(pb::Reason::Unspecified, Into::into).into()
}

/// Reads a required member state.
///
/// # Errors
/// When it is unspecified or unknown.
pub(super) fn member_state(name: &str, number: i32) -> Result<MemberState, ProtocolError> {
    pb::MemberState::try_from(number)
        .ok()
        .and_then(Into::into)
        .ok_or_else(|| ProtocolError::new(name, format_args!("{number} is no state of a member")))
}

/// The start of a text that came from outside and is shown in an error.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

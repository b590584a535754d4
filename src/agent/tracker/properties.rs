//! What a look says about properties: which were seen, and which are merely not there to be seen.

use crate::agent::repository::{Observation, SeenProperties};
use crate::agent::state::MemberRow;
use crate::model::{Properties, Property, Value};

/// The properties of a member after a look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Judged {
    pub(super) properties: Properties,
    /// Whether they may be taken for a statement; if not they are written back.
    pub(super) known: bool,
    /// Stated EXIF values that newer content made meaningless, although they still stand beside it.
    pub(super) obsolete: Properties,
}

/// Judges what was seen of a member. `same_item`: it is still the item that it was, not another one at its place.
pub(super) fn judge(row: &MemberRow, seen: &Observation, same_item: bool) -> Judged {
    let before = row.member.source_node();
    let trusted = before.filter(|before| before.properties_known);
    let remembered = trusted.map(|before| &before.state.properties).or(row.member.base.as_ref().map(|base| &base.properties));
    let shown = &seen.properties;
    let mut properties = shown.effective();
    let Some(remembered) = remembered else { return Judged { properties, known: true, ..Judged::default() } };
    let same_content = before.is_some_and(|before| before.state.content == seen.content);
    if !seen.holds_properties {
        // There is no room for properties beside the content: what the trees hold is all there is, until an image says something new.
        let mut properties = remembered.clone();
        for property in Property::ALL.into_iter().filter(|property| property.is_exif() && !same_content) {
            put(&mut properties, property, shown.embedded.get(property));
        }
        return Judged { properties, known: true, ..Judged::default() };
    }
    for property in &shown.unreadable {
        put(&mut properties, *property, remembered.get(*property));
    }
    if !same_item || trusted.is_none() {
        // An editor that saves by rename leaves a new item without attributes: what is missing is unknown, and is written back.
        let lost = remembered.iter().any(|(property, _)| !property.is_exif() && properties.get(property).is_none());
        return Judged { properties, known: !lost, ..Judged::default() };
    }
    let obsolete = obsolete(row, shown, remembered, same_content);
    for property in Property::ALL.into_iter().filter(|property| property.is_exif()) {
        let stated = shown.stated.get(property).is_some() && obsolete.get(property).is_none();
        if stated {
            continue;
        }
        // What an image says itself, and the member did not have, belongs to content that came from the cloud: it is never pushed.
        let pulled = same_content && remembered.get(property).is_none();
        put(&mut properties, property, shown.embedded.get(property).filter(|_| !pulled));
    }
    Judged { properties, known: true, obsolete }
}

/// New content from people makes the EXIF values that were stated before meaningless, until somebody states others.
fn obsolete(row: &MemberRow, shown: &SeenProperties, remembered: &Properties, same_content: bool) -> Properties {
    let mut obsolete = Properties::default();
    let earlier = row.source.as_ref().map(|source| &source.obsolete);
    for property in shown.overrides() {
        let stated = shown.stated.get(property);
        let was = if same_content { earlier.and_then(|earlier| earlier.get(property)) } else { remembered.get(property) };
        if stated == was || (!same_content && stated == earlier.and_then(|earlier| earlier.get(property))) {
            put(&mut obsolete, property, stated);
        }
    }
    obsolete
}

fn put(properties: &mut Properties, property: Property, value: Option<&Value>) {
    let fits = properties.set(property, value.cloned());
    debug_assert!(fits.is_ok(), "a value taken from properties fits its property");
}

//! The properties that people set, as they can be seen on both sides: by the extended attributes that hold them at a source.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::StdRng;
use skybridge::model::{Properties, Property, Value};
use skybridge::wire::pb;

/// Texts by the attributes that hold them.
pub(super) type Shown = BTreeMap<String, String>;

const AUTHOR: &str = "user.dublincore.creator";
const TITLE: &str = "user.dublincore.title";
/// The locale of a title without one.
const LOCALE: &str = "en_US";

/// Picks an attribute to set, or to remove.
pub(super) fn some_attribute(chance: &mut StdRng) -> (String, Option<String>) {
    let name = match chance.random_range(0..4) {
        0 => TITLE.to_owned(),
        1 => format!("{TITLE}.de"),
        _ => AUTHOR.to_owned(),
    };
    let text = format!("Title {}", chance.random_range(0..10));
    (name, chance.random_ratio(4, 5).then_some(text))
}

/// Picks a property to set in the cloud, or to remove.
pub(super) fn some_property(chance: &mut StdRng) -> pb::PropertyEntry {
    let text = format!("Cloud {}", chance.random_range(0..9));
    let (property, kind) = match chance.random_range(0..4) {
        0 => ("cm:title", pb::property_value::Kind::Localized(pb::LocalizedText { texts: [(LOCALE.to_owned(), text)].into() })),
        1 => {
            let texts = [(LOCALE.to_owned(), text.clone()), ("de".to_owned(), text)];
            ("cm:title", pb::property_value::Kind::Localized(pb::LocalizedText { texts: texts.into() }))
        }
        _ => ("cm:author", pb::property_value::Kind::Text(text)),
    };
    let value = chance.random_ratio(4, 5).then_some(pb::PropertyValue { kind: Some(kind) });
    pb::PropertyEntry { property: property.to_owned(), value, revision: 0 }
}

/// What an item at a source shows.
pub(super) fn at_source(attributes: &BTreeMap<Vec<u8>, Vec<u8>>) -> Shown {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let shown = attributes.iter().map(|(name, value)| (text(name), text(value)));
    shown.filter(|(name, _)| name == AUTHOR || name.starts_with(TITLE)).collect()
}

/// What a node in the cloud would show at a source.
pub(super) fn in_cloud(properties: &Properties) -> Shown {
    let mut shown = Shown::new();
    if let Some(Value::Text(author)) = properties.get(Property::Author) {
        shown.insert(AUTHOR.to_owned(), author.clone());
    }
    if let Some(Value::Localized(texts)) = properties.get(Property::Title) {
        for (locale, text) in texts {
            let name = if locale == LOCALE { TITLE.to_owned() } else { format!("{TITLE}.{locale}") };
            shown.insert(name, text.clone());
        }
    }
    shown
}

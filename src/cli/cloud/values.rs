//! `cloud set`: properties, as people type them.

use std::collections::HashMap;

use super::path;
use crate::{
    cli::{
        connect::Cloud,
        failure::Failure,
        output::Format,
        text::{self, Table},
    },
    model::{Properties, Property, Value},
    wire::pb::{self, property_value::Kind},
};

/// The locale of a title or description that is given without one.
const LOCALE_DEFAULT: &str = "en_US";

/// Shows properties, or changes them.
pub(super) async fn run(cloud: &Cloud, output: Format, at: String, assignments: &[String]) -> anyhow::Result<()> {
    let mut node = path::get(cloud, &at).await?;
    if !assignments.is_empty() {
        let properties = changes(&node.properties, assignments)?;
        // The etag keeps texts in other locales, which are sent along, from undoing a change made meanwhile.
        let request =
            pb::UpdatePropertiesRequest { node: Some(path::by_id(&node)), properties, update_mask: None, etag: node.etag.clone() };
        let answer = cloud.library().update_properties(request).await?.into_inner();
        node = answer.node.unwrap_or_default();
    }
    output.print(&node, |node| {
        let mut table = Table::new(&["PROPERTY", "VALUE"]);
        for entry in &node.properties {
            for (suffix, value) in shown(entry.value.as_ref()) {
                table.row([format!("{}{suffix}", entry.property), value]);
            }
        }
        table.render_or("no properties are set")
    })
}

/// Reads assignments into what is to be changed. A text in one locale is added to those in the others.
fn changes(set: &[pb::PropertyEntry], assignments: &[String]) -> anyhow::Result<Vec<pb::PropertyEntry>> {
    let mut changed: Vec<pb::PropertyEntry> = Vec::new();
    for assignment in assignments {
        let Some((name, text)) = assignment.split_once('=') else {
            return Err(Failure::usage(format!("{assignment:?} assigns nothing"), "write it as cm:title=Report").into());
        };
        let (name, locale) = name.split_once('.').map_or((name, None), |(name, locale)| (name, Some(locale)));
        let property = Property::from_name(name).ok_or_else(|| {
            let all: Vec<&str> = Property::ALL.into_iter().map(Property::name).collect();
            Failure::usage(format!("{name:?} is not a synced property"), format!("the properties are {}", all.join(", ")))
        })?;
        let before = changed.iter().find(|entry| entry.property == name).or_else(|| set.iter().find(|entry| entry.property == name));
        let value = assigned(property, locale, text, before.and_then(|entry| entry.value.as_ref()))?;
        changed.retain(|entry| entry.property != name);
        changed.push(pb::PropertyEntry { property: name.to_owned(), value, revision: 0 });
    }
    Ok(changed)
}

fn assigned(
    property: Property,
    locale: Option<&str>,
    text: &str,
    before: Option<&pb::PropertyValue>,
) -> anyhow::Result<Option<pb::PropertyValue>> {
    if matches!(property, Property::Title | Property::Description) {
        let mut texts: HashMap<String, String> = match before.and_then(|value| value.kind.as_ref()) {
            Some(Kind::Localized(localized)) => localized.texts.clone(),
            _ => HashMap::new(),
        };
        match (locale, text) {
            (None, "") => texts.clear(),
            (Some(locale), "") => drop(texts.remove(locale)),
            (locale, text) => drop(texts.insert(locale.unwrap_or(LOCALE_DEFAULT).to_owned(), text.to_owned())),
        }
        let localized = (!texts.is_empty()).then_some(pb::LocalizedText { texts });
        return Ok(localized.map(|localized| pb::PropertyValue { kind: Some(Kind::Localized(localized)) }));
    }
    if text.is_empty() {
        return Ok(None);
    }
    if locale.is_some() {
        return Err(Failure::usage(format!("{} has no locales", property.name()), "only cm:title and cm:description have").into());
    }
    parse(property, text).map(|kind| Some(pb::PropertyValue { kind: Some(kind) }))
}

/// Reads a value as the kind that the property takes: the model says which of the readings it accepts.
fn parse(property: Property, text: &str) -> anyhow::Result<Kind> {
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok();
    let time = time.map(|time| prost_types::Timestamp { seconds: time.unix_timestamp(), nanos: time.nanosecond().cast_signed() });
    let readings = [
        text.parse().ok().map(Value::Integer).zip(text.parse().ok().map(Kind::Integer)),
        text.parse().ok().map(Value::Double).zip(text.parse().ok().map(Kind::Double)),
        text.parse().ok().map(Value::Boolean).zip(text.parse().ok().map(Kind::Boolean)),
        time.map(|time| {
            let timestamp = crate::model::Timestamp { seconds: time.seconds, nanoseconds: time.nanos.unsigned_abs() };
            (Value::Time(timestamp), Kind::Time(time))
        }),
        Some((Value::Text(text.to_owned()), Kind::Text(text.to_owned()))),
    ];
    let mut refusal = None;
    for (value, kind) in readings.into_iter().flatten() {
        match Properties::default().set(property, Some(value)) {
            Ok(()) => return Ok(kind),
            // A value of the right kind that is out of range says more than the other readings' wrong kind.
            Err(error) if matches!(refusal, None | Some(crate::model::InvalidProperty::Type { .. })) => refusal = Some(error),
            Err(_) => {}
        }
    }
    let what = refusal.map(|error| error.to_string()).unwrap_or_default();
    Err(Failure::usage(format!("{text:?} cannot be the value: {what}"), "").into())
}

/// Returns a value for people, a line for each locale.
fn shown(value: Option<&pb::PropertyValue>) -> Vec<(String, String)> {
    let one = |text: String| vec![(String::new(), text)];
    match value.and_then(|value| value.kind.as_ref()) {
        None => Vec::new(),
        Some(Kind::Text(text)) => one(text.clone()),
        Some(Kind::Double(number)) => one(number.to_string()),
        Some(Kind::Integer(number)) => one(number.to_string()),
        Some(Kind::Boolean(boolean)) => one(boolean.to_string()),
        Some(Kind::Time(time)) => one(text::time(Some(time))),
        Some(Kind::Localized(localized)) => {
            let mut texts: Vec<_> = localized.texts.iter().map(|(locale, text)| (format!(".{locale}"), text.clone())).collect();
            texts.sort();
            texts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_kind_of_their_property() {
        let kind = |property, text| parse(property, text).ok();
        assert_eq!(kind(Property::Author, "1984"), Some(Kind::Text("1984".into())));
        assert_eq!(kind(Property::Orientation, "6"), Some(Kind::Integer(6)));
        assert_eq!(kind(Property::Latitude, "52"), Some(Kind::Double(52.0)));
        assert_eq!(kind(Property::Flash, "true"), Some(Kind::Boolean(true)));
        assert!(matches!(kind(Property::DateTimeOriginal, "2024-05-06T07:08:09Z"), Some(Kind::Time(_))));
        assert_eq!(kind(Property::Latitude, "91"), None);
        assert_eq!(kind(Property::Orientation, "up"), None);
        let error = parse(Property::Latitude, "91").expect_err("out of range").to_string();
        assert!(error.contains("-90 to 90"), "{error}");
    }

    #[test]
    fn a_text_in_one_locale_keeps_the_others() {
        let set = changes(&[], &["cm:title=Report".into(), "cm:title.de_DE=Bericht".into()]).expect("read");
        let more = changes(&set, &["cm:title.de_DE=".into()]).expect("read");
        assert_eq!(shown(set[0].value.as_ref()), [(".de_DE".into(), "Bericht".into()), (".en_US".into(), "Report".into())]);
        assert_eq!(shown(more[0].value.as_ref()), [(String::from(".en_US"), "Report".into())]);
        assert_eq!(changes(&set, &["cm:title=".into()]).expect("read")[0].value, None);
    }
}

//! Properties as extended attributes, by the names that other programs use where there are such.

use std::collections::BTreeMap;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::agent::repository::{Item, SeenProperties, UnsupportedKind};
use crate::model::{InvalidProperty, Properties, Property, Timestamp, Value};
use crate::sys::{Errno, Files, Handle, Result};

const TYPE: &str = "user.skybridge.type";
const ASPECTS: &str = "user.skybridge.aspects";
const CUSTOM: &str = "user.skybridge.property.";
const EXIF: &str = "user.exif.";

/// The extended attributes of an item that are of interest here.
#[derive(Debug, Default)]
pub(super) struct Attributes(BTreeMap<String, Vec<u8>>);

impl Attributes {
    /// Reads those of an open item; none where the file system has none.
    pub(super) fn read(files: &dyn Files, file: &Handle) -> Result<Self> {
        let names = match files.list_attributes(file) {
            Ok(names) => names,
            Err(Errno::OPNOTSUPP) => Vec::new(),
            Err(errno) => return Err(errno),
        };
        let mut attributes = BTreeMap::new();
        for name in names.into_iter().filter_map(|name| String::from_utf8(name).ok()).filter(|name| name.starts_with("user.")) {
            match files.attribute(file, name.as_bytes()) {
                Ok(value) => drop(attributes.insert(name, value)),
                // Removed since it was listed.
                Err(Errno::NODATA) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(Self(attributes))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// What the item is, if it is more than the file system shows.
    pub(super) fn item(&self, plain: Item) -> Item {
        let mut aspects = self.text(ASPECTS).unwrap_or_default().split([',', ';', ' ', '\n']);
        let kind = aspects.find_map(|aspect| match aspect {
            "rma:record" => Some(UnsupportedKind::Record),
            "smf:smartFolder" => Some(UnsupportedKind::SmartFolder),
            _ => None,
        });
        kind.map_or(plain, Item::Unsupported)
    }

    pub(super) fn custom_type(&self) -> Option<String> {
        let plain = |name: &&str| !name.is_empty() && *name != "cm:content" && *name != "cm:folder";
        self.text(TYPE).map(str::trim).filter(plain).map(str::to_owned)
    }

    pub(super) fn has_custom(&self) -> bool {
        self.0.keys().any(|name| name.starts_with(CUSTOM))
    }
}

/// The attribute of a property; further locales of a text have the locale behind it.
fn attribute_name(property: Property) -> String {
    match property {
        Property::Locale => "user.xdg.language".to_owned(),
        Property::Author => "user.dublincore.creator".to_owned(),
        Property::Title => "user.dublincore.title".to_owned(),
        Property::Description => "user.dublincore.description".to_owned(),
        Property::Latitude => "user.geo.latitude".to_owned(),
        Property::Longitude => "user.geo.longitude".to_owned(),
        exif => format!("{EXIF}{}", exif.name().trim_start_matches("exif:")),
    }
}

fn is_localized(property: Property) -> bool {
    matches!(property, Property::Title | Property::Description)
}

/// Takes the stated properties from attributes. What cannot be understood is noted and left alone.
pub(super) fn read(attributes: &Attributes, default_locale: &str, seen: &mut SeenProperties, notes: &mut Vec<String>) {
    for property in Property::ALL {
        let value = if is_localized(property) {
            localized(attributes, property, default_locale)
        } else {
            attributes.0.get(&attribute_name(property)).map(|value| parse(property, value)).transpose()
        };
        let set = match value {
            Ok(value) => seen.stated.set(property, value).map_err(|error| error.to_string()),
            Err(problem) => Err(problem),
        };
        if let Err(problem) = set {
            notes.push(format!("{} in {} is left alone: {problem}", property.name(), attribute_name(property)));
            seen.unreadable.insert(property);
        }
    }
    if seen.stated.get(Property::Locale).is_none() && !seen.unreadable.contains(&Property::Locale) {
        let fits = seen.stated.set(Property::Locale, Some(Value::Text(default_locale.to_owned())));
        if fits.is_err() {
            notes.push(format!("the site's default locale {default_locale:?} is none"));
        }
    }
}

fn localized(attributes: &Attributes, property: Property, default_locale: &str) -> Result<Option<Value>, String> {
    let plain = attribute_name(property);
    let mut texts = BTreeMap::new();
    for (name, value) in &attributes.0 {
        let locale = match name.strip_prefix(&plain) {
            Some("") => default_locale,
            Some(rest) => match rest.strip_prefix('.') {
                // The plain attribute is the one of the default locale, if there are both.
                Some(locale) if locale == default_locale && attributes.0.contains_key(&plain) => continue,
                Some(locale) => locale,
                None => continue,
            },
            None => continue,
        };
        texts.insert(locale.to_owned(), utf8(value)?);
    }
    Ok((!texts.is_empty()).then_some(Value::Localized(texts)))
}

fn utf8(value: &[u8]) -> Result<String, String> {
    String::from_utf8(value.to_vec()).map_err(|_| "not UTF-8".to_owned())
}

/// Finds the type that a property takes by trying which it accepts.
fn parse(property: Property, value: &[u8]) -> Result<Value, String> {
    let text = utf8(value)?;
    let takes = |value: Value| {
        let mut properties = Properties::default();
        match properties.set(property, Some(value)) {
            Err(InvalidProperty::Type { .. }) => false,
            Ok(()) | Err(InvalidProperty::Range { .. } | InvalidProperty::Unknown(_)) => true,
        }
    };
    let trimmed = text.trim();
    let wrong = |what: &str| format!("{trimmed:?} is not {what}");
    if takes(Value::Text(String::new())) {
        Ok(Value::Text(text))
    } else if takes(Value::Double(0.0)) {
        trimmed.parse().map(Value::Double).map_err(|_| wrong("a number"))
    } else if takes(Value::Integer(0)) {
        trimmed.parse().map(Value::Integer).map_err(|_| wrong("a whole number"))
    } else if takes(Value::Boolean(false)) {
        trimmed.parse().map(Value::Boolean).map_err(|_| wrong("true or false"))
    } else {
        parse_time(trimmed).map(Value::Time).ok_or_else(|| wrong("a time such as 2001-02-03T04:05:06Z"))
    }
}

fn parse_time(text: &str) -> Option<Timestamp> {
    if let Some((seconds, nanoseconds)) = text.strip_prefix('@').and_then(|text| text.split_once('.')) {
        return Some(Timestamp { seconds: seconds.parse().ok()?, nanoseconds: nanoseconds.parse().ok()? });
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp { seconds: time.unix_timestamp(), nanoseconds: time.nanosecond() })
}

fn format_time(time: Timestamp) -> String {
    let text = OffsetDateTime::from_unix_timestamp(time.seconds)
        .ok()
        .and_then(|at| at.replace_nanosecond(time.nanoseconds).ok())
        .and_then(|at| at.format(&Rfc3339).ok());
    // Years that the usual form cannot write.
    text.unwrap_or_else(|| format!("@{}.{:09}", time.seconds, time.nanoseconds))
}

/// What to write so that a property gets a value, or has none: attributes with their values, `None` removes.
pub(super) fn written(
    present: &Attributes,
    property: Property,
    value: Option<&Value>,
    default_locale: &str,
) -> BTreeMap<String, Option<Vec<u8>>> {
    let plain = attribute_name(property);
    let mut changes = BTreeMap::new();
    let belongs =
        |name: &str| name.strip_prefix(&plain).is_some_and(|rest| rest.is_empty() || (is_localized(property) && rest.starts_with('.')));
    for name in present.0.keys().filter(|name| belongs(name)) {
        changes.insert(name.clone(), None);
    }
    let text = match value {
        None => return changes,
        Some(Value::Localized(texts)) => {
            for (locale, text) in texts {
                let name = if locale == default_locale { plain.clone() } else { format!("{plain}.{locale}") };
                changes.insert(name, Some(text.clone().into_bytes()));
            }
            return changes;
        }
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Double(number)) => number.to_string(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Boolean(yes)) => yes.to_string(),
        Some(Value::Time(time)) => format_time(*time),
    };
    changes.insert(plain, Some(text.into_bytes()));
    changes
}

/// Writes attributes, all or none.
pub(super) fn write(files: &dyn Files, file: &Handle, changes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<()> {
    let mut undo = Vec::new();
    for (name, value) in changes {
        let name = name.as_bytes();
        let before = match files.attribute(file, name) {
            Ok(value) => Some(value),
            Err(Errno::NODATA) => None,
            Err(errno) => return Err(errno),
        };
        if before == *value {
            continue;
        }
        if let Err(errno) = put(files, file, name, value.as_deref()) {
            for (name, value) in undo.into_iter().rev() {
                let value: Option<Vec<u8>> = value;
                put(files, file, name, value.as_deref())?;
            }
            return Err(errno);
        }
        undo.push((name, before));
    }
    Ok(())
}

fn put(files: &dyn Files, file: &Handle, name: &[u8], value: Option<&[u8]>) -> Result<()> {
    match value {
        Some(value) => files.set_attribute(file, name, value),
        None => files.remove_attribute(file, name),
    }
}

/// Whether an attribute holds one of these properties.
pub(super) fn holds_any(name: &[u8], properties: &[Property]) -> bool {
    properties.iter().any(|property| {
        let plain = attribute_name(*property);
        name.strip_prefix(plain.as_bytes()).is_some_and(|rest| rest.is_empty() || (is_localized(*property) && rest.starts_with(b".")))
    })
}

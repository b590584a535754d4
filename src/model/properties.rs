//! The properties that are synced: exactly these, and what type each has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A synced property. Its [`name`](Property::name) is the qualified name of the published content model, version 1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Property {
    /// `sys:locale`: the node's own locale, such as `en_GB`.
    Locale,
    /// `cm:author`.
    Author,
    /// `cm:title`, a text per locale.
    Title,
    /// `cm:description`, a text per locale.
    Description,
    /// `cm:latitude`, degrees, -90 to 90.
    Latitude,
    /// `cm:longitude`, degrees, -180 to 180.
    Longitude,
    /// `exif:dateTimeOriginal`.
    DateTimeOriginal,
    /// `exif:pixelXDimension`, pixels.
    PixelXDimension,
    /// `exif:pixelYDimension`, pixels.
    PixelYDimension,
    /// `exif:exposureTime`, seconds.
    ExposureTime,
    /// `exif:fNumber`.
    FNumber,
    /// `exif:flash`: whether it fired.
    Flash,
    /// `exif:focalLength`, millimetres.
    FocalLength,
    /// `exif:isoSpeedRatings`, a text.
    IsoSpeedRatings,
    /// `exif:manufacturer`.
    Manufacturer,
    /// `exif:model`.
    Model,
    /// `exif:software`.
    Software,
    /// `exif:orientation`, 1 to 8 as in EXIF.
    Orientation,
    /// `exif:xResolution`.
    XResolution,
    /// `exif:yResolution`.
    YResolution,
    /// `exif:resolutionUnit`.
    ResolutionUnit,
}

/// What kind of value a property takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Localized,
    Double,
    Integer,
    Boolean,
    Time,
}

impl Property {
    /// Every property, in the order of their declaration.
    pub const ALL: [Self; 21] = [
        Self::Locale,
        Self::Author,
        Self::Title,
        Self::Description,
        Self::Latitude,
        Self::Longitude,
        Self::DateTimeOriginal,
        Self::PixelXDimension,
        Self::PixelYDimension,
        Self::ExposureTime,
        Self::FNumber,
        Self::Flash,
        Self::FocalLength,
        Self::IsoSpeedRatings,
        Self::Manufacturer,
        Self::Model,
        Self::Software,
        Self::Orientation,
        Self::XResolution,
        Self::YResolution,
        Self::ResolutionUnit,
    ];

    /// Returns the qualified name, such as `cm:title`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.describe().0
    }

    /// Finds a property by its qualified name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|property| property.name() == name)
    }

    /// Whether it belongs to the `exif` group, whose values an image itself can state.
    #[must_use]
    pub fn is_exif(self) -> bool {
        self.name().starts_with("exif:")
    }

    const fn describe(self) -> (&'static str, Type) {
        match self {
            Self::Locale => ("sys:locale", Type::Text),
            Self::Author => ("cm:author", Type::Text),
            Self::Title => ("cm:title", Type::Localized),
            Self::Description => ("cm:description", Type::Localized),
            Self::Latitude => ("cm:latitude", Type::Double),
            Self::Longitude => ("cm:longitude", Type::Double),
            Self::DateTimeOriginal => ("exif:dateTimeOriginal", Type::Time),
            Self::PixelXDimension => ("exif:pixelXDimension", Type::Integer),
            Self::PixelYDimension => ("exif:pixelYDimension", Type::Integer),
            Self::ExposureTime => ("exif:exposureTime", Type::Double),
            Self::FNumber => ("exif:fNumber", Type::Double),
            Self::Flash => ("exif:flash", Type::Boolean),
            Self::FocalLength => ("exif:focalLength", Type::Double),
            Self::IsoSpeedRatings => ("exif:isoSpeedRatings", Type::Text),
            Self::Manufacturer => ("exif:manufacturer", Type::Text),
            Self::Model => ("exif:model", Type::Text),
            Self::Software => ("exif:software", Type::Text),
            Self::Orientation => ("exif:orientation", Type::Integer),
            Self::XResolution => ("exif:xResolution", Type::Double),
            Self::YResolution => ("exif:yResolution", Type::Double),
            Self::ResolutionUnit => ("exif:resolutionUnit", Type::Text),
        }
    }
}

impl From<Property> for &'static str {
    fn from(property: Property) -> Self {
        property.name()
    }
}

impl TryFrom<String> for Property {
    type Error = InvalidProperty;

    fn try_from(name: String) -> Result<Self, InvalidProperty> {
        Self::from_name(&name).ok_or(InvalidProperty::Unknown(name))
    }
}

/// A moment in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z; may be negative.
    pub seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// A property's value. Doubles are finite: constructors on the way in see to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A text.
    Text(String),
    /// A text per locale; never empty.
    Localized(BTreeMap<String, String>),
    /// A finite number.
    Double(f64),
    /// A whole number.
    Integer(i32),
    /// Yes or no.
    Boolean(bool),
    /// A moment.
    Time(Timestamp),
}

impl Eq for Value {}

/// Why a property or its value is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProperty {
    /// No such property is synced.
    #[error("{0:?} is not a synced property")]
    Unknown(String),
    /// The value has another type than the property.
    #[error("{} takes {expected}", property.name())]
    Type {
        /// The property.
        property: Property,
        /// The kind of value it takes.
        expected: &'static str,
    },
    /// The value is out of the property's range.
    #[error("{} must be {range}", property.name())]
    Range {
        /// The property.
        property: Property,
        /// The range, in words.
        range: &'static str,
    },
}

/// The longest text value, in bytes; keeps a node's record well below a message.
const TEXT_BYTES_MAX: usize = 32 * 1024;
/// The most locales of one localized text.
const LOCALES_MAX: usize = 64;

/// The synced properties of one node. Absent means not set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Properties(BTreeMap<Property, Value>);

impl Properties {
    /// Returns a property's value.
    #[must_use]
    pub fn get(&self, property: Property) -> Option<&Value> {
        self.0.get(&property)
    }

    /// Sets a property, or removes it with `None`.
    ///
    /// # Errors
    /// When the value does not fit the property; nothing is changed then.
    pub fn set(&mut self, property: Property, value: Option<Value>) -> Result<(), InvalidProperty> {
        match value {
            Some(value) => {
                check(property, &value)?;
                self.0.insert(property, value);
            }
            None => {
                self.0.remove(&property);
            }
        }
        Ok(())
    }

    /// Iterates over what is set, in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = (Property, &Value)> {
        self.0.iter().map(|(property, value)| (*property, value))
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns about how many bytes they take in a message.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        let bytes = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Localized(texts) => texts.iter().map(|(locale, text)| locale.len() + text.len() + 8).sum(),
            Value::Double(_) | Value::Integer(_) | Value::Boolean(_) | Value::Time(_) => 16,
        };
        self.0.iter().map(|(property, value)| property.name().len() + 16 + bytes(value)).sum()
    }

    /// Lists the properties whose values differ between the two.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<Property> {
        Property::ALL.into_iter().filter(|property| self.get(*property) != other.get(*property)).collect()
    }
}

fn check(property: Property, value: &Value) -> Result<(), InvalidProperty> {
    let range = |range| Err(InvalidProperty::Range { property, range });
    match (property.describe().1, value) {
        (Type::Text, Value::Text(text)) if text.len() > TEXT_BYTES_MAX => range("at most 32 KiB of text"),
        (Type::Localized, Value::Localized(texts)) if texts.is_empty() || texts.len() > LOCALES_MAX => range("1 to 64 locales"),
        (Type::Localized, Value::Localized(texts)) if texts.values().map(String::len).sum::<usize>() > TEXT_BYTES_MAX => {
            range("at most 32 KiB of text")
        }
        (Type::Localized, Value::Localized(texts)) if !texts.keys().all(|locale| is_locale(locale)) => {
            range("a text per locale, such as en_GB")
        }
        (Type::Text, Value::Text(text)) if property == Property::Locale && !is_locale(text) => range("a locale, such as en_GB"),
        (Type::Double, Value::Double(number)) if !number.is_finite() => range("a finite number"),
        (Type::Double, Value::Double(number)) if property == Property::Latitude && number.abs() > 90.0 => range("from -90 to 90 degrees"),
        (Type::Double, Value::Double(number)) if property == Property::Longitude && number.abs() > 180.0 => {
            range("from -180 to 180 degrees")
        }
        (Type::Time, Value::Time(time)) if time.nanoseconds > 999_999_999 => range("a time with nanoseconds below a second"),
        (Type::Text, Value::Text(_))
        | (Type::Localized, Value::Localized(_))
        | (Type::Double, Value::Double(_))
        | (Type::Integer, Value::Integer(_))
        | (Type::Boolean, Value::Boolean(_))
        | (Type::Time, Value::Time(_)) => Ok(()),
        (Type::Text, _) => Err(InvalidProperty::Type { property, expected: "a text" }),
        (Type::Localized, _) => Err(InvalidProperty::Type { property, expected: "a text per locale" }),
        (Type::Double, _) => Err(InvalidProperty::Type { property, expected: "a number" }),
        (Type::Integer, _) => Err(InvalidProperty::Type { property, expected: "a whole number" }),
        (Type::Boolean, _) => Err(InvalidProperty::Type { property, expected: "true or false" }),
        (Type::Time, _) => Err(InvalidProperty::Type { property, expected: "a time" }),
    }
}

/// Letters, digits, `_` and `-`, at most 32: what locales such as `en`, `en_GB` and `sr_Latn_RS` are made of.
fn is_locale(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_b04_names_are_unique_and_found_again() {
        for property in Property::ALL {
            assert_eq!(Property::from_name(property.name()), Some(property));
        }
        assert_eq!(Property::from_name("cm:creator"), None);
    }

    #[test]
    fn values_must_fit_their_property() {
        let mut properties = Properties::default();
        assert!(properties.set(Property::Latitude, Some(Value::Double(91.0))).is_err());
        assert!(properties.set(Property::Latitude, Some(Value::Double(f64::NAN))).is_err());
        assert!(properties.set(Property::IsoSpeedRatings, Some(Value::Integer(100))).is_err());
        assert!(properties.set(Property::Locale, Some(Value::Text("no locale".into()))).is_err());
        assert!(properties.is_empty());
        assert!(properties.set(Property::IsoSpeedRatings, Some(Value::Text("100".into()))).is_ok());
        assert_eq!(properties.differing(&Properties::default()), vec![Property::IsoSpeedRatings]);
    }
}

//! Properties as extended attributes, and EXIF.

use super::*;
use crate::agent::repository::SeenProperties;
use crate::model::Timestamp;

fn get(f: &Fixture, inner: &str, name: &str) -> Option<String> {
    attribute(f, inner, name).map(|value| String::from_utf8(value).unwrap())
}

fn seen(f: &Fixture, inner: &str) -> SeenProperties {
    f.observe_at(&f.at(inner)).unwrap().properties
}

fn texts<const N: usize>(texts: [(&str, &str); N]) -> Value {
    Value::Localized(texts.into_iter().map(|(locale, text)| (locale.to_owned(), text.to_owned())).collect())
}

fn value_of(property: Property) -> Value {
    match property {
        Property::Locale => Value::Text("en_GB".to_owned()),
        Property::Title => texts([("en_US", "plain"), ("de_DE", "Grüße"), ("fr", "")]),
        Property::Description => texts([("fr", "only French")]),
        Property::Author | Property::Manufacturer | Property::Model | Property::Software => Value::Text(" A & B\n ".to_owned()),
        Property::IsoSpeedRatings => Value::Text("100".to_owned()),
        Property::ResolutionUnit => Value::Text("Inch".to_owned()),
        Property::DateTimeOriginal => Value::Time(Timestamp { seconds: 981_173_106, nanoseconds: 120_000_001 }),
        Property::PixelXDimension | Property::PixelYDimension | Property::Orientation => Value::Integer(6),
        Property::Flash => Value::Boolean(true),
        _ => Value::Double(0.1 + 0.2),
    }
}

#[test]
fn s_b04_all_properties_round_trip_and_are_removed_again() {
    for parent in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
        let f = fixture_in(&parent, |_| {});
        if !f.repository.capabilities(&f.sites[0].name).unwrap().properties {
            continue;
        }
        f.write("doc", "1");
        f.mkdir("folder");
        for inner in ["doc", "folder"] {
            let all: BTreeMap<_, _> = Property::ALL.into_iter().map(|property| (property, Some(value_of(property)))).collect();
            let placed = f.repository.set_properties(&f.at(inner), &f.entry_at(inner).stamp, &all).unwrap();
            let properties = seen(&f, inner);
            assert!(properties.unreadable.is_empty(), "{properties:?}");
            assert_eq!(properties.overrides().len(), 15);
            for property in Property::ALL {
                assert_eq!(properties.stated.get(property), Some(&value_of(property)), "{property:?}");
            }
            assert_eq!(get(&f, inner, "user.dublincore.title").unwrap(), "plain");
            assert_eq!(get(&f, inner, "user.dublincore.title.de_DE").unwrap(), "Grüße");
            assert_eq!(get(&f, inner, "user.dublincore.creator").unwrap(), " A & B\n ");
            assert_eq!(get(&f, inner, "user.exif.dateTimeOriginal").unwrap(), "2001-02-03T04:05:06.120000001Z");
            let none = Property::ALL.into_iter().map(|property| (property, None)).collect();
            f.repository.set_properties(&f.at(inner), &placed.stamp, &none).unwrap();
            let left: Vec<_> = seen(&f, inner).stated.iter().map(|(property, value)| (property, value.clone())).collect();
            assert_eq!(left, [(Property::Locale, Value::Text("en_US".to_owned()))], "the site's default stays");
        }
    }
}

#[test]
fn edge_z02_times_far_away_round_trip() {
    let f = fixture();
    f.write("doc", "1");
    for seconds in [i64::MIN, -1, 0, i64::MAX] {
        let value = Value::Time(Timestamp { seconds, nanoseconds: 5 });
        let changes = BTreeMap::from([(Property::DateTimeOriginal, Some(value.clone()))]);
        f.repository.set_properties(&f.at("doc"), &f.entry_at("doc").stamp, &changes).unwrap();
        assert_eq!(seen(&f, "doc").stated.get(Property::DateTimeOriginal), Some(&value));
    }
}

#[test]
fn what_does_not_parse_is_noted_and_left_alone() {
    let f = fixture();
    f.write("doc", "1");
    set(&f, "doc", "user.geo.latitude", b"north");
    set(&f, "doc", "user.geo.longitude", b"181");
    set(&f, "doc", "user.dublincore.title", b"\xff");
    set(&f, "doc", "user.dublincore.creator", b"Ann");
    set(&f, "doc", "user.skybridge.type", b"acme:contract");
    set(&f, "doc", "user.skybridge.property.acme.number", b"7");
    let observation = f.observe_at(&f.at("doc")).unwrap();
    let properties = observation.properties;
    assert_eq!(properties.unreadable, BTreeSet::from([Property::Title, Property::Latitude, Property::Longitude]));
    assert_eq!(observation.notes.len(), 3);
    assert_eq!(properties.stated.get(Property::Author), Some(&Value::Text("Ann".to_owned())));
    assert_eq!((observation.custom_type.as_deref(), observation.custom_properties), (Some("acme:contract"), true));
    let changes = BTreeMap::from([(Property::Author, None)]);
    f.repository.set_properties(&f.at("doc"), &f.entry_at("doc").stamp, &changes).unwrap();
    assert_eq!(get(&f, "doc", "user.geo.latitude").unwrap(), "north");
}

#[test]
fn properties_are_set_on_the_expected_state_only_and_all_or_none() {
    let f = fixture();
    f.write("doc", "1");
    let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
    let author = BTreeMap::from([(Property::Author, Some(Value::Text("Ann".to_owned())))]);
    let placed = f.repository.set_properties(&at, &stamp, &author).unwrap();
    assert_eq!(placed.stamp.times(), f.entry_at("doc").stamp.times());
    // More than ext4 takes. Where it fits, there is nothing to show.
    let long = BTreeMap::from([(Property::Author, None), (Property::Manufacturer, Some(Value::Text("x".repeat(32 * 1024))))]);
    if let Err(error) = f.repository.set_properties(&at, &placed.stamp, &long) {
        assert_eq!(error, RepositoryError::PropertiesDoNotFit);
        assert_eq!(get(&f, "doc", "user.dublincore.creator").as_deref(), Some("Ann"));
    }
    set(&f, "doc", "user.other", b"1");
    let mut outdated = stamp;
    outdated.changed -= 1;
    assert_eq!(f.repository.set_properties(&at, &outdated, &author), Err(RepositoryError::Changed));
}

/// A TIFF of one directory, little endian, and the directory of its EXIF.
fn tiff() -> Vec<u8> {
    let mut bytes = b"II\x2a\x00\x08\x00\x00\x00".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    // IFD0 at 8: 5 entries, ends at 8 + 2 + 60 + 4 = 74. EXIF directory at 74: 6 entries, ends at 74 + 2 + 72 + 4 = 152.
    let main = [
        entry(0x010f, 2, 4, u32::from_le_bytes(*b"ACM\0")),
        entry(0x0112, 3, 1, 6),
        entry(0x011a, 5, 1, 152),
        entry(0x0128, 3, 1, 2),
        entry(0x8769, 4, 1, 74),
    ];
    let exif = [
        entry(0x829a, 5, 1, 160),
        entry(0x8827, 3, 1, 200),
        entry(0x9003, 2, 20, 168),
        entry(0x9011, 2, 7, 188),
        entry(0x9209, 3, 1, 1),
        entry(0xa002, 4, 1, 640),
    ];
    for directory in [&main[..], &exif[..]] {
        bytes.extend((directory.len() as u16).to_le_bytes());
        bytes.extend(directory.concat());
        bytes.extend([0; 4]);
    }
    for number in [72_u32, 1, 1, 4] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(b"2001:02:03 04:05:06\0+01:00\0");
    bytes
}

#[test]
fn images_state_properties_and_people_override_them() {
    let f = fixture();
    // A JPEG is the same in its second segment.
    let tiff = tiff();
    let length = (tiff.len() + 8) as u16;
    let jpeg = [b"\xff\xd8\xff\xe1", &length.to_be_bytes()[..], b"Exif\0\0", &tiff, b"\xff\xd9"].concat();
    for image in [&tiff, &jpeg] {
        f.write("image", image);
        let properties = seen(&f, "image");
        let embedded: Vec<_> = properties.embedded.iter().map(|(property, value)| (property, value.clone())).collect();
        let expected = [
            (Property::DateTimeOriginal, Value::Time(Timestamp { seconds: 981_173_106 - 3600, nanoseconds: 0 })),
            (Property::PixelXDimension, Value::Integer(640)),
            (Property::ExposureTime, Value::Double(0.25)),
            (Property::Flash, Value::Boolean(true)),
            (Property::IsoSpeedRatings, Value::Text("200".to_owned())),
            (Property::Manufacturer, Value::Text("ACM".to_owned())),
            (Property::Orientation, Value::Integer(6)),
            (Property::XResolution, Value::Double(72.0)),
            (Property::ResolutionUnit, Value::Text("Inch".to_owned())),
        ];
        assert_eq!(embedded, expected);
        assert_eq!(properties.overrides(), []);
    }
    set(&f, "image", "user.exif.orientation", b"3");
    let properties = seen(&f, "image");
    assert_eq!(properties.effective().get(Property::Orientation), Some(&Value::Integer(3)));
    assert_eq!(properties.effective().get(Property::Flash), Some(&Value::Boolean(true)));
    assert_eq!(properties.overrides(), [Property::Orientation]);
    // Whatever somebody calls an image does no harm.
    for damaged in 0..tiff.len() {
        f.write("image", &tiff[..damaged]);
        assert!(seen(&f, "image").unreadable.is_empty());
    }
}

#[test]
fn s_b04_where_there_is_no_room_for_properties_the_agent_keeps_them() {
    let f = fixture();
    f.write("doc", "old");
    f.sites[0].pretend(|can| can.properties = false);
    let author = BTreeMap::from([(Property::Author, Some(Value::Text("Ann".to_owned())))]);
    let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
    f.repository.set_properties(&at, &stamp, &author).unwrap();
    let staged = f.staged(&f.top(), 1, b"new");
    f.repository.set_staged_properties(&staged, &author).unwrap();
    assert_eq!(attribute(&f, "doc", "user.dublincore.creator"), None);
    assert!(!f.repository.observe(&at, None, &mut |_| true).unwrap().holds_properties, "it does not say that there are none");
}

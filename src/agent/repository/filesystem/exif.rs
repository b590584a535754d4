//! What an image says of itself.

use std::io::{BufReader, Read, Seek, SeekFrom};

use exif::{In, Tag};
use time::{Date, Month, Time, UtcOffset};

use super::reading::FilesystemDocument;
use crate::agent::repository::Document;
use crate::model::{Properties, Property, Timestamp, Value};

/// No more of an image is read in search of its EXIF; bounds the memory too, for some formats are read as a whole.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How images with EXIF begin: JPEG, TIFF of either byte order, PNG.
const BEGINNINGS: [&[u8]; 4] = [b"\xff\xd8\xff", b"II\x2a\x00", b"MM\x00\x2a", b"\x89PNG"];

/// Takes what the image states; nothing if it is no image, or a damaged one.
pub(super) fn read(document: &FilesystemDocument, properties: &mut Properties) {
    let mut head = [0; 12];
    let Ok(length) = document.read_at(0, &mut head) else { return };
    // WebP is RIFF with a kind at 8; HEIF has its mark at 4.
    let is_image = BEGINNINGS.iter().any(|beginning| head.starts_with(beginning)) || &head[8..] == b"WEBP" || &head[4..8] == b"ftyp";
    if length < head.len() || !is_image {
        return;
    }
    let source = Window { document, size: document.state().size_bytes.min(BYTES_MAX), offset: 0 };
    let Ok(exif) = exif::Reader::new().read_from_container(&mut BufReader::new(source)) else { return };
    for property in Property::ALL {
        if let Some(value) = value(&exif, property) {
            // A value out of its range is as good as none.
            if let Err(error) = properties.set(property, Some(value)) {
                tracing::debug!(%error, "unusable EXIF value");
            }
        }
    }
}

fn value(exif: &exif::Exif, property: Property) -> Option<Value> {
    let integer = |tag| uint(exif, tag).and_then(|number| i32::try_from(number).ok()).map(Value::Integer);
    let double = |tag| rational(exif, tag).map(Value::Double);
    let text = |tag| ascii(exif, tag).map(Value::Text);
    match property {
        Property::DateTimeOriginal => date(exif).map(Value::Time),
        Property::PixelXDimension => integer(Tag::PixelXDimension),
        Property::PixelYDimension => integer(Tag::PixelYDimension),
        Property::ExposureTime => double(Tag::ExposureTime),
        Property::FNumber => double(Tag::FNumber),
        // The lowest bit says whether it fired, the others how.
        Property::Flash => uint(exif, Tag::Flash).map(|flash| Value::Boolean(flash & 1 == 1)),
        Property::FocalLength => double(Tag::FocalLength),
        Property::IsoSpeedRatings => uint(exif, Tag::PhotographicSensitivity).map(|iso| Value::Text(iso.to_string())),
        Property::Manufacturer => text(Tag::Make),
        Property::Model => text(Tag::Model),
        Property::Software => text(Tag::Software),
        Property::Orientation => integer(Tag::Orientation),
        Property::XResolution => double(Tag::XResolution),
        Property::YResolution => double(Tag::YResolution),
        Property::ResolutionUnit => uint(exif, Tag::ResolutionUnit).and_then(|unit| match unit {
            2 => Some(Value::Text("Inch".to_owned())),
            3 => Some(Value::Text("cm".to_owned())),
            _ => None,
        }),
        Property::Locale | Property::Author | Property::Title | Property::Description | Property::Latitude | Property::Longitude => None,
    }
}

fn field(exif: &exif::Exif, tag: Tag) -> Option<&exif::Value> {
    exif.get_field(tag, In::PRIMARY).map(|field| &field.value)
}

fn uint(exif: &exif::Exif, tag: Tag) -> Option<u32> {
    field(exif, tag)?.get_uint(0)
}

fn rational(exif: &exif::Exif, tag: Tag) -> Option<f64> {
    match field(exif, tag)? {
        exif::Value::Rational(values) => values.first().filter(|value| value.denom != 0).map(exif::Rational::to_f64),
        _ => None,
    }
}

fn raw_ascii(exif: &exif::Exif, tag: Tag) -> Option<&[u8]> {
    match field(exif, tag)? {
        exif::Value::Ascii(values) => values.first().map(Vec::as_slice),
        _ => None,
    }
}

fn ascii(exif: &exif::Exif, tag: Tag) -> Option<String> {
    let text = String::from_utf8_lossy(raw_ascii(exif, tag)?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// When the picture was taken; without an offset it counts as UTC.
fn date(exif: &exif::Exif) -> Option<Timestamp> {
    let mut at = exif::DateTime::from_ascii(raw_ascii(exif, Tag::DateTimeOriginal)?).ok()?;
    // Both refinements are optional, and a malformed one is as good as none.
    if let Some(fraction) = raw_ascii(exif, Tag::SubSecTimeOriginal) {
        at.parse_subsec(fraction).unwrap_or_default();
    }
    if let Some(offset) = raw_ascii(exif, Tag::OffsetTimeOriginal) {
        at.parse_offset(offset).unwrap_or_default();
    }
    let day = Date::from_calendar_date(at.year.into(), Month::try_from(at.month).ok()?, at.day).ok()?;
    let time = Time::from_hms_nano(at.hour, at.minute, at.second, at.nanosecond.unwrap_or_default()).ok()?;
    let offset = UtcOffset::from_whole_seconds(i32::from(at.offset.unwrap_or_default()) * 60).ok()?;
    let moment = day.with_time(time).assume_offset(offset);
    Some(Timestamp { seconds: moment.unix_timestamp(), nanoseconds: moment.nanosecond() })
}

/// The beginning of a document, as the EXIF reader wants it.
struct Window<'a> {
    document: &'a FilesystemDocument,
    size: u64,
    offset: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.size.saturating_sub(self.offset)).unwrap_or(usize::MAX));
        let read = self.document.read_at(self.offset, &mut buffer[..length]).map_err(std::io::Error::other)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.offset.checked_add_signed(by),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
        };
        self.offset = target.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        Ok(self.offset)
    }
}

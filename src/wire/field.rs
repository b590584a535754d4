//! Readers of single fields, for messages that have no type of their own in Rust.

use std::{str::FromStr, time::Duration};

use crate::model::{Hash, InvalidId, Name};

use super::{ProtocolError, REPORT_TEXT_BYTES_MAX};

/// The size of a page when the request does not say, as the protocol documents it.
pub const PAGE_SIZE_DEFAULT: usize = 100;
/// The largest page.
pub const PAGE_SIZE_MAX: usize = 1_000;

/// Reads a required id.
///
/// # Errors
/// When it is absent or no id.
pub fn id<T: FromStr<Err = InvalidId>>(field: &str, text: &str) -> Result<T, ProtocolError> {
    if text.is_empty() {
        return Err(ProtocolError::missing(field));
    }
    text.parse().map_err(|error| ProtocolError::new(field, error))
}

/// Reads an id that may be absent, which is sent as an empty text.
///
/// # Errors
/// When it is no id.
pub fn optional_id<T: FromStr<Err = InvalidId>>(field: &str, text: &str) -> Result<Option<T>, ProtocolError> {
    if text.is_empty() { Ok(None) } else { id(field, text).map(Some) }
}

/// Writes an id that may be absent.
#[must_use]
pub fn optional_text(id: Option<impl ToString>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// Returns a required part.
///
/// # Errors
/// When it is absent.
pub fn required<T>(field: &str, part: Option<T>) -> Result<T, ProtocolError> {
    part.ok_or_else(|| ProtocolError::missing(field))
}

/// Reads a required message.
///
/// # Errors
/// When it is absent or malformed.
pub fn message<P, T: TryFrom<P, Error = ProtocolError>>(field: &str, part: Option<P>) -> Result<T, ProtocolError> {
    super::At::at(required(field, part)?.try_into(), field)
}

/// Reads a message that may be absent.
///
/// # Errors
/// When it is malformed.
pub fn optional_message<P, T: TryFrom<P, Error = ProtocolError>>(field: &str, part: Option<P>) -> Result<Option<T>, ProtocolError> {
    super::At::at(part.map(T::try_from).transpose(), field)
}

/// Returns a required text of at most `bytes_max` bytes.
///
/// # Errors
/// When it is empty or longer.
pub fn text(field: &str, text: String, bytes_max: usize) -> Result<String, ProtocolError> {
    if text.is_empty() {
        return Err(ProtocolError::missing(field));
    }
    bounded(field, text, bytes_max)
}

/// Returns a text of at most `bytes_max` bytes, which may be empty.
///
/// # Errors
/// When it is longer.
pub fn bounded(field: &str, text: String, bytes_max: usize) -> Result<String, ProtocolError> {
    if text.len() > bytes_max {
        return Err(ProtocolError::new(field, format_args!("is longer than {bytes_max} bytes")));
    }
    Ok(text)
}

/// Returns what a person, or a log, is to read of a text: at most [`REPORT_TEXT_BYTES_MAX`] bytes of it, so that a report
/// holds it again. Whoever explains at length is not refused for it.
#[must_use]
pub fn clipped(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(REPORT_TEXT_BYTES_MAX));
    text
}

/// Reads a required name of a document or folder.
///
/// # Errors
/// When it is absent or not allowed.
pub fn name(field: &str, text: String) -> Result<Name, ProtocolError> {
    Name::new(text).map_err(|error| ProtocolError::new(field, error))
}

/// Reads a name that may be absent, which is sent as an empty text.
///
/// # Errors
/// When it is not allowed.
pub fn optional_name(field: &str, text: String) -> Result<Option<Name>, ProtocolError> {
    if text.is_empty() { Ok(None) } else { name(field, text).map(Some) }
}

/// Reads a hash.
///
/// # Errors
/// When there are not 32 bytes.
pub fn hash(field: &str, bytes: &[u8]) -> Result<Hash, ProtocolError> {
    Hash::from_slice(bytes).ok_or_else(|| ProtocolError::new(field, format_args!("is {} bytes long instead of 32", bytes.len())))
}

/// Reads the size of a page; 0 means `default`.
///
/// # Errors
/// When it is negative or larger than [`PAGE_SIZE_MAX`].
pub fn page_size(field: &str, size: i32, default: usize) -> Result<usize, ProtocolError> {
    match usize::try_from(size) {
        Ok(0) => Ok(default),
        Ok(size) if size <= PAGE_SIZE_MAX => Ok(size),
        _ => Err(ProtocolError::new(field, format_args!("must be from 0 to {PAGE_SIZE_MAX}"))),
    }
}

/// Reads a span of time that is not negative.
///
/// # Errors
/// When it is negative or malformed.
pub fn duration(field: &str, span: prost_types::Duration) -> Result<Duration, ProtocolError> {
    Duration::try_from(span).map_err(|_| ProtocolError::new(field, "must be a span of time that is not negative"))
}

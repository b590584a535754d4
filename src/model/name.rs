//! Names of documents and folders: which are allowed, and when two of them are the same.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;
use serde::{Deserialize, Serialize};

/// The longest name, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 255;

/// The version of the folding rule that stored [`FoldedName`]s were made with. Raise it when the Unicode data or the rule changes, and
/// migrate stored keys.
pub const FOLDING_VERSION: u8 = 1;

/// Characters that no name may hold, besides control characters.
const FORBIDDEN: &[char] = &['"', '*', '\\', '>', '<', '?', '/', ':', '|'];

/// Why a text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The text is empty.
    #[error("a name cannot be empty")]
    Empty,
    /// The text is `.` or `..`.
    #[error("a name cannot be \".\" or \"..\"")]
    Relative,
    /// The text holds a character that is not allowed.
    #[error("a name cannot hold {0:?}")]
    Character(char),
    /// The text ends in a dot or a space.
    #[error("a name cannot end in a dot or a space")]
    Ending,
    /// The text is longer than [`NAME_BYTES_MAX`].
    #[error("a name cannot be longer than {NAME_BYTES_MAX} bytes of UTF-8")]
    TooLong,
    /// The bytes are not UTF-8.
    #[error("a name must be valid UTF-8")]
    NotUtf8,
}

/// An allowed name, with exactly the bytes that a person typed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A name as siblings are compared: Unicode NFC and full case folding. Two siblings never share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FoldedName(String);

impl Name {
    /// Checks a text and wraps it.
    ///
    /// # Errors
    /// When the text is not allowed as a name.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        check(&text)?;
        Ok(Self(text))
    }

    /// Checks bytes as they stand in a directory and wraps them.
    ///
    /// # Errors
    /// When the bytes are not UTF-8 or not allowed as a name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidName> {
        Self::new(std::str::from_utf8(bytes).map_err(|_| InvalidName::NotUtf8)?)
    }

    /// Returns the name as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the form that is compared among siblings.
    #[must_use]
    pub fn folded(&self) -> FoldedName {
        FoldedName(fold(&self.0))
    }
}

impl FoldedName {
    /// Wraps a text that [`Name::folded`] made earlier, as it comes back from where it was kept.
    #[must_use]
    pub const fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// Returns the folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Folds any text as names are folded; for comparing, never for showing.
fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let composed = ComposingNormalizer::new_nfc();
    let folded: Cow<'_, str> = CaseMapper::new().fold_string(&composed.normalize(text)).into_owned().into();
    // Folding can take a text out of NFC (U+0390 and its kin), so it is composed once more.
    composed.normalize(&folded).into_owned()
}

fn check(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() {
        return Err(InvalidName::Empty);
    }
    if text == "." || text == ".." {
        return Err(InvalidName::Relative);
    }
    if let Some(character) = text.chars().find(|c| c.is_control() || FORBIDDEN.contains(c)) {
        return Err(InvalidName::Character(character));
    }
    if text.ends_with(['.', ' ']) {
        return Err(InvalidName::Ending);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(InvalidName::TooLong);
    }
    Ok(())
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_n01_n04_n06_n07_n14_n17_names_that_are_refused() {
        for (text, error) in [
            ("", InvalidName::Empty),
            (".", InvalidName::Relative),
            ("..", InvalidName::Relative),
            ("a/b", InvalidName::Character('/')),
            ("a\0", InvalidName::Character('\0')),
            ("a\nb", InvalidName::Character('\n')),
            ("a:b", InvalidName::Character(':')),
            ("dir.", InvalidName::Ending),
            ("dir ", InvalidName::Ending),
            ("   ", InvalidName::Ending),
        ] {
            assert_eq!(Name::new(text), Err(error), "{text:?}");
        }
        assert_eq!(Name::new("a".repeat(256)), Err(InvalidName::TooLong));
        assert_eq!(Name::from_bytes(b"\xff"), Err(InvalidName::NotUtf8));
    }

    #[test]
    fn edge_n01_n03_n04_n05_n10_names_that_round_trip() {
        for text in [" leading", "CON", "con.air.1997.nfo", "100%25", "a!#$%&'()+,-;=@[]^_`{}~", "日本語", "👩‍🚀", "a..b"] {
            assert_eq!(Name::new(text).map(|n| n.as_str().to_owned()), Ok(text.to_owned()));
        }
        assert!(Name::new("a".repeat(255)).is_ok());
    }

    #[test]
    fn edge_n08_n12_folding_joins_case_and_normalization() {
        let folded = |text: &str| Name::new(text).unwrap().folded();
        assert_eq!(folded("Größe"), folded("GRÖSSE"));
        assert_eq!(folded("caf\u{e9}"), folded("CAFE\u{301}"));
        assert_eq!(folded("ReadMe"), folded("README"));
        assert_ne!(folded("a"), folded("b"));
        assert_ne!(folded("ﬁ"), folded("fit"));
    }
}

//! Which set a node of the cloud library belongs to: decided by the nearest marker on the way up, never stored for each node.
//!
//! That a folder of a million documents changes hands in one row depends on this rule: whoever changes a marker or a place changes the
//! membership of everything beneath at once.

use crate::model::{Kind, SetShape};

/// Whether a node belongs to the set of the nearest direct member above it, or to its own if it is one itself.
///
/// `distance` is the number of steps up to that direct member; 0 is the direct member itself.
#[must_use]
pub const fn reaches(shape: SetShape, kind: Kind, distance: usize) -> bool {
    match (shape, distance) {
        (_, 0) | (SetShape::Folder { subfolders: true }, _) => true,
        (SetShape::Folder { subfolders: false }, 1) => matches!(kind, Kind::Document),
        (SetShape::Folder { subfolders: false } | SetShape::Documents, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_b01_a_set_without_subfolders_reaches_only_the_documents_right_in_its_folder() {
        let (deep, flat, documents) = (SetShape::Folder { subfolders: true }, SetShape::Folder { subfolders: false }, SetShape::Documents);
        let table = [
            (deep, Kind::Folder, [true, true, true]),
            (deep, Kind::Document, [true, true, true]),
            (flat, Kind::Folder, [true, false, false]),
            (flat, Kind::Document, [true, true, false]),
            (documents, Kind::Document, [true, false, false]),
            (documents, Kind::Folder, [true, false, false]),
        ];
        for (shape, kind, expected) in table {
            assert_eq!([0, 1, 2].map(|distance| reaches(shape, kind, distance)), expected, "{shape:?} {kind:?}");
        }
    }
}

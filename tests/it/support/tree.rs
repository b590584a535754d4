//! A tree as tests compare it: paths with their texts; folders end in a slash and have none.

use std::collections::BTreeMap;

/// Paths below the top, in order.
pub(crate) type Tree = BTreeMap<String, String>;

/// Makes a tree of paths and texts.
pub(crate) fn tree(entries: &[(&str, &str)]) -> Tree {
    entries.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

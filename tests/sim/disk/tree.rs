//! Everything beneath a path, for comparisons.

use std::collections::BTreeMap;
use std::path::Path;

use skybridge::sys::{FileHandle, FileStat, Result};

use super::Disk;
use super::caller::Caller;
use super::node::Body;
use super::process::bytes;
use super::state::{Place, State};
use super::walk::{FOLLOWED, PLAIN};

/// All that can be seen of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its state.
    pub(crate) stat: FileStat,
    /// Its handle; none where there are none.
    pub(crate) handle: Option<FileHandle>,
    /// The bytes of a file, or the target of a link.
    pub(crate) bytes: Vec<u8>,
    /// Its extended attributes.
    pub(crate) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Disk {
    /// Returns all that is beneath a folder, by the paths from there; the folder itself has the empty one. What is mounted beneath is
    /// among it.
    ///
    /// # Errors
    /// When there is nothing at the path.
    pub(crate) fn tree(&self, path: &Path) -> Result<BTreeMap<Vec<u8>, Item>> {
        let state = self.state();
        let top = state.walk(&Caller::root(), state.top(), bytes(path), FOLLOWED)?;
        let mut items = BTreeMap::new();
        state.collect(top, Vec::new(), &mut items)?;
        Ok(items)
    }
}

impl State {
    fn collect(&self, place: Place, path: Vec<u8>, items: &mut BTreeMap<Vec<u8>, Item>) -> Result<()> {
        let node = self.node(place.node);
        for name in node.entries().into_iter().flat_map(|entries| entries.keys()) {
            let inner = if path.is_empty() { name.clone() } else { [path.as_slice(), b"/", name].concat() };
            self.collect(self.walk(&Caller::root(), place, name, PLAIN)?, inner, items)?;
        }
        let bytes = match &node.body {
            Body::Regular(content) => content.seen().to_vec(),
            Body::Link(target) => target.clone(),
            Body::Folder(_) | Body::Special(_) => Vec::new(),
        };
        let attributes = node.meta.attributes.clone();
        items.insert(path, Item { stat: self.stat(place), handle: self.handle(place).ok(), bytes, attributes });
        Ok(())
    }
}

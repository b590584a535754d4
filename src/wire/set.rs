//! The choices of a sync set, which the protocol words so that all defaults are `false`.

use crate::model::{SetOptions, SetShape};

use super::{ProtocolError, pb};

/// Reads the shape and options of a sync set.
///
/// # Errors
/// When they contradict each other.
pub fn set_choices(folder: bool, options: Option<pb::SyncOptions>) -> Result<(SetShape, SetOptions), ProtocolError> {
    let pb = options.unwrap_or_default();
    let options = SetOptions { lock_source: pb.lock_source, delete_on_cloud: !pb.no_delete_on_cloud, delete_source: pb.delete_source };
    if !options.are_consistent() {
        return Err(ProtocolError::new(
            "options.delete_source",
            "cannot be combined with no_delete_on_cloud: what may not be deleted in the cloud never deletes the source",
        ));
    }
    let shape = match (folder, pb.no_subfolders) {
        (true, no_subfolders) => SetShape::Folder { subfolders: !no_subfolders },
        (false, false) => SetShape::Documents,
        (false, true) => return Err(ProtocolError::new("options.no_subfolders", "is only for a set of one folder")),
    };
    Ok((shape, options))
}

/// Writes the options of a sync set; whether it holds a folder is a field of its own.
#[must_use]
pub const fn sync_options(shape: SetShape, options: SetOptions) -> pb::SyncOptions {
    pb::SyncOptions {
        lock_source: options.lock_source,
        no_delete_on_cloud: !options.delete_on_cloud,
        delete_source: options.delete_source,
        no_subfolders: matches!(shape, SetShape::Folder { subfolders: false }),
    }
}

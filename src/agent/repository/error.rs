//! How work on a repository fails: by what the caller has to do about it.

use super::types::Unhealthy;

/// Why the repository did not do what was asked. Unless a variant says otherwise nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// Positive evidence that the item is no longer there: a healthy root and a complete look did not show it.
    #[error("no longer in the repository")]
    Gone,
    /// What is there is not what was expected: another item, a newer stamp, a link. Look again and plan again.
    #[error("changed in the meantime")]
    Changed,
    /// Somebody holds it open for writing, or wrote a moment ago and it cannot be seen whether they have finished.
    #[error("in use by somebody who writes")]
    Busy,
    /// The agent's account may not do this.
    #[error("access denied: {0}")]
    Denied(&'static str),
    /// It cannot be seen or done right now, which says nothing about what is there.
    #[error("the repository cannot be seen completely: {0}")]
    Unknown(Unhealthy),
    /// No room, or over a quota of the file system.
    #[error("the file system of the source is full, or over its quota: make room there")]
    NoSpace,
    /// The name is taken.
    #[error("the name is taken")]
    Exists,
    /// The folder is not empty.
    #[error("the folder is not empty")]
    NotEmpty,
    /// The repository cannot do this at all, such as moving between two mounts or a folder into itself.
    #[error("not possible in this repository: {0}")]
    Unsupported(&'static str),
    /// The file system has no room for the properties of one item; their values have to be kept elsewhere.
    #[error("the file system cannot hold these properties")]
    PropertiesDoNotFit,
    /// No further folder can be watched; folders beyond the limit have to be polled.
    #[error("the limit of watched folders is reached")]
    WatchLimit,
    /// The caller's own sink refused what was read.
    #[error("what was read could not be taken")]
    Sink,
}

//! The repository that the agent sits beside, as a trait, and its first implementation, a tree of a file system.
//!
//! The agent above speaks of keys, names and stamps, and knows nothing of paths, inodes or extended attributes. Calls block: run them by
//! [`crate::task`]. No call follows a link or leaves the root.
//!
//! What the trait promises about absence: [`Repository::look`], [`Repository::list`] and [`Repository::locate`] answer that something is
//! not there only after a fresh and complete look, beneath a root that was seen to be the right one. Everything else is
//! [`RepositoryError::Unknown`].

mod error;
pub mod filesystem;
mod types;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::content::{Blob, ChunkerParameters};
use crate::model::{ContentRef, Name, OpId, Property, Value};

pub use error::RepositoryError;
pub use types::{
    At, Capabilities, Displaced, Entry, EntryName, Hint, Item, KnownContent, Leftover, NotSyncable, Observation, Placed, Protection,
    RepoKey, RepoPlace, Resolved, SeenProperties, Site, SiteName, Staged, Stamp, Unhealthy, UnsupportedKind,
};

/// The result of work on a repository.
pub type Result<T, E = RepositoryError> = std::result::Result<T, E>;

/// Takes chunks and pages while a document is read, each page after what it lists; `false` ends the reading with
/// [`RepositoryError::Sink`].
pub type Sink<'a> = dyn FnMut(Blob) -> bool + 'a;

/// An open document, read at any place. It stays readable when the document is renamed, replaced or deleted.
pub trait Document: std::fmt::Debug + Send + Sync {
    /// Fills as much of `buffer` as there is from `offset` on, in bytes; less than asked for only at the end.
    ///
    /// # Errors
    /// [`RepositoryError::Unknown`] when it cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Whether everything read since it was opened belongs to one state of the document: call it after the last read.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`] when somebody wrote.
    fn verify(&self) -> Result<()>;
}

/// A document repository.
///
/// Changes are visible at once and durable after [`flush`](Repository::flush) (content and properties of what is staged, before it is
/// placed) and [`settle`](Repository::settle) (names, after placing). An operation that fails changed nothing, except that after
/// [`RepositoryError::Unknown`] it may have been carried out: look, and at [`Repository::leftovers`].
pub trait Repository: std::fmt::Debug + Send + Sync {
    /// Returns the sites, in the order of their names.
    fn sites(&self) -> Vec<Site>;

    /// Returns what the repository can do at a site.
    fn capabilities(&self, site: &SiteName) -> Option<Capabilities>;

    /// Tells whether a site is there and is the one that was synced.
    ///
    /// # Errors
    /// Why it is not: nothing is known about its content then.
    fn health(&self, site: &SiteName) -> Result<(), Unhealthy>;

    /// Accepts what is at a site's root now as the site, after a person decided so: a copy, or a restored backup.
    ///
    /// # Errors
    /// When the root cannot be written.
    fn accept(&self, site: &SiteName) -> Result<()>;

    /// Finds what a person's path means. The directories on the way may be reached by links, the item itself is not followed.
    ///
    /// # Errors
    /// Why it cannot be synced.
    fn resolve(&self, path: &Path) -> Result<Resolved, NotSyncable>;

    /// Returns the path of an item, for people to read.
    ///
    /// # Errors
    /// When its folder is gone or unknown.
    fn path_of(&self, folder: &RepoKey, name: &EntryName) -> Result<PathBuf>;

    /// Finds items wherever they are now. One walk serves all keys, and none is made if it can be done without.
    ///
    /// # Errors
    /// [`RepositoryError::Unknown`] unless each item was found, or everything was looked at without finding it.
    fn locate(&self, keys: &[RepoKey]) -> Result<Vec<Option<RepoPlace>>>;

    /// Lists a folder: all of it, or an error. The order is the file system's.
    ///
    /// # Errors
    /// [`RepositoryError::Gone`] when the folder is nowhere beneath its root.
    fn list(&self, folder: &RepoKey) -> Result<Vec<Entry>>;

    /// Looks at one name. `None` means that the folder is there and has no entry of exactly this name.
    ///
    /// # Errors
    /// [`RepositoryError::Gone`] when the folder is nowhere beneath its root.
    fn look(&self, folder: &RepoKey, name: &Name) -> Result<Option<Entry>>;

    /// Reads an item: its properties, and the content of a document, which goes to `sink` unless its stamp shows that it is `known`.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`] when it is not there or was written to meanwhile, [`RepositoryError::Busy`] when somebody has it
    /// open for writing.
    fn observe(&self, at: &At, known: Option<&KnownContent>, sink: &mut Sink<'_>) -> Result<Observation>;

    /// Opens a document that still has this stamp.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`] when it is another document or has another stamp.
    fn open(&self, at: &At, stamp: &Stamp) -> Result<Box<dyn Document>>;

    /// Begins the content of a document that is to be placed in (or near) `folder`.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] when the operation has something staged already: discard it first.
    fn stage_document(&self, folder: &RepoKey, op: OpId, parameters: ChunkerParameters) -> Result<Staged>;

    /// Makes a folder that is to be placed in `folder`.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] as above.
    fn stage_folder(&self, folder: &RepoKey, op: OpId) -> Result<Staged>;

    /// Appends the next chunk of the content.
    ///
    /// # Errors
    /// [`RepositoryError::NoSpace`]; what is staged can only be discarded then.
    fn append(&self, staged: &mut Staged, chunk: &Blob) -> Result<()>;

    /// Ends the content, and checks that it is what was expected.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`] when the chunks make up another content.
    fn finish(&self, staged: &mut Staged, expected: &ContentRef) -> Result<()>;

    /// Sets properties of something staged. `None` removes. A replacement starts from those of the document that it replaces. Without the
    /// capability nothing is set: whoever calls keeps them.
    ///
    /// # Errors
    /// [`RepositoryError::PropertiesDoNotFit`].
    fn set_staged_properties(&self, staged: &Staged, changes: &BTreeMap<Property, Option<Value>>) -> Result<()>;

    /// Makes staged contents durable, sharing the flushes.
    ///
    /// # Errors
    /// When the medium fails or is full; none of them may be placed then.
    fn flush(&self, staged: &[&Staged]) -> Result<()>;

    /// Puts something staged under a free name. It gets the attributes that a new item has there, and the configured owner.
    ///
    /// # Errors
    /// [`RepositoryError::Exists`] when the name is taken, [`RepositoryError::Denied`] when the attributes cannot be given.
    fn place_new(&self, staged: &Staged, folder: &RepoKey, name: &Name) -> Result<Placed>;

    /// Prepares something staged to replace a document: gives it the owner, permissions and all foreign attributes of that document,
    /// and its properties but for `dropped`.
    ///
    /// # Errors
    /// [`RepositoryError::Denied`] when one of them cannot be kept.
    fn inherit(&self, staged: &Staged, at: &At, dropped: &[Property]) -> Result<()>;

    /// Replaces a document that still has this stamp by something staged that has inherited its attributes.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`] when the document is not there or has another stamp, [`RepositoryError::Busy`] when somebody writes.
    fn replace(&self, staged: &Staged, at: &At, stamp: &Stamp) -> Result<(Placed, Displaced)>;

    /// Moves or renames an item to a free name. What is returned has the item's stamp if nobody had written since it had the stamp `known`, and
    /// [`Stamp::UNSEEN`] else: it has to be looked at.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`] when it is not at its place, [`RepositoryError::Exists`] when the name is taken,
    /// [`RepositoryError::Unsupported`] when the folder is inside the item or on another mount.
    fn rename(&self, at: &At, folder: &RepoKey, name: &Name, known: &Stamp) -> Result<Placed>;

    /// Takes a document that still has this stamp out of its place.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`] when it is not there or has another stamp, [`RepositoryError::Busy`] when somebody writes.
    fn remove_document(&self, at: &At, stamp: &Stamp, op: OpId) -> Result<Displaced>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// [`RepositoryError::NotEmpty`] when anything is in it, whether it can be synced or not.
    fn remove_folder(&self, at: &At) -> Result<()>;

    /// Sets properties of an item that still has this stamp. `None` removes.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`]; otherwise as for [`set_staged_properties`](Repository::set_staged_properties).
    fn set_properties(&self, at: &At, stamp: &Stamp, changes: &BTreeMap<Property, Option<Value>>) -> Result<Placed>;

    /// Makes all names that were given and taken so far durable, with one flush a folder.
    ///
    /// # Errors
    /// When the medium fails: what was done since the last success may be undone by a crash.
    fn settle(&self) -> Result<()>;

    /// Makes all names at a site durable, whoever gave them, and when: also before a crash.
    ///
    /// # Errors
    /// When the site is not healthy, or the medium fails.
    fn settle_all(&self, site: &SiteName) -> Result<()>;

    /// Returns the permissions of a document, to be stored before it is protected.
    ///
    /// # Errors
    /// [`RepositoryError::Changed`] when it is not there.
    fn protection(&self, at: &At) -> Result<Protection>;

    /// Makes a document read-only for people, as strongly as the repository can. The stamp that is returned is as for
    /// [`rename`](Repository::rename).
    ///
    /// # Errors
    /// [`RepositoryError::Denied`] when the agent may not.
    fn protect(&self, at: &At, known: &Stamp) -> Result<Placed>;

    /// Gives a document back the owner and the permissions that it had.
    ///
    /// # Errors
    /// [`RepositoryError::Denied`] when the agent may not.
    fn unprotect(&self, at: &At, original: &Protection) -> Result<()>;

    /// Opens a displaced document for reading.
    ///
    /// # Errors
    /// [`RepositoryError::Gone`] when it was discarded.
    fn open_displaced(&self, displaced: &Displaced) -> Result<(Stamp, Box<dyn Document>)>;

    /// Whether somebody still has a displaced document open for writing. Where that cannot be seen: whether it changed a moment ago.
    ///
    /// # Errors
    /// [`RepositoryError::Gone`] when it was discarded.
    fn displaced_in_use(&self, displaced: &Displaced) -> Result<bool>;

    /// Deletes something staged or displaced for good. Succeeds if it is gone already.
    ///
    /// # Errors
    /// When it cannot be deleted.
    fn discard(&self, leftover: &Leftover) -> Result<()>;

    /// Lists what is staged and displaced, at all sites that are healthy.
    ///
    /// # Errors
    /// When that cannot be listed.
    fn leftovers(&self) -> Result<Vec<Leftover>>;

    /// Starts to report changes in a folder (not beneath it). The watch stays with the folder when it or a parent is renamed; a folder
    /// that is watched already stays so. Watch first, then list.
    ///
    /// # Errors
    /// [`RepositoryError::WatchLimit`], or [`RepositoryError::Unsupported`] without the capability.
    fn watch(&self, folder: &RepoKey) -> Result<()>;

    /// Stops to report changes in a folder.
    fn unwatch(&self, folder: &RepoKey);

    /// Waits for changes, at most this long; `true` when there are some.
    ///
    /// # Errors
    /// When the operating system fails to report: list everything again.
    fn wait_for_hints(&self, wait: Duration) -> Result<bool>;

    /// Returns a bounded number of the changes that were reported, without repetitions and without waiting; empty when there are no more.
    /// A change is reported before the call that made it returns.
    ///
    /// # Errors
    /// When the operating system fails to report: list everything again.
    fn hints(&self) -> Result<Vec<Hint>>;
}

//! What a repository shows: keys, entries, stamps, observations.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::content::ManifestBuilder;
use crate::model::{ContentRef, InvalidName, Name, OpId, Properties, Property};

/// Names an item of the repository for as long as it lives, wherever it is moved. An item that takes over the place of a deleted one
/// has another key, even if the file system gives it the same inode number.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RepoKey(pub(super) Box<[u8]>);

impl RepoKey {
    /// Returns the bytes, for use in a stored key. They mean nothing to anybody but the repository that made them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes back the bytes of [`as_bytes`](Self::as_bytes). Bytes that are no key name an item that is gone.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl std::fmt::Display for RepoKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for RepoKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RepoKey({self})")
    }
}

/// The name of a site of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SiteName(pub String);

impl std::fmt::Display for SiteName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A site with its document library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: SiteName,
    /// Its document library: the folder at the top, which itself cannot be synced. `None` while it never was seen healthy.
    pub library: Option<RepoKey>,
    /// The locale of texts that do not say theirs.
    pub default_locale: String,
}

/// The name of an entry, with exactly its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryName {
    /// One that can be synced.
    Allowed(Name),
    /// One that cannot: reported on the item, and nothing else is affected.
    NotAllowed(Vec<u8>, InvalidName),
}

impl EntryName {
    /// Sorts bytes of a directory into the one or the other.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Name::from_bytes(bytes).map_or_else(|error| Self::NotAllowed(bytes.to_vec(), error), Self::Allowed)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Allowed(name) => name.as_str().as_bytes(),
            Self::NotAllowed(bytes, _) => bytes,
        }
    }

    /// Returns the name if it can be synced.
    #[must_use]
    pub const fn allowed(&self) -> Option<&Name> {
        match self {
            Self::Allowed(name) => Some(name),
            Self::NotAllowed(..) => None,
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Item {
    /// A folder.
    Folder,
    /// A document.
    Document,
    /// Something that is never synced, never followed and never a reason to delete anything.
    Unsupported(UnsupportedKind),
}

/// What cannot be synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnsupportedKind {
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A device.
    Device,
    /// Another file system that is mounted here. It *hides* what was known under this name: that is unknown, not gone.
    Mount,
    /// A declared record. Only an [`Observation`] can tell.
    Record,
    /// A smart folder. Only an [`Observation`] can tell.
    SmartFolder,
}

/// By what a change of an item is noticed without reading it. Any change of bytes, properties or permissions changes the stamp, and so
/// does a rename on some file systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Length of a document in bytes; 0 for anything else.
    pub size_bytes: u64,
    /// When the bytes last changed, in nanoseconds since 1970.
    pub(super) modified: i128,
    /// When anything last changed.
    pub(super) changed: i128,
    pub(super) inode: u64,
    /// The last change was long enough ago that a later one cannot have the same time.
    pub(super) settled: bool,
}

impl Stamp {
    /// That of an item that was not looked at: no item is unchanged since.
    pub const UNSEEN: Self = Self { size_bytes: 0, modified: 0, changed: 0, inode: 0, settled: false };

    /// Whether an item that has this stamp now is the same as when it had `earlier`. A stamp that was taken within the clock's grain
    /// of a change proves nothing, so this can be `false` for two equal stamps.
    #[must_use]
    pub fn unchanged_since(&self, earlier: &Self) -> bool {
        earlier.settled && self.times() == earlier.times()
    }

    pub(super) const fn times(&self) -> (u64, i128, i128, u64) {
        (self.size_bytes, self.modified, self.changed, self.inode)
    }
}

/// What a look at one entry of a folder showed. Its content was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which item it is.
    pub key: RepoKey,
    /// Its name.
    pub name: EntryName,
    /// What it is.
    pub item: Item,
    /// Its state.
    pub stamp: Stamp,
    /// Under how many names it exists; a document with more than one may be listed more than once, with the same key.
    pub links: u64,
}

/// Where an item was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoPlace {
    /// The folder that holds it.
    pub folder: RepoKey,
    /// Its name there.
    pub name: EntryName,
}

/// An item at the place where it is expected. Whatever is done to it is done only if this item is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct At {
    /// The folder that holds it.
    pub folder: RepoKey,
    /// Its name there.
    pub name: Name,
    /// Which item it is.
    pub key: RepoKey,
}

/// Where in the repository a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The site.
    pub site: SiteName,
    /// The folders from the document library (first) to the one that holds the item (last).
    pub folders: Vec<RepoKey>,
    /// The item.
    pub entry: Entry,
}

/// Why what a path leads to cannot be synced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSyncable {
    /// It is a document library itself.
    #[error("the document library itself cannot be synced; choose folders or documents in it")]
    Library,
    /// It is a site, or belongs to one without being in its document library.
    #[error("only content inside a site's document library can be synced, not a site")]
    Site,
    /// It is a person's home.
    #[error("content of \"My Files\" cannot be synced; move it into a site's document library")]
    Home,
    /// It is among the shared files.
    #[error("content of \"Shared Files\" cannot be synced; move it into a site's document library")]
    SharedFiles,
    /// It lies in no site.
    #[error("it is outside every site of this repository")]
    Outside,
    /// It is something that Skybridge keeps for itself.
    #[error("it belongs to Skybridge itself")]
    Internal,
    /// Nothing is there, or it cannot be seen.
    #[error(transparent)]
    Repository(#[from] super::RepositoryError),
}

/// Why a part of the repository is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unhealthy {
    /// The root cannot be opened.
    #[error("its root is missing or cannot be opened")]
    RootMissing,
    /// A directory is there that is not the one that was synced: empty, or another file system.
    #[error("another directory is where its root was; mount the right one")]
    ForeignRoot,
    /// It was never synced by this agent, and the marker of another is there.
    #[error(
        "another agent keeps it in step: `.skybridge/repository` beneath its root says so; if that agent is gone for good, remove that file"
    )]
    ClaimedRoot,
    /// A copy or a restored backup is where the root was.
    #[error("its root is a copy of the one that was synced; accept it if that is intended")]
    CopiedRoot,
    /// A folder is not readable.
    #[error("a folder in it cannot be read")]
    Unreadable,
    /// A folder changes faster than it can be listed.
    #[error("a folder keeps changing while it is listed")]
    Restless,
    /// The file system answered with this error number.
    #[error("the file system failed (error {0})")]
    Failed(i32),
}

/// What the properties of an item are, as far as they can be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenProperties {
    /// What people, programs or a sync wrote beside the content.
    pub stated: Properties,
    /// What the content says itself (EXIF of an image).
    pub embedded: Properties,
    /// Properties that have a value which cannot be understood. It is left alone: neither a value nor a removal.
    pub unreadable: BTreeSet<Property>,
}

impl SeenProperties {
    /// Returns what counts: what is stated, else what is embedded.
    #[must_use]
    pub fn effective(&self) -> Properties {
        let mut effective = self.embedded.clone();
        for (property, value) in self.stated.iter() {
            let fits = effective.set(property, Some(value.clone()));
            debug_assert!(fits.is_ok(), "a value taken from properties fits its property");
        }
        effective
    }

    /// Returns the EXIF properties that were stated, which new content makes obsolete.
    #[must_use]
    pub fn overrides(&self) -> Vec<Property> {
        self.stated.iter().map(|(property, _)| property).filter(|property| property.is_exif()).collect()
    }
}

/// What was read of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The item; `Unsupported` when it turned out to be a record or a smart folder.
    pub item: Item,
    /// Its state when it was read; nothing changed meanwhile.
    pub stamp: Stamp,
    /// Under how many names it exists.
    pub links: u64,
    /// Its permissions let nobody write.
    pub read_only: bool,
    /// What a document holds.
    pub content: Option<ContentRef>,
    /// Its properties. An editor that saves by rename leaves an item with a new key and without properties: when the key under a known name
    /// is new, what is missing here is unknown, not removed.
    pub properties: SeenProperties,
    /// Whether the file system can hold properties. If not, what is not stated here was not seen.
    pub holds_properties: bool,
    /// The prefixed name of a type of its own, which is synced as the nearer of document and folder.
    pub custom_type: Option<String>,
    /// Whether it has properties or aspects of its own that stay behind.
    pub custom_properties: bool,
    /// What was noticed, for a person.
    pub notes: Vec<String>,
}

/// What is known of a document's content from an earlier look, to save reading it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownContent {
    /// Its stamp then.
    pub stamp: Stamp,
    /// What it held then.
    pub content: ContentRef,
}

/// Content, or a folder, that is ready to be put into its place. Drop it once it is placed: while it is open, the document in the
/// repository counts as one that somebody writes to.
#[derive(Debug)]
pub struct Staged {
    /// The operation that it belongs to.
    pub op: OpId,
    /// The key that it has, and will keep in its place: store it before placing, to recognise it after a crash.
    pub key: RepoKey,
    pub(super) site: SiteName,
    pub(super) file: crate::sys::Handle,
    /// The content so far; `None` for a folder, and once the content has ended.
    pub(super) manifest: Option<ManifestBuilder>,
    pub(super) written_bytes: u64,
}

/// How an item stands after something was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its key.
    pub key: RepoKey,
    /// Its stamp.
    pub stamp: Stamp,
}

/// A document that was taken out of its place, and is kept until it is discarded. Whoever has it open can still write to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Displaced {
    /// The operation that displaced it.
    pub op: OpId,
    /// The site that keeps it.
    pub site: SiteName,
    /// Its key: not the expected one when somebody replaced the document at the last moment.
    pub key: RepoKey,
    /// Its bytes were still those that the plan was made for. If not, somebody wrote at the last moment: keep them as a version.
    pub as_expected: bool,
}

/// What an operation left behind when its process died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// Made by us and not yet in its place; may be discarded.
    Staged(SiteName, OpId),
    /// In the waiting room of a replacement: our own new content if its key is that of [`Staged::key`], else what somebody had here.
    Displaced(Displaced),
}

/// The permissions of a document before it was made read-only. Store it durably before [`protect`](super::Repository::protect).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    pub(super) owner: u32,
    pub(super) group: u32,
    pub(super) mode: u32,
    /// The access control list, if it had one.
    pub(super) list: Option<Vec<u8>>,
}

/// Something that may have changed: a reason to look, never evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hint {
    /// Look at one entry of a folder, or at all of it when the name is not known or not allowed.
    Folder(RepoKey, Option<Name>),
    /// Hints were lost: list everything again. Watches are still in place unless [`Hint::Unwatched`] says otherwise.
    Overflow,
    /// The folder is no longer watched: it was deleted, or its file system was unmounted.
    Unwatched(RepoKey),
}

/// What the repository of one site can and cannot do, found out when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// A document can be swapped with its replacement in one step; else a small window remains in which a save can be missed.
    pub exchange: bool,
    /// A new name can be given without a chance of replacing another; else as above.
    pub no_replace: bool,
    /// Keys carry the generation of the inode; else its time of birth.
    pub handles: bool,
    /// An item can be found by its key without a walk.
    pub open_by_handle: bool,
    /// It can be seen whether somebody writes; else a quiet time is waited for.
    pub leases: bool,
    /// Properties can be kept beside the content; else the agent keeps them.
    pub properties: bool,
    /// Changes are reported; else folders are polled.
    pub events: bool,
    /// Names that differ in case only are different names.
    pub case_sensitive: bool,
    /// Making a document read-only cannot be circumvented. Never true of a plain file system, where an administrator may write and
    /// anybody who may write to the folder can put another document into the place.
    pub read_only_enforced: bool,
}

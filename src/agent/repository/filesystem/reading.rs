//! Reading documents: never while somebody writes, and never two states of them in one.

use std::io::Read;
use std::sync::Arc;

use super::attributes::WRITABLE;
use super::keys::key_of;
use super::properties::{self, Attributes};
use super::site::Root;
use super::{FilesystemRepository, Folder, exif, refused};
use crate::agent::repository::{
    At, Document, Item, KnownContent, Observation, RepoKey, RepositoryError, Result, SeenProperties, Sink, Stamp,
};
use crate::content::{ChunkerParameters, split};
use crate::model::ContentRef;
use crate::sys::{Access, Errno, FileKind, FileStat, Files, Handle};

/// After so long the operating system has written back what was written to a local file system: twice what Linux takes by default (30 s, and
/// up to 5 s until it looks, see `dirty_expire_centisecs` in its documentation of `/proc/sys/vm`).
const WRITTEN_BACK_NANOSECONDS: i128 = 60_000_000_000;

/// An item that is open, and is the one that was asked for.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) folder: Folder,
    pub(super) file: Handle,
    pub(super) stat: FileStat,
}

/// Why reading a document ended early.
enum Ended {
    Read(std::io::Error),
    Sink,
}

impl From<std::io::Error> for Ended {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

impl FilesystemRepository {
    /// Opens the item at its place; [`RepositoryError::Changed`] when another one is there, or none.
    pub(super) fn open_item(&self, at: &At) -> Result<Opened> {
        let folder = self.folder(&at.folder)?;
        let name = at.name.as_str().as_bytes();
        let file = match self.files.open(&folder.dir, name, Access::Read, false) {
            Err(Errno::INVAL) => self.files.open(&folder.dir, name, Access::Folder, false),
            other => other,
        };
        let file = file.map_err(refused)?;
        let stat = self.files.stat(&file).map_err(refused)?;
        if key_of(&*self.files, folder.root.volume, &file, None, &stat)? != at.key {
            return Err(RepositoryError::Changed);
        }
        Ok(Opened { folder, file, stat })
    }

    /// Opens the document at its place, if it still has this stamp and nobody writes to it.
    pub(super) fn open_unchanged(&self, at: &At, stamp: &Stamp) -> Result<Opened> {
        let opened = self.open_item(at)?;
        if opened.stat.kind != FileKind::Regular || self.stamp(&opened.stat).times() != stamp.times() {
            return Err(RepositoryError::Changed);
        }
        if self.is_in_use(&opened.folder.root, &opened.file, &opened.stat)? {
            return Err(RepositoryError::Busy);
        }
        Ok(opened)
    }

    /// Whether somebody has a file open for writing, or, where that cannot be seen, whether it changed a moment ago.
    pub(super) fn is_in_use(&self, root: &Root, file: &Handle, stat: &FileStat) -> Result<bool> {
        match self.files.is_being_written(file) {
            Ok(written) => Ok(written),
            Err(_) => Ok(stat.changed.max(stat.modified) + self.quiet_nanoseconds > self.clock_of(root)?),
        }
    }

    /// The time by which the file system stamps changes: where it may be another machine's, that machine is asked.
    pub(super) fn clock_of(&self, root: &Root) -> Result<i128> {
        if root.capabilities.leases {
            return Ok(self.files.now());
        }
        let staging = self.files.open(&root.dir, super::site::STAGING, Access::Folder, false).map_err(refused)?;
        match self.files.remove_file(&staging, b"clock") {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(refused(errno)),
        }
        let file = self.files.create(&staging, b"clock", 0o600).map_err(refused)?;
        Ok(self.files.stat(&file).map_err(refused)?.changed)
    }

    pub(super) fn observe(&self, at: &At, known: Option<&KnownContent>, sink: &mut Sink<'_>) -> Result<Observation> {
        let opened = self.open_item(at)?;
        let root = &opened.folder.root;
        let stamp = self.stamp(&opened.stat);
        let mut seen = SeenProperties::default();
        let mut notes = Vec::new();
        let attributes = Attributes::read(&*self.files, &opened.file).map_err(refused)?;
        properties::read(&attributes, &self.sites[opened.folder.site].default_locale, &mut seen, &mut notes);
        let mut observation = Observation {
            item: attributes.item(if opened.stat.kind == FileKind::Folder { Item::Folder } else { Item::Document }),
            stamp,
            links: opened.stat.links,
            read_only: opened.stat.mode & WRITABLE == 0,
            content: None,
            properties: SeenProperties::default(),
            holds_properties: root.capabilities.properties,
            custom_type: attributes.custom_type(),
            custom_properties: attributes.has_custom(),
            notes,
        };
        if observation.item == Item::Document {
            let content = self.read_content(&opened, &stamp, known, sink)?;
            let document = self.document(&opened);
            exif::read(&document, &mut seen.embedded);
            document.verify()?;
            // Stricter than for a reader who checks hashes: a writer can set the time of the bytes back, but not that of the change.
            let now = self.files.stat(&opened.file).map_err(refused)?;
            if self.stamp(&now).times() != stamp.times() {
                return Err(RepositoryError::Changed);
            }
            observation.content = Some(content);
        }
        observation.properties = seen;
        Ok(observation)
    }

    /// Reads a document that nobody writes to; the caller verifies afterwards that it stayed so.
    fn read_content(&self, opened: &Opened, stamp: &Stamp, known: Option<&KnownContent>, sink: &mut Sink<'_>) -> Result<ContentRef> {
        if self.is_in_use(&opened.folder.root, &opened.file, &opened.stat)? {
            return Err(RepositoryError::Busy);
        }
        if let Some(known) = known.filter(|known| stamp.unchanged_since(&known.stamp)) {
            return Ok(known.content);
        }
        let document = self.document(opened);
        let content = split(Reader::new(&document), ChunkerParameters::DEFAULT, |blob| if sink(blob) { Ok(()) } else { Err(Ended::Sink) })
            .map_err(|ended| match ended {
                Ended::Sink => RepositoryError::Sink,
                Ended::Read(error) => refused(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
            })?;
        if content.size_bytes != stamp.size_bytes {
            return Err(RepositoryError::Changed);
        }
        self.flush_fresh(opened)?;
        Ok(content)
    }

    /// Makes durable what somebody wrote a moment ago, before it counts as seen: what a power loss would tear of it has the length and the times
    /// that it had, and would be taken for unchanged, while the cloud has it whole.
    fn flush_fresh(&self, opened: &Opened) -> Result<()> {
        if opened.stat.changed + WRITTEN_BACK_NANOSECONDS < self.files.now() {
            return Ok(());
        }
        match self.files.flush(&opened.file) {
            // Some file systems leave that to their server.
            Ok(()) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            Err(errno) => Err(refused(errno)),
        }
    }

    pub(super) fn document(&self, opened: &Opened) -> FilesystemDocument {
        FilesystemDocument::new(self.files.clone(), opened.file.clone(), opened.stat)
    }

    pub(super) fn open_document(&self, at: &At, stamp: &Stamp) -> Result<FilesystemDocument> {
        Ok(self.document(&self.open_unchanged(at, stamp)?))
    }

    /// The key of what is open.
    pub(super) fn key_of_file(&self, root: &Root, file: &Handle) -> Result<RepoKey> {
        let stat = self.files.stat(file).map_err(refused)?;
        key_of(&*self.files, root.volume, file, None, &stat)
    }
}

/// An open document of a file system.
#[derive(Debug)]
pub(super) struct FilesystemDocument {
    files: Arc<dyn Files>,
    file: Handle,
    opened: FileStat,
}

impl FilesystemDocument {
    pub(super) fn new(files: Arc<dyn Files>, file: Handle, opened: FileStat) -> Self {
        Self { files, file, opened }
    }

    pub(super) const fn file(&self) -> &Handle {
        &self.file
    }

    /// Its state when it was opened.
    pub(super) const fn state(&self) -> &FileStat {
        &self.opened
    }
}

impl Document for FilesystemDocument {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.files.read_at(&self.file, &mut buffer[filled..], offset + filled as u64).map_err(refused)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    fn verify(&self) -> Result<()> {
        let now = self.files.stat(&self.file).map_err(refused)?;
        // A rename or a change of permissions changes no bytes; a writer who is not done yet is seen where leases are.
        let written = (now.size_bytes, now.modified) != (self.opened.size_bytes, self.opened.modified)
            || self.files.is_being_written(&self.file) == Ok(true);
        if written { Err(RepositoryError::Changed) } else { Ok(()) }
    }
}

/// Reads a document from its beginning to its end.
pub(super) struct Reader<'a> {
    document: &'a FilesystemDocument,
    offset: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a FilesystemDocument) -> Self {
        Self { document, offset: 0 }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.document.files.read_at(&self.document.file, buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

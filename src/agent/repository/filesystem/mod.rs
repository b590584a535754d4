//! A repository that is a tree of a file system, shared with whoever else writes to it: people, SMB and FTP servers, programs.
//!
//! ```text
//! <root>/Sites/<site>/documentLibrary/…           or any directory that the administrator maps to a site
//!                                    /.skybridge/repository    the marker by which the root is known
//!                                               /staging/      new content until it is placed, by operation
//!                                               /displaced/    what was replaced or removed, by operation
//! ```
//!
//! Everything goes through [`crate::sys::Files`]; nothing here calls the operating system directly.

mod attributes;
mod exif;
mod folders;
mod keys;
mod listing;
mod placing;
mod properties;
mod reading;
mod site;
mod staging;
mod watching;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::{
    At, Capabilities, Displaced, Document, Entry, EntryName, Hint, KnownContent, Leftover, NotSyncable, Observation, Placed, Protection,
    RepoKey, RepoPlace, Repository, RepositoryError, Resolved, Result, Sink, Site, SiteName, Staged, Stamp, Unhealthy,
};
use crate::content::{Blob, ChunkerParameters};
use crate::model::{ContentRef, Name, OpId, Property, Value};
use crate::sys::{Errno, Files, Handle, Watches};
use folders::{Folder, FolderIndex};
use site::{Root, SiteState};

/// What Skybridge keeps for itself, at the top of each document library.
const INTERNAL: &[u8] = b".skybridge";
/// Two changes within this time can have the same stamp: the kernel's clock ticks every 10 ms at worst. In nanoseconds.
const GRAIN: i128 = 20_000_000;

/// Which repository to open.
#[derive(Debug, Clone)]
pub struct Config {
    /// The identity of this repository, made once and stored by the caller: a root that is marked with another is not ours.
    pub repository: Uuid,
    /// A directory with `Sites/<site>/documentLibrary` beneath.
    pub root: Option<PathBuf>,
    /// Directories that are document libraries themselves.
    pub mapped: BTreeMap<SiteName, PathBuf>,
    /// Sites that were opened before, so that a root without a marker is not theirs.
    pub known: BTreeSet<SiteName>,
    /// The default locale of the sites: of texts that do not say theirs.
    pub default_locale: String,
    /// User and group of what is made for the cloud; the agent's own if absent.
    pub owner: Option<(u32, u32)>,
    /// How long a document must be unchanged before it is read, where writers cannot be seen.
    pub quiet: Duration,
}

/// The default of [`Config::quiet`]: longer than the pauses of a slow upload's writes, short enough not to be felt.
pub const QUIET_DEFAULT: Duration = Duration::from_secs(2);

/// A repository that is a tree of a file system.
#[derive(Debug)]
pub struct FilesystemRepository {
    files: Arc<dyn Files>,
    watches: Option<Arc<dyn Watches>>,
    config: Config,
    /// Where the sites are found, without links.
    root: Option<PathBuf>,
    sites: Vec<SiteState>,
    owner: Option<(u32, u32)>,
    quiet_nanoseconds: i128,
    folders: Mutex<FolderIndex>,
    watched: Mutex<watching::Watched>,
    /// Folders whose names are not durable yet, by device and inode.
    unsettled: Mutex<BTreeMap<(u64, u64), Handle>>,
}

impl FilesystemRepository {
    /// Opens a repository. Sites that are not healthy now become so by themselves, once what they wait for is mounted.
    ///
    /// # Errors
    /// When the folder of the sites is there and cannot be listed.
    pub fn open(files: Arc<dyn Files>, watches: Option<Arc<dyn Watches>>, config: Config) -> Result<Self> {
        // The last component may be a link, and is followed: it comes from the administrator.
        let canonical = |path: &Path| files.canonical(&path.join(".")).unwrap_or_else(|_| path.to_path_buf());
        let mut bases = BTreeMap::new();
        let root = config.root.as_deref().map(canonical);
        if let Some(root) = &root {
            for name in listed_sites(&*files, root)?.into_iter().chain(config.known.iter().cloned()) {
                let inner = Path::new("Sites").join(&name.0).join("documentLibrary");
                bases.insert(name, (root.clone(), inner));
            }
        }
        for (name, path) in &config.mapped {
            bases.insert(name.clone(), (canonical(path), PathBuf::new()));
        }
        let sites = bases.into_iter().map(|(name, (base, inner))| SiteState::new(name, base, inner, &config)).collect();
        let repository = Self {
            files,
            watches,
            root,
            sites,
            owner: config.owner,
            quiet_nanoseconds: config.quiet.as_nanos().try_into().unwrap_or(i128::MAX),
            config,
            folders: Mutex::default(),
            watched: Mutex::default(),
            unsettled: Mutex::default(),
        };
        for site in 0..repository.sites.len() {
            if let Err(error) = repository.enter(site) {
                let site = &repository.sites[site];
                tracing::warn!(site = %site.name, library = %site.path().display(), %error, "site is not available");
            }
        }
        if repository.sites.is_empty() {
            let root = repository.root.as_deref().unwrap_or(Path::new(""));
            tracing::warn!(root = %root.display(), "there is no Sites/<site>/documentLibrary in the root: nothing can be synced");
        }
        Ok(repository)
    }

    /// Opens the root of a site and checks that it is the right one.
    fn enter(&self, site: usize) -> Result<Root> {
        self.sites[site].enter(&*self.files, &self.config, &self.sites)
    }

    fn is_library(&self, folder: &RepoKey) -> bool {
        self.sites.iter().any(|site| site.library().as_ref() == Some(folder))
    }

    fn site(&self, name: &SiteName) -> Result<usize> {
        self.sites.iter().position(|site| site.name == *name).ok_or(RepositoryError::Gone)
    }
}

/// The sites that have a document library; none if there is no such folder (now).
fn listed_sites(files: &dyn Files, root: &Path) -> Result<Vec<SiteName>> {
    let folder = match files.open_root(&root.join("Sites")) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(errno) => return Err(refused(errno)),
    };
    let mut sites = Vec::new();
    loop {
        let piece = files.read_folder(&folder).map_err(refused)?;
        if piece.is_empty() {
            return Ok(sites);
        }
        for name in piece.into_iter().filter_map(|entry| String::from_utf8(entry.name).ok()) {
            if files.stat_at(&folder, format!("{name}/documentLibrary").as_bytes()).is_ok() {
                sites.push(SiteName(name));
            }
        }
    }
}

/// What an error of the operating system means, beneath a folder that was just seen to be there.
fn refused(errno: Errno) -> RepositoryError {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL | Errno::ISDIR => RepositoryError::Changed,
        Errno::ACCESS | Errno::PERM => RepositoryError::Denied("the agent's account may not do this"),
        Errno::ROFS => RepositoryError::Denied("mounted read-only"),
        Errno::NOSPC | Errno::DQUOT => RepositoryError::NoSpace,
        Errno::EXIST => RepositoryError::Exists,
        Errno::NOTEMPTY => RepositoryError::NotEmpty,
        Errno::XDEV => RepositoryError::Unsupported("reaching into another mount"),
        Errno::NAMETOOLONG => RepositoryError::Unsupported("a name or path as long as this"),
        Errno::FBIG => RepositoryError::Unsupported("a document as large as this"),
        Errno::AGAIN | Errno::BUSY | Errno::TXTBSY => RepositoryError::Busy,
        errno => RepositoryError::Unknown(Unhealthy::Failed(errno.raw_os_error())),
    }
}

/// What these locks guard is consistent after each statement, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Repository for FilesystemRepository {
    fn sites(&self) -> Vec<Site> {
        let site =
            |site: &SiteState| Site { name: site.name.clone(), library: site.library(), default_locale: site.default_locale.clone() };
        self.sites.iter().map(site).collect()
    }

    fn capabilities(&self, site: &SiteName) -> Option<Capabilities> {
        self.sites.iter().find(|known| known.name == *site)?.capabilities()
    }

    fn health(&self, site: &SiteName) -> Result<(), Unhealthy> {
        match self.site(site).and_then(|site| self.enter(site)) {
            Ok(_) => Ok(()),
            Err(RepositoryError::Unknown(why)) => Err(why),
            Err(RepositoryError::Denied(_)) => Err(Unhealthy::Unreadable),
            Err(_) => Err(Unhealthy::RootMissing),
        }
    }

    fn accept(&self, site: &SiteName) -> Result<()> {
        self.sites[self.site(site)?].accept(&*self.files, &self.config, &self.sites)
    }

    fn resolve(&self, path: &Path) -> Result<Resolved, NotSyncable> {
        self.resolve(path)
    }

    fn path_of(&self, folder: &RepoKey, name: &EntryName) -> Result<PathBuf> {
        self.path_of(folder, name)
    }

    fn locate(&self, keys: &[RepoKey]) -> Result<Vec<Option<RepoPlace>>> {
        self.locate(keys)
    }

    fn list(&self, folder: &RepoKey) -> Result<Vec<Entry>> {
        self.list(folder)
    }

    fn look(&self, folder: &RepoKey, name: &Name) -> Result<Option<Entry>> {
        self.look(folder, name)
    }

    fn observe(&self, at: &At, known: Option<&KnownContent>, sink: &mut Sink<'_>) -> Result<Observation> {
        self.observe(at, known, sink)
    }

    fn open(&self, at: &At, stamp: &Stamp) -> Result<Box<dyn Document>> {
        Ok(Box::new(self.open_document(at, stamp)?))
    }

    fn stage_document(&self, folder: &RepoKey, op: OpId, parameters: ChunkerParameters) -> Result<Staged> {
        self.stage_document(folder, op, parameters)
    }

    fn stage_folder(&self, folder: &RepoKey, op: OpId) -> Result<Staged> {
        self.stage_folder(folder, op)
    }

    fn append(&self, staged: &mut Staged, chunk: &Blob) -> Result<()> {
        self.append(staged, chunk)
    }

    fn finish(&self, staged: &mut Staged, expected: &ContentRef) -> Result<()> {
        self.finish(staged, expected)
    }

    fn set_staged_properties(&self, staged: &Staged, changes: &BTreeMap<Property, Option<Value>>) -> Result<()> {
        self.set_staged_properties(staged, changes)
    }

    fn flush(&self, staged: &[&Staged]) -> Result<()> {
        self.flush(staged)
    }

    fn place_new(&self, staged: &Staged, folder: &RepoKey, name: &Name) -> Result<Placed> {
        self.place_new(staged, folder, name)
    }

    fn inherit(&self, staged: &Staged, at: &At, dropped: &[Property]) -> Result<()> {
        self.inherit(staged, at, dropped)
    }

    fn replace(&self, staged: &Staged, at: &At, stamp: &Stamp) -> Result<(Placed, Displaced)> {
        self.replace(staged, at, stamp)
    }

    fn rename(&self, at: &At, folder: &RepoKey, name: &Name, known: &Stamp) -> Result<Placed> {
        self.rename(at, folder, name, known)
    }

    fn remove_document(&self, at: &At, stamp: &Stamp, op: OpId) -> Result<Displaced> {
        self.remove_document(at, stamp, op)
    }

    fn remove_folder(&self, at: &At) -> Result<()> {
        self.remove_folder(at)
    }

    fn set_properties(&self, at: &At, stamp: &Stamp, changes: &BTreeMap<Property, Option<Value>>) -> Result<Placed> {
        self.set_properties(at, stamp, changes)
    }

    fn settle(&self) -> Result<()> {
        self.settle()
    }

    fn settle_all(&self, site: &SiteName) -> Result<()> {
        self.settle_all(site)
    }

    fn protection(&self, at: &At) -> Result<Protection> {
        self.protection(at)
    }

    fn protect(&self, at: &At, known: &Stamp) -> Result<Placed> {
        self.protect(at, known)
    }

    fn unprotect(&self, at: &At, original: &Protection) -> Result<()> {
        self.unprotect(at, original)
    }

    fn open_displaced(&self, displaced: &Displaced) -> Result<(Stamp, Box<dyn Document>)> {
        let (stamp, document) = self.open_displaced(displaced)?;
        Ok((stamp, Box::new(document)))
    }

    fn displaced_in_use(&self, displaced: &Displaced) -> Result<bool> {
        self.displaced_in_use(displaced)
    }

    fn discard(&self, leftover: &Leftover) -> Result<()> {
        self.discard(leftover)
    }

    fn leftovers(&self) -> Result<Vec<Leftover>> {
        self.leftovers()
    }

    fn watch(&self, folder: &RepoKey) -> Result<()> {
        self.watch(folder)
    }

    fn unwatch(&self, folder: &RepoKey) {
        self.unwatch(folder);
    }

    fn wait_for_hints(&self, wait: Duration) -> Result<bool> {
        self.wait_for_hints(wait)
    }

    fn hints(&self) -> Result<Vec<Hint>> {
        self.hints()
    }
}

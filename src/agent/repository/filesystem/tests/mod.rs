//! What a real file system shows.

mod edge;
mod looking;
mod placing;
mod properties;
mod reading;
mod replacing;
mod sites;
mod watching;

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::agent::repository::Item;
use crate::content::split;
use crate::sys::{LinuxFiles, LinuxWatches};

/// A repository with one site in a directory of its own.
struct Fixture {
    dir: TempDir,
    library: PathBuf,
    repository: FilesystemRepository,
}

impl std::ops::Deref for Fixture {
    type Target = FilesystemRepository;

    fn deref(&self) -> &FilesystemRepository {
        &self.repository
    }
}

fn config(root: &Path) -> Config {
    Config {
        repository: Uuid::from_u128(1),
        root: Some(root.to_path_buf()),
        mapped: BTreeMap::new(),
        known: BTreeSet::new(),
        default_locale: "en_US".to_owned(),
        owner: None,
        quiet: QUIET_DEFAULT,
    }
}

fn open(config: Config) -> FilesystemRepository {
    FilesystemRepository::open(Arc::new(LinuxFiles), Some(Arc::new(LinuxWatches::new().unwrap())), config).unwrap()
}

/// A fixture on the given file system, with whatever the test changes in the configuration.
fn fixture_in(parent: &Path, change: impl FnOnce(&mut Config)) -> Fixture {
    let dir = TempDir::new_in(parent).unwrap();
    let library = dir.path().join("Sites/swsdp/documentLibrary");
    std::fs::create_dir_all(&library).unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut config = config(dir.path());
    change(&mut config);
    Fixture { repository: open(config), library, dir }
}

fn fixture() -> Fixture {
    fixture_in(&std::env::temp_dir(), |_| {})
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn op(number: u128) -> OpId {
    OpId::from_uuid(Uuid::from_u128(number))
}

impl Fixture {
    fn path(&self, inner: &str) -> PathBuf {
        self.library.join(inner)
    }

    /// Writes a file as a person's program does.
    fn write(&self, inner: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(inner);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn mkdir(&self, inner: &str) -> RepoKey {
        std::fs::create_dir_all(self.path(inner)).unwrap();
        self.at(inner).key
    }

    fn top(&self) -> RepoKey {
        self.sites[0].library().unwrap()
    }

    fn entry_at(&self, inner: &str) -> Entry {
        self.repository.resolve(&self.path(inner)).unwrap().entry
    }

    fn at(&self, inner: &str) -> At {
        let resolved = self.repository.resolve(&self.path(inner)).unwrap();
        let name = resolved.entry.name.allowed().unwrap().clone();
        At { folder: resolved.folders.last().unwrap().clone(), name, key: resolved.entry.key }
    }

    fn bytes(&self, inner: &str) -> Vec<u8> {
        std::fs::read(self.path(inner)).unwrap()
    }

    fn observe_at(&self, at: &At) -> Result<Observation> {
        self.repository.observe(at, None, &mut |_| true)
    }

    /// Stages content completely.
    fn staged(&self, folder: &RepoKey, number: u128, bytes: &[u8]) -> Staged {
        let (content, chunks) = content_of(bytes);
        let mut staged = self.repository.stage_document(folder, op(number), ChunkerParameters::DEFAULT).unwrap();
        for chunk in &chunks {
            self.repository.append(&mut staged, chunk).unwrap();
        }
        self.repository.finish(&mut staged, &content).unwrap();
        staged
    }

    /// Replaces a document as the applier does.
    fn replace_by(&self, inner: &str, number: u128, bytes: &[u8]) -> Result<(Placed, Displaced)> {
        let (at, stamp) = (self.at(inner), self.entry_at(inner).stamp);
        let staged = self.staged(&at.folder, number, bytes);
        self.repository.inherit(&staged, &at, &[])?;
        self.repository.flush(&[&staged])?;
        self.repository.replace(&staged, &at, &stamp)
    }

    fn displaced_bytes(&self, displaced: &Displaced) -> Vec<u8> {
        let (stamp, document) = self.repository.open_displaced(displaced).unwrap();
        let mut bytes = vec![0; stamp.size_bytes as usize];
        assert_eq!(document.read_at(0, &mut bytes).unwrap(), bytes.len());
        bytes
    }

    fn names(&self, folder: &RepoKey) -> Vec<Vec<u8>> {
        let mut names: Vec<_> = self.repository.list(folder).unwrap().iter().map(|entry| entry.name.as_bytes().to_vec()).collect();
        names.sort();
        names
    }
}

/// Sets an extended attribute as another program does.
fn set(f: &Fixture, inner: &str, name: &str, value: &[u8]) {
    rustix::fs::setxattr(f.path(inner), name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

/// Reads an extended attribute as another program does.
fn attribute(f: &Fixture, inner: &str, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 64 * 1024];
    let length = rustix::fs::getxattr(f.path(inner), name, value.as_mut_slice()).ok()?;
    value.truncate(length);
    Some(value)
}

/// What some bytes are as a content, and their chunks.
fn content_of(bytes: &[u8]) -> (ContentRef, Vec<Blob>) {
    let mut chunks = Vec::new();
    let content = split::<std::io::Error>(bytes, ChunkerParameters::DEFAULT, |blob| {
        chunks.push(blob);
        Ok(())
    });
    chunks.retain(|blob| blob.kind() == crate::content::BlobKind::Chunk);
    (content.unwrap(), chunks)
}

/// Runs something as a user without any rights; `None` where this process cannot become one.
fn as_nobody<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    use rustix::thread::{set_thread_res_gid, set_thread_res_uid};
    let (user, group) = (rustix::fs::Uid::from_raw(65534), rustix::fs::Gid::from_raw(65534));
    let become_nobody = move || set_thread_res_gid(group, group, group).and_then(|()| set_thread_res_uid(user, user, user));
    std::thread::scope(|scope| scope.spawn(move || become_nobody().is_ok().then(run)).join().unwrap())
}

//! Hints.

use super::*;
use crate::sys::{Errno, WatchEvent, WatchId, Watches};

/// Events come at once; the wait is only for a machine under load.
const WAIT: Duration = Duration::from_secs(10);

fn hints_of(repository: &FilesystemRepository) -> Result<Vec<Hint>> {
    repository.wait_for_hints(WAIT)?;
    repository.hints()
}

#[test]
fn s_b02_changes_are_hinted_by_folder_and_name() {
    let f = fixture();
    let folder = f.mkdir("folder");
    f.repository.watch(&folder).unwrap();
    f.repository.watch(&f.top()).unwrap();
    f.write("folder/doc", "1");
    f.write("folder/doc", "2");
    f.write("folder/bad ", "2");
    let hints = hints_of(&f.repository).unwrap();
    assert_eq!(hints, [Hint::Folder(folder.clone(), None), Hint::Folder(folder.clone(), Some(name("doc")))]);
    let staged = f.staged(&f.top(), 1, b"new");
    assert_eq!(f.repository.hints().unwrap(), [], "what is ours is not hinted");
    f.repository.place_new(&staged, &f.top(), &name("placed")).unwrap();
    assert!(hints_of(&f.repository).unwrap().contains(&Hint::Folder(f.top(), Some(name("placed")))));
    f.repository.unwatch(&folder);
    f.write("folder/doc", "3");
    assert!(!f.repository.hints().unwrap().contains(&Hint::Folder(folder, Some(name("doc")))));
}

#[test]
fn edge_m03_a_watch_stays_when_a_parent_is_renamed() {
    let f = fixture();
    let folder = f.mkdir("a/b");
    f.repository.watch(&folder).unwrap();
    std::fs::rename(f.path("a"), f.path("moved")).unwrap();
    f.write("moved/b/doc", "1");
    assert_eq!(hints_of(&f.repository).unwrap(), [Hint::Folder(folder.clone(), Some(name("doc")))]);
    assert_eq!(f.names(&folder), [b"doc"], "found though its parent moved unseen");
    std::fs::remove_dir_all(f.path("moved")).unwrap();
    let mut hints = hints_of(&f.repository).unwrap();
    while !hints.contains(&Hint::Unwatched(folder.clone())) {
        hints = hints_of(&f.repository).unwrap();
    }
    f.repository.unwatch(&folder);
}

/// Loses events, and has room for one watch.
#[derive(Debug)]
struct Poor;

impl Watches for Poor {
    fn add(&self, _folder: &Handle) -> crate::sys::Result<WatchId> {
        Err(Errno::NOSPC)
    }

    fn remove(&self, _watch: WatchId) -> crate::sys::Result<()> {
        Err(Errno::INVAL)
    }

    fn wait(&self, _wait: Duration) -> crate::sys::Result<bool> {
        Ok(true)
    }

    fn read(&self) -> crate::sys::Result<Vec<WatchEvent>> {
        Ok(vec![WatchEvent::Changed(7, Some(b"of no watch".to_vec())), WatchEvent::Overflow, WatchEvent::Overflow])
    }
}

#[test]
fn edge_f10_limits_and_overflows_are_told() {
    let dir = TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("Sites/s/documentLibrary")).unwrap();
    let repository = FilesystemRepository::open(Arc::new(LinuxFiles), Some(Arc::new(Poor)), config(dir.path())).unwrap();
    let top = repository.sites[0].library().unwrap();
    assert_eq!(repository.watch(&top), Err(RepositoryError::WatchLimit));
    assert_eq!(hints_of(&repository).unwrap(), [Hint::Overflow]);
}

//! Documents that look like images, of which the agent reads what they say of themselves.
#![no_main]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use skybridge::agent::repository::filesystem::{Config, FilesystemRepository};
use skybridge::agent::repository::{At, Repository as _};
use skybridge::model::Name;
use skybridge::sys::LinuxFiles;

const BEGINNINGS: [&[u8]; 6] =
    [b"\xff\xd8\xff", b"II\x2a\x00", b"MM\x00\x2a", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP", b"\0\0\0\x18ftyp"];

struct Bench {
    dir: tempfile::TempDir,
    repository: FilesystemRepository,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory");
        std::fs::create_dir_all(dir.path().join("Sites/site/documentLibrary")).expect("a library");
        let config = Config {
            repository: uuid::Uuid::nil(),
            root: Some(dir.path().to_path_buf()),
            mapped: BTreeMap::new(),
            known: BTreeSet::new(),
            default_locale: "en_US".to_owned(),
            owner: None,
            quiet: Duration::ZERO,
        };
        let repository = FilesystemRepository::open(Arc::new(LinuxFiles), None, config).expect("a repository");
        Self { dir, repository }
    }
}

thread_local! {
    static BENCH: RefCell<Bench> = RefCell::new(Bench::new());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let image = [BEGINNINGS[usize::from(*kind) % BEGINNINGS.len()], rest].concat();
    BENCH.with_borrow(|bench| {
        let path = bench.dir.path().join("Sites/site/documentLibrary/image");
        std::fs::write(&path, image).expect("written");
        let resolved = bench.repository.resolve(&path).expect("there");
        let folder = resolved.folders.last().cloned().expect("a folder");
        let at = At { folder, name: Name::new("image").expect("a name"), key: resolved.entry.key };
        // Read a moment after it was written, it may be taken for one that is still written to; what matters is that reading it ends.
        let _seen = bench.repository.observe(&at, None, &mut |_| true);
    });
});

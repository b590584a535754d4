//! The real repository over the model: it sees, places, replaces and watches as on a real file system.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use skybridge::agent::repository::filesystem::{Config, FilesystemRepository, QUIET_DEFAULT};
use skybridge::agent::repository::{
    At, Displaced, Entry, Hint, Observation, Placed, RepoKey, Repository, RepositoryError, Staged, Stamp, Unhealthy,
};
use skybridge::content::{Blob, BlobKind, ChunkerParameters, split};
use skybridge::model::{ContentRef, Name, OpId, Property, Value};
use skybridge::sys::FileKind;
use uuid::Uuid;

use crate::disk::{Caller, Disk, Person, Process, Verdict, VolumeId, VolumeOptions};

const LIBRARY: &str = "/repo/Sites/swsdp/documentLibrary";

/// A repository with one site on a machine of its own.
struct Fixture {
    disk: Disk,
    person: Person,
    process: Process,
    repository: FilesystemRepository,
}

fn fixture(options: VolumeOptions) -> Fixture {
    let disk = Disk::new(options);
    let person = disk.person(Caller::root());
    person.make_folders(Path::new(LIBRARY)).unwrap();
    disk.write_back();
    start(disk)
}

/// Starts the agent's side of a machine, for the first time or again.
fn start(disk: Disk) -> Fixture {
    let process = disk.process(Caller::root());
    let config = Config {
        repository: Uuid::from_u128(1),
        root: Some(PathBuf::from("/repo")),
        mapped: BTreeMap::new(),
        known: BTreeSet::new(),
        default_locale: "en_US".to_owned(),
        owner: None,
        quiet: QUIET_DEFAULT,
    };
    let watches = Arc::new(process.watches());
    let repository = FilesystemRepository::open(Arc::new(process.clone()), Some(watches), config).unwrap();
    Fixture { person: disk.person(Caller::root()), disk, process, repository }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn op(number: u128) -> OpId {
    OpId::from_uuid(Uuid::from_u128(number))
}

fn content_of(bytes: &[u8]) -> (ContentRef, Vec<Blob>) {
    let mut chunks = Vec::new();
    let content = split::<std::io::Error>(bytes, ChunkerParameters::DEFAULT, |blob| {
        chunks.push(blob);
        Ok(())
    });
    chunks.retain(|blob| blob.kind() == BlobKind::Chunk);
    (content.unwrap(), chunks)
}

impl Fixture {
    fn path(&self, inner: &str) -> PathBuf {
        Path::new(LIBRARY).join(inner)
    }

    /// Time passes, as it does between what people do.
    fn write(&self, inner: &str, bytes: &[u8]) {
        self.disk.set_now(self.disk.now() + 1_000_000);
        self.person.write(&self.path(inner), bytes).unwrap();
    }

    fn top(&self) -> RepoKey {
        self.repository.sites()[0].library.clone().unwrap()
    }

    fn entry(&self, inner: &str) -> Entry {
        self.repository.resolve(&self.path(inner)).unwrap().entry
    }

    fn at(&self, inner: &str) -> At {
        let resolved = self.repository.resolve(&self.path(inner)).unwrap();
        let name = resolved.entry.name.allowed().unwrap().clone();
        At { folder: resolved.folders.last().unwrap().clone(), name, key: resolved.entry.key }
    }

    fn observe(&self, inner: &str) -> Result<Observation, RepositoryError> {
        self.repository.observe(&self.at(inner), None, &mut |_| true)
    }

    fn staged(&self, folder: &RepoKey, number: u128, bytes: &[u8]) -> Result<Staged, RepositoryError> {
        let (content, chunks) = content_of(bytes);
        let mut staged = self.repository.stage_document(folder, op(number), ChunkerParameters::DEFAULT)?;
        chunks.iter().try_for_each(|chunk| self.repository.append(&mut staged, chunk))?;
        self.repository.finish(&mut staged, &content)?;
        Ok(staged)
    }

    fn replace(&self, inner: &str, number: u128, bytes: &[u8]) -> Result<(Placed, Displaced), RepositoryError> {
        let (at, stamp) = (self.at(inner), self.entry(inner).stamp);
        let staged = self.staged(&at.folder, number, bytes)?;
        self.repository.inherit(&staged, &at, &[])?;
        self.repository.flush(&[&staged])?;
        let done = self.repository.replace(&staged, &at, &stamp)?;
        self.repository.settle()?;
        Ok(done)
    }
}

/// The kinds of file systems that repositories lie on.
fn kinds() -> [VolumeOptions; 4] {
    let plain = VolumeOptions::default();
    [
        plain.clone(),
        VolumeOptions::remote(),
        VolumeOptions { exchange: false, unnamed: false, leases: false, ..plain.clone() },
        VolumeOptions { exchange: false, links: false, ..plain },
    ]
}

#[test]
fn the_repository_finds_out_what_the_model_can() {
    let can = |options| fixture(options).repository.capabilities(&skybridge::agent::repository::SiteName("swsdp".to_owned())).unwrap();
    let all = can(VolumeOptions::default());
    assert!(all.exchange && all.no_replace && all.handles && all.open_by_handle && all.leases && all.properties && all.events);
    assert!(all.case_sensitive);
    let remote = can(VolumeOptions::remote());
    assert!(
        !remote.no_replace
            && !remote.exchange
            && !remote.handles
            && !remote.open_by_handle
            && !remote.leases
            && !remote.properties
            && !remote.events
    );
}

#[test]
fn documents_are_observed_placed_and_replaced() {
    for options in kinds() {
        let f = fixture(options.clone());
        f.write("doc", b"old");
        f.disk.set_now(f.disk.now() + 5_000_000_000);
        assert_eq!(f.observe("doc").unwrap().content, Some(content_of(b"old").0));
        let (_, displaced) = f.replace("doc", 1, b"new").unwrap();
        assert!(displaced.as_expected, "{options:?}");
        assert_eq!(f.person.read(&f.path("doc")).unwrap(), b"new");
        f.person.make_folder(&f.path("folder")).unwrap();
        let staged = f.staged(&f.at("folder").key, 2, b"placed").unwrap();
        f.repository.place_new(&staged, &f.at("folder").key, &name("new")).unwrap();
        assert_eq!(f.person.read(&f.path("folder/new")).unwrap(), b"placed");
        assert_eq!(f.person.stat(&f.path("folder/new")).unwrap().mode, 0o644);
        f.repository.rename(&f.at("folder/new"), &f.top(), &name("moved"), &Stamp::UNSEEN).unwrap();
        assert_eq!(f.at("moved").key, staged.key);
        let places = f.repository.locate(&[staged.key.clone(), displaced.key.clone()]).unwrap();
        assert_eq!(places[0].as_ref().map(|place| place.name.as_bytes()), Some(&b"moved"[..]));
        f.repository.discard(&skybridge::agent::repository::Leftover::Displaced(displaced)).unwrap();
        assert_eq!(f.repository.leftovers().unwrap(), []);
    }
}

#[test]
fn properties_and_odd_items_are_seen() {
    let f = fixture(VolumeOptions::default());
    f.write("doc", b"1");
    f.person.set_attribute(&f.path("doc"), b"user.dublincore.title", Some(b"Title")).unwrap();
    let seen = f.observe("doc").unwrap().properties;
    assert!(seen.stated.get(Property::Title).is_some());
    let changes = BTreeMap::from([(Property::Author, Some(Value::Text("Ann".to_owned())))]);
    f.repository.set_properties(&f.at("doc"), &f.entry("doc").stamp, &changes).unwrap();
    assert_eq!(f.person.attribute(&f.path("doc"), b"user.dublincore.creator").unwrap(), b"Ann");
    f.person.make_link(Path::new("doc"), &f.path("link")).unwrap();
    f.person.make_special(&f.path("pipe"), FileKind::Pipe).unwrap();
    f.person.make_folder(&f.path("mounted")).unwrap();
    f.disk.mount(f.disk.add_volume(VolumeOptions::default()), &f.path("mounted")).unwrap();
    let unsupported = |entry: &Entry| matches!(entry.item, skybridge::agent::repository::Item::Unsupported(_));
    let entries = f.repository.list(&f.top()).unwrap();
    let odd: Vec<&[u8]> = entries.iter().filter(|entry| unsupported(entry)).map(|entry| entry.name.as_bytes()).collect();
    assert_eq!(odd.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([&b"link"[..], b"pipe", b"mounted"]));
}

#[test]
fn a_writer_is_seen_and_events_become_hints() {
    let f = fixture(VolumeOptions::default());
    f.repository.watch(&f.top()).unwrap();
    let writer = f.person.open(&f.path("doc"), true, false).unwrap();
    writer.write(b"half", 0).unwrap();
    assert_eq!(f.observe("doc"), Err(RepositoryError::Busy));
    drop(writer);
    assert!(f.observe("doc").is_ok());
    assert_eq!(f.repository.wait_for_hints(std::time::Duration::ZERO), Ok(true));
    assert_eq!(f.repository.hints().unwrap(), [Hint::Folder(f.top(), Some(name("doc")))]);
    assert_eq!(f.repository.wait_for_hints(std::time::Duration::ZERO), Ok(false));
    f.write("doc", b"whole");
    f.disk.overflow_watches();
    assert_eq!(f.repository.hints().unwrap(), [Hint::Overflow]);
}

#[test]
fn a_volume_that_goes_is_unknown_and_comes_back_as_it_was() {
    let disk = Disk::new(VolumeOptions::default());
    let person = disk.person(Caller::root());
    person.make_folders(Path::new("/repo")).unwrap();
    let volume = disk.add_volume(VolumeOptions::default());
    disk.mount(volume, Path::new("/repo")).unwrap();
    person.make_folders(Path::new(LIBRARY)).unwrap();
    let f = start(disk);
    f.write("doc", b"1");
    let (top, at) = (f.top(), f.at("doc"));
    f.disk.detach(Path::new("/repo")).unwrap();
    assert_eq!(f.repository.list(&top), Err(RepositoryError::Unknown(Unhealthy::RootMissing)));
    f.person.make_folders(Path::new(LIBRARY)).unwrap();
    assert_eq!(f.repository.list(&top), Err(RepositoryError::Unknown(Unhealthy::ForeignRoot)));
    f.disk.mount(volume, Path::new("/repo")).unwrap();
    assert_eq!(f.repository.look(&top, &name("doc")).unwrap().unwrap().key, at.key);
    assert_ne!(volume, VolumeId::FIRST);
}

/// A replacement that is cut off at each of its effects, by a crash of the process or of the machine: the old or the new document is
/// at its place, or the old one is kept and the place is empty, and once it was acknowledged it is the new one.
#[test]
fn edge_k01_k05_a_replacement_is_cut_off_at_each_effect() {
    let mut cut = 0;
    for options in kinds() {
        for seed in 0..4 {
            for at in 1.. {
                let f = fixture(options.clone());
                f.write("doc", b"old");
                f.disk.set_now(f.disk.now() + 5_000_000_000);
                f.disk.write_back();
                let first = f.process.effects();
                f.process.set_hook(Some(Box::new(move |call| match call.effect {
                    Some(effect) if effect == first + at && seed % 2 == 0 => Verdict::CrashBefore,
                    Some(effect) if effect == first + at => Verdict::CrashAfter,
                    _ => Verdict::Proceed,
                })));
                let done = f.replace("doc", 1, b"new");
                let ended = !f.process.is_alive();
                assert!(done.is_err() || !ended, "it cannot succeed once it is dead");
                let disk = f.disk.clone();
                drop(f);
                disk.lose_power(seed);
                let f = start(disk);
                let found = f.person.read(&f.path("doc"));
                let kept = f.repository.leftovers().unwrap();
                match found {
                    Ok(bytes) if done.is_ok() => assert_eq!(bytes, b"new"),
                    Ok(bytes) => assert!(bytes == b"old" || bytes == b"new", "{bytes:?}"),
                    Err(_) => assert!(!options.links && !kept.is_empty(), "the document is nowhere"),
                }
                cut += u64::from(ended);
                if !ended {
                    break;
                }
            }
        }
    }
    assert!(cut > 100, "{cut}");
}

#[test]
fn edge_k05_what_counts_as_seen_survives_a_power_loss() {
    for seed in 0..50 {
        let f = fixture(VolumeOptions::default());
        f.write("doc", b"what was there");
        f.disk.write_back();
        f.write("doc", b"what was seen!");
        f.observe("doc").unwrap();
        assert!(f.disk.lose_power(seed).torn.is_empty());
        assert_eq!(f.person.read(&f.path("doc")).unwrap(), b"what was seen!");
    }
}

//! Replacing a document that people may be writing to.

use std::io::Write;
use std::os::unix::fs::MetadataExt;

use super::*;

/// With and without the exchange of two names in one step.
fn both_ways(test: impl Fn(&Fixture)) {
    for parent in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
        for exchange in [true, false] {
            let f = fixture_in(&parent, |_| {});
            f.sites[0].pretend(|can| can.exchange &= exchange);
            test(&f);
        }
    }
}

#[test]
fn s_b22_a_replacement_keeps_owner_mode_and_attributes() {
    both_ways(|f| {
        f.write("doc", "old");
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(f.path("doc"), Some(4711), Some(4712)).unwrap();
        }
        std::fs::set_permissions(f.path("doc"), PermissionsExt::from_mode(0o4751)).unwrap();
        for (attribute, value) in [("user.foreign", "kept"), ("user.dublincore.title", "kept"), ("user.exif.model", "dropped")] {
            set(f, "doc", attribute, value.as_bytes());
        }
        let before = f.path("doc").metadata().unwrap();
        let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
        let staged = f.staged(&f.top(), 1, b"new");
        f.repository.inherit(&staged, &at, &[Property::Model]).unwrap();
        let author = BTreeMap::from([(Property::Author, Some(Value::Text("Ann".to_owned())))]);
        f.repository.set_staged_properties(&staged, &author).unwrap();
        f.repository.flush(&[&staged]).unwrap();
        let (placed, displaced) = f.repository.replace(&staged, &at, &stamp).unwrap();
        f.repository.settle().unwrap();
        let after = f.path("doc").metadata().unwrap();
        assert_eq!((after.uid(), after.gid(), after.mode()), (before.uid(), before.gid(), before.mode()));
        assert_eq!(attribute(f, "doc", "user.foreign").as_deref(), Some(&b"kept"[..]));
        assert_eq!(attribute(f, "doc", "user.dublincore.title").as_deref(), Some(&b"kept"[..]));
        assert_eq!(attribute(f, "doc", "user.dublincore.creator").as_deref(), Some(&b"Ann"[..]));
        assert_eq!(attribute(f, "doc", "user.exif.model"), None);
        assert_eq!((f.bytes("doc"), f.displaced_bytes(&displaced)), (b"new".to_vec(), b"old".to_vec()));
        assert_eq!(f.entry_at("doc").stamp.times(), placed.stamp.times());
        assert_eq!((&f.at("doc").key, &placed.key), (&staged.key, &staged.key));
        assert!(displaced.as_expected && displaced.key == at.key);
        let leftover = Leftover::Displaced(Displaced { as_expected: false, ..displaced });
        assert_eq!(f.repository.leftovers().unwrap(), std::slice::from_ref(&leftover));
        f.repository.discard(&leftover).unwrap();
        assert_eq!(f.repository.leftovers().unwrap(), []);
    });
}

#[test]
fn s_b22_what_cannot_be_kept_is_not_replaced() {
    let f = fixture();
    f.write("doc", "old");
    std::fs::set_permissions(f.path("doc"), PermissionsExt::from_mode(0o644)).unwrap();
    let at = f.at("doc");
    for inner in ["", ".skybridge", ".skybridge/staging", ".skybridge/displaced"] {
        std::fs::set_permissions(f.path(inner), PermissionsExt::from_mode(0o777)).unwrap();
    }
    // Somebody else's document, and no right to give a file away.
    let inherited = as_nobody(|| {
        let staged = f.staged(&f.top(), 1, b"new");
        f.repository.inherit(&staged, &at, &[])
    });
    if let Some(inherited) = inherited {
        assert!(matches!(inherited, Err(RepositoryError::Denied(_))), "{inherited:?}");
        assert_eq!(f.bytes("doc"), b"old");
    }
}

#[test]
fn edge_c08_what_changed_since_the_plan_is_not_replaced() {
    both_ways(|f| {
        f.write("doc", "old");
        let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
        let staged = f.staged(&f.top(), 1, b"new");
        f.repository.inherit(&staged, &at, &[]).unwrap();
        f.write("doc", "edited");
        assert_eq!(f.repository.replace(&staged, &at, &stamp), Err(RepositoryError::Changed));
        f.write("saved", "safely");
        std::fs::rename(f.path("saved"), f.path("doc")).unwrap();
        assert_eq!(f.repository.replace(&staged, &at, &stamp), Err(RepositoryError::Changed));
        assert_eq!(f.bytes("doc"), b"safely");
        let leftovers = f.repository.leftovers().unwrap();
        assert_eq!(leftovers, [Leftover::Staged(SiteName("swsdp".to_owned()), op(1))], "and it can be tried again");
        f.repository.replace(&staged, &f.at("doc"), &f.entry_at("doc").stamp).unwrap();
        assert_eq!(f.bytes("doc"), b"new");
    });
}

#[test]
fn edge_c08_what_is_written_after_the_replacement_is_kept() {
    both_ways(|f| {
        // Somebody who has it open for reading may become a writer by another way: opened before, seen by nobody's lease.
        let path = f.write("doc", "old");
        let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
        let staged = f.staged(&f.top(), 1, b"new");
        f.repository.inherit(&staged, &at, &[]).unwrap();
        let (_, displaced) = f.repository.replace(&staged, &at, &stamp).unwrap();
        let late = f.path(".skybridge/displaced").join(displaced.op.to_string());
        let mut writer = std::fs::OpenOptions::new().append(true).open(&late).unwrap();
        assert_eq!(f.repository.displaced_in_use(&displaced), Ok(true));
        writer.write_all(b" and late").unwrap();
        drop(writer);
        assert_eq!(f.repository.displaced_in_use(&displaced), Ok(false));
        assert_eq!(f.displaced_bytes(&displaced), b"old and late");
        assert_eq!(std::fs::read(path).unwrap(), b"new");
    });
}

#[test]
fn edge_t02_a_folder_swapped_in_at_the_last_moment_goes_back() {
    let f = fixture();
    f.write("doc", "old");
    let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
    let staged = f.staged(&f.top(), 1, b"new");
    f.repository.inherit(&staged, &at, &[]).unwrap();
    let current = f.open_unchanged(&at, &stamp).unwrap();
    // Between the check and the exchange.
    std::fs::rename(f.path("doc"), f.path("aside")).unwrap();
    f.write("doc/inner", "theirs");
    let root = f.enter(0).unwrap();
    let internal = |path: &[u8]| f.internal(&root.dir, path).unwrap();
    let exchanged = f.exchange(&staged, &at, &current, &internal(site::STAGING), &internal(site::DISPLACED));
    assert_eq!(exchanged, Err(RepositoryError::Changed));
    assert_eq!((f.bytes("doc/inner"), f.bytes("aside")), (b"theirs".to_vec(), b"old".to_vec()));
    assert_eq!(f.repository.leftovers().unwrap(), [Leftover::Staged(SiteName("swsdp".to_owned()), op(1))]);
}

#[test]
fn edge_c08_a_document_saved_at_the_last_moment_is_kept() {
    both_ways(|f| {
        f.write("doc", "old");
        let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
        let staged = f.staged(&f.top(), 1, b"new");
        f.repository.inherit(&staged, &at, &[]).unwrap();
        let current = f.open_unchanged(&at, &stamp).unwrap();
        // Between the check and the exchange.
        f.write("temp", "saved");
        std::fs::rename(f.path("temp"), f.path("doc")).unwrap();
        let saved = f.at("doc").key;
        let root = f.enter(0).unwrap();
        let internal = |path: &[u8]| f.internal(&root.dir, path).unwrap();
        let (staging, displaced) = (internal(site::STAGING), internal(site::DISPLACED));
        if root.capabilities.exchange {
            f.exchange(&staged, &at, &current, &staging, &displaced).unwrap();
            let out = f.displaced(&current, op(1), &displaced, &at).unwrap();
            assert!(!out.as_expected && out.key == saved);
            assert_eq!((f.bytes("doc"), f.displaced_bytes(&out)), (b"new".to_vec(), b"saved".to_vec()));
        } else {
            assert_eq!(f.link_and_rename(&staged, &at, &current, &staging, &displaced), Err(RepositoryError::Changed));
            assert_eq!(f.bytes("doc"), b"saved");
        }
    });
}

/// Somebody who saves by renaming, replacements again and again: every save comes out somewhere.
#[test]
fn edge_c16_nothing_is_lost_between_people_and_replacements() {
    const SAVES: usize = 100;
    let f = fixture();
    f.write("doc", "save 0");
    let (path, temp) = (f.path("doc"), f.path("temp"));
    let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
    std::thread::scope(|scope| {
        let person = scope.spawn(|| {
            for save in 1..=SAVES {
                // By rename, for a save in place is only one save while nobody reads in between.
                std::fs::write(&temp, format!("save {save}")).unwrap();
                std::fs::hard_link(&path, f.path(&format!("backup {save}"))).unwrap();
                std::fs::rename(&temp, &path).unwrap();
            }
        });
        let mut number = 1;
        while !person.is_finished() || number < 20 {
            number += 1;
            let Ok(entry) = f.repository.look(&f.top(), &name("doc")) else { continue };
            let entry = entry.unwrap();
            let at = At { folder: f.top(), name: name("doc"), key: entry.key };
            let staged = f.staged(&f.top(), number, format!("pull {number}").as_bytes());
            let done = f.repository.inherit(&staged, &at, &[]).and_then(|()| f.repository.replace(&staged, &at, &entry.stamp));
            if let Ok((_, displaced)) = done {
                found.insert(f.displaced_bytes(&displaced));
            }
        }
        person.join().unwrap();
    });
    found.insert(f.bytes("doc"));
    for save in 1..=SAVES {
        found.insert(f.bytes(&format!("backup {save}")));
    }
    for save in 1..=SAVES {
        assert!(found.contains(format!("save {save}").as_bytes()), "save {save} is lost");
    }
}

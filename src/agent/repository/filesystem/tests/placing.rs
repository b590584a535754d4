//! New items, renames, removals, permissions, what is left behind.

use std::os::unix::fs::MetadataExt;

use super::*;

/// An access control list with user 4711, as the kernel takes it.
fn acl() -> Vec<u8> {
    let entry = |tag: u16, permissions: u16, id: u32| [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat();
    let nobody = u32::MAX;
    [
        2_u32.to_le_bytes().to_vec(),
        entry(0x01, 7, nobody),
        entry(0x02, 6, 4711),
        entry(0x04, 5, nobody),
        entry(0x10, 6, nobody),
        entry(0x20, 0, nobody),
    ]
    .concat()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn s_b22_a_new_item_gets_what_its_folder_gives() {
    for named_probe in [false, true] {
        let f = fixture_in(&std::env::temp_dir(), |config| config.owner = is_root().then_some((1234, 1235)));
        let folder = f.mkdir("folder");
        set(&f, "folder", "system.posix_acl_default", &acl());
        if is_root() {
            std::os::unix::fs::chown(f.path("folder"), Some(99), Some(98)).unwrap();
        }
        std::fs::set_permissions(f.path("folder"), PermissionsExt::from_mode(0o2770)).unwrap();
        if named_probe {
            // Not with access control lists: where no file can be made without a name, there are none.
            rustix::fs::removexattr(f.path("folder"), "system.posix_acl_default").unwrap();
        }
        let staged = f.staged(&folder, 1, b"content");
        assert_eq!(f.path(&format!(".skybridge/staging/{}", op(1))).metadata().unwrap().mode() & 0o777, 0o600);
        f.repository.flush(&[&staged]).unwrap();
        let placed = f.repository.place_new(&staged, &folder, &name("doc")).unwrap();
        let sub = f.repository.stage_folder(&folder, op(2)).unwrap();
        f.repository.place_new(&sub, &folder, &name("sub")).unwrap();
        f.repository.settle().unwrap();
        assert_eq!(f.at("folder/doc").key, placed.key);
        assert_eq!(placed.key, staged.key);
        assert_eq!(f.entry_at("folder/doc").stamp.times(), placed.stamp.times());
        assert_eq!(f.bytes("folder/doc"), b"content");
        // What a person's program would have got.
        f.write("folder/theirs", "1");
        std::fs::create_dir(f.path("folder/their-sub")).unwrap();
        for (ours, theirs) in [("doc", "theirs"), ("sub", "their-sub")] {
            let (ours, theirs) = (format!("folder/{ours}"), format!("folder/{theirs}"));
            let stat = |inner: &str| f.path(inner).metadata().unwrap();
            assert_eq!(stat(&ours).mode(), stat(&theirs).mode(), "{ours}");
            assert_eq!(stat(&ours).gid(), stat(&theirs).gid());
            for list in ["system.posix_acl_access", "system.posix_acl_default"] {
                assert_eq!(attribute(&f, &ours, list), attribute(&f, &theirs, list), "{ours} {list}");
            }
            if is_root() {
                assert_eq!((stat(&ours).uid(), stat(&ours).gid()), (1234, 98));
            }
        }
    }
}

#[test]
fn edge_c08_a_taken_name_is_never_overwritten() {
    for no_replace in [true, false] {
        let f = fixture();
        f.sites[0].pretend(|can| can.no_replace = no_replace);
        f.write("doc", "theirs");
        f.mkdir("folder");
        f.write("other", "other");
        let staged = f.staged(&f.top(), 1, b"ours");
        let sub = f.repository.stage_folder(&f.top(), op(2)).unwrap();
        for taken in ["doc", "folder"] {
            for staged in [&staged, &sub] {
                assert_eq!(f.repository.place_new(staged, &f.top(), &name(taken)), Err(RepositoryError::Exists));
            }
            for item in ["other", "folder"] {
                assert_eq!(f.repository.rename(&f.at(item), &f.top(), &name(taken), &Stamp::UNSEEN), Err(RepositoryError::Exists));
            }
        }
        assert_eq!((f.bytes("doc"), f.bytes("other")), (b"theirs".to_vec(), b"other".to_vec()));
        f.repository.place_new(&staged, &f.top(), &name("free")).unwrap();
        f.repository.place_new(&sub, &f.top(), &name("free-folder")).unwrap();
        assert_eq!(f.names(&f.top()), [&b"doc"[..], b"folder", b"free", b"free-folder", b"other"]);
        assert_eq!(f.repository.leftovers().unwrap(), []);
    }
}

#[test]
fn edge_w12_content_that_is_not_the_expected_is_not_staged() {
    let f = fixture();
    let (content, chunks) = content_of(b"expected");
    let mut staged = f.repository.stage_document(&f.top(), op(1), ChunkerParameters::DEFAULT).unwrap();
    assert_eq!(f.repository.stage_document(&f.top(), op(1), ChunkerParameters::DEFAULT).unwrap_err(), RepositoryError::Exists);
    f.repository.append(&mut staged, &content_of(b"other").1[0]).unwrap();
    assert_eq!(f.repository.finish(&mut staged, &content), Err(RepositoryError::Changed));
    assert_eq!(f.repository.append(&mut staged, &chunks[0]), Err(RepositoryError::Changed), "it has ended");
    let leftover = Leftover::Staged(SiteName("swsdp".to_owned()), op(1));
    assert_eq!(f.repository.leftovers().unwrap(), std::slice::from_ref(&leftover));
    f.repository.discard(&leftover).unwrap();
    f.repository.discard(&leftover).unwrap();
    assert_eq!(f.repository.leftovers().unwrap(), []);
}

#[test]
fn edge_m04_m10_m13_renames_keep_keys_and_know_their_item() {
    let f = fixture();
    f.write("a/Empty/doc", "1");
    let (a, inner, doc) = (f.at("a"), f.at("a/Empty"), f.at("a/Empty/doc"));
    f.repository.rename(&inner, &f.top(), &name("Empty"), &Stamp::UNSEEN).unwrap();
    f.repository.rename(&a, &inner.key, &name("A"), &Stamp::UNSEEN).unwrap();
    assert_eq!((f.at("Empty").key, f.at("Empty/A").key, f.at("Empty/doc").key), (inner.key.clone(), a.key.clone(), doc.key.clone()));
    let into_itself = f.repository.rename(&f.at("Empty"), &a.key, &name("loop"), &Stamp::UNSEEN);
    assert!(matches!(into_itself, Err(RepositoryError::Unsupported(_))), "{into_itself:?}");
    // By what is at the place, not by what was.
    f.write("Empty/doc.new", "2");
    std::fs::rename(f.path("Empty/doc.new"), f.path("Empty/doc")).unwrap();
    let stale = At { folder: inner.key, name: name("doc"), key: doc.key };
    assert_eq!(f.repository.rename(&stale, &f.top(), &name("doc"), &Stamp::UNSEEN), Err(RepositoryError::Changed));
    let placed = f.repository.rename(&f.at("Empty/doc"), &f.top(), &name("DOC"), &Stamp::UNSEEN).unwrap();
    let (at, known) = (At { folder: f.top(), name: name("DOC"), key: placed.key }, f.entry_at("DOC").stamp);
    let placed = f.repository.rename(&at, &f.top(), &name("doc"), &known).unwrap();
    assert_eq!(f.entry_at("doc").stamp.times(), placed.stamp.times());
    f.repository.settle().unwrap();
}

#[test]
fn s_d11_what_somebody_wrote_before_a_rename_or_a_lock_is_not_taken_for_seen() {
    let f = fixture();
    f.write("doc", "known");
    let known = f.entry_at("doc").stamp;
    f.write("doc", "written since");
    let placed = f.repository.rename(&f.at("doc"), &f.top(), &name("moved"), &known).unwrap();
    assert_eq!(placed.stamp, Stamp::UNSEEN);
    assert_eq!(f.repository.protect(&f.at("moved"), &known).unwrap().stamp, Stamp::UNSEEN);
    let known = f.entry_at("moved").stamp;
    let placed = f.repository.protect(&f.at("moved"), &known).unwrap();
    assert_eq!(placed.stamp.times(), f.entry_at("moved").stamp.times());
    assert_eq!(f.repository.remove_document(&f.at("moved"), &Stamp::UNSEEN, op(1)), Err(RepositoryError::Changed), "nor is that removed");
}

#[test]
fn s_d11_only_what_was_planned_is_removed() {
    let f = fixture();
    f.write("doc", "1");
    let (at, stamp) = (f.at("doc"), f.entry_at("doc").stamp);
    f.write("doc", "22");
    assert_eq!(f.repository.remove_document(&at, &stamp, op(1)), Err(RepositoryError::Changed));
    assert_eq!(f.bytes("doc"), b"22");
    let displaced = f.repository.remove_document(&at, &f.entry_at("doc").stamp, op(1)).unwrap();
    assert!(displaced.as_expected && displaced.key == at.key);
    assert_eq!(f.repository.look(&at.folder, &at.name), Ok(None));
    assert_eq!(f.displaced_bytes(&displaced), b"22");
    f.repository.discard(&Leftover::Displaced(displaced.clone())).unwrap();
    assert_eq!(f.repository.open_displaced(&displaced).unwrap_err(), RepositoryError::Gone);
    f.repository.settle().unwrap();
}

#[test]
fn edge_x07_a_folder_is_removed_only_when_nothing_is_in_it() {
    let f = fixture();
    let at = |inner: &str| f.at(inner);
    f.mkdir("folder");
    std::os::unix::fs::symlink("nowhere", f.path("folder/link")).unwrap();
    assert_eq!(f.repository.remove_folder(&at("folder")), Err(RepositoryError::NotEmpty));
    std::fs::remove_file(f.path("folder/link")).unwrap();
    let folder = at("folder");
    f.repository.remove_folder(&folder).unwrap();
    assert_eq!(f.repository.list(&folder.key), Err(RepositoryError::Gone));
    f.write("doc", "1");
    assert_eq!(f.repository.remove_folder(&at("doc")), Err(RepositoryError::Changed));
    f.repository.settle().unwrap();
}

#[test]
fn s_f01_protection_is_taken_back_exactly() {
    let f = fixture();
    f.write("doc", "1");
    std::fs::set_permissions(f.path("doc"), PermissionsExt::from_mode(0o640)).unwrap();
    set(&f, "doc", "system.posix_acl_access", &acl());
    let (mode, list) = (f.path("doc").metadata().unwrap().mode(), attribute(&f, "doc", "system.posix_acl_access"));
    let at = f.at("doc");
    let original = f.repository.protection(&at).unwrap();
    let known = f.entry_at("doc").stamp;
    let placed = f.repository.protect(&at, &known).unwrap();
    assert_eq!(placed.stamp.times(), f.entry_at("doc").stamp.times());
    assert_eq!(f.path("doc").metadata().unwrap().mode() & 0o222, 0);
    // A pull still lands, and stays protected.
    f.replace_by("doc", 1, b"pulled").unwrap();
    assert_eq!(f.bytes("doc"), b"pulled");
    assert_eq!(f.path("doc").metadata().unwrap().mode() & 0o222, 0);
    let stored: Protection = serde_json::from_str(&serde_json::to_string(&original).unwrap()).unwrap();
    f.repository.unprotect(&f.at("doc"), &stored).unwrap();
    assert_eq!((f.path("doc").metadata().unwrap().mode(), attribute(&f, "doc", "system.posix_acl_access")), (mode, list));
}

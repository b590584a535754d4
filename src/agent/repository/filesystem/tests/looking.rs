//! Names, keys, listings, absence.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;
use crate::agent::repository::UnsupportedKind;
use crate::sys::Access;

#[test]
fn edge_n01_n04_n06_n07_n10_names_are_listed_with_their_bytes() {
    let f = fixture();
    let allowed: [&[u8]; 5] = [b" leading", b"100%25", b"a!#$%&'()+,-;=@[]^_`{}~", "日本語 👩‍🚀".as_bytes(), b"CON"];
    let refused: [&[u8]; 6] = [b"dir.", b"dir ", b"a\nb", b"a:b", b"bad\xff", b" "];
    for bytes in allowed.iter().chain(&refused) {
        std::fs::write(f.library.join(OsStr::from_bytes(bytes)), bytes).unwrap();
    }
    let entries = f.repository.list(&f.top()).unwrap();
    assert_eq!(entries.len(), allowed.len() + refused.len(), "nothing else, not even what is ours");
    for entry in &entries {
        let bytes = entry.name.as_bytes();
        assert_eq!(entry.name.allowed().is_some(), allowed.contains(&bytes), "{bytes:?}");
        assert_eq!(entry.item, Item::Document);
    }
}

#[test]
fn edge_n08_n12_n13_other_spellings_are_other_names() {
    let f = fixture();
    f.write("FOO", "1");
    f.write("cafe\u{301}", "2");
    assert_eq!(f.repository.look(&f.top(), &name("foo")).unwrap(), None);
    assert_eq!(f.repository.look(&f.top(), &name("caf\u{e9}")).unwrap(), None);
    assert!(f.repository.look(&f.top(), &name("cafe\u{301}")).unwrap().is_some());
    f.sites[0].pretend(|can| can.case_sensitive = false);
    assert_eq!(f.repository.look(&f.top(), &name("foo")).unwrap(), None);
    assert!(f.repository.look(&f.top(), &name("FOO")).unwrap().is_some());
}

#[test]
fn edge_n14_n18_deep_folders_and_long_paths() {
    let f = fixture();
    let component = "d".repeat(200);
    let mut dir = f.files.open_root(&f.library).unwrap();
    let mut key = f.top();
    for _ in 0..50 {
        f.files.make_folder(&dir, component.as_bytes(), 0o755).unwrap();
        dir = f.files.open(&dir, component.as_bytes(), Access::Folder, false).unwrap();
        key = f.repository.look(&key, &name(&component)).unwrap().unwrap().key;
    }
    drop(f.files.create(&dir, &[b'f'; 255], 0o644).unwrap());
    let entries = f.repository.list(&key).unwrap();
    assert_eq!(entries[0].name.as_bytes(), [b'f'; 255]);
    // Without a memory of where it was seen, the folder is found all the same. How long ago it was written is no matter.
    let fresh = open(config(f.dir.path()));
    let keys = |entries: &[Entry]| entries.iter().map(|entry| (entry.name.clone(), entry.key.clone())).collect::<Vec<_>>();
    assert_eq!(keys(&fresh.list(&key).unwrap()), keys(&entries));
}

#[test]
fn edge_m01_keys_survive_renames_and_moves() {
    let f = fixture();
    f.write("a/b/doc", "1");
    let (folder, doc) = (f.at("a/b"), f.at("a/b/doc"));
    f.mkdir("x/y");
    std::fs::rename(f.path("a"), f.path("x/y/z")).unwrap();
    assert_eq!(f.at("x/y/z/b/doc").key, doc.key);
    assert_eq!(f.at("x/y/z/b").key, folder.key);
    // By key alone, though the folder above it moved unseen.
    let seen = open(config(f.dir.path())).list(&folder.key).unwrap();
    assert_eq!(seen[0].key, doc.key);
    assert_eq!(f.repository.path_of(&folder.key, &EntryName::Allowed(name("doc"))).unwrap(), f.path("x/y/z/b/doc"));
}

/// Finds everything by a walk, as where the system does not open inodes by their handles.
fn without_handles(f: &Fixture) {
    f.sites[0].pretend(|can| can.open_by_handle = false);
}

#[test]
fn edge_m05_what_programs_do_is_told_apart() {
    for handles in [true, false] {
        let f = fixture();
        if !handles {
            without_handles(&f);
        }
        f.write("in-place", "1");
        f.write("safe-save", "1");
        f.write("copied", "1");
        f.write("moved", "1");
        f.write("gone", "1");
        f.mkdir("other");
        let key = |inner: &str| f.at(inner).key;
        let before = ["in-place", "safe-save", "copied", "moved", "gone"].map(key);
        f.write("in-place", "2");
        f.write("temp", "2");
        std::fs::rename(f.path("temp"), f.path("safe-save")).unwrap();
        std::fs::copy(f.path("copied"), f.path("copy")).unwrap();
        std::fs::rename(f.path("moved"), f.path("other/moved")).unwrap();
        std::fs::remove_file(f.path("gone")).unwrap();
        assert_eq!(key("in-place"), before[0]);
        assert_ne!(key("safe-save"), before[1], "another inode under the known name");
        assert_ne!(key("copy"), before[2]);
        let places = f.repository.locate(&before).unwrap();
        let names: Vec<_> = places.iter().map(|place| place.as_ref().map(|place| place.name.as_bytes().to_vec())).collect();
        assert_eq!(names, [Some(b"in-place".to_vec()), None, Some(b"copied".to_vec()), Some(b"moved".to_vec()), None]);
        assert_eq!(places[3].as_ref().unwrap().folder, f.at("other").key);
    }
}

#[test]
fn d01_what_left_the_repository_is_not_located() {
    let f = fixture();
    f.write("folder/doc", "1");
    f.write("doc", "1");
    let keys = [f.at("folder").key, f.at("folder/doc").key, f.at("doc").key];
    std::fs::rename(f.path("folder"), f.dir.path().join("folder")).unwrap();
    std::fs::rename(f.path("doc"), f.dir.path().join("doc")).unwrap();
    assert_eq!(f.repository.locate(&keys).unwrap(), [None, None, None]);
    assert_eq!(f.repository.list(&keys[0]), Err(RepositoryError::Gone));
    assert_eq!(f.repository.look(&keys[0], &name("doc")), Err(RepositoryError::Gone));
}

#[test]
fn edge_m26_a_reused_inode_number_is_another_item() {
    let f = fixture();
    let mut reused = 0;
    for _ in 0..200 {
        let inode = std::fs::metadata(f.write("doc", "1")).unwrap().ino();
        let key = f.at("doc").key;
        std::fs::remove_file(f.path("doc")).unwrap();
        if std::fs::metadata(f.write("doc", "1")).unwrap().ino() == inode {
            reused += 1;
            assert_ne!(f.at("doc").key, key);
            assert_eq!(f.repository.locate(&[key]).unwrap(), [None]);
        }
        std::fs::remove_file(f.path("doc")).unwrap();
    }
    // Only file systems that do reuse numbers show anything; ext4 does at once.
    println!("reused {reused} times");
}

#[test]
fn edge_m25_hard_links_are_one_item_at_two_places() {
    let f = fixture();
    f.write("a", "1");
    std::fs::hard_link(f.path("a"), f.path("b")).unwrap();
    let entries = f.repository.list(&f.top()).unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].key, entries[1].key);
    assert_eq!(entries[0].links, 2);
    std::fs::remove_file(f.path("a")).unwrap();
    let place = f.repository.locate(&[entries[0].key.clone()]).unwrap().remove(0).unwrap();
    assert_eq!(place.name.as_bytes(), b"b");
}

#[test]
fn s_i05_edge_t04_t05_links_and_special_files_are_never_followed() {
    let f = fixture();
    std::fs::write(f.dir.path().join("secret"), "secret").unwrap();
    symlink(f.dir.path().join("secret"), f.path("absolute")).unwrap();
    symlink("loop", f.path("loop")).unwrap();
    symlink(f.dir.path(), f.path("folder")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, f.path("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(f.path("socket")).unwrap();
    for entry in f.repository.list(&f.top()).unwrap() {
        let expected = match entry.name.as_bytes() {
            b"pipe" => UnsupportedKind::Pipe,
            b"socket" => UnsupportedKind::Socket,
            _ => UnsupportedKind::Link,
        };
        assert_eq!(entry.item, Item::Unsupported(expected), "{:?}", entry.name);
        let at = At { folder: f.top(), name: entry.name.allowed().unwrap().clone(), key: entry.key.clone() };
        assert_eq!(f.observe_at(&at), Err(RepositoryError::Changed));
        assert!(f.repository.list(&entry.key).is_err());
    }
    let looked = f.repository.look(&f.top(), &name("folder")).unwrap().unwrap();
    assert_eq!(looked.item, Item::Unsupported(UnsupportedKind::Link));
}

#[test]
fn edge_f14_a_link_swapped_in_leads_nowhere() {
    let f = fixture();
    let outside = f.dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("doc"), "secret").unwrap();
    f.write("a/b/doc", "1");
    let (folder, doc, stamp) = (f.at("a/b").key, f.at("a/b/doc"), f.entry_at("a/b/doc").stamp);
    std::fs::rename(f.path("a"), f.dir.path().join("aside")).unwrap();
    symlink(f.dir.path().join("aside"), f.path("a")).unwrap();
    assert_eq!(f.repository.list(&folder), Err(RepositoryError::Gone));
    assert_eq!(f.repository.remove_document(&doc, &stamp, op(1)), Err(RepositoryError::Gone));
    std::fs::remove_file(f.path("a")).unwrap();
    std::fs::rename(f.dir.path().join("aside"), f.path("a")).unwrap();
    // The same with the document itself.
    std::fs::remove_file(f.path("a/b/doc")).unwrap();
    symlink(outside.join("doc"), f.path("a/b/doc")).unwrap();
    assert_eq!(f.observe_at(&doc), Err(RepositoryError::Changed));
    let staged = f.staged(&folder, 2, b"new");
    assert_eq!(f.repository.replace(&staged, &doc, &stamp), Err(RepositoryError::Changed));
    assert_eq!(f.repository.place_new(&staged, &folder, &name("doc")), Err(RepositoryError::Exists));
    assert_eq!(std::fs::read(outside.join("doc")).unwrap(), b"secret");
}

#[test]
fn edge_f04_what_may_not_be_read_is_no_absence() {
    let f = fixture();
    f.write("closed/doc", "1");
    let (closed, doc) = (f.at("closed").key, f.at("closed/doc").key);
    std::fs::set_permissions(f.path("closed"), PermissionsExt::from_mode(0o700)).unwrap();
    // What is ours stays closed to people; only the marker is looked at here.
    std::fs::set_permissions(f.path(".skybridge"), PermissionsExt::from_mode(0o755)).unwrap();
    let Some(()) = as_nobody(|| {
        assert!(matches!(f.repository.list(&closed), Err(RepositoryError::Denied(_))));
        assert!(matches!(f.repository.look(&closed, &name("doc")), Err(RepositoryError::Denied(_))));
        let located = f.repository.locate(std::slice::from_ref(&doc));
        assert_eq!(located, Err(RepositoryError::Unknown(Unhealthy::Unreadable)));
    }) else {
        return;
    };
}
